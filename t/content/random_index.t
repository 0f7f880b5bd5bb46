#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# random_index: a directory is answered with any of its files, as in nginx.

use lib 't/lib';
use Weir;
use Nginx;

my ($weir, $nginx) = Nginx->beside(
    files => {
        'html/one/a.txt'        => "a\n",
        'html/one/.hidden'      => 'hidden',
        'html/hidden/.hidden'   => 'hidden',
        'html/dirs/sub/x'       => 'x',
        'html/odd/a b%c?.txt'   => "odd\n",
        'html/many/index.html'  => "index\n",
        'html/many/b'           => "b\n",
        'html/many/c'           => "c\n",
    },
    server => <<'CONF',
        location /       { random_index on; }
        location /off/   { root %dir%; }
        location /alias/ { alias %dir%/html/one/; random_index on; }
CONF
);
Nginx::same($weir, $nginx, $_, 'GET', $_)
  for '/one/', '/one/?x=1', '/one', '/hidden/', '/dirs/', '/odd/', '/none/', '/alias/', '/off/', '/one/a.txt', '/one/a.txt/';
Nginx::same($weir, $nginx, 'POST', 'POST', '/one/');

my %seen;
$seen{ $weir->get('/many/')->body }++ for 1 .. 300;
is_deeply([ sort keys %seen ], [ "b\n", "c\n", "index\n" ], 'each has its turn');
cmp_ok($seen{$_}, '>', 50, "often enough: $_") for sort keys %seen;

done_testing;
