#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# The smaller modules: addition, mirror, referer, secure_link, userid, browser, realip, WebDAV, stub_status.

use lib 't/lib';
use Compat;
use Digest::MD5 qw(md5_base64);

my $echo = Origin->new('/404' => { status => 404, body => 'none' }, '/part' => { body => "part\n", content_type => 'text/html' }, '*' => { echo => 1 });

compare 'addition' => {
    files  => { map { ("html/$_" => "$_\n") } qw(page.html text.txt before.html after.html empty.html) },
    http   => 'types { text/html html; text/plain txt; }',
    server => <<CONF,
        location /both/ { add_before_body /before.html; add_after_body /after.html; alias %dir%/html/; }
        location /before/ { add_before_body /before.html; alias %dir%/html/; }
        location /after/ { add_after_body /after.html; alias %dir%/html/; }
        location /plain/ { addition_types text/plain; add_after_body /after.html; alias %dir%/html/; }
        location /all/ { addition_types *; add_after_body /after.html; alias %dir%/html/; }
        location /missing/ { add_after_body /none.html; alias %dir%/html/; }
        location /return { default_type text/html; add_before_body /before.html; add_after_body /after.html; return 200 "body\\n"; }
        location /error { add_before_body /before.html; return 404; }
        location /origin { add_after_body /part; proxy_pass $echo->{url}/part; }
        location = /part { proxy_pass $echo->{url}; }
        location /off/ { add_before_body /before.html; alias %dir%/html/; location /off/in/ { add_before_body ""; alias %dir%/html/; } }
CONF
}, join "\n", (map { "GET $_" } qw(/both/page.html /both/text.txt /before/page.html /after/page.html /plain/text.txt /plain/page.html /all/text.txt /missing/page.html /return /error /origin /off/page.html /off/in/page.html)),
  'HEAD /both/page.html', 'GET /both/page.html | version=1.0', 'GET /both/page.html | Range: bytes=0-1', 'GET /both/page.html | If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT', 'GET /both/page.html | If-None-Match: *';

compare 'mirror' => {
    files  => { 'html/f.txt' => "f\n" },
    server => <<CONF,
        location / { mirror /mirrored; }
        location /origin { mirror /mirrored; proxy_pass $echo->{url}; }
        location /two { mirror /mirrored; mirror /other; proxy_pass $echo->{url}; }
        location /nobody { mirror /bodiless; mirror_request_body off; proxy_pass $echo->{url}; }
        location /off/ { mirror off; alias %dir%/html/; }
        location /failing { mirror /failed; proxy_pass $echo->{url}; }
        location = /mirrored { internal; proxy_pass $echo->{url}\$request_uri; }
        location = /bodiless { internal; proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header Connection ""; proxy_pass $echo->{url}/bodiless; }
        location = /other { internal; proxy_pass $echo->{url}/other; }
        location = /failed { internal; return 500; }
CONF
}, <<'REQUESTS';
GET /f.txt
GET /origin?x=1
POST /origin | body=abc
GET /two
POST /nobody | body=abc
GET /off/f.txt
GET /failing
GET /mirrored
REQUESTS

compare 'referer' => {
    http   => 'server_names_hash_bucket_size 128;',
    server => <<'CONF',
        server_name www.example.test *.server.test;
        location / { valid_referers none blocked server_names *.wild.test prefix.* example.org/path/ ~\.regex\.; if ($invalid_referer) { return 403 "invalid [$invalid_referer]\n"; } return 200 "valid [$invalid_referer]\n"; }
        location /strict { valid_referers example.org; if ($invalid_referer) { return 403; } return 200; }
        location /unset { return 200 "[$invalid_referer]\n"; }
CONF
}, join "\n", 'GET /', 'GET /strict', 'GET /unset', map { my $r = $_; ("GET / | Referer: $r", "GET /strict | Referer: $r") } '', 'http://www.example.test/', 'https://www.example.test/x', 'http://a.server.test', 'http://a.wild.test/', 'http://wild.test/', 'http://prefix.anything/', 'http://example.org/path/x',
  'http://example.org/other', 'http://example.org', 'HTTP://EXAMPLE.ORG/path/', 'http://a.regex.b/', 'http://evil.test/www.example.test', 'http://www.example.test.evil.test/', 'blocked-value', 'ftp://example.org/path/', '//example.org/path/', 'http://example.org:8080/path/', 'http://user@example.org/path/', 'http:///';

my $far = 4_000_000_000;
my $md5 = sub ($text) { md5_base64($text) =~ tr{+/}{-_}r };
compare 'secure_link' => {
    server => <<'CONF',
        location /md5/ { secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri$remote_addr secret"; return 200 "[$secure_link] [$secure_link_expires]\n"; }
        location /noexpires/ { secure_link $arg_md5; secure_link_md5 "$uri secret"; return 200 "[$secure_link] [$secure_link_expires]\n"; }
        location /p/ { secure_link_secret word; if ($secure_link = "") { return 403; } return 200 "[$secure_link]\n"; }
        location /none { return 200 "[$secure_link]\n"; }
CONF
}, join "\n", map { "GET $_" } "/md5/a?md5=" . $md5->("$far/md5/a127.0.0.1 secret") . "&expires=$far", "/md5/a?md5=" . $md5->("1/md5/a127.0.0.1 secret") . '&expires=1', "/md5/b?md5=" . $md5->("$far/md5/a127.0.0.1 secret") . "&expires=$far", '/md5/a', '/md5/a?md5=x&expires=y', "/md5/a?md5=" . $md5->('x'),
  '/noexpires/a?md5=' . $md5->('/noexpires/a secret'), '/noexpires/a?md5=' . $md5->('/noexpires/a secret') . '==', '/noexpires/b?md5=' . $md5->('/noexpires/a secret'), '/noexpires/a?md5=', '/noexpires/a',
  '/p/' . Digest::MD5::md5_hex('fileword') . '/file', '/p/' . Digest::MD5::md5_hex('a/bword') . '/a/b', '/p/' . uc(Digest::MD5::md5_hex('fileword')) . '/file', '/p/x/file', '/p/', '/p/' . Digest::MD5::md5_hex('word') . '/', '/none';

compare 'userid' => {
    server => <<'CONF',
        location /off { userid off; return 200 "got=[$uid_got]\n"; }
        location /log { userid log; userid_name id; return 200 "got=[$uid_got] set=[$uid_set]\n"; }
        location /on { userid on; userid_name id; return 200 "got=[$uid_got]\n"; }
CONF
}, <<'REQUESTS';
GET /off
GET /off | Cookie: uid=fwAAAWVT8QAAAAABAwMGAg==
GET /log
GET /log | Cookie: id=fwAAAWVT8QAAAAABAwMGAg==
GET /log | Cookie: id=garbage
GET /log | Cookie: other=1
GET /on | Cookie: id=fwAAAWVT8QAAAAABAwMGAg==
GET /on | Cookie: a=b; id=fwAAAWVT8QAAAAABAwMGAg==; c=d
REQUESTS

compare 'browser' => {
    server => 'ancient_browser "MSIE 5" netscape4; ancient_browser_value old; modern_browser_value new; modern_browser gecko 1.8; modern_browser opera 9.0; modern_browser msie 7; modern_browser safari 3; modern_browser konqueror 4;' . <<'CONF',
        location / { return 200 "[$modern_browser] [$ancient_browser] [$msie]\n"; }
        location /unlisted { modern_browser unlisted; return 200 "[$modern_browser] [$ancient_browser] [$msie]\n"; }
CONF
}, join "\n", 'GET /', 'GET /unlisted', map { my $a = $_; ("GET / | User-Agent: $a", "GET /unlisted | User-Agent: $a") } 'Mozilla/4.0 (compatible; MSIE 5.0; Windows)', 'Mozilla/4.0 (compatible; MSIE 6.0; Windows)', 'Mozilla/4.0 (compatible; MSIE 8.0; Windows)', 'Mozilla/5.0 (X11; rv:1.9) Gecko/2008 Firefox/3.0', 'Mozilla/5.0 (X11; rv:1.7.13) Gecko/2006 Firefox/1.0',
  'Opera/9.80 (X11; Linux) Presto', 'Opera/8.5', 'Mozilla/5.0 (Macintosh) AppleWebKit/525 (KHTML, like Gecko) Version/3.1 Safari/525', 'Mozilla/5.0 (compatible; Konqueror/4.5)', 'Mozilla/4.08 [en] (Win98)', 'curl/8', '';

compare 'realip' => {
    http   => 'map "$remote_port-$realip_remote_port" $port { ~^(\d+)-\1$ own; default $remote_port; }',
    server => <<'CONF',
        set_real_ip_from 127.0.0.0/8; set_real_ip_from 10.0.0.0/8; set_real_ip_from 2001:db8::/32; set_real_ip_from unix:;
        location / { real_ip_header X-Forwarded-For; return 200 "$remote_addr $port $realip_remote_addr\n"; }
        location /recursive { real_ip_header X-Forwarded-For; real_ip_recursive on; return 200 "$remote_addr $port $realip_remote_addr\n"; }
        location /real { real_ip_header X-Real-IP; return 200 "$remote_addr $proxy_add_x_forwarded_for\n"; }
        location /custom { real_ip_header CF-Connecting-IP; return 200 "$remote_addr\n"; }
        location /pass { real_ip_header X-Forwarded-For; allow 192.0.2.0/24; deny all; return 200 "$remote_addr\n"; }
        location /deny { real_ip_header X-Forwarded-For; real_ip_recursive on; deny 192.0.2.1; }
CONF
}, join "\n", map { my $path = $_; map { "GET $path | $_" } 'X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 192.0.2.1, 10.0.0.1', 'X-Forwarded-For: 192.0.2.1, 192.0.2.2, 10.0.0.1, 10.0.0.2', 'X-Forwarded-For: 10.0.0.1', 'X-Forwarded-For: 192.0.2.1:8080', 'X-Forwarded-For: [2001:db9::1]:80', 'X-Forwarded-For: 2001:db9::1',
  'X-Forwarded-For: [2001:db9::1]', 'X-Forwarded-For: garbage', 'X-Forwarded-For: garbage, 192.0.2.1', 'X-Forwarded-For: 192.0.2.1, garbage', 'X-Forwarded-For:', 'X-Forwarded-For: 192.0.2.1 10.0.0.1', 'X-Forwarded-For: 192.0.2.1,,10.0.0.1', 'X-Forwarded-For: 192.0.2.1,', 'X-Forwarded-For: unix:', 'X-Forwarded-For: 192.0.2.1 | X-Forwarded-For: 10.0.0.1', 'X-Real-IP: 192.0.2.7',
  'X-Real-IP: 192.0.2.7, 192.0.2.8', 'X-Real-IP: 192.0.2.7:99', 'CF-Connecting-IP: 192.0.2.9', 'CF-Connecting-IP: 2001:db9::9', 'X-Other: 1' } qw(/ /recursive /real /custom /pass /deny);

compare 'the PROXY protocol' => {
    http   => 'map "$remote_port-$realip_remote_port" $port { ~^(\d+)-\1$ own; default $remote_port; }',
    server => <<'CONF',
        listen 127.0.0.1:%port0% proxy_protocol;
        set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;
        location / { return 200 "$remote_addr:$port $realip_remote_addr pp=$proxy_protocol_addr:$proxy_protocol_port server=$proxy_protocol_server_addr:$proxy_protocol_server_port $server_addr\n"; }
CONF
}, join "\n", map { "raw=${_}GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n" } 'PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n', 'PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n', 'PROXY UNKNOWN\r\n', 'PROXY UNKNOWN 1 2 3 4\r\n',
  '\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50', '\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00', '\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x04\xd2\x00\x50', '\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50\x04\x00\x01x';

compare 'WebDAV' => {
    files  => { 'dav/f.txt' => 'old', 'dav/d/x' => 'x', 'dav/d/e/y' => 'y', 'dav/g.txt' => 'g' },
    prepare => sub ($server) { system 'chmod', '-R', '0777', "$server->{dir}/dav"; mkdir "$server->{dir}/tmp"; chmod 0777, "$server->{dir}/tmp" },
    server => <<'CONF',
        root %dir%/dav; client_body_temp_path %dir%/tmp; create_full_put_path on; dav_access user:rw group:rw all:rw;
        location / { dav_methods PUT DELETE MKCOL COPY MOVE; }
        location /some { dav_methods PUT; }
        location /depth/ { dav_methods DELETE; min_delete_depth 3; alias %dir%/dav/; }
        location /none/ { alias %dir%/dav/; }
CONF
    differs => [
        qr{^(?:PUT|GET) /new/none} => 'manual: PUT of an empty body makes an empty file',
        qr{^COPY /g.txt .*/no/} => 'manual: PUT and COPY without their collection are answered with 409',
        qr{^(?:COPY|MOVE) /(?:g.txt|d/) .*: (?:http://localhost)?/(?:g.txt|d/in/)$} => 'manual: COPY and MOVE onto or into themselves',
    ],
}, <<'REQUESTS';
PUT /new.txt | body=one
GET /new.txt
PUT /new.txt | body=two
GET /new.txt
PUT /new/deep/f.txt | body=deep
GET /new/deep/f.txt
PUT /new/empty | body=
PUT /new/none
GET /new/none
GET /new/empty
PUT /d | body=x
PUT /d/ | body=x
PUT /part | body=x | Content-Range: bytes 0-0/1
PUT /chunked | body=3\r\nabc\r\n0\r\n\r\n | Transfer-Encoding: chunked
GET /chunked
PUT /dated | body=x | Date: Tue, 14 Nov 2023 22:13:20 GMT
GET /dated
MKCOL /col
MKCOL /col2/
GET /col2
MKCOL /col2/
MKCOL /no/way/
MKCOL /col3/ | body=x
COPY /g.txt | Destination: /h.txt
COPY /g.txt | Destination: http://localhost/i.txt
COPY /g.txt | Destination: /i.txt | Overwrite: F
COPY /g.txt | Destination: /i.txt | Overwrite: T
COPY /g.txt | Destination: /i.txt | Overwrite: x
COPY /g.txt | Destination: http://other.test/j.txt
COPY /g.txt
COPY /g.txt | Destination: relative
COPY /g.txt | Destination: /../x
COPY /g.txt | Destination: /no/way/x
COPY /nothing | Destination: /x
COPY /d/ | Destination: /copied/
COPY /d/ | Destination: /copied2
COPY /d | Destination: /copied3/
COPY /d/ | Destination: /copied4/ | Depth: 1
GET /copied/e/y
COPY /g.txt | Destination: /d/
COPY /g.txt | Destination: /g.txt
MOVE /h.txt | Destination: /moved.txt
GET /h.txt
GET /moved.txt
MOVE /copied/ | Destination: /renamed/
GET /renamed/e/y
MOVE /copied/ | Destination: /again/
MOVE /renamed/ | Destination: /renamed2/ | Depth: 0
MOVE /moved.txt | Destination: /g.txt | Overwrite: F
MOVE /moved.txt | Destination: /i.txt
DELETE /i.txt
DELETE /i.txt
DELETE /renamed
DELETE /renamed/ | Depth: 0
DELETE /renamed/
DELETE /g.txt | Depth: 1
DELETE /g.txt | Depth: infinity
DELETE /depth/f.txt
DELETE /depth/d/
DELETE /depth/d/x
DELETE /depth/d/e/y
DELETE /none/f.txt
PUT /some | body=x
DELETE /some
POST /f.txt | body=x
PROPFIND /f.txt | Depth: 1
OPTIONS /f.txt
LOCK /f.txt
DELETE /f.txt | body=x
REQUESTS

compare 'stub_status' => {
    server => 'location = /status { stub_status; } location = /old { stub_status on; } location /v { return 200 "$connections_active $connections_writing\n"; }',
}, join "\n", 'GET /status', 'HEAD /status', 'POST /status | body=x', 'GET /old', 'GET /v', 'GET /status | version=1.0';

done_testing;
