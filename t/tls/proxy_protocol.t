#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# PROXY protocol in front of TLS: each takes its own bytes, however they are cut.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a')->make('b');
my $dir  = $certs->dir;
my $weir = Weir->new(http => <<CONF);
    server { listen 127.0.0.1:%port0% ssl proxy_protocol; server_name a.example;
        ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
        return 200 "a \$proxy_protocol_addr \$ssl_server_name \$scheme"; }
    server { listen 127.0.0.1:%port0% ssl proxy_protocol; server_name b.example;
        ssl_certificate $dir/b.crt; ssl_certificate_key $dir/b.key;
        return 200 "b \$proxy_protocol_addr \$ssl_server_name \$scheme"; }
CONF

my $v1 = "PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\r\n";
my $v2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x08\x12\x67\x01\xbb";

# The bytes in front of the handshake, then TLS on the same socket.
sub through ($front, $how) {
    my $client = Client->new($weir->port);
    if ($how eq 'bytes') {
        $client->write($_) for split //, $front;
    }
    else {
        $client->write($front);
    }
    $client = $client->TlsClient::start(name => 'b.example') ? $client : return TlsClient->why;
    is($client->certificate_name, 'b.example', "$how: the certificate of the name");
    $client->send_request('GET', '/', host => 'b.example');
    return $client->answer->body;
}
for my $how ('bytes', 'at once') {
    is(through($v1, $how), 'b 192.0.2.7 b.example https', "version 1, $how");
    is(through($v2, $how), 'b 192.0.2.7 b.example https', "version 2, $how");
}

# Header and ClientHello in one segment, and the ClientHello's first bytes with the header.
for my $bytes (0, 1, 5, 60) {
    my $client = Client->new($weir->port);
    my $ctx    = Net::SSLeay::CTX_new_with_method(Net::SSLeay::TLS_client_method());
    my $ssl    = Net::SSLeay::new($ctx);
    my ($in, $out) = map { Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()) } 1, 2;
    Net::SSLeay::set_bio($ssl, $in, $out);
    Net::SSLeay::set_connect_state($ssl);
    Net::SSLeay::do_handshake($ssl);
    my $hello = Net::SSLeay::BIO_read($out, 65536);
    my $cut = $bytes || length $hello;
    $client->write($v1 . substr $hello, 0, $cut);
    $client->write(substr $hello, $cut) if $cut < length $hello;
    my $first = $client->read_bytes(1);
    is(length $first ? ord $first : 0, 22, "the header and $cut bytes of the ClientHello in one write");
    Net::SSLeay::free($ssl);
    Net::SSLeay::CTX_free($ctx);
}

# Without the header there is no handshake.
is(TlsClient->new($weir->port), undef, 'TLS without the header is refused');

done_testing;
