#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# TLS 1.2 and 1.3: requests and bodies in both directions, keep-alive, pipelining, a proper end; what is not allowed is
# refused.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a', names => ['a.example'])->make('rsa', names => ['rsa.example'], rsa => 1);
my $dir = $certs->dir;

my $big  = join('', map { chr(($_ * 7 + ($_ >> 8)) & 255) } 0 .. 299_999) x 10;
my $weir = Weir->new(
    files => { 'html/big' => $big, 'html/small' => 'small' },
    http  => <<CONF, server => <<SERVER);
    client_max_body_size 100m;
    server { listen 127.0.0.1:%port1%; location / { return 200 "\$content_length"; } }
CONF
    listen 127.0.0.1:%port0% ssl;
    ssl_certificate     $dir/a.crt;
    ssl_certificate_key $dir/a.key;
    ssl_certificate     $dir/rsa.crt;
    ssl_certificate_key $dir/rsa.key;
    location = /facts {
        return 200 "\$scheme \$https \$ssl_protocol \$ssl_cipher \$ssl_session_reused \$ssl_alpn_protocol \$ssl_curve";
    }
    location /up { proxy_pass http://127.0.0.1:%port1%; }
SERVER

sub connect_to (%option) { TlsClient->new($weir->port, %option) // die 'no handshake: ' . TlsClient->why . "\n" }

sub get ($client, $target, %option) {
    $client->send_request('GET', $target, %option);
    return $client->answer;
}

for my $version ('TLSv1.2', 'TLSv1.3') {
    my $client = connect_to(max => $version, alpn => [ 'h2', 'http/1.1' ]);
    is($client->protocol, $version,   "$version is spoken");
    is($client->alpn,     'http/1.1', 'ALPN');
    my $cipher = $client->cipher;
    like(get($client, '/facts')->body, qr{^https on $version $cipher \. http/1\.1 [Xxp]\w+$}, 'variables');
    is(get($client, '/small')->body, 'small', 'the next request on the connection');
    my $answer = get($client, '/big');
    ok($answer->body eq $big && $answer->complete, '3 MB down');
    $client->send_request('POST', '/up', body => $big);
    is($client->answer->body, length $big, '3 MB up');
    $client->send_request('HEAD', '/big');
    is($client->answer->field('Content-Length'), length $big, 'HEAD');

    $client->write(join '', map { Client::request_text('GET', $_) } ('/small') x 20, '/big', '/small');
    is(join(' ', map { $client->answer->body } 1 .. 20), join(' ', ('small') x 20), '20 pipelined requests');
    ok($client->answer->body eq $big, 'a large response among them');
    is($client->answer->body, 'small', 'and the last one');

    is(get($client, '/small', close => 1)->body, 'small', 'a request with close');
    ok($client->closed_cleanly, 'close_notify');
}

# The certificate follows the client's ciphers.
is(connect_to(max => 'TLSv1.2', ciphers => 'ECDHE-ECDSA-AES128-GCM-SHA256')->certificate_name, 'a.example', 'ECDSA');
is(connect_to(max => 'TLSv1.2', ciphers => 'ECDHE-RSA-AES128-GCM-SHA256')->certificate_name, 'rsa.example', 'RSA');

# Bytes one by one, and a request in the same segment as the end of the handshake.
my $slow = connect_to;
for my $byte (split //, "GET /small HTTP/1.1\r\nHost: a\r\n\r\n") {
    $slow->write($byte);
}
is($slow->answer->body, 'small', 'a request of records of one byte');

# The client shuts its half behind the request.
my $half = connect_to;
$half->write("GET /small HTTP/1.0\r\n\r\n");
$half->shutdown;
is($half->answer->body, 'small', 'a client that shuts its half gets its answer');

# What is refused.
is(TlsClient->new($weir->port, min => 'TLSv1.1', max => 'TLSv1.1'), undef, 'TLS 1.1');
$weir->wait_log(qr{SSL_do_handshake\(\) failed \(SSL: error:\S+ routines::unsupported protocol\) while SSL handshaking, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+\n});
is(TlsClient->new($weir->port, max => 'TLSv1.2', ciphers => 'NULL:@SECLEVEL=0'), undef, 'ciphers of no use');
is(TlsClient->new($weir->port, alpn => ['spdy/1']), undef, 'ALPN without a protocol in common');
like(TlsClient->why, qr/no application protocol/, 'the alert says so');

done_testing;
