#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Certificates of clients: each mode of ssl_verify_client with good, missing, expired, foreign and revoked ones; 495, 496
# and error_page; 421 for a Host whose server verifies otherwise; the variables.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a', names => [ 'on.example', 'none.example' ])->make('good', names => ['client'])
  ->make('bad', names => ['revoked'])->make('old', names => ['expired'], days => -1)
  ->make('foreign', names => ['foreign'], ca => 'other')->revoke('bad');
my $dir = $certs->dir;

my $modes = join "\n", map { <<CONF } qw(on optional optional_no_ca off);
    server { listen 127.0.0.1:%port0% ssl; server_name $_.example; ssl_verify_client $_;
        location / { return 200 "$_ \$ssl_client_verify"; } }
CONF
my $weir = Weir->new(http => <<CONF);
    ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
    ssl_client_certificate $dir/ca.crt;
    ssl_session_cache shared:sessions:1m;
    $modes
    server { listen 127.0.0.1:%port0% ssl; server_name crl.example; ssl_verify_client on; ssl_crl $dir/ca.crl;
        location / { return 200 "crl \$ssl_client_verify"; } }
    server { listen 127.0.0.1:%port0% ssl; server_name moved.example; error_page 421 =200 /421;
        location = /421 { return 200 "moved \$server_name"; } }
    server { listen 127.0.0.1:%port0% ssl; server_name page.example; ssl_verify_client on;
        error_page 495 496 =403 /sorry; location = /sorry { internal; return 200 "sorry \$status"; }
        location / { return 200 page; } }
    server { listen 127.0.0.1:%port0% ssl; server_name facts.example; ssl_verify_client on;
            add_header X-Cert \$ssl_client_escaped_cert; add_header X-Line \$ssl_client_cert;
        location / { return 200 "\$ssl_client_s_dn|\$ssl_client_i_dn|\$ssl_client_s_dn_legacy|\$ssl_client_serial|\$ssl_client_fingerprint|\$ssl_client_v_remain|\$ssl_client_v_start|\$ssl_client_v_end|"; } }
CONF

sub ask ($name, $cert, %option) {
    my $client = TlsClient->new($weir->port, name => $name, $cert ? (cert => "$dir/$cert.crt") : (), %option)
      // return 'no handshake: ' . TlsClient->why;
    $client->send_request('GET', '/', host => $option{host} // $name);
    my $answer = $client->answer // return 'no answer: ' . $client->problem;
    return $answer->status == 200 ? $answer->body : $answer->status . ($answer->body =~ /<center>([^<]*)<\/center>\r\n<hr>/ ? " $1" : '');
}

my $bad     = '400 The SSL certificate error';
my $missing = '400 No required SSL certificate was sent';
my @table = (    # certificate: on, optional, optional_no_ca, off, crl
    [ '',        $missing,     'optional NONE',    'optional_no_ca NONE', 'off NONE', $missing ],
    [ 'good',    'on SUCCESS', 'optional SUCCESS', 'optional_no_ca SUCCESS', 'off NONE', 'crl SUCCESS' ],
    [ 'old',     $bad,         $bad,               $bad, 'off NONE', $bad ],
    [ 'foreign', $bad,         $bad, 'optional_no_ca FAILED:unable to verify the first certificate', 'off NONE', $bad ],
    [ 'bad',     'on SUCCESS', 'optional SUCCESS', 'optional_no_ca SUCCESS', 'off NONE', $bad ],
);
for my $version ('TLSv1.2', 'TLSv1.3') {
    for my $row (@table) {
        my ($cert, @expected) = @$row;
        for my $mode (qw(on optional optional_no_ca off crl)) {
            is(ask("$mode.example", $cert, max => $version), shift @expected,
                "$version, $mode: " . ($cert || 'no certificate'));
        }
    }
}
like($weir->error_log, qr{client SSL certificate verify error: \(10:certificate has expired\) while reading client request headers, client: 127\.0\.0\.1, server: on\.example, request: "GET / HTTP/1\.1", host: "on\.example"}, 'the log says what is wrong');
like($weir->error_log, qr{client sent no required SSL certificate while}, 'and what is missing');

is(ask('page.example', 'good'), 'page', 'error_page: a good certificate');
for my $cert ('', 'old') {
    my $client = TlsClient->new($weir->port, name => 'page.example', $cert ? (cert => "$dir/$cert.crt") : ());
    $client->send_request('GET', '/', host => 'page.example');
    my $answer = $client->answer;
    is($answer->status . ' ' . $answer->body, '403 sorry 403', 'error_page: ' . ($cert || 'no certificate'));
}

# Another server's verification does not count.
my %misdirected = (host => 'on.example');
is(ask('off.example', '', %misdirected), '421', 'from a name that asks for nothing');
is(ask('off.example', 'good', %misdirected), '421', 'even with a good certificate at hand');
is(ask('optional.example', 'good', %misdirected), '421', 'from a name that asks otherwise');
is(ask('page.example', 'good', %misdirected), 'on SUCCESS', 'from a name that asks for the same');
is(ask('on.example', 'good', host => 'off.example'), 'off SUCCESS', 'to a name that asks for nothing');
is(ask('moved.example', '', %misdirected), 'moved moved.example', 'its error page is that of the name of the handshake');
like($weir->error_log, qr{client attempted to request the server name different from the one that was negotiated}, 'the log says so');

# Facts.
my $client = TlsClient->new($weir->port, name => 'facts.example', cert => "$dir/good.crt");
$client->send_request('GET', '/', host => 'facts.example');
my $answer = $client->answer;
my ($subject, $issuer, $legacy, $serial, $fingerprint, $days, $start, $end) = split /\|/, $answer->body;
is($subject, 'CN=client',  'subject');
is($issuer,  'CN=ca',      'issuer');
is($legacy,  '/CN=client', 'in the old form');
is($serial,  sprintf('%04X', hex $certs->{serial}{good}), 'serial number');
like($fingerprint, qr/^[0-9a-f]{40}$/, 'fingerprint');
ok($days == 29 || $days == 30, 'days that remain');
like("$start $end", qr/^\w{3} +\d+ \d\d:\d\d:\d\d \d{4} GMT \w{3} +\d+ \d\d:\d\d:\d\d \d{4} GMT$/, 'dates');
my $pem = $answer->field('X-Cert') =~ s/%(..)/chr hex $1/ger;
is($pem, $certs->text('good.crt'), 'the certificate itself');
is($answer->field('X-Line') =~ tr/\t/\n/r . "\n", $pem, 'in one line');

done_testing;
