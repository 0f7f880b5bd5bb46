#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# charset, source_charset, override_charset, charset_map: what the client is told and what bytes it gets, as nginx has it.

use lib 't/lib';
use Nginx;
use Weir;

my $koi  = "\xC0\xC1\xC2 \xFE abc <p>\n";
my $utf  = "\xD1\x8E\xD0\xB0\xD0\xB1 \xE2\x82\xAC \xD0\xBA abc <p>\n";
my $type = 'Content-Type: text/html';
my $origin = Origin->new(
    '/koi'   => { body => $koi, fields => [ "$type; charset=koi8-r", 'ETag: "abc"', 'Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT' ] },
    '/koiq'  => { body => $koi, fields => ["$type; charset=\"koi8-r\""] },
    '/KOI'   => { body => $koi, fields => ["$type; Charset=KOI8-R"] },
    '/semi'  => { body => $koi, fields => ["$type;charset=koi8-r"] },
    '/koix'  => { body => $koi, fields => ['Content-Type: text/x; charset=koi8-r'] },
    '/iso'   => { body => $koi, fields => ["$type; charset=iso-8859-1"] },
    '/none'  => { body => $koi, fields => [$type] },
    '/ct'    => { body => $koi, fields => ['Content-Type: text/x'] },
    '/gz'    => { body => $koi, fields => [ $type, 'Content-Encoding: gzip' ] },
    '/gzc'   => { body => $koi, fields => [ "$type; charset=koi8-r", 'Content-Encoding: gzip' ] },
    '/acc'   => { body => $koi, fields => [ $type, 'X-Accel-Charset: windows-1251' ] },
    '/acck'  => { body => $koi, fields => [ "$type; charset=koi8-r", 'X-Accel-Charset: windows-1251' ] },
    '/accx'  => { body => $koi, fields => [ 'Content-Type: text/x', 'X-Accel-Charset: utf-8' ] },
    '/accxk' => { body => $koi, fields => [ 'Content-Type: text/x; charset=koi8-r', 'X-Accel-Charset: utf-8' ] },
    '/acco'  => { body => $koi, fields => [ $type, 'X-Accel-Charset: off' ] },
    '/utf'   => { body => $utf, fields => ["$type; charset=utf-8"] },
    '/long'  => { body => $utf x 20_000, fields => ["$type; charset=utf-8"] },
    '/klong' => { body => $koi x 50_000, fields => ["$type; charset=koi8-r"] },
    (map { ("/$_" => { status => $_, body => $koi, fields => [ $type, 'Location: /x' ] }) } 201, 206, 300, 301, 302, 303, 307, 308, 400, 404, 500),
);
my @names = qw(koi koiq KOI semi koix iso none ct gz gzc acc acck accx accxk acco utf long klong 404 302);
my $files = 'alias %dir%/html/;';
my $proxy = "proxy_http_version 1.1; proxy_set_header Connection '';";
# Parts of pages: each kind of answer, in a page of each kind.
my %part = (
    a => $files, b => "$files source_charset koi8-r;", c => "$files charset koi8-r;", d => "$files charset koi8-r; source_charset windows-1251;",
    e => "proxy_pass $origin->{url}/koi?;", f => "proxy_pass $origin->{url}/koi?; override_charset on; charset windows-1251;",
    g => "proxy_pass $origin->{url}/none?; source_charset koi8-r; charset windows-1251;", h => "proxy_pass $origin->{url}/koix?;",
    i => "proxy_pass $origin->{url}/accx?; source_charset koi8-r;", j => "proxy_pass $origin->{url}/iso?;",
);
my %page = (
    u => "$files charset utf-8;", n => $files, k => "proxy_pass $origin->{url}/koi?;",
    o => "proxy_pass $origin->{url}/koi?; override_charset on; charset windows-1251;", s => "$files charset utf-8; source_charset koi8-r;",
);
my $parts = join "\n", map { "location /part/$_/ { $proxy $part{$_} }" } sort keys %part;
my $pages = join "\n", map {
    my $page = $_;
    map { "location /page/$page/$_/ { $proxy $page{$page} add_after_body /part/$_/k.html; }" } sort keys %part;
} sort keys %page;

my ($weir, $nginx) = Nginx->beside(
    files => { 'html/a.html' => $koi, 'html/u.html' => $utf, 'html/k.html' => $koi, 'html/a.txt' => $koi, 'html/a.css' => 'x', 'html/b.js' => 'x',
        'html/none.html' => '', 'html/big.html' => $koi x 40_000 },
    http => <<'CONF',
types { text/html html; text/plain txt; text/css css; application/javascript js; }
charset_map koi8-r utf-8 { C0 D18E; C1 D0B0; C2 D0B1; }
charset_map koi8-r windows-1251 { C0 FE; C1 E0; C2 E1; }
charset_map windows-1251 utf-8 { FE D18E; E0 D0B0; E1 D0B1; }
charset_map iso-8859-5 _ { }
map $arg_c $named { default ""; u utf-8; k koi8-r; w windows-1251; x iso-8859-5; y big5; o off; }
CONF
    server => <<CONF,
        location /1/ { $files charset utf-8; }
        location /2/ { $files charset utf-8; source_charset koi8-r; }
        location /3/ { $files charset windows-1251; source_charset koi8-r; }
        location /4/ { $files charset koi8-r; source_charset utf-8; }
        location /5/ { $files charset \$named; source_charset koi8-r; }
        location /6/ { $files charset \$named; source_charset \$arg_s; }
        location /v/ { $files charset \$named; }
        location /7/ { $files charset utf-8; charset_types text/css; }
        location /8/ { $files charset_types *; charset utf-8; location /8/o/ { $files charset off; } }
        location /9/ { charset utf-8; return 404; }
        location /10/ { charset utf-8; return 302 /x; }
        location /11/ { charset utf-8; default_type text/plain; return 200 "hi"; }
        location /12/ { $files source_charset koi8-r; if (\$arg_u) { charset utf-8; } }
        location /list/ { $files charset koi8-r; autoindex on; }
        location /p1/ { $proxy proxy_pass $origin->{url}/; charset utf-8; }
        location /p2/ { $proxy proxy_pass $origin->{url}/; charset utf-8; source_charset koi8-r; }
        location /p3/ { $proxy proxy_pass $origin->{url}/; charset utf-8; override_charset on; }
        location /p4/ { $proxy proxy_pass $origin->{url}/; charset koi8-r; override_charset on; }
        location /p5/ { $proxy proxy_pass $origin->{url}/; charset koi8-r; override_charset on; source_charset windows-1251; }
        location /p6/ { $proxy proxy_pass $origin->{url}/; override_charset on; source_charset windows-1251; }
        location /p7/ { $proxy proxy_pass $origin->{url}/; source_charset koi8-r; }
        location /p8/ { $proxy proxy_pass $origin->{url}/; source_charset koi8-r; charset utf-8; proxy_ignore_headers X-Accel-Charset; }
        $parts
        $pages
CONF
    allow => qr/charset/,
);
my @cases = (
    (map { my $l = $_; map { "/$l/$_" } qw(a.html a.txt a.css b.js big.html) } 1 .. 3), '/1/none.html', '/4/u.html', '/5/a.html',
    (map { ("/5/a.html?c=$_", "/v/a.html?c=$_", "/6/a.html?c=$_&s=koi8-r", "/6/a.html?c=$_&s=foo", "/6/u.html?c=$_&s=utf-8") } qw(u k w x y o z)),
    '/7/a.html', '/7/a.txt', '/7/a.css', '/8/a.css', '/8/o/a.css', '/9/', '/10/', '/11/', '/12/a.html', '/12/a.html?u=1',
    (map { my $l = $_; map { "/p$l/$_" } @names } 1 .. 8), (map { "/p1/$_" } 201, 206, 300, 301, 303, 307, 308, 400, 500),
    (map { my $page = $_; map { "/page/$page/$_/a.html" } sort keys %part } sort keys %page),
);
Nginx::same($weir, $nginx, $_, 'GET', $_) for @cases;
for my $path ('/1/a.html', '/2/a.html', '/3/a.html') {
    Nginx::same($weir, $nginx, "a range of $path", 'GET', $path, fields => ['Range: bytes=1-3']);
    my ($ours, $its) = map { $_->head($path) } $weir, $nginx;
    is($ours->field($_), $its->field($_), "HEAD $path: $_") for qw(Content-Length Content-Type ETag Last-Modified Accept-Ranges);
}
is($weir->get('/list/')->field('Content-Type'), $nginx->get('/list/')->field('Content-Type'), 'a listing');

# What is wrong in a configuration.
sub verdict ($class, $http, $server) {
    my $daemon = $class->new(start => 0, http => $http, server => $server, allow => qr/./);
    my ($status, $text) = $daemon->run_weir('-t');
    return ($text =~ /\[emerg\](?: \d+#\d+:)? (.*?)(?: in \S+:\d+)?$/m)[0] // ($status == 0 ? 'good' : $text);
}
my @texts = (
    [ '', 'charset utf-8; source_charset koi8-r;' ],
    [ 'charset_map koi8-r koi8-r { C1 C0; }', '' ],
    [ 'charset_map koi8-r utf-8 { C1 D18; }', '' ],
    [ 'charset_map koi8-r utf-8 { 1FF D18E; }', '' ],
    [ 'charset_map koi8-r utf-8 { xx D18E; }', '' ],
    [ 'charset_map koi8-r utf-8 { C0 xx; }', '' ],
    [ 'charset_map koi8-r utf-8 { C0; }', '' ],
    [ 'charset_map koi8-r utf-8 { C0 D18E D18E; }', '' ],
    [ 'charset_map koi8-r utf-8 { C0 D18E; C0 D18F; }', '' ],
    [ 'charset_map koi8-r utf-8 { 41 D18E; }', '' ],
    [ 'charset_map koi8-r utf-8 { C0 D18E; } charset_map koi8-r utf-8 { }', '' ],
    [ 'charset_map koi8-r win { C0 41; } charset_map win koi8-r { }', '' ],
    [ 'charset_map koi8-r win { C0 100; }', '' ],
    [ 'charset_map a b { C0 C1; } charset_map b c { }', 'charset c; source_charset a;' ],
    [ 'charset_map a b { C0 C1; }', 'charset "";' ],
    [ 'charset_map a b { C0 C1; }', 'source_charset a; location /x { charset c; }' ],
    [ 'charset_map a b { C0 C1; }', 'charset a$uri;' ],
    [ '', 'charset A; source_charset a;' ],
);
is(verdict('Weir', @$_), verdict('Nginx', @$_), "$_->[0] $_->[1]") for @texts;

done_testing;
