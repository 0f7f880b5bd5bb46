#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Settings of servers and locations: redirects, keep-alive, fields of requests, symbolic links, nesting of error pages.

use lib 't/lib';
use Compat;

my $origin = Origin->new(
    '/404' => { status => 404, body => 'origin none' }, '/500' => { status => 500, body => 'origin error' }, '/chunks' => { chunks => [ 'one', 'two' ] },
    '/dir' => { status => 301, fields => ['Location: /dir/'] }, '*' => { echo => 1 },
);

compare 'redirects that are made here' => {
    files  => { 'html/d/index.html' => 'd', 'html/a b/index.html' => 'ab', "html/\xc3\xa9/index.html" => 'e' },
    server => <<CONF,
        server_name first.test second.test;
        listen 127.0.0.1:%port0%;
        listen 127.0.0.1:%port1%;
        location / { }
        location /none/ { absolute_redirect off; alias %dir%/html/; return 301 /x\$uri; }
        location /noport/ { port_in_redirect off; return 302 /x; }
        location /name/ { server_name_in_redirect on; return 307 /x; }
        location /nameport/ { server_name_in_redirect on; port_in_redirect off; return 308 /x; }
        location /tls/ { return 301 https://\$server_name\$request_uri; }
        location /to { location /to/in { absolute_redirect off; rewrite ^ /x? permanent; } rewrite ^ /y redirect; }
        location /pass/ { proxy_pass $origin->{url}/; }
        location = /slash { proxy_pass $origin->{url}/dir; }
        location /tail/ { return 200 tail; }
        location /tailpass/ { proxy_pass $origin->{url}; }
        location /headered/ { add_header X-H "\$request_filename"; proxy_pass $origin->{url}; }
        location /relative/ { absolute_redirect off; proxy_pass $origin->{url}; location /relative/in/ { proxy_pass $origin->{url}; } }
CONF
}, join "\n", map { my $r = $_; ($r, "$r | host=second.test", "$r | host=other.test:99", "$r | port=1", "$r | nohost | version=1.0") }
  map { "GET $_" } qw(/d /d?x=%20 /a%20b /%c3%a9 /none/ /noport/ /name/ /nameport/ /tls/a?b /to/x /to/in /pass/dir /pass/none /slash /tail /tail?a /tailpass /relative /relative/in /headered);

my @keep = map { "raw=$_" } 'GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /c HTTP/1.0\r\n\r\n', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'GET /none HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /bad HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'GET /moved HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /origin HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'GET /msie HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0)\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'POST /a HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
my $served = "location / { return 200 \"\$uri\\n\"; } location /none { return 404; } location /bad { return 400; } location /moved { return 301 /x; } location /origin { proxy_pass $origin->{url}; }";

compare 'kept connections'      => { server => $served }, join "\n", @keep;
compare 'two requests each'     => { server => "keepalive_requests 2; $served" }, join "\n", @keep;
compare 'no kept connections'   => { server => "keepalive_timeout 0; $served" }, join "\n", @keep;
compare 'a time that is told'   => { server => "keepalive_timeout 60s 30s; keepalive_disable none; $served" }, join "\n", @keep;
compare 'not for some browsers' => { server => "keepalive_disable msie6 safari; $served" }, join "\n", @keep;

compare 'fields of requests' => {
    differs => [
        qr{^GET / .*X_Y: 1 \| X-Y} => 'nginx 1.23.0: nginx combines arbitrary header lines with identical names during lookup of the "$http_..." variables',
    ],
    server => <<CONF,
        server_name plain;
        underscores_in_headers on;
        location / { return 200 "x_y=\$http_x_y dots=\$http_x_z\\n"; }
        location /origin { proxy_pass $origin->{url}; }
CONF
}, join "\n", map { ("GET / | $_", "GET /origin | $_") } 'X_Y: 1', 'X-Y: 2', 'X_Y: 1 | X-Y: 2', 'X.Z: 3', 'X-Z: 4', '_X: 5', 'X@Z: 6', "X'Z: 7", 'X-: 8', '-X: 9', 'X: ', 'x-y: lower', 'X-Y:nospace', 'Content_Length: 5', 'Transfer_Encoding: chunked';

compare 'fields with odd names' => {
    differs => [
        qr{X\@Z} => 'manual: off a name that is no token is answered with 400',
    ],
    server => "ignore_invalid_headers off; location / { return 200 \"x_y=\$http_x_y\\n\"; } location /origin { proxy_pass $origin->{url}; }",
}, join "\n", map { ("GET / | $_", "GET /origin | $_") } 'X_Y: 1', 'X.Z: 3', 'X@Z: 6', 'Bad Name: x', 'X-Y: 2';

compare 'chunks' => {
    server => "location / { proxy_pass $origin->{url}; } location /off/ { chunked_transfer_encoding off; proxy_pass $origin->{url}/; }",
}, <<'REQUESTS';
GET /chunks
GET /off/chunks
GET /off/chunks | keep
GET /chunks | version=1.0
HEAD /off/chunks
REQUESTS

compare 'names of the server' => {
    differs => [
        qr{^GET /(?!ok).*MSIE} => 'manual: Error pages are never padded',
    ],
    server => <<'CONF',
        server_tokens off;
        location / { return 404; }
        location /on { server_tokens on; return 404; }
        location /nested/ { server_tokens on; location /nested/off { server_tokens off; return 500; } return 500; }
        location /ok { return 200 x; }
CONF
}, join "\n", map { ("GET $_", "HEAD $_", "GET $_ | User-Agent: Mozilla/4.0 (compatible; MSIE 6.0)") } qw(/ /on /nested/ /nested/off /ok);

compare 'links' => {
    files   => { 'html/real.txt' => 'real', 'html/d/f.txt' => 'f', 'outside/o.txt' => 'o' },
    prepare => sub ($server) {
        symlink 'real.txt',   "$server->{dir}/html/link.txt";
        symlink 'd',          "$server->{dir}/html/linkdir";
        symlink '../outside', "$server->{dir}/html/out";
        symlink 'nowhere',    "$server->{dir}/html/broken";
    },
    server => <<'CONF',
        location / { }
        location /on/ { disable_symlinks on; alias %dir%/html/; }
        location /owner/ { disable_symlinks if_not_owner; alias %dir%/html/; }
        location /from/ { disable_symlinks on from=%dir%/html; alias %dir%/html/; }
        location /try/ { disable_symlinks on from=%dir%/html; alias %dir%/html/; try_files $uri /real.txt; }
CONF
}, join "\n", map { my $prefix = $_; map { "GET $prefix$_" } qw(/real.txt /link.txt /linkdir/f.txt /linkdir /out/o.txt /broken /d/f.txt) } '', qw(/on /owner /from /try);

compare 'pages within pages' => {
    files  => { 'html/404.html' => "404\n", 'html/500.html' => "500\n", 'html/ok.txt' => "ok\n" },
    http   => 'error_page 404 /404.html;',
    server => <<CONF,
        error_page 500 /500.html;
        location /inherits { return 500; }
        location /lost { return 404; }
        location /own/ { error_page 403 /ok.txt; location /own/deny { deny all; } location /own/500 { return 500; } }
        location /rec/ { recursive_error_pages on; error_page 404 = /rec2/; return 404; }
        location /rec2/ { recursive_error_pages on; error_page 403 = /rec3; return 403; }
        location /rec3 { return 200 "three \$uri\\n"; }
        location /circle/ { recursive_error_pages on; error_page 404 /circle/again; return 404; }
        location /once/ { error_page 404 /once/again; return 404; }
        location /proxied/ { proxy_intercept_errors on; recursive_error_pages on; error_page 404 = /proxied2/x; proxy_pass $origin->{url}/404; }
        location /proxied2/ { proxy_intercept_errors on; error_page 500 = /rec3; proxy_pass $origin->{url}/500; }
        location /named/ { recursive_error_pages on; error_page 404 = \@one; return 404; }
        location \@one { recursive_error_pages on; error_page 502 = \@two; proxy_pass http://127.0.0.1:%port9%; }
        location \@two { return 200 "two \$uri\\n"; }
        location /internal/ { internal; }
        location /code/ { error_page 404 =503 /404.html; }
        location /keep/ { error_page 404 = /ok.txt; }
        location /post/ { error_page 404 /method; return 404; }
        location /method { return 200 "\$request_method\\n"; }
        location /large/ { client_max_body_size 1; error_page 413 /ok.txt; proxy_pass $origin->{url}; }
        location /redirected/ { error_page 404 =302 /elsewhere; return 404; }
        location /header/ { error_page 401 /ok.txt; add_header WWW-Authenticate x always; return 401; }
CONF
}, join "\n", (map { ("GET $_", "HEAD $_") } qw(/inherits /lost /none /own/deny /own/500 /own/none /rec/x /circle/x /once/x /proxied/x /named/x /internal/x /code/x /keep/x /redirected/x /header/x)), 'POST /post/ | body=abc', 'PUT /post/ | body=abc', 'POST /large/ | body=abc', 'GET /lost | version=1.0', 'GET /lost | Range: bytes=0-0';

done_testing;
