#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# testssl.sh finds nothing worse than "low" in the HTTPS server that the installed configuration shows, but for what it
# says of the test's certificate. It has time-outs of its own, so it runs alone: TESTSSL=1.

use lib 't/lib';
use Certs;
use JSON::PP;
use TlsClient;
use Weir;

my ($testssl) = grep { -x } map { ("$_/testssl", "$_/testssl.sh") } split /:/, $ENV{PATH};
skip_all('no testssl.sh')                  if !$testssl;
skip_all('TESTSSL=1 runs it; it needs the machine for itself') if !$ENV{TESTSSL};

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('localhost', names => ['localhost'], days => 200);
open my $fh, '<', 'conf.d/weir.conf' or die "conf.d/weir.conf: $!";
my ($server) = join('', <$fh>) =~ /^    #(server \{\n    #    listen      443 ssl;.*?^    #\})/ms or die 'no HTTPS server in conf.d/weir.conf';
close $fh;
$server =~ s/^    #//mg;
$server =~ s/listen +443 ssl/listen 127.0.0.1:%port0% ssl/;
$server =~ s/cert\.(?:pem|key)/$& eq 'cert.pem' ? "$dir\/localhost.crt" : "$dir\/localhost.key"/ge;

my $weir = Weir->new(http => $server, files => { 'html/index.html' => 'hello' });
is(TlsClient->new($weir->port, name => 'localhost')->certificate_name, 'localhost', 'the example serves');

# Twice, so that none takes too long.
my @all;
local $Client::patience = 50;    # for `run`, six times as long
for my $checks ([qw(-p -s -P -E)], [qw(-S -h -U)]) {
    my ($status, $output) = $weir->run($testssl, '--quiet', '--color', 0, '--warnings', 'off', '--ip', '127.0.0.1', @$checks,
        '--jsonfile', "$dir/report.json", 'https://localhost:' . $weir->port . '/');
    my @found = eval { @{ decode_json($certs->text('report.json')) } };
    cmp_ok(scalar @found, '>', 20, "@$checks: it looked at many things") or diag($status, $output);
    push @all, @found;
    unlink "$dir/report.json";
}

# What is said of the certificate itself, of its authority, of DNS, and of the tool's own OpenSSL.
my $ours = qr/^(?:cert|DNS_|intermediate|OCSP|engine_problem|scanProblem$)/;
for my $finding (@all) {
    next if $finding->{severity} =~ /^(?:OK|INFO|LOW)$/ || $finding->{id} =~ $ours;
    fail("$finding->{severity}: $finding->{id}: $finding->{finding}");
}
my %by = map { $_->{id} => $_ } @all;
is($by{$_}{severity}, 'OK', "$_: $by{$_}{finding}") for qw(SSLv2 SSLv3 TLS1_2 TLS1_3 heartbleed CCS ticketbleed ROBOT secure_renego BREACH POODLE_SSL FREAK DROWN LOGJAM BEAST RC4);

done_testing;
