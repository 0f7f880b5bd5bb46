# How origins are reached: unix sockets, proxy_bind, and how fast they are read: proxy_limit_rate; $upstream_* variables.
use lib 't/lib';
use Weir;
use Time::HiRes qw(time);

my $unix = Origin->new(unix => 1, '*' => { body => 'unix' }, '/big' => { body => 'x' x 200_000 });
my $tcp  = Origin->new('*' => { body => 'tcp', fields => ['X-A: b', 'Set-Cookie: k=v; Path=/'] }, '/big' => { body => 'x' x 300_000 });
my $weir = Weir->new(
    http => <<CONF,
    upstream g { server $unix->{address}; }
    log_format l '\$request_uri|\$upstream_addr|\$upstream_status|\$upstream_response_length|\$upstream_bytes_sent|\$upstream_bytes_received|\$upstream_connect_time|\$upstream_header_time|\$upstream_response_time|\$proxy_host|\$proxy_port|\$upstream_http_x_a|\$upstream_http_none|\$upstream_cookie_k|\$upstream_http_set_cookie';
    access_log %dir%/access.log l;
CONF
    server => <<CONF);
    location / { proxy_pass $tcp->{url}; }
    location /unix/ { proxy_pass $unix->{url}:/uri/; }
    location /unix2/ { proxy_pass $unix->{url}; }
    location /unixvar/ { proxy_pass http://\$http_x_to; }
    location /group/ { proxy_pass http://g/; }
    location /bind/ { proxy_bind 127.0.0.5; proxy_pass $tcp->{url}/; }
    location /bindvar/ { proxy_bind \$http_x_from; proxy_pass $tcp->{url}/; location /bindvar/off/ { proxy_bind off; proxy_pass $tcp->{url}/; } }
    location /bindbad/ { proxy_bind 203.0.113.1; proxy_pass $tcp->{url}/; }
    location /rate/ { proxy_limit_rate 200k; proxy_pass $tcp->{url}/; }
    location /ratevar/ { proxy_limit_rate \$http_x_rate; proxy_pass $tcp->{url}/; }
CONF

is($weir->get('/unix/a')->body, 'unix', 'a unix socket');
is($unix->last_request->{target}, '/uri/a', 'with a URI');
is(Origin::field($unix->last_request, 'Host'), 'localhost', 'its Host');
is($weir->get('/unix2/a')->body, 'unix', 'without');
is($unix->last_request->{target}, '/unix2/a', 'the target as it was');
is($weir->get('/unixvar/', fields => ["X-To: $unix->{address}:/v"])->body, 'unix', 'from a variable');
is($unix->last_request->{target}, '/v', 'with a URI');
is($weir->get('/group/')->body, 'unix', 'in a group');
is(length $weir->get('/group/big')->body, 200_000, 'large ones');
ok($weir->wait_log(qr{^/unix/a\|\Q$unix->{address}\E\|200\|4\|\d+\|\d+\|0\.\d{3}\|0\.\d{3}\|0\.\d{3}\|localhost\|\|}m, 'access.log'), 'in the log');

$weir->get('/x');
ok($weir->wait_log(qr{^/x\|\Q$tcp->{address}\E\|200\|3\|\d+\|\d+\|[\d.]+\|[\d.]+\|[\d.]+\|\Q$tcp->{address}\E\|$tcp->{port}\|b\|-\|v\|k=v; Path=/$}m, 'access.log'), 'variables of a response');
my ($sent, $received) = $weir->wait_log(qr{^(/x\|.*)}m, 'access.log') =~ /\|3\|(\d+)\|(\d+)/;
is($sent, length $tcp->last_request->{head}, 'bytes sent');
cmp_ok($received, '>', 60, 'bytes received');

# The origin does not see addresses; the kernel does.
sub peers () {
    my $from = sprintf '0100007F:%04X', $tcp->{port};
    open my $table, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";
    # line by line: connections that are over fill megabytes of it at times
    return join ' ', map { /^\s*\d+: $from ([0-9A-F]{8})/ ? $1 : () } <$table>;
}
is($weir->get('/bind/')->body, 'tcp', 'proxy_bind');
like(peers(), qr/0500007F/, 'comes from that address');
is($weir->get('/bindvar/', fields => ['X-From: 127.0.0.6'])->body, 'tcp', 'with variables');
like(peers(), qr/0600007F/, 'too');
is($weir->get('/bindvar/', fields => ['X-From: 127.0.0.7'])->body, 'tcp', 'another');
like(peers(), qr/0700007F/, 'is not served by a kept connection of the first');
is($weir->get('/bindvar/off/')->body, 'tcp', 'off');
is($weir->get('/bindvar/')->body, 'tcp', 'an empty value is off');
is($weir->get('/bindvar/', fields => ['X-From: what'])->status, 502, 'no address');
is($weir->get('/bindbad/')->status, 502, 'an address that is not ours');
like($weir->error_log, qr/bind\(\) failed \(99: Cannot assign requested address\) while connecting to upstream/, 'said');

my $start = time;
is(length $weir->get('/rate/big')->body, 300_000, 'proxy_limit_rate');
cmp_ok(time - $start, '>', 0.4, 'takes its time');
is(length $weir->get('/ratevar/big')->body, 300_000, 'none');
$start = time;
is(length $weir->get('/ratevar/big', fields => ['X-Rate: 200k'])->body, 300_000, 'by a variable');
cmp_ok(time - $start, '>', 0.4, 'takes its time too');

# A foreign source address takes a right that workers keep for it, and nothing else.
sub rights ($daemon) {
    my ($worker) = $daemon->workers;
    return $daemon->read_file("/proc/$worker/status") =~ /^CapEff:\s+([0-9a-f]+)$/m ? hex $1 : -1;
}
SKIP: {
    Test::More::skip('not root', 5) if $>;
    is(rights($weir), 0, 'workers have no rights');
    my $foreign = Weir->new(server => <<CONF);
        location / { proxy_bind \$http_x_from transparent; proxy_pass $tcp->{url}; proxy_connect_timeout 100ms; }
CONF
    is(rights($foreign), 1 << 13, 'but CAP_NET_RAW for transparent');
    is($foreign->get('/', fields => ['X-From: 127.0.0.8'])->body, 'tcp', 'an address of ours');
    like(peers(), qr/0800007F/, 'is used');
    $foreign->get('/', fields => ['X-From: 203.0.113.1']);
    unlike($foreign->error_log, qr/bind\(\) failed/, 'and one that is not');
}
done_testing;
