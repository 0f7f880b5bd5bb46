#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# geo: values by address, from networks and ranges, for clients behind proxies, as in nginx.

use lib 't/lib';
use Weir;
use Nginx;
use Time::HiRes qw(time);

my ($weir, $nginx) = Nginx->beside(
    files => { 'inc.geo' => "10.2.0.0/16 inc;\n2001:db8:2::/48 inc6;\n" },
    http  => <<'CONF',
        geo $arg_a $g1 {
            default d;
            127.0.0.1/32 lo;
            192.168.1.0/24 net;
            10.1.0.0/16 a;
            10.1.2.0/24 b;
            10.1.2.3 c;
            include %dir%/inc.geo;
            2001:db8::/32 six;
            ::1 six1;
            1.2.3.4/8 low;
            10.5.0.0/16 del;
            delete 10.5.0.0/16;
            10.6.0.0/16 six6;
            10.6.1.0/24 y;
            delete 10.6.0.0/16;
            0.0.0.0/1 half;
        }
        geo $arg_a $g2 {
            0.0.0.0/0 all;
        }
        geo $arg_a $g3 {
            ::/0 all;
        }
        geo $arg_a $g4 {
            255.255.255.255 none;
        }
        geo $arg_a $g5 {
            ranges;
            default d;
            127.0.0.0-127.0.0.0 US;
            127.0.0.1-127.0.0.1 RU;
            127.0.0.2-127.0.0.255 US;
            10.1.0.0-10.1.255.255 RU;
            10.1.5.0-10.1.5.9 IN;
        }
        geo $g6 {
            default d;
            proxy 127.0.0.1;
            127.0.0.1 lo;
            1.1.1.0/24 one;
            2.2.2.0/24 two;
            2001::/16 v6;
        }
        geo $g7 {
            default d;
            proxy 127.0.0.1;
            proxy 1.1.1.0/24;
            proxy_recursive;
            127.0.0.1 lo;
            1.1.1.0/24 one;
            2.2.2.0/24 two;
        }
        geo $g8 {
            ranges;
            default d;
            proxy 127.0.0.1/32;
            127.0.0.1-127.0.0.1 lo;
            1.1.1.0-1.1.1.255 one;
        }
        geo $g9 {
            default "a $uri b";
        }
        geo $arg_a $g10 {
            ::ffff:10.0.0.0/104 mapped;
            default d;
        }
        geo $arg_a $g11 {
            ranges;
            10.1.0.0-10.1.255.255 RU;
            10.1.5.0-10.1.5.9 IN;
            10.1.5.5-10.1.5.5 FIVE;
            10.2.0.0-10.2.0.9 A;
            10.2.0.0-10.2.0.9 B;
            10.3.0.0-10.3.0.9 A;
            delete 10.3.0.0-10.3.0.9;
            10.4.0.0-10.4.0.9 A;
            10.4.0.5-10.4.0.9 B;
            10.4.0.0-10.4.0.2 C;
            delete 10.1.5.5-10.1.5.5;
        }
CONF
    server => <<'CONF',
        location / { return 200 "1 $g1|2 $g2|3 $g3|4 $g4|5 $g5|6 $g6|7 $g7|8 $g8|9 $g9|10 $g10|11 $g11|"; }
CONF
);

Nginx::same($weir, $nginx, $_, 'GET', $_) for grep { length } split /\n/, <<'END';
/
/?a=127.0.0.1
/?a=192.168.1.7
/?a=10.1.0.1
/?a=10.1.2.1
/?a=10.1.2.3
/?a=10.2.2.3
/?a=10.5.2.3
/?a=10.6.2.3
/?a=10.6.1.3
/?a=1.9.9.9
/?a=200.1.1.1
/?a=::1
/?a=2001:db8::9
/?a=2001:db8:2::9
/?a=::ffff:10.1.2.3
/?a=::ffff:10.0.0.1
/?a=[::1]
/?a=junk
/?a=10.1.2.3:80
/?a=255.255.255.255
/?a=fe80::1
/?a=127.0.0.0
/?a=127.0.0.2
/?a=10.1.5.3
/?a=10.1.5.5
/?a=10.1.5.10
/?a=10.2.0.4
/?a=10.3.0.4
/?a=10.4.0.5
/?a=10.4.0.4
END
for (
    [ '1.1.1.1' ],
    [ '2.2.2.2,1.1.1.1' ],
    [ '1.1.1.1,2.2.2.2' ],
    [ '1.1.1.1,junk' ],
    [ '1.1.1.1,' ],
    [ '1.1.1.1', '2.2.2.2' ],
    [ '2.2.2.2', '1.1.1.1' ],
    [ '2001::1' ],
    [ '[2001::1]:80' ],
    [ '2.2.2.2:90' ],
    [ 'junk,1.1.1.1' ],
    [ '1.1.1.1,127.0.0.1' ],
    [ '127.0.0.1' ],
  )
{
    Nginx::same($weir, $nginx, "X-Forwarded-For: @$_", 'GET', '/', fields => [ map { "X-Forwarded-For: $_" } @$_ ]);
}
Nginx::same($weir, $nginx, 'an address of its own and a proxy', 'GET', '/?a=127.0.0.1',
    fields => ['X-Forwarded-For: 2.2.2.2']);

for (
    [ 'geo $x { a; }',                   qr/invalid number of the geo parameters in / ],
    [ 'geo $x { 10.0.0.0/8 a b; }',      qr/invalid number of the geo parameters in / ],
    ( map { [ "geo \$x { $_ b; }", qr/invalid network "\Q$_\E" in / ] } qw(a 1.2.3.4/33 ::1/129 1.2.3 all unix: 1-2) ),
    ( map { [ "geo \$x { ranges; $_ b; }", qr/invalid range "\Q$_\E" in / ] }
          qw(10.0.0.0/8 1.2.3.4 1.2.3.4-1.2.3.3 ::1-::2 1.2.3.4-1.2.3.5-6) ),
    ( map { [ "geo \$x { proxy $_; }", qr/invalid network "\Q$_\E" in / ] } qw(localhost 127.0.0.1/33 unix:) ),
    [ 'geo x { }',                       qr/invalid variable name "x" in / ],
    [ 'geo x $y { }',                    qr/invalid variable name "x" in / ],
    [ 'geo $uri $uri { }',               qr/the duplicate "uri" variable in / ],
    [ 'geo $nothing_of $x { }',          qr/unknown "nothing_of" variable in / ],
    [ 'geo $x { 10.0.0.0/8 a; ranges; }', qr/the "ranges" directive must be the first directive inside "geo" block in / ],
    [ 'geo $x { ranges; 10.0.0.0-10.0.0.9 a; 10.0.0.5-10.0.0.15 b; }',
        qr/range "10.0.0.5-10.0.0.15" overlaps "10.0.0.0-10.0.0.9" in / ],
    [ 'geo $x { ranges; 10.0.0.5-10.0.0.15 a; 10.0.0.0-10.0.0.9 b; }',
        qr/range "10.0.0.0-10.0.0.9" overlaps "10.0.0.5-10.0.0.15" in / ],
    [ 'geo $x { 10.0.0.0/8 a; 10.0.0.0/8 b; }', qr/duplicate network "10.0.0.0\/8", value: "b", old value: "a" in / ],
    [ 'geo $x { 10.0.0.1/8 a; }',        qr/low address bits of 10.0.0.1\/8 are meaningless in / ],
    [ 'geo $x { delete 10.0.0.0/8; }',   qr/no network "10.0.0.0\/8" to delete in / ],
    [ 'geo $x { delete default; }',      qr/invalid network "default" in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(http => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

# What nginx does not have: ranges within ranges in any order, values that are computed at each use.
my $own = Weir->new(
    http => <<'CONF',
        geo $arg_a $range { ranges; 127.0.0.1-127.0.0.1 RU; 127.0.0.0-127.0.0.255 US; 255.255.255.255-255.255.255.255 none; }
        geo $arg_a $now   { volatile; default x; 10.0.0.0/8 ten; }
        geo $arg_a $kept  { default x; 10.0.0.0/8 ten; }
CONF
    server => <<'CONF',
        location /range { return 200 $range; }
        location /now   { set $a "$now $kept"; set $args a=10.1.1.1; return 200 "$a $now $kept"; }
CONF
);
is($own->get('/range?a=127.0.0.1')->body, 'RU',   'the narrow one');
is($own->get('/range?a=127.0.0.2')->body, 'US',   'the wide one');
is($own->get('/range?a=nonsense')->body,  'none', 'the last address');
is($own->get('/now?a=1.1.1.1')->body, 'x x ten x', 'volatile');

# Many networks: each finds its own.
my $lines = join '', map { sprintf "10.%d.%d.0/24 n%d;\n2001:db8:%x::/48 s%d;\n", $_ >> 8, $_ & 255, $_, $_, $_ } 0 .. 9999;
my $start = time;
my $large = Weir->new(
    files    => { 'large.geo' => $lines },
    http     => 'geo $arg_a $n { include large.geo; 10.0.0.0/8 rest; }',
    location => 'return 200 $n;'
);
cmp_ok(time - $start, '<', $Client::patience, '20,000 networks are read soon');
my $wrong = grep { $large->get(sprintf '/?a=10.%d.%d.9', $_ >> 8, $_ & 255)->body ne "n$_" } map { $_ * 97 } 0 .. 99;
is($wrong, 0, 'IPv4');
$wrong = grep { $large->get(sprintf '/?a=2001:db8:%x::9', $_)->body ne "s$_" } map { $_ * 97 } 0 .. 99;
is($wrong, 0, 'IPv6');
is($large->get('/?a=10.200.1.1')->body, 'rest', 'around them');

done_testing;
