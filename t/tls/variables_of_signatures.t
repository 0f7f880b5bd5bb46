#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# What signatures a handshake used and the client offered; the log of session keys.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('ec')->make('rsa', rsa => 1)->make('client');
my $dir  = $certs->dir;
my $weir = Weir->new(http => <<CONF);
    ssl_client_certificate $dir/ca.crt; ssl_verify_client optional;
    server { listen 127.0.0.1:%port0% ssl; server_name ec.example; ssl_certificate $dir/ec.crt; ssl_certificate_key $dir/ec.key;
        return 200 "\$ssl_sigalg|\$ssl_client_sigalg|\$ssl_sigalgs|\$ssl_ech_status\$ssl_ech_outer_server_name"; }
    server { listen 127.0.0.1:%port0% ssl; server_name rsa.example; ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key;
        return 200 "\$ssl_sigalg|\$ssl_client_sigalg|"; }
    server { listen 127.0.0.1:%port0% ssl; server_name logged.example; ssl_certificate $dir/ec.crt; ssl_certificate_key $dir/ec.key;
        ssl_key_log keys.log; return 200 logged; }
CONF

sub body ($name, %option) {
    my $client = TlsClient->new($weir->port, name => $name, %option) // die TlsClient->why;
    $client->send_request('GET', '/', host => $name);
    return ($client->answer->body, $client);
}
my @client = (cert => "$dir/client.crt");
like((body('ec.example'))[0],             qr/^ecdsa_secp256r1_sha256\|\|/,                       'EC, TLS 1.3');
like((body('ec.example', @client))[0],    qr/^ecdsa_secp256r1_sha256\|ecdsa_secp256r1_sha256\|/, 'with a certificate of the client');
like((body('ec.example', max => 'TLSv1.2', @client))[0], qr/^ecdsa_secp256r1_sha256\|ecdsa_\w+\|/, 'TLS 1.2');
like((body('rsa.example'))[0],            qr/^rsa_pss_rsae_sha256\|\|/,                          'RSA');
like((body('ec.example'))[0],             qr/\|(?:mldsa\d+:)*ecdsa_secp256r1_sha256:.*:ed25519:.*:rsa_pss_rsae_sha256:[^|]*\|$/, 'what the client offers');
my ($text, $first) = body('rsa.example', max => 'TLSv1.2');
my $session = $first->session;
is((body('rsa.example', max => 'TLSv1.2', session => $session))[0], '||', 'nothing is signed in a resumed session');

is((body('logged.example', max => 'TLSv1.2'))[0], 'logged', 'with a key log');
like($weir->read_file('keys.log'), qr/\ACLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}\n\z/, 'the secret of TLS 1.2');
body('logged.example');
like($weir->read_file('keys.log'), qr/^SERVER_TRAFFIC_SECRET_0 [0-9a-f]+ [0-9a-f]+$/m, 'those of TLS 1.3');
is((stat $weir->dir . '/keys.log')[2] & 0777, 0600, 'for nobody else to read');
my $lines = () = $weir->read_file('keys.log') =~ /\n/g;
body('ec.example');
is(scalar(() = $weir->read_file('keys.log') =~ /\n/g), $lines, 'other servers write nothing');
rename $weir->dir . '/keys.log', $weir->dir . '/keys.old';
$weir->ctl('reopen');
wait_for(sub { -e $weir->dir . '/keys.log' }, 'a new file');
is((stat $weir->dir . '/keys.log')[2] & 0777, 0600, 'reopened: the same mode');
my ($status, $output) = $weir->run_weir('-t');
like($output, qr/\[warn\] "ssl_key_log": who can read "\S+keys.log" can read the traffic/, 'a warning names it');

done_testing;
