#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# listen ... proxy_protocol: headers of both versions tell whom a balancer speaks for; bad ones close the connection.

use lib 't/lib';
use Certs;
use Nginx;
use TlsClient;
use Weir;

my $format = join ' ', map { "\$proxy_protocol_$_" } qw(addr port server_addr server_port);
my @text = (
    http   => 'client_header_timeout 1h; client_body_timeout 1h;',
    server => <<"CONF",
        listen 127.0.0.1:%port0% proxy_protocol;
        listen 127.0.0.1:%port1%;
        listen unix:%dir%/socket proxy_protocol;
        location /    { return 200 "[$format]\n"; }
        location /who { return 200 "\$remote_addr \$server_port\n"; }
        location /real { set_real_ip_from 127.0.0.1; set_real_ip_from unix:; real_ip_header proxy_protocol;
                         proxy_pass http://127.0.0.1:%port1%/shown; proxy_set_header X-Real "\$remote_addr \$realip_remote_addr"; proxy_set_header X-Port \$remote_port; }
        location /shown { return 200 "[\$http_x_real]\n"; add_header X-Port \$http_x_port; }
CONF
);
my ($weir, $nginx) = Nginx->beside(@text);
my ($v1, $rest) = ("PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\n", "Host: a\r\nConnection: close\r\n\r\n");

sub v2 ($command, $family, $body) { "\r\n\r\n\0\r\nQUIT\n" . pack 'CCn/a*', $command, $family, $body }
sub tlv ($type, $value) { pack 'Cn/a*', $type, $value }
my $four = pack('C8', 192, 0, 2, 1, 198, 51, 100, 2) . pack 'nn', 1234, 443;
my $six  = pack('H32', '20010db8000000000000000000000001') . pack('H32', '20010db8000000000000000000000002') . pack 'nn', 1, 65535;

my %header = (
    'version 1'                => $v1,
    'version 1 over IPv6'      => "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
    'version 1, unknown'       => "PROXY UNKNOWN\r\n",
    'version 1, unknown with more' => "PROXY UNKNOWN ff:ff:ff ff 1 2\r\n",
    'version 2'                => v2(0x21, 0x11, $four),
    'version 2 over IPv6'      => v2(0x21, 0x21, $six),
    'version 2, local'         => v2(0x20, 0, ''),
    'version 2, local with addresses' => v2(0x20, 0x11, $four),
    'version 2, unix'          => v2(0x21, 0x31, "/a\0" . "\0" x 213),
    'version 2 with TLVs'      => v2(0x21, 0x11, $four . tlv(1, 'h2') . tlv(4, 'x' x 20)),
);
for my $what (sort keys %header) {
    Nginx::same($weir, $nginx, "$what: $_", 'GET', '/', raw => "$header{$what}GET $_ HTTP/1.1\r\n$rest") for '/', '/who';
    my @real = map { $_->raw("$header{$what}GET /real HTTP/1.1\r\n$rest") =~ s/.*\r\n\r\n//sr } $weir, $nginx;
    is($real[0], $real[1], "$what: /real");
}
like($weir->raw("${v1}GET /real HTTP/1.1\r\n$rest"), qr/^X-Port: 1234\r\n.*\[192\.0\.2\.1 127\.0\.0\.1\]/ms, 'address and port are the real ones');
is($weir->get('/', port => 1)->body, "[   ]\n", 'an address without the header has no such values');
is($weir->get('/real', port => 1)->body, "[127.0.0.1 127.0.0.1]\n", 'and no other client');
my $unix = Client->new($weir->dir . '/socket');
$unix->write("${v1}GET /real HTTP/1.1\r\n$rest");
like($unix->read_all, qr/\[192\.0\.2\.1 unix:\]/, 'over a unix socket');

# It may come in parts, and together with what follows.
my $who = keys %header;    # requests for /who
for my $header ($v1, v2(0x21, 0x11, $four)) {
    my $client = $weir->client;
    for my $byte (split //, "${header}GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
        $client->write($byte);
    }
    like($client->answer->body, qr/^\[192\.0\.2\.1 1234 198\.51\.100\.2 443\]/, 'byte by byte');
    $client->send_request('GET', '/');
    like($client->answer->body, qr/^\[192\.0\.2\.1 /, 'it holds for the whole connection');
    $client->send_request('GET', '/real');
    like($client->answer->body, qr/^\[192\.0\.2\.1 /, 'and so does the real address');
    $client->send_request('GET', '/who');
    like($client->answer->body, qr/^127\.0\.0\.1 /, 'which is that of one request only');
    $who++;
}

# What is no header gets no answer.
wait_for(sub { (() = $weir->access_log =~ m{"GET /who HTTP/1.1" 200}g) == $who }, 'the log lines of all requests');
my $requests = () = $weir->access_log =~ /\n/g;
for my $bad (
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PROXY TCP4 192.0.2.1\r\n",
    "PROXY TCP4 999.0.2.1 198.51.100.2 1234 443\r\nGET / HTTP/1.1\r\n$rest",
    "PROXY TCP4 1.1.1.1 2.2.2.2 99999 443\r\n", 'PROXY UNKNOWN ' . 'x' x 200, "\x16\x03\x01\x02\x00",
    v2(0x21, 0x11, substr $four, 1), v2(0x31, 0x11, $four), v2(0x22, 0x11, $four), v2(0x21, 0x11, $four . "\x01\xff\xffx"),
    v2(0x21, 0x11, $four . tlv(3, 'abcd')), v2(0x21, 0x11, $four . tlv(4, 'x' x 5000))
) {
    is($weir->raw($bad), '', 'closed without an answer: ' . ($bad =~ s/[^ -~]/./gr =~ s/(.{40}).+/$1/r));
}
like($weir->error_log, qr/\[error\].*broken header: "GET \/ HTTP\/1\.1[^"]*" while reading PROXY protocol, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+/s,
    'and logged');
for my $cut ('', 'PROXY', $v1 =~ s/\r\n//r, substr(v2(0x21, 0x11, $four), 0, 20)) {
    my $client = $weir->client;
    $client->write($cut) if length $cut;
    shutdown $client->fh, 1;
    is($client->read_all, '', 'an end after ' . length($cut) . ' bytes');
}
is(scalar(() = $weir->access_log =~ /\n/g), $requests, 'none of them is a request');
like($weir->raw("${v1}BAD\r\n\r\n"), qr/^HTTP\/1\.1 400 /, 'what is no request after a header is answered');

my $slow = Weir->new(http => 'client_header_timeout 50ms;', server => 'listen 127.0.0.1:%port0% proxy_protocol;');
my $client = $slow->client;
$client->write('PROXY TCP4');
ok($client->is_closed, 'a header that does not come in time');
ok($slow->wait_log(qr/client timed out while reading PROXY protocol/), 'is logged');

# TLVs by name and number.
my $ssl = tlv(0x20, pack('CN', 7, 0) . tlv(0x21, 'TLSv1.3') . tlv(0x22, 'client') . tlv(0x23, 'AES'));
my @names = qw(alpn authority unique_id netns 0x05 ssl_version ssl_cn ssl_cipher ssl_0x22 ssl_verify ssl_sig_alg 0xea);
my $named = Weir->new(
    server => 'listen 127.0.0.1:%port0% proxy_protocol; '
      . 'location / { return 200 "' . join('|', map { "\$proxy_protocol_tlv_$_" } @names) . '"; }'
);
my $tlvs = tlv(1, 'h2') . tlv(2, 'example.org') . tlv(5, 'id') . $ssl . tlv(0x30, 'ns') . tlv(0xea, 'vpce-1');
is($named->raw(v2(0x21, 0x11, "$four$tlvs") . "GET / HTTP/1.1\r\n$rest") =~ s/.*\r\n\r\n//sr,
    'h2|example.org|id|ns|id|TLSv1.3|client|AES|client|0||vpce-1', 'TLVs');
is($named->raw("${v1}GET / HTTP/1.1\r\n$rest") =~ s/.*\r\n\r\n//sr, '|' x 11, 'version 1 has none');

# TLS begins behind the header.
my $certs = Certs->new;
$certs->make('a', names => ['a.example']);
my $dir = $certs->dir;
my $tls = Weir->new(
    server => "listen 127.0.0.1:%port0% ssl proxy_protocol; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; "
      . 'location / { return 200 "$scheme $proxy_protocol_addr"; }'
);
for my $header ($v1, v2(0x21, 0x11, $four)) {
    my $c = Client->new($tls->port);
    $c->write($header);
    ok(TlsClient::start($c), 'TLS after a header');
    $c->send_request('GET', '/');
    is($c->answer->body, 'https 192.0.2.1', 'with its address');
}
ok(!TlsClient->new($tls->port), 'none without a header');

done_testing;
