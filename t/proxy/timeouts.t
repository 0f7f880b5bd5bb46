# proxy_connect_timeout, proxy_send_timeout, proxy_read_timeout: between two steps, not for the whole.
use lib 't/lib';
use Weir;
use IO::Socket::INET;
use Time::HiRes ();

my $origin = Origin->new(
    '/never'   => { body => 'x' },
    '/trickle' => { pieces => [ ('x') x 12 ], pause => 0.1 },
    '/stalls'  => { pieces => [ 'some', 'more' ], pause => 600 },
    '/slow'    => { body => 'took it', slow_read => 0.003 },
    '/sink'    => { stop_reading => 1, body => 'x' },
    '/ok'      => { body => 'ok' },
);
$origin->hold('/never');
my $full = Origin->new(accept => 0, backlog => 0, '*' => {});
my @filling = map { IO::Socket::INET->new(PeerAddr => $full->address, Blocking => 0) } 1 .. 4;
my $weir = Weir->new(
    http   => 'proxy_read_timeout 400ms; proxy_send_timeout 400ms; proxy_connect_timeout 300ms; client_max_body_size 0;',
    server => <<CONF);
    location / { proxy_pass $origin->{url}; }
    location /unbuffered/ { proxy_buffering off; proxy_pass $origin->{url}/; }
    location /streamed/ { proxy_request_buffering off; proxy_pass $origin->{url}/; }
    # The last megabytes of a request wait in buffers of the kernel while the origin reads: they are no silence of its own.
    location = /slow { proxy_read_timeout 60s; proxy_pass $origin->{url}; }
    location /full/ { proxy_pass http://$full->{address}/; }
CONF

is($weir->get('/never')->status, 504, 'no head in time');
like($weir->error_log, qr/upstream timed out \(110: Connection timed out\) while reading response header from upstream, client: .*, timeout: proxy_read_timeout 400ms, upstream: "http/, 'said, with the directive');
for my $where ('', '/unbuffered') {
    is($weir->get("$where/trickle")->body, 'x' x 12, "$where/trickle: longer than the limit, but never silent for it");
    my $c = $weir->client;
    $c->send_request('GET', "$where/stalls");
    my $a = $c->answer;
    is($a->body, 'some', "$where/stalls: what came");
    ok(!$a->complete, 'then it is cut');
}
like($weir->error_log, qr/upstream timed out \(110: Connection timed out\) while reading upstream, client: .*, timeout: proxy_read_timeout 400ms, upstream: "http/, 'said, with the directive');

my $big = 'b' x 20_000_000;
my $a = $weir->post('/sink', $big);
is($a && $a->status, 504, 'an origin that takes nothing');
like($weir->error_log, qr/upstream timed out \(110: Connection timed out\) while sending request to upstream, client: .*, timeout: proxy_send_timeout 400ms, upstream: "http/, 'said, with the directive');
my $start = Time::HiRes::time;
is($weir->post('/slow', $big)->body, 'took it', 'one that is slow may go on');
cmp_ok(Time::HiRes::time - $start, '>', 0.4, 'for longer than the limit');

# A client that is slow with its body is not the origin's fault.
my $c = $weir->client;
$c->write("POST /streamed/ok HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
for my $byte (split //, 'abcdef') {
    select undef, undef, undef, 0.15;
    $c->write($byte);
}
is($c->answer->body, 'ok', 'a slow upload');
is($origin->last_request->{body}, 'abcdef', 'arrives');

$a = $weir->get('/full/x');
is($a->status, 504, 'no connection in time');
like($weir->error_log, qr/upstream timed out \(110: Connection timed out\) while connecting to upstream, client: .*, timeout: proxy_connect_timeout 300ms, upstream: "http/, 'said, with the directive');

# A client that does not read: the origin waits as long as it takes.
my $waits = Origin->new('/large' => { body => 'z' x 100_000, repeat => 100 });
for my $buffering ('proxy_max_temp_file_size 0', 'proxy_buffering off') {
    my $w = Weir->new(http => 'proxy_read_timeout 200ms;', location => "proxy_pass $waits->{url}; $buffering;");
    $c = $w->client(0, rcvbuf => 4096);
    $c->send_request('GET', '/large');
    $c->read_until("\r\n\r\n");
    select undef, undef, undef, 0.6;
    is(length $c->read_bytes(10_000_000), 10_000_000, "$buffering: the origin's time does not run while the client blocks");
}
done_testing;
