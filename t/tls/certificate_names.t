#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# `weir -t` warns of names of a server that none of its certificates is for.

use lib 't/lib';
use Certs;
use Weir;

my $certs = Certs->new;
$certs->make('a', names => [ 'a.example', '*.w.example', 'old.example' ])->make('b', names => ['b.example']);
my $dir  = $certs->dir;
my $weir = Weir->new(http => <<CONF);
    ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
    server { listen 127.0.0.1:%port0% ssl; server_name a.example x.w.example *.w.example A.Example localhost _ "" ~^a; }
    server { listen 127.0.0.1:%port0% ssl; server_name old.example missing.example; }
    server { listen 127.0.0.1:%port0% ssl; server_name .old.example w.example x.y.w.example; }
    server { listen 127.0.0.1:%port0% ssl; server_name *.other.example; }
    server { listen 127.0.0.1:%port0% ssl; server_name b.example c.example;
        ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; ssl_certificate $dir/b.crt; ssl_certificate_key $dir/b.key; }
    server { listen 127.0.0.1:%port0% ssl; server_name variable.example;
        ssl_certificate $dir/\$ssl_server_name.crt; ssl_certificate_key $dir/a.key; }
    server { listen 127.0.0.1:%port1%; server_name plain.example; }
CONF
my ($status, $output) = $weir->run_weir('-t');
is($status, 0, 'a warning, no error');
my @said = $output =~ /^weir: \[warn\] certificate-name: certificate "\S+\/(\w)\.crt" does not cover server_name "(\S+)" in \S+:\d+$/mg;
my %said;
push @{ $said{$said[ 2 * $_ ]} }, $said[ 2 * $_ + 1 ] for 0 .. @said / 2 - 1;
is_deeply([ sort @{ $said{a} } ], [ sort 'missing.example', 'w.example', 'x.y.w.example', '*.other.example' ], 'the names that it is not for');
is_deeply($said{b}, ['c.example'], 'none of two');
like($output, qr/\^\n.*it is for a\.example \*\.w\.example old\.example/, 'what it is for');

done_testing;
