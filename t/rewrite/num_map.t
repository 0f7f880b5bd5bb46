#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# num_map: values by number, exact ones before ranges.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files => { 'more.map' => "30-39 thirties;\n" },
    http  => <<'CONF',
        num_map $arg_n $port { default 0; <=1023 low; 80 http; 443 https; 8080-8090 proxy; 8085 inner; >60000 "high $arg_n"; }
        num_map $arg_n $bare { 1 one; include more.map; -5--1 below; -9 minus; }
        num_map $arg_n $time { <0.1 fast; 0.1-0.999 fair; >=1 slow; }
        num_map $arg_n $now  { volatile; default x; 1 one; }
CONF
    server => <<'CONF',
        location /now { set $a $now; set $args n=1; return 200 "$a $now"; }
        location /    { return 200 "$port|$bare|$time"; }
CONF
);
my %values = (
    ''                     => '0||',
    'x'                    => '0||',
    '1x'                   => '0||',
    '1.2345'               => '0||',
    '99999999999999999999' => '0||',
    '1'                    => 'low|one|slow',
    '1.0'                  => 'low|one|slow',
    '80'                   => 'http||slow',
    '443'                  => 'https||slow',
    '0.099'                => 'low||fast',
    '0.1'                  => 'low||fair',
    '0.999'                => 'low||fair',
    '30'                   => 'low|thirties|slow',
    '39'                   => 'low|thirties|slow',
    '39.001'               => 'low||slow',
    '-1'                   => 'low|below|fast',
    '-3'                   => 'low|below|fast',
    '-6'                   => 'low||fast',
    '-9'                   => 'low|minus|fast',
    '1023'                 => 'low||slow',
    '1024'                 => '0||slow',
    '8080'                 => 'proxy||slow',
    '8085'                 => 'inner||slow',
    '8090'                 => 'proxy||slow',
    '60000'                => '0||slow',
    '60001'                => 'high 60001||slow',
);
is($weir->get("/?n=$_")->body, $values{$_}, "of \"$_\"") for sort keys %values;
is($weir->get('/now?n=2')->body, 'x one', 'volatile');

for (
    [ 'num_map $uri $x { a b; }',               qr/invalid number or range "a" in / ],
    [ 'num_map $uri $x { 5-1 b; }',             qr/invalid number or range "5-1" in / ],
    [ 'num_map $uri $x { 1- b; }',              qr/invalid number or range "1-" in / ],
    [ 'num_map $uri $x { < b; }',               qr/invalid number or range "<" in / ],
    [ 'num_map $uri $x { "" b; }',              qr/invalid number or range "" in / ],
    [ 'num_map $uri $x { 1; }',                 qr/invalid number of the num_map parameters in / ],
    [ 'num_map $uri $x { 1 a; 1.0 b; }',        qr/conflicting parameter "1.0" in / ],
    [ 'num_map $uri $x { default a; default b; }', qr/duplicate default num_map parameter in / ],
    [ 'num_map $uri x { }',                     qr/invalid variable name "x" in / ],
    [ 'num_map $uri $uri { }',                  qr/the duplicate "uri" variable in / ],
    [ 'num_map $nothing_of $x { }',             qr/unknown "nothing_of" variable in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(http => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
