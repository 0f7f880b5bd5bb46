# Tunnels after 101: both ways, with what came early, half-close, time-outs, large amounts, and at the end of either side.
use lib 't/lib';
use Weir;
use Socket qw(:DEFAULT);

my $origin = Origin->new(
    '/ws' => { upgrade => 'websocket', fields => ['Sec-WebSocket-Accept: xyz'] },
    '/no' => { status => 200, body => 'no upgrade' },
);
my $weir = Weir->new(
    http => q(log_format l '$request_uri $status $bytes_sent $body_bytes_sent [$upstream_status] [$upstream_bytes_sent]
        [$upstream_bytes_received] $upstream_response_time'; access_log %dir%/access.log l;),
    server => <<CONF);
    location / {
        proxy_pass $origin->{url};
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_read_timeout 1s;
        location /patient/ { proxy_pass $origin->{url}/; proxy_read_timeout 60s; }
    }
    location /never/ { proxy_pass $origin->{url}/; }
CONF

sub tunnel ($extra = '', $target = '/ws') {
    my $c = $weir->client;
    $c->write("GET $target HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n$extra");
    my $a = $c->answer(head => 1);
    return ($c, $a);
}

my ($c, $a) = tunnel();
is($a->status, 101, 'switched');
is($a->field('Upgrade'), 'websocket', 'Upgrade');
is(lc $a->field('Connection'), 'upgrade', 'Connection');
is($a->field('Sec-WebSocket-Accept'), 'xyz', 'the origin\'s fields');
is(scalar(my @x = $a->field('Upgrade')), 1, 'once');
for my $text ('hello', "\0\1\2", 'x' x 70_000) {
    $c->write($text);
    is($c->read_bytes(length $text), $text, length($text) . ' bytes there and back');
}
$c->close;
my $line = $weir->wait_log(qr{^(/ws 101 .*)}m, 'access.log');
my ($sent, $body) = $line =~ /^\S+ 101 (\d+) (\d+)/;
is($body, 70_008, 'counted as body') or diag($line);
like($line, qr/\[101\]/, 'with the origin\'s status');

($c) = tunnel('early');
is($c->read_bytes(5), 'early', 'bytes right behind the request');
$c->shutdown;
ok($c->is_closed, 'the end of one half reaches the other side, which ends too');

($c) = tunnel('', '/patient/ws');
my $amount = 20_000_000;
my $data = join '', map { pack 'N', $_ } 1 .. 250_000;
my ($out, $in) = (0, '');
$c->fh->blocking(0);
my $all = $data x ($amount / length $data);
my $deadline = time + 60;
while (length $in < $amount && time < $deadline) {
    my ($r, $w) = ('', '');
    vec($r, fileno $c->fh, 1) = 1;
    vec($w, fileno $c->fh, 1) = 1 if $out < $amount;
    select $r, $w, undef, 5;
    if (vec $w, fileno $c->fh, 1) { $out += syswrite($c->fh, $all, 100_000, $out) // 0 }
    if (vec $r, fileno $c->fh, 1) { sysread $c->fh, $in, 200_000, length $in or last }
}
ok($in eq $all, '20 MB both ways at once');
$c->close;

($c) = tunnel();
for (1 .. 4) {
    select undef, undef, undef, 0.4;
    $c->write('ping');
    is($c->read_bytes(4), 'ping', 'alive beyond the time-out as long as something moves');
}
ok($c->is_closed, 'silence ends it');
like($weir->error_log, qr/upstream timed out \(110: Connection timed out\) while proxying upgraded connection, client: .*upstream: "http/, 'said');

($c) = tunnel();
my $open = $origin->open_now;
$c->reset;
wait_for(sub { $origin->open_now < $open }, 'the origin\'s side to end');
pass('a reset of the client ends it');

is($weir->request('GET', '/ws', fields => [])->status, 502, '101 without Upgrade is refused');
is($weir->request('GET', '/never/ws', fields => [ 'Connection: upgrade', 'Upgrade: websocket' ])->status, 502, 'or when it is not passed on');
is($weir->request('GET', '/no', fields => [ 'Connection: upgrade', 'Upgrade: websocket' ])->body, 'no upgrade', 'an origin may decline');

# The client's socket may be full at the moment of the 101: it is sent when there is room, and the tunnel begins then. Where
# that moment lies depends on the system, so it is looked for.
my $filler = join '', map { "GET /fill HTTP/1.1\r\nHost: a\r\n\r\n" } 1 .. 1;
$weir = Weir->new(server => <<CONF);
    listen 127.0.0.1:%port0% sndbuf=4k;
    location /fill { return 200 "${\('f' x 1500)}"; }
    location /ws { proxy_pass $origin->{url}; proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade; }
CONF
my $failed = '';
for my $n (1 .. 40) {
    my $client = $weir->client(0, rcvbuf => 2048);
    my $asked  = $origin->requests('/ws');
    $client->write($filler x $n . "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    # until it is switched, or stands still behind what we do not read
    for (1 .. 10) {
        last if $origin->requests('/ws') > $asked;
        select undef, undef, undef, 0.005;
    }
    $client->answer for 1 .. $n;
    my $answer = $client->answer(head => 1);
    $client->write('ping');
    $failed .= " $n" if !$answer || $answer->status != 101 || $client->read_bytes(4) ne 'ping';
}
is($failed, '', 'behind so many responses that nobody has read');
done_testing;
