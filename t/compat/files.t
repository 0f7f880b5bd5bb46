#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Files answer as nginx's do: conditions, ranges, types, indexes and lists, aliases, times of expiry, WebDAV.

use lib 't/lib';
use Compat;

my $date  = 'Tue, 14 Nov 2023 22:13:20 GMT';    # of all files
my $older = 'Mon, 13 Nov 2023 22:13:20 GMT';
my $newer = 'Wed, 15 Nov 2023 22:13:20 GMT';
my $tag   = '"6553f100-10"';
my %files = ('html/f.txt' => '0123456789abcdef', 'html/empty.txt' => '', 'html/one.txt' => 'x');

sub lines (@lines) { join "\n", @lines }

compare 'ranges' => {
    differs => [
        qr{If-Range: Tue, 14 Nov 2023 22:13:20$} => 'manual: A date that is not one of HTTP to its last character is no condition',
        qr{If-Match: "x"} => 'manual: is OK for a complete response 412 too',
    ],
    files  => \%files,
    http   => 'types { text/plain txt; }',
    server => <<'CONF',
        location /max0/ { max_ranges 0; alias %dir%/html/; }
        location /max1/ { max_ranges 1; alias %dir%/html/; }
        location /max2/ { max_ranges 2; alias %dir%/html/; }
        location /text { return 200 0123456789; }
        location /noetag/ { etag off; alias %dir%/html/; }
        location /page { error_page 404 /f.txt; return 404; }
        location /page200 { error_page 404 =200 /f.txt; return 404; }
CONF
}, lines(
    (map { "GET /f.txt | Range: $_" } 'bytes=0-0', 'bytes=0-', 'bytes=15-', 'bytes=16-', 'bytes=15-15', 'bytes=0-15', 'bytes=0-16', 'bytes=0-99999', 'bytes=-1', 'bytes=-16', 'bytes=-17', 'bytes=-0',
      'bytes=5-2', 'bytes=-', 'bytes=', 'bytes', 'bytes=a-b', 'bytes=0-1,3-4', 'bytes=0-1, 3-4', 'bytes=0-1 ,3-4', 'bytes= 0-1', 'bytes=0 - 1', 'bytes=3-4,0-1', 'bytes=0-5,2-7', 'bytes=0-0,-1', 'bytes=0-1,99-',
      'bytes=99-,0-1', 'bytes=99-,98-', 'bytes=0-1,x', 'bytes=0-15,0-15', 'BYTES=0-1', 'Bytes=0-1', 'items=0-1', 'bytes=0-1;', 'bytes=18446744073709551615-', 'bytes=0-18446744073709551616', 'bytes=9223372036854775807-9223372036854775807', 'bytes=-18446744073709551616',
      'bytes=0-1,2-3,4-5,6-7,8-9', 'bytes=0-1-2', 'bytes=+0-1', 'bytes=0x1-2', ' bytes=0-1'),
    'GET /empty.txt | Range: bytes=0-', 'GET /empty.txt | Range: bytes=0-0', 'GET /empty.txt | Range: bytes=-1', 'GET /one.txt | Range: bytes=0-0', 'GET /one.txt | Range: bytes=-5',
    'HEAD /f.txt | Range: bytes=0-1', 'HEAD /f.txt | Range: bytes=0-1,3-4', 'HEAD /f.txt | Range: bytes=99-', 'POST /text | body=x | Range: bytes=0-1',
    'GET /f.txt | Range: bytes=0-1 | version=1.0', 'GET /f.txt | Range: bytes=0-1,3-4 | version=1.0', 'GET /f.txt | Range: bytes=0-1 | Range: bytes=3-4',
    'GET /max0/f.txt | Range: bytes=0-1', 'GET /max1/f.txt | Range: bytes=0-1', 'GET /max1/f.txt | Range: bytes=0-1,3-4', 'GET /max2/f.txt | Range: bytes=0-1,3-4', 'GET /max2/f.txt | Range: bytes=0-1,3-4,6-7',
    'GET /text | Range: bytes=2-3', 'GET /none | Range: bytes=0-1', 'GET /page | Range: bytes=0-1', 'GET /page200 | Range: bytes=0-1',
    (map { "GET /f.txt | Range: bytes=0-1 | If-Range: $_" } $date, $older, $newer, $tag, "W/$tag", '"x"', '""', 'x', 'Tue, 14 Nov 2023 22:13:20', $tag . 'x', '*'),
    "GET /noetag/f.txt | Range: bytes=0-1 | If-Range: $tag", "GET /noetag/f.txt | Range: bytes=0-1 | If-Range: $date",
    "GET /f.txt | Range: bytes=0-1 | If-None-Match: $tag", "GET /f.txt | Range: bytes=0-1 | If-Modified-Since: $date", 'GET /f.txt | Range: bytes=0-1 | If-Match: "x"', "GET /f.txt | If-Range: $tag",
    'GET /f.txt | Range: bytes=99- | If-None-Match: ' . $tag,
);

compare 'conditions' => {
    differs => [
        qr{Since: (?:Tue, 14 Nov 2023 22:13:20$|Tue, 14 Nov 2023 22:13:20 (?:.0000|GMT;)|garbage$)(?<!If-Modified-Since: garbage)} => 'manual: A date that is not one of HTTP to its last character is no condition',
        qr{If-None-Match: "6553f100-10" \| If-Modified-Since: Mon} => 'manual: If-Modified-Since only where there is no If-None-Match',
        qr{If-Match: "6553f100-10" \| If-Unmodified-Since: Mon} => 'manual: If-Unmodified-Since counts only where there is no If-Match',
        qr{(?<!none \| )If-Match: (?:W/|"x"(?!, ")|,|$)|If-Unmodified-Since: (?:Mon|.* GMT \| If-None)|/noetag/f.txt \| If-Match: "|/text \| If-Unmodified|If-Match:$} => 'manual: is OK for a complete response 412 too',
    ],
    files  => \%files,
    server => <<'CONF',
        location /exact/ { if_modified_since exact; alias %dir%/html/; }
        location /off/ { if_modified_since off; alias %dir%/html/; }
        location /before/ { if_modified_since before; alias %dir%/html/; }
        location /noetag/ { etag off; alias %dir%/html/; }
        location /neither/ { etag off; add_header Last-Modified ""; alias %dir%/html/; }
        location /text { return 200 text; }
        location /expires/ { expires 1h; add_header X-A b; add_header Cache-Control public; alias %dir%/html/; }
CONF
}, lines(
    (map { my $path = $_; map { "GET $path/f.txt | If-Modified-Since: $_" } $date, $older, $newer } '', '/exact', '/off', '/before', '/noetag', '/neither'),
    (map { "GET /f.txt | If-Modified-Since: $_" } 'Tuesday, 14-Nov-23 22:13:20 GMT', 'Tue Nov 14 22:13:20 2023', 'Tue, 14 Nov 2023 22:13:20', 'tue, 14 nov 2023 22:13:20 gmt', 'Tue, 14 Nov 2023 22:13:20 +0000', 'garbage', '', '0', 'Tue, 32 Nov 2023 22:13:20 GMT', 'Tue, 14 Nov 2023 25:13:20 GMT', 'Fri, 14 Nov 2023 22:13:20 GMT', 'Tue, 14 Nov 2023 22:13:20 GMT; length=16'),
    (map { "GET /f.txt | If-None-Match: $_" } $tag, "W/$tag", '"x"', '*', "\"x\", $tag", "\"x\",$tag,\"y\"", " $tag ", $tag =~ tr/"//dr, '', "w/$tag", "$tag x", "\"x\" $tag", '"*"', 'W/"x", W/"y"', ','),
    (map { "GET /f.txt | If-Match: $_" } $tag, "W/$tag", '"x"', '*', "\"x\", $tag", '', ','),
    (map { "GET /f.txt | If-Unmodified-Since: $_" } $date, $older, $newer, 'garbage'),
    "GET /f.txt | If-None-Match: $tag | If-Modified-Since: $older", "GET /f.txt | If-None-Match: \"x\" | If-Modified-Since: $date", "GET /f.txt | If-Match: $tag | If-None-Match: $tag",
    "GET /f.txt | If-Match: \"x\" | If-None-Match: $tag", "GET /f.txt | If-Match: $tag | If-Modified-Since: $date", "GET /f.txt | If-Unmodified-Since: $older | If-None-Match: $tag", "GET /f.txt | If-Match: $tag | If-Unmodified-Since: $older",
    "HEAD /f.txt | If-None-Match: $tag", "HEAD /f.txt | If-Match: \"x\"", "GET /f.txt | If-None-Match: \"a\" | If-None-Match: $tag", "GET /f.txt | version=1.0 | If-None-Match: $tag",
    "GET /noetag/f.txt | If-None-Match: $tag", 'GET /noetag/f.txt | If-None-Match: *', "GET /noetag/f.txt | If-Match: $tag", 'GET /noetag/f.txt | If-Match: *',
    "GET /text | If-Modified-Since: $date", 'GET /text | If-None-Match: *', "GET /text | If-Unmodified-Since: $date", 'GET /none | If-None-Match: *', 'GET /none | If-Match: "x"',
    "GET /expires/f.txt | If-None-Match: $tag", "GET /expires/f.txt | If-Modified-Since: $date | keep",
);

compare 'types and fields' => {
    differs => [
        qr{^GET /304$} => 'manual: A response 204 or 304, or of a code below 200, has no Content-Length',
    ],
    files  => { map({ ("html/$_" => "$_\n") } qw(a.html a.HTML a.htm b.txt c.tar.gz d e. .f g.unknown h.js i.svg.html .html), 'j.a b', "k.t\xc3\xa9") },
    http   => 'types { text/html html htm; text/plain txt; application/gzip gz; application/javascript js; } default_type application/octet-stream;',
    server => <<'CONF',
        location /none/ { types { } alias %dir%/html/; }
        location /default/ { types { } default_type x/y; alias %dir%/html/; }
        location /replaced/ { types { text/x txt; } alias %dir%/html/; }
        location /empty/ { types { } default_type ""; alias %dir%/html/; }
        location /tokens/ { server_tokens off; alias %dir%/html/; }
        location /fields/ {
            add_header X-A a; add_header X-B "b $arg_b" always; add_header X-C $arg_c; add_header X-D "d" always; add_header Set-Cookie a=1; add_header Set-Cookie b=2;
            add_header Link </x>; add_header Vary Accept; add_header Last-Modified "";
            alias %dir%/html/;
            location /fields/own/ { add_header X-Own 1; alias %dir%/html/; }
            location /fields/inherits/ { alias %dir%/html/; }
        }
        location /nolast/ { add_header Last-Modified ""; alias %dir%/html/; }
        location /mylast/ { add_header Last-Modified "Mon, 13 Nov 2023 22:13:20 GMT"; alias %dir%/html/; }
        location /etag/ { add_header ETag mine; alias %dir%/html/; }
        location /control/ { add_header Cache-Control no-store; alias %dir%/html/; }
        location /trailer/ { add_trailer X-T 1; alias %dir%/html/; }
        location = /redirect { add_header X-R 1; return 301 /x; }
        location = /500 { add_header X-R 1; add_header X-Always 1 always; return 500; }
        location = /201 { add_header X-R 1; return 201; }
        location = /204 { add_header X-R 1; return 204; }
        location = /206 { add_header X-R 1; return 206; }
        location = /303 { add_header X-R 1; return 303 /x; }
        location = /304 { add_header X-R 1; return 304; }
        location = /307 { add_header X-R 1; return 307 /x; }
        location = /308 { add_header X-R 1; return 308 /x; }
        location = /202 { add_header X-R 1; return 202 x; }
        location = /400 { add_header X-R 1; return 400; }
        location = /gif { add_header X-R 1; empty_gif; }
CONF
}, lines(
    (map { "GET /$_" } qw(a.html a.HTML a.htm b.txt c.tar.gz d e. .f g.unknown h.js i.svg.html .html j.a%20b k.t%c3%a9)),
    (map { my $path = $_; map { "GET $path/$_" } qw(a.html b.txt d) } '/none', '/default', '/replaced', '/empty'),
    'GET /tokens/b.txt', 'GET /tokens/none', 'GET /fields/b.txt', 'GET /fields/b.txt?b=1&c=2', 'GET /fields/none?b=1', 'GET /fields/own/b.txt', 'GET /fields/own/none', 'GET /fields/inherits/b.txt', 'GET /fields/inherits/none',
    "GET /nolast/b.txt | If-Modified-Since: $date", "GET /mylast/b.txt | If-Modified-Since: $older", 'GET /mylast/b.txt', 'GET /etag/b.txt', 'GET /control/b.txt', 'GET /trailer/b.txt', 'GET /trailer/b.txt | TE: trailers', 'GET /trailer/b.txt | version=1.0', 'HEAD /trailer/b.txt',
    (map { "GET /$_" } qw(redirect 500 201 204 206 303 304 307 308 202 400 gif)),
    "GET /fields/b.txt | If-Modified-Since: $date", 'GET /control/b.txt | If-None-Match: *',
);

compare 'expires' => {
    files  => { map { ("html/$_" => $_) } qw(f.txt f.css f.html) },
    http   => 'types { text/plain txt; text/css css; text/html html; } map $sent_http_content_type $bytype { default off; text/css max; text/plain 1h; ~html epoch; }',
    server => <<'CONF',
        location /off/ { expires off; alias %dir%/html/; }
        location /epoch/ { expires epoch; alias %dir%/html/; }
        location /max/ { expires max; alias %dir%/html/; }
        location /hour/ { expires 1h; alias %dir%/html/; }
        location /mixed/ { expires 1d12h; alias %dir%/html/; }
        location /negative/ { expires -1; alias %dir%/html/; }
        location /zero/ { expires 0; alias %dir%/html/; }
        location /modified/ { expires modified 10y; alias %dir%/html/; }
        location /modifiednegative/ { expires modified -1h; alias %dir%/html/; }
        location /day/ { expires @23h59m59s; alias %dir%/html/; }
        location /variable/ { expires $bytype; alias %dir%/html/; }
        location /arg/ { expires $arg_e; alias %dir%/html/; }
        location /return/ { expires 1h; return 200 x; }
        location /return404/ { expires 1h; return 404; }
        location /return301/ { expires 1h; return 301 /x; }
        location /inherit/ { expires 1h; location /inherit/in/ { alias %dir%/html/; } location /inherit/off/ { expires off; alias %dir%/html/; } }
        location /control/ { expires 1h; add_header Cache-Control public; alias %dir%/html/; }
CONF
}, lines(
    (map { "GET /$_/f.txt" } qw(off epoch max hour mixed negative zero modified modifiednegative variable return return404 return301 inherit/in inherit/off control)),
    'GET /variable/f.css', 'GET /variable/f.html', (map { "GET /arg/f.txt?e=$_" } '', '1h', 'max', 'epoch', 'off', '-1', 'bad', '1h bad' =~ tr/ /+/r, '0'), 'GET /arg/f.txt', 'GET /hour/none',
);

compare 'aliases and roots' => {
    differs => [
        qr{^GET /subvar/$} => 'manual: that is empty is skipped',
    ],
    files  => { map({ ("html/$_" => "$_\n") } qw(a/f.txt b/f.txt a/index.html f.txt sub/index.htm sub/index.html)), map({ ("data/$_" => "data $_\n") } qw(f.txt dir/f.txt dir/index.html localhost/f.txt one.example/f.txt)) },
    server => <<'CONF',
        location /alias/ { alias %dir%/data/; }
        location /noslash { alias %dir%/data; }
        location /half/ { alias %dir%/data; }
        location /halfother { alias %dir%/data/; }
        location = /exactfile { alias %dir%/data/f.txt; }
        location ~ ^/re/(.+)$ { alias %dir%/data/$1; }
        location ~ ^/re2/(?<p>.+)$ { alias %dir%/data/$p; index index.html; }
        location ~ ^/refixed/ { alias %dir%/data/f.txt; }
        location /byhost/ { alias %dir%/data/$host/; }
        location /byarg/ { alias %dir%/data/$arg_d/; }
        location /root/ { root %dir%/data; }
        location /f.txt { root %dir%/data; }
        location /a/ { root %dir%/html; }
        location ~ ^/rooted(/.*)$ { root %dir%/data; rewrite ^/rooted(/.*)$ $1 break; }
        location /dir/ { root %dir%/$arg_r; }
        location /sub/ { index index.htm index.html; }
        location /subvar/ { alias %dir%/html/sub/; index $arg_i index.html; }
        location /subabs/ { alias %dir%/html/sub/; index none.html /a/index.html; }
        location /subnone/ { alias %dir%/html/sub/; index none.html; }
        location /nested/ { alias %dir%/data/; location /nested/dir/ { alias %dir%/html/a/; } location ~ \.html$ { return 200 "re\n"; } }
        location /inner/ { alias %dir%/data/; location ~ \.txt$ { } }
        location /rel/ { alias data/; }
CONF
}, lines(map { "GET $_" } split ' ', <<'TARGETS');
/alias/f.txt /alias/dir/f.txt /alias/dir /alias/dir/ /alias/ /alias /alias/none /noslash/f.txt /noslash/dir /noslash /noslash/ /noslashx /half/f.txt /half/dir /halfother/f.txt /halfotherf.txt
/exactfile /exactfile/ /re/f.txt /re/dir /re/dir/ /re/dir/f.txt /re/none /re/../f.txt /re/%2e%2e/f.txt /re2/dir/ /re2/dir /refixed/anything /byhost/f.txt /byarg/f.txt?d=dir /byarg/f.txt?d=
/byarg/f.txt?d=none /root/f.txt /f.txt /a/f.txt /a/ /a /rooted/f.txt /rooted/dir/ /dir/f.txt?r=data /dir/f.txt?r=html /dir/?r=data /dir?r=data /sub/ /subvar/?i=index.htm /subvar/?i=none /subvar/ /subabs/ /subnone/ /nested/f.txt
/nested/dir/f.txt /nested/dir/ /nested/dir /nested/x.html /inner/f.txt /rel/f.txt
TARGETS

my %hostile = map { ("html/h/$_" => 'x') } "quote\"'.txt", 'amp&lt<gt>.txt', "percent%20.txt", "utf-\xc3\xa9\xe2\x82\xac.txt", "bad-\xff\xfe.txt", 'question?mark#hash.txt', 'colon:semi;comma,.txt', ' leading', 'plus+tilde~.txt',
  'x' x 60 . '.txt', 'y' x 50, 'z' x 51, "back\\slash", '.hidden', '..hidden', 'a{b}|c^d`e';

sub links ($server) {
    my $dir = "$server->{dir}/html/plain";
    symlink 'one.txt', "$dir/link";
    symlink 'nowhere', "$dir/broken";
    symlink '../h', "$dir/linkdir";
    system 'touch', '-h', '-d', '@1700000000', "$dir/broken";
}

compare 'lists' => {
    differs => [
        qr{^GET /(?:xml/|json/)?h/$} => 'manual: measures names in characters, and stays well-formed in XML and JSON',
    ],
    files  => { %hostile, 'html/h/dir/f' => 'x', 'html/h/dir"quote/f' => 'x', "html/h/dir\xc3\xa9/f" => 'x', 'html/empty/d/x' => '', 'html/plain/one.txt' => 'x' x 2000, 'html/plain/two.txt' => 'x' x 3_000_000 },
    prepare => \&links,
    server => <<'CONF',
        autoindex on;
        location /off/ { autoindex off; alias %dir%/html/plain/; }
        location /rough/ { autoindex_exact_size off; alias %dir%/html/plain/; }
        location /local/ { autoindex_localtime on; alias %dir%/html/plain/; }
        location /xml/ { autoindex_format xml; alias %dir%/html/; }
        location /json/ { autoindex_format json; alias %dir%/html/; }
        location /jsonp/ { autoindex_format jsonp; alias %dir%/html/; }
        location /html/ { autoindex_format html; alias %dir%/html/; }
        location /random/ { random_index on; alias %dir%/html/empty/; }
CONF
}, lines(map({ "GET $_" } split ' ', <<'TARGETS'), 'HEAD /plain/', 'POST /plain/ | body=x', 'GET /plain/ | version=1.0', 'GET /plain/ | If-Modified-Since: ' . $date, 'GET /json/plain/ | Range: bytes=0-1');
/plain/ /plain /off/ /rough/ /local/ /xml/plain/ /json/plain/ /jsonp/plain/ /jsonp/plain/?callback=cb /jsonp/plain/?callback=a.b /jsonp/plain/?callback=a[0] /jsonp/plain/?callback=<x> /jsonp/plain/?callback= /jsonp/plain/?callback=%61
/html/plain/ /h/ /xml/h/ /json/h/ /h/dir%22quote /h/dir%22quote/ /h/dir%c3%a9 /h/dir%C3%A9?a=%20 /empty/ /empty/d/ /random/ /none/ /plain/?C=M
TARGETS

done_testing;
