#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Variables that depend on others have nginx's values: map, geo and split_clients.

use lib 't/lib';
use Compat;

compare 'map' => {
    files => { 'list.map' => "included 1;\n*.in.test 2;\n" },
    http  => <<'CONF',
        map $arg_v $plain { a 1; b 2; "c d" 3; "" empty; default other; }
        map $arg_v $nodefault { a 1; }
        map $arg_v $case { Abc upper; }
        map $arg_v $regex { ~^a(?<rest>.*)$ "rest=$rest"; ~*^B(.)(.) "2=$2 1=$1"; ~^ab later; ab exact; default "none $arg_v"; }
        map $arg_v $escaped { \default 1; \~tilde 2; \hostnames 3; default 4; }
        map $arg_v $hosts { hostnames; default 0; example.test 1; *.example.test 2; .both.test 3; mail.* 4; ~^re\d 5; *.deep.example.test 6; include list.map; }
        map $arg_v $source { default $arg_w; x $uri; y "$uri-$args"; }
        map "$arg_v:$arg_w" $two { a:b both; ~^a: first; default none; }
        map $plain $chain { 1 one; 2 two; default $plain; }
        map $uri $byuri { ~^/(?<first>[^/]+)/(?<second>[^/]+) "$second/$first"; default "-"; }
        map $arg_v $vol { volatile; default $arg_v; }
        map $http_upgrade $connection_upgrade { default upgrade; '' close; }
        map $arg_v $order { ~a first; ~ab second; ~*A third; default none; }
        map $status $loggable { ~^[23] 0; default 1; }
CONF
    server => <<'CONF',
        location / {
            return 200 "plain=$plain nodefault=[$nodefault] case=$case regex=$regex escaped=$escaped source=$source two=$two chain=$chain byuri=$byuri order=$order upgrade=$connection_upgrade\n";
        }
        location /hosts { return 200 "$hosts\n"; }
        location /set { set $arg $plain; set $other $vol; return 200 "$arg $other $rest\n"; }
        location /rest { if ($regex) { return 200 "[$rest]\n"; } }
        location /log { access_log %dir%/compat.log compat if=$loggable; return 200; }
        location /log404 { access_log %dir%/compat.log compat if=$loggable; return 404; }
CONF
}, <<'REQUESTS';
GET /?v=a
GET /?v=b
GET /?v=c%20d
GET /?v=A
GET /?v=
GET /
GET /?v=abc
GET /?v=Abc
GET /?v=ABC
GET /?v=aXYZ
GET /?v=Bxyz
GET /?v=bxyz
GET /?v=ab
GET /?v=default
GET /?v=~tilde
GET /?v=hostnames
GET /?v=x&w=w
GET /?v=y&w=w
GET /?v=a&w=b
GET /?v=a&w=c
GET /one/two/three
GET / | Upgrade: websocket
GET /hosts?v=example.test
GET /hosts?v=EXAMPLE.test
GET /hosts?v=www.example.test
GET /hosts?v=a.b.example.test
GET /hosts?v=a.deep.example.test
GET /hosts?v=both.test
GET /hosts?v=x.both.test
GET /hosts?v=mail.anything
GET /hosts?v=mail
GET /hosts?v=re1
GET /hosts?v=included
GET /hosts?v=x.in.test
GET /hosts?v=.example.test
GET /hosts?v=example.test.
GET /hosts
GET /set?v=a
GET /rest?v=abc
GET /log
GET /log404
REQUESTS

compare 'geo' => {
    files => { 'list.geo' => "192.0.2.0/24 included;\n" },
    http  => <<'CONF',
        geo $arg_ip $net { default none; 10.0.0.0/8 ten; 10.1.0.0/16 ten-one; 10.1.1.1 host; 127.0.0.1/32 local; 2001:db8::/32 six; ::1 six-local; include list.geo; 10.2.0.0/16 gone; delete 10.2.0.0/16; }
        geo $arg_ip $range { ranges; default none; 10.0.0.0-10.0.0.255 a; 10.0.0.16-10.0.0.31 b; 10.0.1.0-10.0.1.0 one; 127.0.0.0-127.255.255.255 loop; }
        geo $peer { default none; 127.0.0.0/8 local; }
        geo $proxied { default none; proxy 127.0.0.0/8; 203.0.113.0/24 doc; 127.0.0.0/8 local; }
        geo $recursive { default none; proxy 127.0.0.0/8; proxy 10.0.0.0/8; proxy_recursive; 203.0.113.0/24 doc; 10.0.0.0/8 ten; 127.0.0.0/8 local; }
        geo $arg_ip $nodefault { 10.0.0.0/8 ten; }
CONF
    server => <<'CONF',
        location / { return 200 "net=$net range=$range peer=$peer nodefault=[$nodefault]\n"; }
        location /proxied { return 200 "proxied=$proxied recursive=$recursive\n"; }
CONF
}, join "\n", (map { "GET /?ip=$_" } qw(10.0.0.1 10.0.0.16 10.0.0.31 10.0.0.32 10.0.1.0 10.0.1.1 10.1.2.3 10.1.1.1 10.2.1.1 127.0.0.1 192.0.2.9 2001:db8::1
  ::1 ::ffff:10.1.1.1 8.8.8.8 text 10.0.0 10.0.0.256), ''), 'GET /',
  (map { "GET /proxied | X-Forwarded-For: $_" } '203.0.113.5', '203.0.113.5, 10.1.1.1', '10.1.1.1, 203.0.113.5', '10.1.1.1', 'garbage', '203.0.113.5, garbage', ' 203.0.113.5 ', '203.0.113.5,,10.0.0.1', ''), 'GET /proxied',
  'GET /proxied | X-Forwarded-For: 203.0.113.5 | X-Forwarded-For: 10.0.0.1';

my @values = ('', 'a', 'b', 'abc', 'abcd', 'abcde', 'abcdefgh', '10.0.0.1', (map { "client$_" } 1 .. 40), "\xc3\xa9");

compare 'split_clients' => {
    http => <<'CONF',
        split_clients $arg_v $tenth { 10% a; 10% b; 10% c; 10% d; 10% e; 10% f; 10% g; 10% h; 10% i; * j; }
        split_clients "${arg_v}AAA" $half { 50% first; * second; }
        split_clients $arg_v $fine { 0.01% never; 33.33% third; 33.33% "$arg_v"; * rest; }
        split_clients $arg_v $open { 40% some; }
        split_clients $arg_v $full { 50% one; 50% two; }
        split_clients $remote_addr $addr { 20% a; 20% b; 20% c; 20% d; * e; }
CONF
    location => 'return 200 "$tenth $half $fine [$open] $full $addr\n";',
}, join "\n", map { "GET /?v=$_" } @values;

done_testing;
