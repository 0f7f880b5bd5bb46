#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# ssl_stapling: responses are asked for in the background, verified, refreshed, shared by the workers and kept over a
# reload; what is no good response is not stapled, and no handshake waits for any of it.

use lib 't/lib';
use Certs;
use OcspResponder;
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
my $ocsp  = OcspResponder->new($certs);
$certs->make('a', ocsp => $ocsp->url)->make('rsa', ocsp => $ocsp->url, rsa => 1)->make('silent')->make('mid', authority => 1)
  ->make('below', ca => 'mid', ocsp => $ocsp->url)->make('signer', usage => 'OCSPSigning')->make('named', ocsp => 'http://localhost:' . $ocsp->{port} . '/some/path')
  ->make('tls', ocsp => 'https://127.0.0.1/');
$certs->write('chain.crt', $certs->text('a.crt') . $certs->text('ca.crt'));

# "good", "revoked", "none" ...
sub stapled ($weir, %option) {
    my $port = $weir->port($option{port} // 0);
    my $out  = qx(openssl s_client -connect 127.0.0.1:$port -status @{[ $option{with} // '' ]} </dev/null 2>/dev/null);
    return $1      if $out =~ /Cert Status: (\w+)/;
    return 'none'  if $out =~ /OCSP response: no response sent/;
    return 'no handshake';
}

sub becomes ($weir, $what, $name, %option) {
    my $ok = eval { wait_for(sub { stapled($weir, %option) eq $what }, $name) };
    ok($ok, $name);
}

sub server ($cert, $more = '', $listen = '%port0%') {
    return "server { listen 127.0.0.1:$listen ssl; ssl_certificate $dir/$cert.crt; ssl_certificate_key $dir/@{[ $cert =~ s/chain/a/r ]}.key; ssl_stapling on; $more }";
}
my $trust = "ssl_trusted_certificate $dir/ca.crt;";

# ---- good ones

my $weir = Weir->new(workers => 2, http => server('a', "$trust ssl_stapling_verify on;"));
becomes($weir, 'good', 'stapled');
is(stapled($weir), 'good', 'by each worker') for 1 .. 6;
is(scalar($ocsp->requests), 1, 'who asked once');
is(($ocsp->requests)[0]{method}, 'GET', 'by GET');
$ocsp->says(status => 'revoked');
$weir->reload;
is(stapled($weir), 'good', 'kept over a reload') for 1 .. 4;
is(scalar($ocsp->requests), 1, 'nobody was asked again');
$ocsp->says;

is(stapled($weir, with => '-tls1_2'), 'good', 'TLS 1.2');
becomes(Weir->new(http => server('chain')), 'good', 'the issuer in the chain, unverified');
becomes(Weir->new(http => server('named', $trust)), 'good', 'a name, by the system');
becomes(Weir->new(http => server('silent', "$trust ssl_stapling_responder " . $ocsp->url . ';')), 'good', 'ssl_stapling_responder');
becomes(Weir->new(http => "ssl_trusted_certificate $dir/ca.crt; ssl_stapling on;
    server { listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key; }"),
    'good', 'two certificates', with => "-tls1_2 -cipher $_") for 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256';
$ocsp->says(signer => 'signer', with_signer => 1);
becomes(Weir->new(http => server('a', "$trust ssl_stapling_verify on;")), 'good', 'a delegated signer');
$ocsp->says(signer => 'mid');
$certs->write('below_mid.crt', $certs->text('below.crt') . $certs->text('mid.crt'));
becomes(Weir->new(http => "server { listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/$_; ssl_certificate_key $dir/below.key;
    ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate $dir/mid.crt; }"), 'good', "the issuer signs, no root is trusted: $_")
  for 'below.crt', 'below_mid.crt';
becomes(Weir->new(http => "server { listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/below_mid.crt; ssl_certificate_key $dir/below.key;
    ssl_stapling on; ssl_stapling_verify on; }"), 'good', 'nor anybody else, but the chain has him');
$ocsp->says(pieces => 40);
becomes(Weir->new(http => server('a', "$trust ssl_stapling_verify on;")), 'good', 'in small pieces');

# ---- bad ones, and what is better later

my @bad = (
    [ { status => 'revoked' } => qr/certificate status "revoked" in the OCSP response for/ ],
    [ { status => 'unknown' } => qr/certificate status "unknown"/ ],
    [ { from => -9000, until => -4000 } => qr/OCSP_check_validity\(\) failed \(SSL: error:.*status expired/ ],
    [ { from => 4000, until => 9000 } => qr/OCSP_check_validity\(\) failed \(SSL: error:.*status not yet valid/ ],
    [ { failure => 6 } => qr/OCSP response not successful \(6: unauthorized\)/ ],
    [ { another => 1 } => qr/certificate status not found in the OCSP response/ ],
    [ { signer => 'silent', with_signer => 1 } => qr/OCSP_basic_verify\(\) failed/ ],
    [ { garbage => 1 } => qr/OCSP responder sent invalid response/ ],
    [ { http => 500 } => qr/OCSP responder sent invalid response.*500/ ],
    [ { hang_up => 1 } => qr/OCSP responder/ ],
);
for my $case (@bad) {
    my ($how, $log) = @$case;
    my $name = join ' ', map { "$_ $how->{$_}" } sort keys %$how;
    $ocsp->says(%$how);
    my $w = Weir->new(http => server('a', "$trust ssl_stapling_verify on;"));
    $w->wait_log($log);
    is(stapled($w), 'none', "$name: nothing is stapled");
    $ocsp->says;
    becomes($w, 'good', "$name: asked again until it is good");
}

# A responder that says nothing holds up nobody.
$ocsp->says(silent => 1);
my $w = Weir->new(http => server('a', $trust));
wait_for(sub { ($ocsp->requests)[-1] }, 'a question');
is(stapled($w), 'none', 'no handshake waits') for 1 .. 5;
$ocsp->says;
my $gone = Weir->new(http => server('silent', "$trust ssl_stapling_responder http://127.0.0.1:1/;"));
$gone->wait_log(qr/connect\(\) failed \(111: Connection refused\) while requesting certificate status, responder: 127\.0\.0\.1/);
is(stapled($gone), 'none', 'a responder that is not there');

# ---- ssl_stapling_file

my %file = (good => {}, revoked => { status => 'revoked' }, old => { from => -9000, until => -4000 });
$certs->write("$_.der", OcspResponder->response($certs, 'a', %{ $file{$_} })) for keys %file;
$certs->write('other.der', OcspResponder->response($certs, 'rsa'));
my $asked = $ocsp->requests;
for my $case ([ good => 'good' ], [ revoked => 'revoked' ], [ old => 'none' ], [ other => 'none' ]) {
    my ($name, $expected) = @$case;
    is(stapled(Weir->new(http => server('a', "ssl_stapling_file $dir/$name.der;"))), $expected, "a file: $name");
}
is(scalar($ocsp->requests), $asked, 'nobody was asked');

# ---- renewed certificates (ssl_certificate_watch)

# What is served and what is stapled to it, by the names of certificates: "new1 new1", "new1 none" ...
my %name;

sub pair ($weir) {
    my $port = $weir->port;
    my $out  = qx(openssl s_client -connect 127.0.0.1:$port -status </dev/null 2>/dev/null);
    my ($subject) = $out =~ /^subject=CN ?= ?(\S+)/m or return 'no handshake';
    my ($serial)  = $out =~ /Serial Number: (\w+)\s+Cert Status: good/;
    return "$subject " . ($serial ? $name{ $serial =~ s/^0+//r } // 'another' : 'none');
}

# Makes a certificate and puts it into the place that is watched.
sub put ($name, %option) {
    $certs->make($name, names => ['a.example'], subject => "/CN=$name", ocsp => $ocsp->url, %option);
    $name{ $certs->{serial}{$name} } = $name;
    $certs->write("watched.$_", $certs->text("$name.$_")) for qw(key crt);
}

# All that is seen until both workers have it, by what was seen.
sub seen_until ($weir, $expected) {
    my %seen;
    wait_for(sub { 10 == grep { my $pair = pair($weir); $seen{$pair}++; $pair eq $expected } 1 .. 10 }, $expected);
    return \%seen;
}

# The answer for the old certificate never goes with the new one.
sub renewed ($weir, $new, $expected, $what, %option) {
    my $before = pair($weir);
    my $old    = $before =~ s/ .*//r;
    put($new, %option);
    my $seen = eval { seen_until($weir, $expected) } // { failed => 1 };
    ok(!$seen->{failed}, $what);
    my %allowed = map { $_ => 1 } $before, "$old $old", "$old none", "$new $new", "$new none";
    is(join(', ', grep { !$allowed{$_} } keys %$seen), $seen->{failed} ? 'failed' : '', "$what: each answer with its own certificate");
}

put('first');
my $watching = "$trust ssl_certificate_watch on;";
my $renewing = Weir->new(workers => 2, http => server('watched', "$watching ssl_stapling_verify on;"));
seen_until($renewing, 'first first');
renewed($renewing, 'second', 'second second', 'the new one is asked for and stapled');
$asked = $ocsp->requests;
my $told = () = $renewing->error_log =~ /was renewed/g;
utime time, time + 10, $certs->path('watched.crt');
wait_for(sub { $told < (() = $renewing->error_log =~ /was renewed/g) }, 'the same one once more');
seen_until($renewing, 'second second');
is(scalar($ocsp->requests), $asked, 'who is the same is not asked for again');
renewed($renewing, 'third', 'third third', 'RSA after EC', rsa => 1);
renewed($renewing, 'fourth', 'fourth none', 'nobody to ask', ocsp => undef);
$renewing->wait_log(qr{\[warn\].*"ssl_stapling" ignored, no OCSP responder URL in the certificate "\Q$dir\E/watched\.crt"});
renewed($renewing, 'fifth', 'fifth fifth', 'somebody to ask again');

# One who is asked about the old one and says nothing.
$ocsp->says(silent => 1);
renewed($renewing, 'sixth', 'sixth none', 'no answer');
wait_for(sub { grep { $_->{serial} eq $certs->{serial}{sixth} } $ocsp->requests }, 'a question about the sixth');
$ocsp->says;
renewed($renewing, 'seventh', 'seventh seventh', 'renewed while the old one is asked for');

$ocsp->stop;
renewed($renewing, 'eighth', 'eighth none', 'the responder is down');
$renewing->wait_log(qr/connect\(\) failed \(111: Connection refused\) while requesting certificate status/);
is(pair($renewing), 'eighth none', 'handshakes go on') for 1 .. 4;
$ocsp = OcspResponder->new($certs, port => $ocsp->{port});
seen_until($renewing, 'eighth eighth');
pass('the responder is back');
my ($victim) = $renewing->workers;
$renewing->allow(qr/exited on signal 9/);
$ocsp->stop;
kill 'KILL', $victim;
wait_for(sub { my @w = $renewing->workers; @w == 2 && !grep { $_ == $victim } @w }, 'another worker');
seen_until($renewing, 'eighth eighth');
pass('a worker that is forked later has the answer about the new one');
$ocsp = OcspResponder->new($certs, port => $ocsp->{port});

put('ninth', ocsp => undef);
my $late = Weir->new(http => server('watched', $watching));
is(pair($late), 'ninth none', 'nobody to ask from the start on');
renewed($late, 'tenth', 'tenth tenth', 'until it is renewed');
$certs->write('watched.crt', "garbage\n");
my $isolated = Weir->new(http => "ssl_certificate_error isolate; " . server('watched', $watching));
is(pair($isolated), 'no handshake', 'a bad one');
renewed($isolated, 'eleventh', 'eleventh eleventh', 'until it is good');
$asked = $ocsp->requests;

# ---- what is said at load

my @said = (
    [ server('a') => qr{\[warn\].*"ssl_stapling" ignored, issuer certificate not found for certificate "\Q$dir\E/a\.crt"} ],
    [ server('silent', $trust) => qr{\[warn\].*"ssl_stapling" ignored, no OCSP responder URL in the certificate "\Q$dir\E/silent\.crt"} ],
    [ server('tls', $trust) => qr{\[warn\].*"ssl_stapling" ignored, invalid URL prefix in OCSP responder of the certificate} ],
    [ server('a', "ssl_stapling_file $dir/nope;") => qr{\[emerg\].*"\Q$dir\E/nope"} ],
    [ server('a', "ssl_stapling_file $dir/a.key;") => qr{\[emerg\].*d2i_OCSP_RESPONSE_bio\("\Q$dir\E/a\.key"\) failed} ],
    [ server('a', "ssl_stapling_file $dir/other.der;") => qr{\[warn\].*OCSP response "\Q$dir\E/other\.der" is not for the certificate} ],
    [ server('a', "ssl_stapling_file $dir/old.der;") => qr{\[warn\].*OCSP response "\Q$dir\E/old\.der" has expired} ],
);
for my $case (@said) {
    my $t = Weir->new(start => 0, http => $case->[0]);
    like(($t->run_weir('-t'))[1], $case->[1], $case->[0] =~ s/.*ssl_stapling on;//r =~ s/\Q$dir\E//gr);
}

done_testing;
