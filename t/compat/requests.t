#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Targets, hosts, versions, connections, bodies and fields: what is accepted, refused and made of it is what nginx makes.

use lib 't/lib';
use Compat;

my $origin = Origin->new('*' => { echo => 1 });
my $show   = 'return 200 "uri=$uri args=$args request_uri=$request_uri host=$host\n";';

my $targets = join "\n", map { "GET $_" } split ' ', <<'TARGETS';
/a /a/ /a//b //a ///a/// /a/./b /a/../b /a/b/.. /a/b/../ /a/b/. /./ /../ /.. /... /.../ /..a /a.. /a../b /.a /a/.b /a/..b/c /a/b/../../c /a/b/../../../c /a/b/..//../c
/%61 /%41 /%2e /%2e%2e /%2e%2e/ /a/%2e%2e/b /a/.%2e/b /a/%2e./b /a%2fb /a%2Fb /a%2f%2fb /a%2f..%2fb /a/..%2fb /a/%2f/b /%2f /%5c /a%5c..%5cb /%25 /%2525 /%252e%252e/ /%20 /%09 /%0a /%0d /%00 /a%00b /%7f /%80 /%ff
/%c3%a9 /%C3%A9 /%e2%82%ac /%u1234 /% /%1 /%g0 /%0g /%-1 /a%20b%20c /a+b /a%2bb /a;b /a;b=c/d /a:b /a@b /a,b /a'b /a(b) /a!b /a*b /a~b /a|b /a^b /a`b /a{b} /a[b] /a"b /a<b> /a\b
/? /?a /?a=b /?a=b&c=d /??a /?a?b /?/../ /?%00 /?%zz /?a%20b /?a+b /a?b/../c /a?b#c /a#b /a#b?c /# /#/../x /?a"b /?a<b> /?a|b /?é /é /a%3fb /a%23b /a%3Fb=c?d=e /a%26b /%3f
http://other.test/a http://other.test http://other.test? http://other.test?a http://other.test/?a http://other.test:81/a http://OTHER.test/A http://other.test/../a HTTP://other.test/a https://other.test/a http:/a http:///a http://user@other.test/a
http://other.test:/a http://[::1]/a http://[::1]:80/a http://1.2.3.4/a http://other.test.:80/a ftp://other.test/a foo:bar a *a other.test:80 ?a #a %2fa http://other.test/a%20b?c#d http://other_test/ http://-/ http://other..test/ http://other.test#a ws://other.test/a
TARGETS

compare 'targets' => {
    differs => [
        qr{http://other[.]test[?]} => 'manual: begins with a slash there too',
        qr{http://other(?:_test/|[.]test#a)} => 'manual: The host of an absolute target may be what Host may be',
    ],
    location => $show }, $targets;
compare 'targets without merge_slashes' => { http => 'merge_slashes off;', location => $show }, join "\n", map { "GET $_" } split ' ', <<'TARGETS';
//a ///a/// /a//b /a//../b /a//..//b /a/..//b //.. /a%2f%2fb /a%2f/b //./ /a/b//../../c //%2e%2e/a
TARGETS

compare 'targets to files' => {
    files  => { 'html/a b' => '1', "html/\xc3\xa9" => '2', 'html/a%b' => '3', 'html/a+b' => '4', 'html/a?b' => '5', 'html/a#b' => '6', 'html/d/x' => '7', 'html/a;b' => '8', 'html/a\\b' => '9', 'html/d e/x' => '10' },
    location => 'autoindex on;',
}, join "\n", map { "GET $_" } split ' ', <<'TARGETS';
/a%20b /a+b /%C3%A9 /%c3%a9 /a%25b /a%b /a%3fb /a%3Fb /a%23b /a#b /a;b /a%3bb /a%5cb /a\b /d%2fx /d/%2e/x /d/x/ /d/x%00 /d%00/x /d /d/ /d%20e /d%20e?x=y /d%20e/ /D/x /d/x/../x /d/none/../x
TARGETS

compare 'targets to an origin' => {
    differs => [
        qr/^GET .uri.a["<{\\]/ => 'manual: is percent-encoded as far as it has blanks',
    ],
    server => <<CONF,
        location / { proxy_pass $origin->{url}; }
        location /uri/ { proxy_pass $origin->{url}/base/; }
        location /var/ { proxy_pass $origin->{url}\$request_uri; }
        location /rewritten/ { rewrite ^/rewritten(/.*) \$1 break; proxy_pass $origin->{url}; }
CONF
}, join "\n", map { "GET $_" } map { ($_, "/uri$_", "/var$_", "/rewritten$_") } split ' ', <<'TARGETS';
/a /a//b /a/../b /a%2fb /a%20b /%41 /%c3%a9 /?a=%20 /a?b#c /a%25b /a%3fb /a"b /a<b /a%7c|b /a;b /a+b /%0a /a%0d%0ab /a\b /a{}^` /%7f%80 /a%23b
TARGETS

compare 'hosts' => {
    differs => [
        qr{host=\.wild} => 'manual: is none of',
        qr{host=(?:named.test:x|\[::1|a\\b|a\@b|a:80:90|a[?]|a#)$} => 'manual: with an unclosed bracket, with anything but a port behind its colon',
    ],
    http   => "server { listen 127.0.0.1:%port0%; server_name default.test; $show }",
    server => "server_name Named.Test *.wild.test re.* ~^(?<sub>.+)\\.regex\\.test\$ ''; location / { return 200 \"named \$host \$http_host \$server_name \$sub\\n\"; }",
}, join "\n", (map { "GET / | host=$_" } split(' ', 'named.test NAMED.test named.test. named.test:80 named.test:x named.test: default.test a.wild.test wild.test a.b.wild.test .wild.test re.anything re. re abc.regex.test ABC.Regex.Test .regex.test
  other.test 127.0.0.1 [::1] [::1]:80 [::1 ::1 a..b a/b a\\b a@b a,b a;b a%20b a_b -a a- .a a:80:90 a? a# *'), 'a b', 'é', "a\x7f", '', 'a' x 300), 'GET / | nohost', 'GET / | nohost | version=1.0',
  'GET / | host=named.test | Host: other.test', 'GET / | host=a.wild.test | version=1.0', 'GET http://a.wild.test/ | host=named.test', 'GET http://a.wild.test/ | nohost', 'GET http://a.wild.test/ | nohost | version=1.0',
  'GET http://a.wild.test:99/ | host=', 'GET / | HOST: x', 'GET / | Host : x', 'GET / | nohost | HOST: named.test', 'GET / | nohost | Host:   named.test  ', 'GET / | nohost | Host:named.test';

compare 'lines and versions' => {
    differs => [
        qr{No-Colon|X: a.x01b} => 'manual: lines without a colon, control bytes in values',
        qr{CONNECT} => 'manual: CONNECT with 405',
        qr{^raw=GET /.r.n} => 'manual: A request without a version (HTTP/0.9) is answered with 400',
        qr{x\*1100\} HTTP} => 'manual: A request that is refused stands in the access log with all that was read of it',
    ],
    server => "large_client_header_buffers 4 1k; client_header_buffer_size 1k; location / { $show }",
}, join "\n", map { s/HOST/Host: a\\r\\nConnection: close/gr =~ s/^/raw=/r } split /\n/, <<'RAW' =~ s/\n\z//r;
GET / HTTP/1.1\r\nHOST\r\n\r\n
GET / HTTP/1.0\r\n\r\n
GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n
GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n
GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHOST\r\n\r\n
GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\nGET /3 HTTP/1.1\r\nHOST\r\n\r\n
GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHOST\r\n\r\n
\r\nGET / HTTP/1.1\r\nHOST\r\n\r\n
\r\n\r\nGET / HTTP/1.1\r\nHOST\r\n\r\n
\nGET / HTTP/1.1\r\nHOST\r\n\r\n
GET / HTTP/1.1\nHost: a\nConnection: close\n\n
GET / HTTP/1.1\r\nHOST, TE\r\n\r\n
GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n
GET / HTTP/1.2\r\nHOST\r\n\r\n
GET / HTTP/1.10\r\nHOST\r\n\r\n
GET / HTTP/1.9\r\nHOST\r\n\r\n
GET / HTTP/2.0\r\nHOST\r\n\r\n
GET / HTTP/0.9\r\nHOST\r\n\r\n
GET / HTTP/01.1\r\nHOST\r\n\r\n
GET / HTTP/1.1x\r\nHOST\r\n\r\n
GET / HTTP/1\r\nHOST\r\n\r\n
GET / HTTP/1.\r\nHOST\r\n\r\n
GET / HTTP/\r\nHOST\r\n\r\n
GET / http/1.1\r\nHOST\r\n\r\n
GET / FOO/1.1\r\nHOST\r\n\r\n
GET / HTTP/1.1 \r\nHOST\r\n\r\n
GET  / HTTP/1.1\r\nHOST\r\n\r\n
GET /  HTTP/1.1\r\nHOST\r\n\r\n
 GET / HTTP/1.1\r\nHOST\r\n\r\n
GET\t/ HTTP/1.1\r\nHOST\r\n\r\n
GET /\tx HTTP/1.1\r\nHOST\r\n\r\n
GET /\x01 HTTP/1.1\r\nHOST\r\n\r\n
GET /\x7f HTTP/1.1\r\nHOST\r\n\r\n
GET /\x00 HTTP/1.1\r\nHOST\r\n\r\n
GET /\xff HTTP/1.1\r\nHOST\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\n X: folded\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nNo-Colon\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\n: empty\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX :blank\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX_Y: underscore\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX.Y: dot\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX(Y: paren\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX\x01Y: control\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: a\x00b\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: a\x01b\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: a\rb\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: \xff\xfe\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX:\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: \t a \t \r\n\r\n
get / HTTP/1.1\r\nHOST\r\n\r\n
G3T / HTTP/1.1\r\nHOST\r\n\r\n
G-T / HTTP/1.1\r\nHOST\r\n\r\n
G_T / HTTP/1.1\r\nHOST\r\n\r\n
G.T / HTTP/1.1\r\nHOST\r\n\r\n
FOO / HTTP/1.1\r\nHOST\r\n\r\n
ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\nHOST\r\n\r\n
CONNECT a:80 HTTP/1.1\r\nHOST\r\n\r\n
TRACE / HTTP/1.1\r\nHOST\r\n\r\n
OPTIONS / HTTP/1.1\r\nHOST\r\n\r\n
GET /\r\nHOST\r\n\r\n
GET\r\n\r\n
GET /\r\n
nonsense\r\n\r\n
\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n
GET /\{x*900} HTTP/1.1\r\nHOST\r\n\r\n
GET /\{x*1100} HTTP/1.1\r\nHOST\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: \{x*900}\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: \{x*1100}\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: \{x*900}\r\nY: \{x*900}\r\nZ: \{x*900}\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\nX: \{x*900}\r\nY: \{x*900}\r\nZ: \{x*900}\r\nW: \{x*900}\r\nV: \{x*900}\r\n\r\n
GET / HTTP/1.1\r\nHOST\r\n\{X-A: b\r\n*50}\r\n
GET / HTTP/1.1\r\nHOST\r\n\{X-A: b\r\n*500}\r\n
RAW

compare 'repeated fields' => {
    differs => [
        qr{^GET / \| (User-Agent|Referer|Accept): a \|| User-Agent: a \|} => 'nginx 1.23.0: nginx combines arbitrary header lines with identical names during lookup of the "$http_..." variables',
        qr{^GET /\S* \| Content-Type: a/b \| Content-Type} => 'nginx 1.23.0: and so of "$content_type", which is "$http_content_type"',
        qr{Expect: 100} => 'manual: 100 (Continue) is sent when the body is about to be read',
        qr{^GET /\w.*X-Hop} => 'manual: names are not forwarded',
        qr{^GET /\w.*(?:Trailer|Proxy-Connection)} => 'manual: Proxy-Connection and, without the trailers themselves, Trailer',
    ],
    server => <<CONF,
        location / { return 200 "host=\$http_host agent=\$http_user_agent referer=\$http_referer cookie=\$http_cookie a=\$cookie_a xff=\$http_x_forwarded_for accept=\$http_accept x=\$http_x_y te=\$http_te\\n"; }
        location /origin { proxy_pass $origin->{url}; }
        location /add { proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for; proxy_set_header Connection ""; proxy_pass $origin->{url}; }
        location /f { }
CONF
    files => { 'html/f' => 'f' },
}, join "\n", map { my $path = $_; map { "GET $path | $_" } split /\n/, <<'FIELDS' } qw(/ /origin /add);
User-Agent: a | User-Agent: b
Referer: a | Referer: b
Cookie: a=1 | Cookie: b=2 | Cookie: a=3
Cookie: a=1; b=2
Cookie: a="1;2"; b
Cookie: A=1;a=2
Cookie:a=1,b=2
Cookie: a = 1
X-Forwarded-For: 1.1.1.1
X-Forwarded-For: 1.1.1.1 | X-Forwarded-For: 2.2.2.2
X-Forwarded-For:
Accept: a | Accept: b
X-Y: 1
X_Y: 1
Authorization: a | Authorization: b
Range: bytes=0- | Range: bytes=1-
If-Modified-Since: a | If-Modified-Since: b
If-None-Match: "a" | If-None-Match: "b"
If-Match: "a" | If-Match: "b"
If-Unmodified-Since: a | If-Unmodified-Since: b
If-Range: "a" | If-Range: "b"
Content-Type: a/b | Content-Type: c/d
Connection: X-Hop | X-Hop: 1
Connection: keep-alive, X-Hop | X-Hop: 1 | Keep-Alive: 5
Keep-Alive: 300
Upgrade: websocket | Connection: upgrade
TE: trailers
TE: gzip
Trailer: X
Expect: something
Expect: 100-Continue
Proxy-Connection: keep-alive
Proxy: http://evil.test
Content-Length: 0 | Content-Length: 0
X-Long: \{x*500}
FIELDS

compare 'bodies' => {
    differs => [
        qr{(?:(?<!/f) \| body=abc|/limitless.*21.) \| Expect: 100-continue} => 'manual: 100 (Continue) is sent when the body is about to be read',
        qr{/nobody \| (?!body=$|body=.\{x.21)} => 'manual: the body is not read before the request is passed on',
        qr{/stream \| body=\S*(?:abc|x\*21).*chunked} => 'manual: a chunked body stays chunked even if all of it is there',
        qr{^PUT /body} => 'manual: fails the request with 500',
        qr{3.nabc.n0.n.n$} => 'manual: Lines of the chunked coding end with CR LF and nothing else',
    ],
    server => <<CONF,
        client_max_body_size 20;
        location / { return 200 "length=\$content_length type=\$content_type\\n"; }
        location /origin { proxy_pass $origin->{url}; }
        location /stream { proxy_request_buffering off; proxy_pass $origin->{url}; }
        location /limitless { client_max_body_size 0; proxy_pass $origin->{url}; }
        location /body { proxy_set_header Connection ""; proxy_set_header X-Body \$request_body; proxy_pass $origin->{url}; }
        location /nobody { proxy_pass_request_body off; proxy_set_header Connection ""; proxy_set_header Content-Length ""; proxy_pass $origin->{url}; }
        location /setbody { proxy_set_body "set:\$request_body"; proxy_pass $origin->{url}; }
        location /nofields { proxy_pass_request_headers off; proxy_pass $origin->{url}; }
        location /method { proxy_method PUT; proxy_pass $origin->{url}; }
        location /f { }
CONF
    files => { 'html/f' => 'f' },
}, join "\n", (map { my $path = $_; map { "$_->[0] $path | $_->[1]" } [ 'POST', 'body=abc' ], [ 'POST', 'body=' ], [ 'PUT', 'body=\r\n\x00' ], [ 'GET', 'body=abc' ], [ 'DELETE', 'body=abc' ], [ 'POST', 'body=\{x*20}' ], [ 'POST', 'body=\{x*21}' ],
    [ 'POST', 'body=3\r\nabc\r\n0\r\n\r\n | Transfer-Encoding: chunked' ], [ 'POST', 'body=3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n | Transfer-Encoding: chunked' ], [ 'POST', 'body=15\r\n\{x*21}\r\n0\r\n\r\n | Transfer-Encoding: chunked' ],
    [ 'POST', 'body=abc | Content-Type: text/x; a=b' ], [ 'POST', 'body=abc | Expect: 100-continue' ], [ 'POST', 'body=\{x*21} | Expect: 100-continue' ] } qw(/ /origin /stream /limitless /body /nobody /setbody /nofields /method /f)),
  (map { "raw=POST /origin HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n$_" } split /\n/, <<'RAW');
\r\n
Content-Length: \r\n\r\n
Content-Length: -1\r\n\r\n
Content-Length: +3\r\n\r\nabc
Content-Length: 3 \r\n\r\nabc
Content-Length: 0x3\r\n\r\nabc
Content-Length: 3, 3\r\n\r\nabc
Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc
Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc
Content-Length: 99999999999999999999\r\n\r\n
Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n
Transfer-Encoding: identity\r\n\r\n
Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n
Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n
Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n
Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n
Transfer-Encoding:\r\n\r\n
Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n
Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n
Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n
Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n
Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n
Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n
Transfer-Encoding: chunked\r\n\r\n03\r\nabc\r\n00\r\n\r\n
Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n
Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n
RAW

done_testing;
