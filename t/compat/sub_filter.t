#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# sub_filter: what is replaced, which string wins, and what becomes of the head, as nginx has it.

use lib 't/lib';
use Nginx;
use Weir;

my $big    = join '', map { sprintf "line %07d of abcabcd abcd <b>ABC</b>\n", $_ } 0 .. 19_999;
my $html   = ['Content-Type: text/html'];
my $origin = Origin->new(
    '/gz'     => { body => 'hello abc', fields => [ @$html, 'Content-Encoding: gzip', 'ETag: "abc"' ] },
    '/206'    => { status => 206, reason => 'Partial Content', body => 'hello abc', fields => [ @$html, 'Content-Range: bytes 0-8/20' ] },
    '/pieces' => { pieces => [ 'hello a', 'bc and a', 'bcx', 'ab', 'xab', 'c' ], pause => 0.02, fields => $html },
    '/bytes'  => { chunks => [ split //, 'abcabcabcdababcdabx' ], fields => $html },
    '/big'    => { body => $big, fields => $html },
    '/plain'  => { body => 'abc abc', fields => ['Content-Type: text/plain'] },
    '/params' => { body => 'abc abc', fields => ['Content-Type: Text/HTML; Charset=x'] },
    '/none'   => { body => 'abc abc' },
    '/404'    => { status => 404, body => 'no abc', fields => $html },
    '/304'    => { status => 304, fields => [ 'ETag: "x"', @$html ] },
    '/cut'    => { body => 'abc and ab', length => 100, cut => 1, fields => $html },
    '/half'   => { body => 'abcd and ab', fields => $html },
);
my $proxy = "proxy_pass $origin->{url}; proxy_http_version 1.1; proxy_set_header Connection '';";
my $html_files = 'alias %dir%/html/;';
my ($weir, $nginx) = Nginx->beside(
    files => {
        'html/a.html' => "abcd xabcd ABCD bcd aabcd\n", 'html/b.html' => "bc abcd bc abcde\n", 'html/c.html' => 'abcabcabcababcab',
        'html/none.html' => '', 'html/big.html' => $big, 'html/a.txt' => "abc\n", 'html/a.css' => "abc\n",
        'html/long.html' => ('ab' x 3000) . 'c' . ('ab' x 3000) . 'd', 'html/utf.html' => "\xc3\x84 \xc3\xa4 K k \xe2\x84\xaa\n",
        'html/head.html' => "<HTML><Head></HEAD><body></body></html>\n",
    },
    http   => 'types { text/html html; text/plain txt; text/css css; } map $arg_m $mapped { default ""; x "from map"; }',
    server => <<CONF,
        location /left/   { $html_files sub_filter abcd 1; sub_filter bc 2; sub_filter_once off; }
        location /left2/  { $html_files sub_filter bc 2; sub_filter abcd 1; sub_filter_once off; }
        location /short/  { $html_files sub_filter ab X; sub_filter abcd Y; sub_filter_once off; }
        location /long/   { $html_files sub_filter abcd Y; sub_filter ab X; sub_filter_once off; }
        location /three/  { $html_files sub_filter abcde Y; sub_filter abcd Q; sub_filter d Z; sub_filter_once off; }
        location /once/   { $html_files sub_filter ab X; sub_filter bc Y; }
        location /same/   { $html_files sub_filter bc X; sub_filter BC Y; }
        location /same2/  { $html_files sub_filter bc X; sub_filter bc Y; sub_filter_once off; }
        location /arg/    { $html_files sub_filter "\$arg_a" "[\$arg_b]"; sub_filter_once off; }
        location /arg2/   { $html_files sub_filter \$arg_a X; sub_filter abcd Y; sub_filter_once off; }
        location /map/    { $html_files sub_filter abc "\$mapped"; sub_filter_once off; }
        location /vars/   { $html_files sub_filter bc '\$uri \$request_method \$arg_a'; sub_filter_once off; }
        location /empty/  { $html_files sub_filter bc ''; sub_filter_once off; }
        location /modif/  { $html_files sub_filter bc X; sub_filter_last_modified on; }
        location /again/  { $html_files sub_filter aba '<aba>'; sub_filter_once off; }
        location /utf/    { $html_files sub_filter "\xc3\xa4" ae; sub_filter k K; sub_filter_once off; }
        location /head/   { $html_files sub_filter '</head>' '<script src="\$uri"></script></head>'; sub_filter '<body>' "<body>\\n"; }
        location /css/    { $html_files sub_filter abc X; sub_filter_types text/css; }
        location /any/    { $html_files sub_filter abc X; sub_filter_types *; }
        location /error/  { sub_filter 404 FOUND; sub_filter nothing x; sub_filter_once off; }
        location /return/ { default_type text/html; sub_filter abc Y; return 200 "abc abc \$uri";
            location /return/own/  { sub_filter ab O; return 200 "abc abc abc"; }
            location /return/once/ { sub_filter_once off; return 200 "abc abc abc"; }
        }
        location /moved/  { sub_filter 302 three; return 302 /x; }
        location /o/      { rewrite ^/o(/.*) \$1 break; $proxy sub_filter abc Z; sub_filter abd Y; sub_filter_once off; }
        location /any-o/  { rewrite ^/any-o(/.*) \$1 break; $proxy sub_filter abc Z; sub_filter_types *; }
        location /stream/ { rewrite ^/stream(/.*) \$1 break; $proxy proxy_buffering off; sub_filter abc Z; sub_filter_once off; }
        location /add/    { $html_files add_after_body /left/c.html; add_before_body /plain/a.txt; sub_filter abcd X; }
        location /plain/  { $html_files }
CONF
    allow => qr/origin|upstream/,
);

my @cases = (
    (map { my $l = $_; map { "/$l/$_.html" } qw(a b c none) } qw(left left2 short long three once same same2 again empty modif any vars map)),
    '/long/long.html', '/again/long.html', '/left/long.html', '/left/big.html', '/once/big.html', '/again/big.html', '/left/a.txt',
    '/arg/a.html', '/arg/a.html?a=BC&b=1', '/arg/a.html?a=%20', '/arg/a.html?a=abcd+', '/arg/c.html?a=abcab', '/arg/c.html?a=bcabca&b=x',
    '/arg2/a.html', '/arg2/a.html?a=bc', '/map/a.html?m=x', '/utf/utf.html', '/head/head.html',
    '/css/a.css', '/css/a.txt', '/css/a.html', '/any/a.txt', '/any/big.html', '/error/x', '/return/', '/return/own/', '/return/once/', '/moved/',
    (map { ("/o/$_", "/any-o/$_", "/stream/$_") } qw(gz 206 pieces bytes big plain params none 404 cut half)),
    '/o/304', '/add/a.html',
);
# There a short string at the very end of a body is not found beside a longer one.
my %differs = ('/long/c.html' => 'XcXcXcXXcX');
for my $path (@cases) {
    if (exists $differs{$path}) {
        is($weir->get($path)->body, $differs{$path}, "$path: weir differs");
        next;
    }
    Nginx::same($weir, $nginx, $path, 'GET', $path);
}
for my $path ('/left/a.html', '/left/a.txt', '/modif/a.html', '/left/none.html', '/arg/a.html') {
    my ($ours, $its) = map { $_->head($path) } $weir, $nginx;
    is($ours->field($_), $its->field($_), "HEAD $path: $_") for qw(Content-Length Content-Type ETag Last-Modified Accept-Ranges);
}
Nginx::same($weir, $nginx, 'a range', 'GET', '/left/a.html', fields => ['Range: bytes=0-3']);
Nginx::same($weir, $nginx, 'a condition', 'GET', '/modif/a.html', fields => ['If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT']);
Nginx::same($weir, $nginx, 'a condition that goes with the time', 'GET', '/left/a.html', fields => ['If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT']);
Nginx::same($weir, $nginx, 'a tag', 'GET', '/left/a.html', fields => ['If-None-Match: "6553f100-1a"']);
Nginx::same($weir, $nginx, 'HTTP/1.0', 'GET', '/left/a.html', version => '1.0');
Nginx::same($weir, $nginx, 'a POST', 'POST', '/return/', body => 'abc');

done_testing;
