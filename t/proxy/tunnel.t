#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# CONNECT: tunnels to where the client says, or the configuration; and who gets none.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'through the tunnel' });
my $echo   = Origin->new('*' => { upgrade => 'echo' });
my $unix   = Origin->new(unix => 1, '*' => { body => 'by unix' });
my ($port, $echo_port) = ($origin->port, $echo->port);
my $dead = Port::claim();
my $weir = Weir->new(
    http => "log_format tunnel '\$request|\$status|\$uri|\$host|\$request_port|\$upstream_addr|\$body_bytes_sent';"
      . "upstream group { server 127.0.0.1:$dead; server $origin->{address} backup; }"
      . "map \$request_port \$allowed { default 0; $port 1; $echo_port 1; $dead 1; }",
    server => <<CONF,
        listen 127.0.0.1:%port1%;
        access_log %dir%/tunnel.log tunnel;
        if (\$allowed = 0) { return 403; }
        tunnel_pass;
        tunnel_connect_timeout 3s;
        location = /elsewhere { return 200 file; }
    }
    server { listen 127.0.0.1:%port2%; location / { return 200 no; } location /p/ { proxy_pass $origin->{url}; } }
    server { listen 127.0.0.1:%port3%; location / { tunnel_pass $unix->{address}; } }
    server { listen 127.0.0.1:%port4%; location / { tunnel_pass group; tunnel_buffer_size 1; } }
    server { listen 127.0.0.1:%port5%; location / { tunnel_pass group; tunnel_next_upstream off; } }
    server { listen 127.0.0.1:%port6%; location / { tunnel_pass \$host:\$request_port; tunnel_read_timeout 100ms; } }
    server { listen 127.0.0.1:%port7%; location / { deny all; tunnel_pass; } }
    server { listen 127.0.0.1:%port8%; location / { root %dir%/html; } location /p/ { proxy_pass $origin->{url}; }
CONF
);

# A tunnel: its head, then whatever both say.
sub tunnel ($target, %option) {
    my $c = $weir->client($option{port} // 1);
    $c->write("CONNECT $target HTTP/1.1\r\nHost: " . ($option{host} // $target) . "\r\n$option{more}\r\n" . ($option{ahead} // ''))
      if ($option{more} //= '') || 1;
    my $head = $c->read_until(qr/\r\n\r\n/) // return ($c, 0, '');
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
    return ($c, $status, $head);
}

my ($c, $status, $head) = tunnel("127.0.0.1:$port");
is($status, 200, 'CONNECT is answered with 200');
unlike($head, qr/Content-Length|Transfer-Encoding|Content-Type/i, 'without framing');
$c->send_request('GET', '/x');
is($c->answer->body, 'through the tunnel', 'and is a connection to that place');
$c->send_request('GET', '/y', close => 1);
is($c->answer->body, 'through the tunnel', 'for as many bytes as come');
undef $c;
$weir->wait_log(qr{^CONNECT 127\.0\.0\.1:$port HTTP/1\.1\|200\|/\|127\.0\.0\.1\|$port\|127\.0\.0\.1:$port\|[1-9]\d+$}m, 'tunnel.log');

($c, $status) = tunnel("127.0.0.1:$port", ahead => "GET /early HTTP/1.1\r\nHost: a\r\n\r\n");
is($status, 200, 'bytes that come with the request');
is($c->answer->body, 'through the tunnel', 'are the tunnel\'s');

($c) = tunnel("127.0.0.1:$echo_port");
$c->write("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n");
$c->read_until(qr/\r\n\r\n/);
my $block = join '', map { chr($_ % 251) } 1 .. 1_000_000;
$c->write($block);
ok($c->read_bytes(1_000_000) eq $block, 'a megabyte there and back');

# Who gets none.
for my $case (
    [ 'a port that is not allowed',  '127.0.0.1:1',     403 ],
    [ 'nobody there',                "127.0.0.1:$dead", 502 ],
    [ 'no port',                     '127.0.0.1',       400 ],
    [ 'port 0',                      '127.0.0.1:0',     400 ],
    [ 'a port beyond all',           '127.0.0.1:65536', 400 ],
    [ 'a path',                      '/x',              400 ],
    [ 'a URL',                       "http://127.0.0.1:$port/", 400 ],
    [ 'no host',                     ":$port",          400 ],
    [ 'a body',                      "127.0.0.1:$port", 400, more => "Content-Length: 3\r\n" ],
    [ 'a chunked body',              "127.0.0.1:$port", 400, more => "Transfer-Encoding: chunked\r\n" ],
    [ 'a name without a resolver',   "tunnel.invalid:$port", 502 ],
    [ 'a server without tunnel_pass', "127.0.0.1:$port", 405, port => 8 ],
    [ 'one that answers all with 200', "127.0.0.1:$port", 405, port => 2 ],
    [ 'deny',                        "127.0.0.1:$port", 403, port => 7 ],
  )
{
    my ($what, $target, $want, %option) = @$case;
    my ($c, $status) = tunnel($target, %option);
    is($status, $want, "$what: $want");
    ok($c->is_closed, 'and the connection ends') if $status;
}
# What counts is the target, whatever Host says.
($c, $status) = tunnel('127.0.0.1:1', host => "127.0.0.1:$port");
is($status, 403, 'Host does not open what the target does not');
is($weir->get('/', port => 1, host => "a:$port")->status, 405, 'GET where only tunnels are');
is($weir->get('/elsewhere', port => 1, host => "a:$port")->body, 'file', 'tunnel_pass in server {} is not for its locations');
is($weir->get('/', port => 2)->body, 'no', 'other servers are as they were');
is($weir->raw("CONNECT 127.0.0.1:$port HTTP/1.0\r\n\r\n", port => 1) =~ /^HTTP\/1.1 (\d+)/ && $1, 405, 'HTTP/1.0 has no tunnels here');

# Where the configuration says.
($c, $status) = tunnel('anything:1', port => 3);
$c->send_request('GET', '/');
is($c->answer->body, 'by unix', 'a fixed address');
($c, $status) = tunnel('anything:1', port => 4);
is($status, 200, 'a group: the next peer when the first is dead');
$c->send_request('GET', '/');
is($c->answer->body, 'through the tunnel', 'by reads of one byte');
($c, $status) = tunnel('anything:1', port => 5);
like($status, qr/^(?:502|200)$/, 'tunnel_next_upstream off');

($c, $status) = tunnel("127.0.0.1:$echo_port", port => 6);
is($status, 200, 'tunnel_read_timeout');
ok($c->is_closed, 'ends a silent tunnel');
$weir->wait_log(qr/upstream timed out.*while proxying connection.*, timeout: tunnel_read_timeout 100ms, upstream: "127/);

# An end on one side is an end on the other.
($c) = tunnel("127.0.0.1:$port");
$c->send_request('GET', '/', close => 1);
$c->answer;
shutdown $c->fh, 1;
ok($c->is_closed, 'the client\'s end');
$weir->reload;
($c, $status) = tunnel("127.0.0.1:$port");
is($status, 200, 'after a reload');

like((Weir->new(server => 'tunnel_pass "";', start => 0)->run_weir('-t'))[1], qr/invalid address "" in /, 'an empty address');
like((Weir->new(server => 'tunnel_next_upstream http_500;', start => 0)->run_weir('-t'))[1], qr/invalid value "http_500" in /, 'a word of proxy_next_upstream');
done_testing;
