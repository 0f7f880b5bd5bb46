#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Locations, files, redirects and error pages answer as nginx does, byte for byte.

use lib 't/lib';
use Weir;
use Nginx;

my ($weir, $nginx) = Nginx->beside(
    files => {
        'html/f.txt'        => "file\n",
        'html/page.html'    => "page\n",
        'html/404.html'     => "not there\n",
        'html/d/index.html' => "index of d\n",
        'html/e/other.html' => "no index\n",
        'html/a b/c.txt'    => "blank\n",
        'data/f.txt'        => "data\n",
        'data/dir/index.html' => "index of data\n",
    },
    server => <<'CONF',
        location ~ ^/regex/(.*)$   { alias %dir%/data/$1; }
        location ~ ^/regextry/(.*)$ { alias %dir%/data/$1; try_files $uri $uri/ =410; }
        location /alias/           { alias %dir%/data/; }
        location /aliastry/        { alias %dir%/data/; try_files $uri $uri/ =410; }
        location /aliasfixed/      { alias %dir%/data/; try_files /f.txt =410; }
        location /noslash          { alias %dir%/data; }
        location /try              { try_files $uri $uri/ /f.txt; }
        location /trydir           { try_files /nope /d/ =403; }
        location /trynamed         { try_files /nope @named; }
        location /tryargs          { try_files /nope /v?x=1; }
        location /tryuri           { try_files /nope /v?u=$uri&$args; }
        location @named            { return 200 "named $uri $args\n"; }
        location /v                { return 200 "v $uri $args $request_uri\n"; }
        location /page200          { error_page 404 =200 /404.html; }
        location /pageown          { error_page 404 = /404.html; }
        location /page             { error_page 404 /404.html; }
        location /page503          { error_page 403 404 =503 /404.html; }
        location /pagemissing      { error_page 404 /missing.html; }
        location /pagemoved        { error_page 404 =301 http://example.org/y; }
        location /pagefound        { error_page 404 http://example.org/z; }
        location /pagenamed        { error_page 404 @named; }
        location /pagenamedown     { error_page 404 = @named; }
        location /pagevariable     { error_page 404 /v?u=$uri; }
        location /pagefive         { error_page 500 502 /f.txt; return 500; }
        location /redirectpage     { error_page 302 =200 /f.txt; return 302 /foo; }
        location /postpage         { error_page 405 =200 /f.txt; }
        location /deny/            { deny all; }
        location /denyreturn/      { deny all; return 200 "x"; }
        location /index/           { index missing.html /f.txt; }
        location /limit            { client_max_body_size 5; return 200 ok; }
        location /tokens           { server_tokens off; return 404; }
        location /exact/           { return 200 prefix; }
        location = /exact/         { return 200 exact; }
        location ^~ /static/       { return 200 static; }
        location ~ \.(gif|jpg)$    { return 200 image; }
        location ~* \.PNG$         { return 200 png; }
        location /nest/ {
            location /nest/in/     { return 200 in; }
            location ~ \.php$      { return 200 php; }
            return 200 nest;
        }
        location /internal/        { internal; return 200 internal; }
        location /i2/              { error_page 404 =200 /internal/x; }
        location /limitexcept      { limit_except GET { deny all; } return 200 x; }
        location /limitexcept2     { limit_except GET { deny all; } }
        location /r400             { return 400; }
        location /r204             { return 204; }
        location /r204t            { return 204 x; }
        location /r301             { return 301; }
        location /r301u            { return 301 /x?y; }
        location /r301v            { absolute_redirect off; return 301 /x?y; }
        location /r301w            { server_name_in_redirect on; port_in_redirect off; return 301 /x?y; }
        location /rurl             { return https://example.org$request_uri; }
        location /r418             { return 418; }
        location /r999             { return 999 text; }
        location /r444             { return 444; }
        location /r494             { return 494; }
        location /r495             { return 495; }
        location /r496             { return 496; }
        location /r497             { return 497; }
        location /r500             { return 500; }
        location /r503             { return 503 "down\n"; }
        location /r404.html        { return 404 "text"; }
        location = /gif            { empty_gif; }
CONF
);

my @requests = grep { !/^\s*(?:#|$)/ } split /\n/, <<'END';
# files and directories
/f.txt
/f.txt?a=b
/f.txt?
/f%2etxt
/page.html
/a%20b/c.txt
/a%20b
/nope
/nope/
/f.txt/
/f.txt/x
/d
/d?x=1&y
/d/
/e
/e/
/
/index/
# methods
POST /f.txt
PUT /f.txt
DELETE /f.txt
OPTIONS /f.txt
FOO /f.txt
HEAD /f.txt
POST /nope
POST /d
POST /d/
POST /e/
PUT /e/
# alias
/regex/f.txt
/regex/nope
/regextry/f.txt
/alias/f.txt
/alias/dir
/alias/dir/
/alias/
/aliastry/f.txt
/aliastry/dir
/aliastry/dir/
/aliastry/
/aliastry/nope
/aliasfixed/x
/noslash/f.txt
/noslash../html/f.txt
# try_files
/try
/try/d/
/trydir
/trydir/x
/trynamed?a=1
/tryargs
/tryuri?q=2
# error_page
/page200
/pageown
/page
HEAD /page
/page503
/pagemissing
/pagemoved
/pagefound
/pagenamed
/pagenamedown
/pagevariable?x=1
/pagefive
/redirectpage
POST /postpage
# access
/deny/
/denyreturn/
/limitexcept
POST /limitexcept
POST /limitexcept2
# locations
/exact/
/exact/x
/exact
/static/x.jpg
/x.jpg
/x.JPG
/x.pNg
/nest/
/nest/x.jpg
/nest/x.php
/nest/in/
/nest/in/x.php
/nest
/internal/x
/i2/x
# return
/v?a=b
/r400
/r204
/r204t
/r301
/r301u
/r301v
/r301w
/rurl?a=b
/r418
/r999
/r444
/r494
/r495
/r496
/r497
/r500
/r503
HEAD /r503
/r404.html
/tokens
/gif
HEAD /gif
POST /gif
# targets
//d//
/d/../f.txt
/%2e%2e/f.txt
/d/%2e%2e/f.txt
/d/..%2ff.txt
/f.txt%00
/f.txt#frag
/%64/
/./f.txt
/d/./index.html
/d//index.html
/%2fd
/..
/../f.txt
/d/..
/d/.
/.
/...
/%
/%zz
END

for my $line (@requests) {
    my ($target, $method) = reverse split ' ', $line;
    Nginx::same($weir, $nginx, $line, $method // 'GET', $target);
}

Nginx::same($weir, $nginx, 'a body that is too large', 'POST', '/limit', body => '0123456789');
Nginx::same($weir, $nginx, 'a body that is not',       'POST', '/limit', body => '0123');
Nginx::same($weir, $nginx, 'HTTP/1.0 without Host',    'GET',  '/d', raw => "GET /d HTTP/1.0\r\n\r\n");
Nginx::same($weir, $nginx, 'Host with capitals and a port', 'GET', '/d',
    raw => "GET /d HTTP/1.1\r\nHost: EXAMPLE.org:81\r\nConnection: close\r\n\r\n");
Nginx::same($weir, $nginx, 'an absolute target', 'GET', '/d',
    raw => "GET http://other.org/v?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

# The error logs say the same about each of them.
sub complaints ($server) {
    my %lines;
    for (split /\n/, $server->error_log) {
        my ($line) = /\[error\] \S+ \*\d+ (.*)/ or next;
        $line =~ s/\Q$server->{dir}\E/DIR/g;
        $lines{$line}++;
    }
    return \%lines;
}
my ($ours, $theirs) = map { complaints($_) } $weir, $nginx;
is_deeply($ours, $theirs, 'the lines of level error');

done_testing;
