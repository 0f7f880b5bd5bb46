#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# map: which value is found, in which order, and what it may be made of, as in nginx.

use lib 't/lib';
use Weir;
use Nginx;

my ($weir, $nginx) = Nginx->beside(
    files => { 'inc.map' => "foo  from-inc;\n~^re(.)\$ \"inc-\$1\";\n" },
    http  => <<'CONF',
        map_hash_max_size 4096;
        map_hash_bucket_size 128;
        map $arg_a $m1 {
            default d;
            x 1;
            Y 2;
            "" empty;
            ~^re(.*)$ "re $1";
            ~*^RI(?<rest>.*)$ "ri $rest";
            \default esc;
            \~til tilde;
            var $uri;
            "comb" "a$arg_b-$uri";
            include %dir%/inc.map;
        }
        map $arg_a $m2 { hostnames; default d; example.com exact; *.example.com star; .dot.com dot; www.* www; mail.example.* mail; *.b.example.com bstar; "~^.*re" regex; "" e; a.www.example.com q;}
        map $arg_a$arg_b $m3 {
            xy XY;
            default no;
        }
        map "$arg_a:$arg_b" $m4 {
            x:y XY;
        }
        map $arg_a $m5 {
            volatile;
            default "$arg_a";
        }
        map $uri $m6 {
            volatile;
            default "$uri";
        }
        map $uri $m7 {
            default "$uri";
        }
        map $m1 $m8 {
            default "no";
            1 one;
            d dee;
            "re z" "m$1";
        }
        map $arg_a $m9 {
            ~(b)(c)? "$1$2";
        }
        map $arg_a $m10 {
            "A B" sp;
            default "";
        }
CONF
    server => <<'CONF',
        location /1 { return 200 "$m1|$rest\n"; }
        location /2 { return 200 "$m2\n"; }
        location /3 { return 200 "$m3 $m4 $m8\n"; }
        location /6 { rewrite ^/6(.*)$ /7/$m6/$m7; }
        location /7 { return 200 "$uri $m6 $m7\n"; }
        location /9 { if ($arg_z ~ (z)) { set $b 1; } set $before $1; set $mapped $m9; return 200 "$before $mapped $1 $2\n"; }
CONF
);

my @requests = grep { length } split /\n/, <<'END';
/1
/1?a=x
/1?a=X
/1?a=y
/1?a=re
/1?a=reab
/1?a=RE
/1?a=rizz
/1?a=default
/1?a=~til
/1?a=var
/1?a=comb&b=B
/1?a=foo
/1?a=FOO
/1?a=req
/1?a=zz
/2
/2?a=example.com
/2?a=EXAMPLE.com.
/2?a=a.example.com
/2?a=b.example.com
/2?a=c.b.example.com
/2?a=dot.com
/2?a=x.y.dot.com
/2?a=www.x
/2?a=www.
/2?a=www
/2?a=mail.example.org
/2?a=mail.example.org.uk
/2?a=xrey
/2?a=www.example.com
/2?a=www.re
/2?a=.dot.com
/2?a=.
/2?a=a.www.example.com
/3?a=x&b=y
/3?a=rez&b=y
/3?a=q
/6
/9?z=z&a=x
/9?z=z&a=xbc
/9?z=z&a=b
END
Nginx::same($weir, $nginx, $_, 'GET', $_) for @requests;
Nginx::same($weir, $nginx, 'a long source', 'GET', '/1?a=re' . 'x' x 1000);

for (
    [ 'map $uri $x { a; }',                          qr/invalid number of the map parameters in / ],
    [ 'map $uri $x { a b c; }',                      qr/invalid number of the map parameters in / ],
    [ 'map $uri x { a b; }',                         qr/invalid variable name "x" in / ],
    [ 'map $uri $x { a b; A c; }',                   qr/conflicting parameter "A" in / ],
    [ 'map $uri $x { default b; default c; }',       qr/duplicate default map parameter in / ],
    [ 'map $uri $x { hostnames; .a b; *.a c; }',     qr/conflicting parameter "\*\.a" in / ],
    [ 'map $uri $x { hostnames; .a b; a c; }',       qr/conflicting parameter "a" in / ],
    [ 'map $uri $x { hostnames; www.* b; www.* c; }', qr/conflicting parameter "www\.\*" in / ],
    ( map { [ "map \$uri \$x { hostnames; $_ b; }", qr/invalid hostname or wildcard "\Q$_\E" in / ] }
          qw(*a a.*.b a* * a..b ..a *.a.* *.) ),
    [ 'map $uri $x { ~( b; }',                       qr/pcre2_compile\(\) failed: .* in / ],
    [ 'map $uri $uri { a b; }',                      qr/the duplicate "uri" variable in / ],
    [ 'map $nothing_of $x { a b; }',                 qr/unknown "nothing_of" variable in / ],
    [ 'map $uri $x { a $nothing_of; }',              qr/unknown "nothing_of" variable in / ],
    [ 'map $uri $x { a b { } }',                     qr/unexpected "\{" in / ],
    [ 'map $uri $x { include missing; }',            qr/open\(\) ".*missing" failed/ ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(http => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}
for ('map $uri $x { a b; } map $args $x { a c; }', 'map $uri $x { }', 'map $uri $http_x { a b; }', 'map $uri $args { a b; }') {
    is((Weir->new(http => $_, start => 0)->run_weir('-t'))[0], 0, $_);
}

done_testing;
