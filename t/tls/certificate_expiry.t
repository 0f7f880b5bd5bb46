#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Certificates that expire soon are named in the log, once for each threshold, and `weirctl certs` lists them all.

use lib 't/lib';
use Certs;
use JSON::PP;
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
my %days  = (long => 90, month => 20, week => 5, day => 1, over => -1);
$certs->make($_, days => $days{$_}, names => [ "$_.example", "www.$_.example" ], rsa => $_ eq 'long') for sort keys %days;

my $servers = join '', map { "server { listen 127.0.0.1:%port0% ssl; server_name $_.example;
    ssl_certificate $dir/$_.crt; ssl_certificate_key $dir/$_.key; return 200 $_; }\n" } sort keys %days;
my $weir = Weir->new(workers => 4, http => $servers);

my %line = (
    month => qr/\[warn\] \d+#\d+: certificate "\Q$dir\E\/month.crt" \(month.example www.month.example\) expires in (?:19|20) days$/m,
    week  => qr/\[error\] .*week.crt" \(.*\) expires in [45] days$/m,
    day   => qr/\[error\] .*day.crt" \(.*\) expires (?:within a|in 1) day$/m,
    over  => qr/\[error\] .*over.crt" \(over.example.*\) has expired$/m,
);
$weir->wait_log($_) for values %line;
sub count ($pattern) { scalar(() = $weir->error_log =~ /$pattern/g) }
is(count($line{$_}), 1, "$_: said once, by one of four workers") for sort keys %line;
is(count(qr/long.crt/), 0, 'nothing about one that is good for long');

$weir->reload for 1 .. 3;
my ($victim) = $weir->workers;
kill 'KILL', $victim;
$weir->allow(qr/exited on signal 9/);
wait_for(sub { my @w = $weir->workers; @w == 4 && !grep { $_ == $victim } @w }, 'another worker');
$weir->reload;
is(count($line{$_}), 1, "$_: not again, over reloads and a worker's death") for sort keys %line;

# Another certificate in its place is another matter.
$certs->make('week', days => 4, names => ['week.example']);
$weir->reload;
$weir->wait_log(qr/week.crt" \(week.example\) expires in/);
pass('a renewed one is looked at anew');

my ($status, $output) = $weir->ctl('certs', '--json');
is($status, 0, 'certs --json');
my %by = map { $_->{certificate} => $_ } @{ decode_json($output) };
is(scalar(keys %by), 5, 'all certificates');
my %state = (long => 'ok', month => 'expiring', week => 'expiring', day => 'expiring', over => 'expired');
is($by{"$dir/$_.crt"}{state}, $state{$_}, "$_: $state{$_}") for sort keys %state;
my $long = $by{"$dir/long.crt"};
like($long->{days_left}, qr{^(?:89|90)$}, 'days left');
is($long->{key_type},               'RSA 2048', 'type of the key');
is($long->{issuer},                 'CN=ca',    'issuer');
is($long->{serial} =~ s/^0+//r,     $certs->{serial}{long}, 'serial');
is_deeply($long->{names},   [ 'long.example', 'www.long.example' ], 'names');
is_deeply($long->{servers}, ['long.example'], 'servers');
like($long->{not_after}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'the end');
$certs->openssl('x509', '-in', 'long.crt', '-noout', '-fingerprint', '-sha256');
my $print = lc($certs->text('openssl.out') =~ s/.*=//sr) =~ tr/0-9a-f//cdr;
is($long->{fingerprint_sha256}, $print, 'fingerprint');
cmp_ok($by{"$dir/over.crt"}{days_left}, '<', 0, 'days since');
is($by{"$dir/over.crt"}{error}, undef, 'no error');
unlike($output, qr/PRIVATE/, 'nothing of keys');

# More than fit into an answer.
my $many = join '', map { "server { listen 127.0.0.1:%port0% ssl; server_name n$_.example;
    ssl_certificate $dir/copy$_.crt; ssl_certificate_key $dir/long.key; return 200 $_; }\n" } 1 .. 300;
link "$dir/long.crt", "$dir/copy$_.crt" for 1 .. 300;
my $big = Weir->new(http => $many);
($status, $output) = $big->ctl('certs', '--json');
is(scalar(@{ decode_json($output) }), 300, '300 of them');
($status, $output) = $big->ctl('certs');
is(scalar(() = $output =~ /^ok /mg), 300, 'in the table too');
is(scalar(() = $output =~ /^STATE/mg), 1, 'with one head');

# A configuration without certificates.
my $plain = Weir->new(server => 'return 200 x;');
($status, $output) = $plain->ctl('certs', '--json');
is_deeply(decode_json($output), [], 'none');

done_testing;
