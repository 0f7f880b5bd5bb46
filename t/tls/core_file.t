#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# The core file of a worker that dies has its stack, and no key.

use lib 't/lib';
use Certs;
use File::Temp ();
use TlsClient;
use Weir;

open my $fh, '<', '/proc/sys/kernel/core_pattern' or skip_all('no core_pattern');
my $pattern = <$fh> // '';
skip_all("core files go elsewhere: $pattern") if $pattern =~ m{^\||/};
skip_all('sanitizers write reports in place of core files') if $ENV{WEIR_SANITIZE} || $ENV{VALGRIND};

my $certs = Certs->new;
$certs->make('ec')->make('rsa', rsa => 1);
my $dir  = $certs->dir;
my $room = File::Temp::tempdir('weir-core-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0777, $room;

# What is looked for: the private numbers, as they are written and as the library holds them.
sub numbers ($name) {
    $certs->openssl('pkey', '-in', "$name.key", '-noout', '-text');
    my $text = $certs->text('openssl.out');
    my @found;
    while ($text =~ /^(?:priv|prime1|privateExponent):\n((?: +[0-9a-f:]+\n)+)/mg) {
        my $bytes = pack 'H*', ($1 =~ tr/0-9a-f//cdr);
        $bytes =~ s/^\0+//;
        push @found, $bytes, scalar reverse $bytes;
    }
    return @found;
}

sub core_of ($weir) {
    my ($victim) = $weir->workers;
    kill 'SEGV', $victim;
    my $file;
    wait_for(sub { ($file) = glob "$room/core*"; $file && $weir->error_log =~ /worker process $victim exited on signal 11/ }, 'a core file');
    open my $core, '<:raw', $file or die "$file: $!";
    local $/;
    my $bytes = <$core>;
    close $core;
    unlink $file;
    return $bytes;
}

my %option = (main => "worker_rlimit_core 1g; working_directory $room;", workers => 1);
my $conf   = join '', map { "server { listen 127.0.0.1:%port0% ssl; server_name $_.example; ssl_certificate $dir/$_.crt;
    ssl_certificate_key $dir/$_.key; ssl_session_cache shared:s:1m; return 200 hello; }\n" } qw(ec rsa);
my $weir = Weir->new(%option, http => $conf);
$weir->allow(qr/exited on signal 11/);
for my $name ('ec.example', 'rsa.example') {
    my $client = TlsClient->new($weir->port, name => $name);
    $client->send_request('GET', '/');
    is($client->answer->body, 'hello', "$name: a handshake, so that the key is in use");
}
my $core = core_of($weir);
like($core, qr/\A\x7fELF/, 'a core file');
cmp_ok(length $core, '>', 10_000, 'with something in it');
like($core, qr/worker process/, 'such as the stack');
for my $name (qw(ec rsa)) {
    my $found = grep { index($core, $_) >= 0 } numbers($name);
    is($found, 0, "$name: none of the numbers of the key");
}
unlike($core, qr/PRIVATE KEY/, 'nor its text');

# After a reload, and for a worker that replaced a dead one.
$weir->reload;
$core = core_of($weir);
is(scalar(grep { index($core, $_) >= 0 } map { numbers($_) } qw(ec rsa)), 0, 'after a reload');

done_testing;
