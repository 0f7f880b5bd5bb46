#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# ssl_ocsp: a client's certificate has to be good by the word of its responder; what is not known to be good is 495.

use lib 't/lib';
use Certs;
use OcspResponder;
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
my $ocsp  = OcspResponder->new($certs);
my $below = OcspResponder->new($certs, ca => 'mid');
$certs->make('a')->make('good', ocsp => $ocsp->url)->make('revoked', ocsp => $ocsp->url)->make('plain')
  ->make('tls', ocsp => 'https://127.0.0.1/')->make('gone', ocsp => 'http://127.0.0.1:1/')->make('nowhere', ocsp => 'http://ocsp.invalid/')
  ->make('signer', usage => 'OCSPSigning')->make('mid', authority => 1, ocsp => $ocsp->url)->make('leaf', ca => 'mid', ocsp => $below->url)
  ->make('old', days => -1)->make('other', ca => 'foreign', ocsp => $ocsp->url);
$certs->write('leaf-chain.crt', $certs->text('leaf.crt') . $certs->text('mid.crt'));
$certs->write('leaf-chain.key', $certs->text('leaf.key'));

my %mode = (
    on    => 'ssl_ocsp on;', leaf => 'ssl_ocsp leaf;', cache => 'ssl_ocsp on; ssl_ocsp_cache shared:ocsp:1m;',
    given => 'ssl_ocsp on; ssl_ocsp_responder ' . $ocsp->url . ';', optional => 'ssl_verify_client optional; ssl_ocsp on;', off => '',
    sessions => 'ssl_ocsp on; ssl_session_cache shared:s:1m;',
);
my $weir = Weir->new(workers => 2, http => "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; ssl_client_certificate $dir/ca.crt; ssl_verify_client on; ssl_verify_depth 3;"
      . join "\n", map { <<CONF } sort keys %mode);
    server { listen 127.0.0.1:%port0% ssl; server_name $_.example; $mode{$_} error_page 495 =200 /495;
        location / { return 200 "\$ssl_client_verify"; } location /495 { return 200 "495 \$ssl_client_verify"; } }
CONF

sub ask ($mode, $cert, %option) {
    my $client = TlsClient->new($weir->port, name => "$mode.example", $cert ? (cert => "$dir/$cert.crt") : (), %option)
      // return 'no handshake: ' . TlsClient->why;
    $client->send_request('GET', '/', host => "$mode.example");
    my $answer = $client->answer // return 'no answer: ' . $client->problem;
    return $answer->status == 200 ? $answer->body : $answer->status;
}
my $failed = '495 FAILED:certificate status request failed';

$ocsp->says(status => { revoked => 'revoked', mid => 'good' });
for my $max ('TLSv1.2', 'TLSv1.3') {
    is(ask('on', 'good', max => $max),    'SUCCESS', "$max: good");
    is(ask('on', 'revoked', max => $max), '495 FAILED:certificate revoked', "$max: revoked");
    is(ask('off', 'revoked', max => $max), 'SUCCESS', "$max: nobody asks");
}
like($weir->error_log, qr{client SSL certificate verify error: certificate revoked while reading client request headers, client: 127\.0\.0\.1, server: on\.example}, 'the log says so');
is(ask('optional', ''),        'NONE',    'optional: no certificate');
is(ask('optional', 'good'),    'SUCCESS', 'optional: good');
is(ask('optional', 'revoked'), '495 FAILED:certificate revoked', 'optional: revoked');
my $asked = $ocsp->requests;
is(ask('on', ''),              400,       'no certificate');
like(ask('on', 'old'),         qr/^495 FAILED:certificate has expired/, 'expired: nobody has to be asked');
like(ask('on', 'other'),       qr/^495 FAILED:unable to/, 'foreign: nor here');
is(scalar($ocsp->requests), $asked, 'nobody was');
is(ask('given', 'plain'),      'SUCCESS', 'ssl_ocsp_responder');

# Chains.
is(ask('on', 'leaf-chain'), 'SUCCESS', 'a chain: all are good');
is(scalar($below->requests), 1, 'its own responder was asked');
$ocsp->says(status => { mid => 'revoked' });
is(ask('on', 'leaf-chain'),   '495 FAILED:certificate revoked', 'a chain: the middle is revoked');
is(ask('leaf', 'leaf-chain'), 'SUCCESS', 'leaf: it does not matter');
$below->says(status => 'revoked');
is(ask('leaf', 'leaf-chain'), '495 FAILED:certificate revoked', 'leaf: it does');

# What is no good answer.
my @bad = (
    [ { status => 'unknown' } => '495 FAILED:certificate status unknown' ], [ { from => -9000, until => -4000 } ], [ { failure => 6 } ], [ { another => 1 } ],
    [ { signer => 'plain', with_signer => 1 } ], [ { garbage => 1 } ], [ { http => 500 } ], [ { hang_up => 1 } ],
);
for my $case (@bad) {
    my ($how, $expected) = @$case;
    $ocsp->says(%$how);
    is(ask('on', 'good'), $expected // $failed, join ' ', map { "$_ $how->{$_}" } sort keys %$how);
}
for my $how ({ signer => 'signer', with_signer => 1 }, { pieces => 30 }, { until => undef }) {
    $ocsp->says(%$how);
    is(ask('on', 'good'), 'SUCCESS', join ' ', map { "$_ " . ($how->{$_} // 'none') } sort keys %$how);
}
$ocsp->says;
is(ask('on', 'plain'),   $failed, 'a certificate without a responder');
is(ask('on', 'tls'),     $failed, 'one whose responder is not http');
is(ask('on', 'gone'),    $failed, 'one whose responder is not there');
is(ask('on', 'nowhere'), $failed, 'one whose responder has no address');
my $log = $weir->error_log;
like($log, qr{no OCSP responder URL in certificate while SSL handshaking, client: 127\.0\.0\.1}, 'each is in the log');
like($log, qr{invalid OCSP responder "https://127\.0\.0\.1/" in certificate}, 'with its reason');
like($log, qr{connect\(\) failed \(111: Connection refused\) while requesting certificate status, responder: 127\.0\.0\.1, peer: 127\.0\.0\.1:1, certificate: "/CN=gone\.example"}, 'and who it was');
like($log, qr{ocsp\.invalid could not be resolved}, 'and that');

# The cache is all workers'.
$asked = $ocsp->requests;
is(ask('cache', 'good'), 'SUCCESS', 'cache: good') for 1 .. 6;
is($ocsp->requests - $asked, 1, 'asked once');
$ocsp->says(status => 'revoked');
is(ask('cache', 'good'), 'SUCCESS', 'cache: still good');
is(ask('cache', 'revoked'), '495 FAILED:certificate revoked', 'cache: revoked');
$ocsp->says;
is(ask('cache', 'revoked'), '495 FAILED:certificate revoked', 'cache: still revoked');
$weir->reload;
is(ask('cache', 'revoked'), '495 FAILED:certificate revoked', 'cache: also after a reload');
$ocsp->says(failure => 6);
is(ask('cache', 'leaf-chain'), '495 FAILED:certificate revoked', 'cache: another certificate');

# No session goes round the question.
$ocsp->says;
my $first = TlsClient->new($weir->port, name => 'sessions.example', cert => "$dir/good.crt", max => 'TLSv1.2');
$first->send_request('GET', '/', host => 'sessions.example');
is($first->answer->body, 'SUCCESS', 'a session');
my $second = TlsClient->new($weir->port, name => 'sessions.example', cert => "$dir/good.crt", max => 'TLSv1.2', session => $first->session);
is($second->reused, 0, 'is not resumed');

# A silent responder holds up nobody else, and a client that leaves is no harm.
$ocsp->says(silent => 1);
my @waiting = map { TlsClient->new($weir->port, name => 'on.example', cert => "$dir/good.crt") } 1 .. 5;
$_->send_request('GET', '/', host => 'on.example') for @waiting;
$asked = $ocsp->requests;
is(ask('off', 'good'), 'SUCCESS', 'others are served meanwhile') for 1 .. 5;
$_->close for @waiting;
undef @waiting;
$ocsp->says;
is(ask('on', 'good'), 'SUCCESS', 'and on');

for my $case (
    [ 'ssl_ocsp on; ssl_verify_client optional_no_ca;' => qr/"ssl_ocsp" is incompatible with "ssl_verify_client optional_no_ca"/ ],
    [ 'ssl_ocsp_responder https://x;' => qr{invalid URL prefix in OCSP responder "https://x" in "ssl_ocsp_responder"} ],
    [ 'ssl_ocsp_cache shared:a;'      => qr/invalid OCSP cache "shared:a"/ ],
    [ 'ssl_ocsp_cache shared:a:1k;'   => qr/OCSP cache "shared:a:1k" is too small/ ],
    [ 'ssl_ocsp_cache builtin;'       => qr/invalid OCSP cache "builtin"/ ],
    [ 'ssl_ocsp maybe;'               => qr/invalid value "maybe"/ ],
) {
    my $t = Weir->new(start => 0, http => "server { listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; ssl_client_certificate $dir/ca.crt; $case->[0] }");
    like(($t->run_weir('-t'))[1], $case->[1], $case->[0]);
}

done_testing;
