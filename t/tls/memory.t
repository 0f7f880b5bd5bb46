#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# What many connections needed goes back to the system when they have gone.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

skip_all('sanitizers and valgrind have their own memory') if $ENV{WEIR_SANITIZE} || $ENV{VALGRIND};

my $count = 500;
my $certs = Certs->new;
$certs->make('a');
my $dir  = $certs->dir;
my $weir = Weir->new(workers => 1, server => "listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
    return 200 hello;");
my ($worker) = $weir->workers;

# Megabytes in use by the worker alone.
sub memory () {
    open my $fh, '<', "/proc/$worker/status" or die "$worker: $!";
    my ($kb) = join('', <$fh>) =~ /^RssAnon:\s+(\d+) kB/m;
    return $kb / 1024;
}

sub client () {
    my $client = TlsClient->new($weir->port, name => 'a.example') // die TlsClient->why;
    $client->send_request('GET', '/');
    is($client->answer->body, 'hello', 'served') if !state $said++;
    return $client;
}

client();
my $before  = memory();
my @clients = map { client() } 1 .. $count;
my $full    = memory();
cmp_ok($full - $before, '>', 4, "$count connections need some megabytes");
undef @clients;
wait_for(sub { memory() < $before + 2.5 }, 'memory is given back');
client();
is(($weir->workers)[0], $worker, 'by the same worker, which serves on');

done_testing;
