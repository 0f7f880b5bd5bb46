#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# ssl_certificate_compression: compressed for clients that can read it, where the library has that; refused where not.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a', rsa => 1);
my $dir  = $certs->dir;
my $pair = "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;";
my $weir = Weir->new(start => 0, http => <<CONF);
$pair
server { listen 127.0.0.1:%port0% ssl; ssl_certificate_compression on; return 200 small; }
server { listen 127.0.0.1:%port1% ssl; return 200 plain; }
server { listen 127.0.0.1:%port2% ssl; ssl_certificate_compression off; return 200 plain; }
CONF

my ($status, $output) = $weir->run_weir('-t');
if (Net::SSLeay::OPENSSL_VERSION_NUMBER() < 0x30200000) {
    is($status, 1, 'refused');
    like($output, qr/\[emerg\] "ssl_certificate_compression" is not supported by OpenSSL 3\.[01]\..* in \S+\/weir\.conf:\d+$/m, 'in the right words, with the place');
    done_testing;
    exit;
}
is($status, 0, 'accepted');
$weir->start;

# Names of the server's handshake messages.
sub messages ($port, @words) {
    my $out = qx(openssl s_client -msg @words -connect 127.0.0.1:@{[ $weir->port($port) ]} </dev/null 2>/dev/null);
    return join ' ', $out =~ /^<<< [^\n]*Handshake[^\n]*, (\w+)$/mg;
}
like(messages(0), qr/CompressedCertificate/, 'compressed');
unlike(messages($_), qr/CompressedCertificate/, "without the directive, off ($_)") for 1, 2;
like(messages(0, '-no_rx_cert_comp'), qr/EncryptedExtensions Certificate /, 'a client that cannot read it');
my $client = TlsClient->new($weir->port);
$client->send_request('GET', '/');
is($client->answer->body, 'small', 'the session works');
like(messages(0, '-tls1_2'), qr/ServerHello Certificate /, 'TLS 1.2 has none');

done_testing;
