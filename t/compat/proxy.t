#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# What origins get and what becomes of their answers is what nginx makes of it.

use lib 't/lib';
use Compat;

my $echo = Origin->new('*' => { echo => 1 });

compare 'the URI of proxy_pass' => {
    differs => [
        qr{^GET /(?:regexvar|varuri)/a%20b} => 'manual: or from variables, is percent-encoded',
    ],
    http   => "upstream group { server $echo->{address}; keepalive 4; }",
    server => <<CONF,
        location /none/ { proxy_pass $echo->{url}; }
        location /slash/ { proxy_pass $echo->{url}/; }
        location /path/ { proxy_pass $echo->{url}/base/; }
        location /pathno/ { proxy_pass $echo->{url}/base; }
        location /noslash { proxy_pass $echo->{url}/base; }
        location /noslash2 { proxy_pass $echo->{url}/; }
        location = /exact { proxy_pass $echo->{url}/other; }
        location ~ ^/regex/ { proxy_pass $echo->{url}; }
        location ~ ^/regexvar/(.*)\$ { proxy_pass $echo->{url}/v/\$1; }
        location ~ ^/regexvarargs/(.*)\$ { proxy_pass $echo->{url}/v/\$1\$is_args\$args; }
        location /var/ { set \$u $echo->{url}; proxy_pass \$u; }
        location /varuri/ { proxy_pass $echo->{url}\$uri; }
        location /varrequest/ { proxy_pass $echo->{url}\$request_uri; }
        location /varargs/ { proxy_pass $echo->{url}/fixed?\$args; }
        location /varhost/ { proxy_pass http://\$proxied; set \$proxied $echo->{address}; }
        location /group/ { proxy_pass http://group; }
        location /groupuri/ { proxy_pass http://group/g/; }
        location /groupvar/ { set \$g group; proxy_pass http://\$g/x/; }
        location /args/ { proxy_pass $echo->{url}/a?fixed=1; }
        location /rewrite/ { rewrite ^/rewrite/(.*)\$ /new/\$1 break; proxy_pass $echo->{url}; }
        location /rewriteuri/ { rewrite ^/rewriteuri/(.*)\$ /new/\$1 break; proxy_pass $echo->{url}/ignored/; }
        location /rewriteargs/ { rewrite ^/rewriteargs/(.*)\$ /new?q=\$1 break; proxy_pass $echo->{url}; }
        location /rewritelast/ { rewrite ^/rewritelast/(.*)\$ /path/\$1 last; }
        location /limited/ { limit_except GET { proxy_pass $echo->{url}; } proxy_pass $echo->{url}/get/; }
        location /outer/ { proxy_pass $echo->{url}/o/; location /outer/inner/ { proxy_pass $echo->{url}/i/; } location /outer/nothing/ { } }
        location /error/ { error_page 404 = /path/x; return 404; }
        location /named/ { try_files /none \@named; }
        location \@named { proxy_pass $echo->{url}; }
CONF
}, join "\n", map { "GET $_" } split ' ', <<'TARGETS';
/none/a /none/a?b /none/a%20b /none/a%2fb /none/../none/x /none//x /slash/ /slash/a /slash/a?b /slash//a /slash /path/ /path/a /path/a%20b?c=%20 /path/a%2fb /path/%c3%a9 /path/a%3fb /path/a/../b /pathno/ /pathno/a /noslash /noslash/a /noslashx /noslash2/a
/exact /exact?x /regex/a%20b?c /regexvar/a%20b?c /regexvar/a /regexvarargs/a?c /var/a%20b?c /varuri/a%20b?c /varrequest/a%20b?c /varargs/x?a=b /varargs/x /varhost/a?b /group/a /groupuri/a?b /groupvar/a?b /args/x?y /args/x
/rewrite/a /rewrite/a%20b?c /rewriteuri/a?b /rewriteargs/a%26b?c /rewritelast/a?b /limited/x /outer/x /outer/inner/x /outer/nothing/x /error/a?b /named/a%20b?c
TARGETS

compare 'an origin that nothing is said of' => {
    own_proxy => 1,
    differs   => [ qr{^GET} => 'nginx 1.29.7: HTTP/1.1 towards origins, without a "Connection" field, by default' ],
    location  => "proxy_pass $echo->{url};",
}, 'GET /a';

compare 'as it was by default' => {
    own_proxy => 1,
    location  => "proxy_http_version 1.0; proxy_set_header Connection close; proxy_pass $echo->{url};",
}, "GET /a\nPOST /b | body=c\nGET /a | keep";

compare 'fields for the origin' => {
    http   => "upstream group { server $echo->{address}; }",
    server => <<CONF,
        location /default { proxy_pass $echo->{url}; }
        location /http10 { proxy_http_version 1.0; proxy_pass $echo->{url}; }
        location /group { proxy_pass http://group; }
        location /host { proxy_set_header Connection ""; proxy_set_header Host \$host; proxy_pass $echo->{url}; }
        location /hosthttp { proxy_set_header Connection ""; proxy_set_header Host \$http_host; proxy_pass $echo->{url}; }
        location /hostproxy { proxy_set_header Connection ""; proxy_set_header Host \$proxy_host:\$proxy_port; proxy_pass $echo->{url}; }
        location /hostempty { proxy_set_header Connection ""; proxy_set_header Host ""; proxy_pass $echo->{url}; }
        location /typical {
            proxy_set_header Host \$host; proxy_set_header X-Real-IP \$remote_addr; proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto \$scheme; proxy_set_header X-Forwarded-Host \$host; proxy_set_header X-Forwarded-Port \$server_port; proxy_set_header Connection "";
            proxy_pass $echo->{url};
        }
        location /remove { proxy_set_header Connection ""; proxy_set_header Accept ""; proxy_set_header Cookie ""; proxy_set_header X-A ""; proxy_set_header Accept-Encoding ""; proxy_pass $echo->{url}; }
        location /replace { proxy_set_header Connection ""; proxy_set_header X-A new; proxy_set_header User-Agent me; proxy_pass $echo->{url}; }
        location /var { proxy_set_header Connection ""; proxy_set_header X-B "\$arg_b"; proxy_set_header X-C "c \$http_x_a \$http_x_none"; proxy_pass $echo->{url}; }
        location /twice { proxy_set_header Connection ""; proxy_set_header X-T 1; proxy_set_header X-T 2; proxy_pass $echo->{url}; }
        location /upgrade { proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade; proxy_pass $echo->{url}; }
        location /connection { proxy_set_header Connection \$http_connection; proxy_pass $echo->{url}; }
        location /outer/ { proxy_set_header Connection ""; proxy_set_header X-Outer 1; proxy_pass $echo->{url}; location /outer/inherits { proxy_pass $echo->{url}; } location /outer/own { proxy_set_header Connection ""; proxy_set_header X-Own 1; proxy_pass $echo->{url}; } }
        location /nofields { proxy_pass_request_headers off; proxy_set_header Connection ""; proxy_set_header X-A set; proxy_pass $echo->{url}; }
        location /method { proxy_method POST; proxy_pass $echo->{url}; }
        location /methodvar { proxy_method \$arg_m; proxy_pass $echo->{url}; }
        location /body { proxy_set_body "b=\$arg_b"; proxy_pass $echo->{url}; }
CONF
}, join "\n", (map { "GET $_ | X-A: 1 | Cookie: a=b; c=d | User-Agent: t | Accept: */* | Accept-Encoding: gzip | Accept-Encoding: br | Authorization: Basic eDp5 | X-Forwarded-For: 10.0.0.1 | Referer: http://r/ | If-Modified-Since: x | Range: bytes=0-1" }
  map { s/\s//gr } '/default', '/group', '/host', '/hosthttp', '/hostproxy', '/hostempty', '/typical', '/remove', '/replace', '/var?b=2', '/var', '/twice', '/upgrade', '/connection', '/outer/x', '/outer/inherits', '/outer/own', '/nofields', '/method', '/methodvar?m=LOCK', '/body?b=1'),
  'GET /default | version=1.0', 'GET /default | nohost | version=1.0', 'HEAD /default', 'OPTIONS /default', 'PROPFIND /default', 'POST /typical | body=abc', 'DELETE /default', 'GET /http10', 'POST /http10 | body=abc', 'GET /host | host=Example.ORG:81', 'GET /hosthttp | host=Example.ORG:81', 'GET /typical | host=Example.ORG:81',
  'GET /upgrade | Upgrade: x | Connection: upgrade', 'GET /connection | keep | Connection: keep-alive', 'GET /default | Content-Type: a/b', 'POST /body?b=xyz | body=original', 'GET http://abs.test/default', 'GET /hosthttp | host=', 'GET /default | TE: trailers | Connection: TE', 'GET /default | Via: 1.1 x | Forwarded: for=1.2.3.4';

my $page = { body => "body\n", content_type => 'text/plain' };
my $origin = Origin->new(
    '/fields'   => { %$page, fields => [ 'X-A: 1', 'X-A: 2', 'X-Pad: p', 'X-Accel-Expires: 5', 'Set-Cookie: a=b', 'Set-Cookie: c=d', 'Cache-Control: no-cache', 'Expires: Thu, 01 Jan 1970 00:00:01 GMT', 'Date: Mon, 13 Nov 2023 22:13:20 GMT', 'Server: Origin', 'ETag: "o"', 'Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT', 'Vary: Accept', 'Link: <x>', 'Refresh: 5; url=http://origin.test/x', 'WWW-Authenticate: Basic', 'Content-Language: en', 'Content-Disposition: inline', 'Accept-Ranges: bytes', 'P3P: x', 'Keep-Alive: timeout=5', 'X-Accel-Unknown: 1' ] },
    '/cookies'  => { %$page, fields => [ 'Set-Cookie: a=b; Domain=origin.test; Path=/app/x; Secure', 'Set-Cookie: c=d; domain=.ORIGIN.test; path=/', 'Set-Cookie: e=f; Path=/other', 'Set-Cookie: g', 'Set-Cookie: h=i; Domain=x.test; HttpOnly; SameSite=Strict' ] },
    (map { ("/to$_->[0]" => { status => $_->[2] // 302, fields => ["Location: $_->[1]"] }) } [ 1, 'http://origin.test/app/x' ], [ 2, '/app/x' ], [ 3, 'https://origin.test:8443/app/x' ], [ 4, 'http://other.test/' ], [ 5, "http://$echo->{address}/x" ], [ 6, 'x/y' ], [ 7, 'http://ORIGIN.test/app/x?a=b#c' ], [ 8, '//origin.test/app/' ], [ 9, '' ], [ 10, '/base/x', 301 ], [ 11, '/x', 201 ], [ 12, '/x', 200 ], [ 13, 'http://localhost/base/x', 307 ]),
    (map { ("/status$_" => { status => $_, body => "status $_\n", content_type => 'text/x', fields => ['X-Origin: 1'] }) } 200, 201, 202, 203, 206, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 425, 426, 428, 429, 431, 451, 494, 499, 500, 501, 502, 503, 504, 505, 507, 511, 599, 600, 999),
    '/204'      => { status => 204 },
    '/304'      => { status => 304, fields => ['ETag: "o"'] },
    '/chunked'  => { chunks => [ 'one', 'two' ], content_type => 'text/plain' },
    '/trailers' => { chunks => ['one'], trailers => ['X-Trailer: 1'], fields => ['Trailer: X-Trailer'] },
    '/close'    => { body => 'until the end', until_close => 1 },
    '/empty'    => { body => '' },
    '/big'      => { body => 'x' x 100_000 },
    '/reason'   => { raw => "HTTP/1.1 200 Fine And Dandy\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok" },
    '/noreason' => { raw => "HTTP/1.1 200\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok" },
    '/http10'   => { raw => "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold" },
    '/gzip'     => { %$page, fields => ['Content-Encoding: gzip'] },
    '/accel'    => { fields => [ 'X-Accel-Redirect: /files/f.txt?a=b', 'Content-Type: text/x', 'Set-Cookie: a=b', 'X-Other: 1', 'Content-Disposition: attachment', 'Cache-Control: private', 'Expires: 0', 'ETag: "o"', 'Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT' ], body => 'hidden' },
    '/accelnamed'  => { fields => ['X-Accel-Redirect: @named'], body => 'hidden' },
    '/accelnone'   => { fields => ['X-Accel-Redirect: /nothing'], body => 'hidden' },
    '/accel404'    => { status => 404, fields => ['X-Accel-Redirect: /files/f.txt'], body => 'hidden' },
    '/accelpublic' => { fields => ['X-Accel-Redirect: /public'], body => 'hidden' },
    '/acceldots'   => { fields => ['X-Accel-Redirect: /files/../../secret'], body => 'hidden' },
    '/accelencoded' => { fields => ['X-Accel-Redirect: /files/a%20b.txt'], body => 'hidden' },
    '/accelbuffering' => { %$page, fields => ['X-Accel-Buffering: no'] },
    '/accelrate'      => { %$page, fields => ['X-Accel-Limit-Rate: 100000'] },
    '/accelcharset'   => { %$page, fields => ['X-Accel-Charset: utf-8'] },
    '/head'           => { body => "body\n" },
);
my @statuses = map { "status$_" } 200, 201, 202, 203, 206, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 425, 426, 428, 429, 431, 451, 494, 499, 500, 501, 502, 503, 504, 505, 507, 511, 599, 600, 999;
my $prefixes = join "\n", map { "location /$_->[0]/ { proxy_pass $origin->{url}/; $_->[1] }" }
  [ 'plain', '' ], [ 'hide', 'proxy_hide_header X-A; proxy_hide_header Set-Cookie; proxy_hide_header ETag; proxy_hide_header Cache-Control;' ], [ 'pass', 'proxy_pass_header Server; proxy_pass_header Date; proxy_pass_header X-Pad; proxy_pass_header X-Accel-Expires; proxy_pass_header X-Accel-Redirect;' ],
  [ 'add', 'add_header X-Added 1; add_header X-A 3; add_header Cache-Control x; expires 1h;' ], [ 'always', 'add_header X-Added 1; add_header X-Always 2 always;' ],
  [ 'intercept', 'proxy_intercept_errors on; error_page 301 302 =200 /page; error_page 404 =418 /page; error_page 500 503 /page; error_page 403 http://elsewhere.test/;' ], [ 'unbuffered', 'proxy_buffering off;' ],
  [ 'ignore', 'proxy_ignore_headers X-Accel-Redirect X-Accel-Buffering X-Accel-Limit-Rate X-Accel-Charset Expires Cache-Control Set-Cookie Vary;' ],
  [ 'noforce', 'proxy_force_ranges on;' ], [ 'vars', 'add_header X-Vars "$upstream_status $upstream_http_x_a $upstream_cookie_a $upstream_http_content_type $sent_http_x_a $upstream_http_none" always;' ];

compare 'answers of the origin' => {
    differs => [
        qr{/trailers} => 'manual: without the trailers themselves, Trailer',
        qr{/noreason$} => 'manual: All codes of the registry have their reason phrase.',
        qr{^GET /pass/(?:cookies|status)} => 'manual: A response without Date gets one',
        qr{^GET /vars/fields} => 'nginx 1.23.0: combines header lines with identical names during lookup of the "$sent_http_...", "$upstream_http_..." variables',
    ],
    files  => { 'files/f.txt' => "file\n", 'files/a b.txt' => "blank\n", 'html/x' => 'x', 'secret' => 's' },
    server => <<CONF . $prefixes,
        location = /page { return 200 "page \$uri\\n"; }
        location /public { return 200 "public \$uri \$upstream_http_x_other\\n"; }
        location /files/ { internal; alias %dir%/files/; add_header X-File "\$upstream_http_x_other"; }
        location \@named { return 200 "named \$uri\\n"; }
CONF
}, join "\n", (map { "GET /plain/$_" } qw(fields cookies 204 304 chunked trailers close empty big reason noreason http10 gzip accel accelnamed accelnone accel404 accelpublic acceldots accelencoded accelbuffering accelrate accelcharset), @statuses),
  (map { my $path = $_; map { "GET /$path/$_" } qw(fields cookies status404 status500 chunked) } qw(hide pass add always vars)), (map { "GET /pass/$_" } qw(accel status302)), (map { "GET /intercept/$_" } @statuses[ 0, 6, 7, 15, 16, 36 .. 40 ]),
  (map { "GET /unbuffered/$_" } qw(fields chunked trailers close empty big 204 304 status404)), (map { "GET /ignore/$_" } qw(fields accel accelbuffering accelcharset)),
  'GET /plain/trailers | TE: trailers', 'GET /plain/fields | Range: bytes=0-1', 'GET /noforce/fields | Range: bytes=0-1', 'GET /noforce/chunked | Range: bytes=0-1', 'GET /plain/fields | If-None-Match: "o"', 'GET /plain/fields | If-Modified-Since: Mon, 13 Nov 2023 22:13:20 GMT',
  (map { ("HEAD /plain/$_", "GET /plain/$_ | version=1.0", "GET /plain/$_ | version=1.0 | Connection: keep-alive | keep") } qw(fields chunked close empty head 204)), 'POST /plain/accel | body=abc', 'GET /plain/accel | Range: bytes=0-1', 'GET /intercept/accel404', 'GET /plain/accel | If-Modified-Since: Wed, 15 Nov 2023 22:13:20 GMT';

compare 'redirects and cookies' => {
    server => join("\n", map { "location /$_->[0]/ { proxy_pass $origin->{url}/; $_->[1] }" }
      [ 'default', '' ], [ 'off', 'proxy_redirect off;' ], [ 'given', 'proxy_redirect http://origin.test/app/ /given/;' ], [ 'full', 'proxy_redirect http://origin.test/app/ http://front.test/full/;' ], [ 'several', 'proxy_redirect http://other.test/ /other/; proxy_redirect /app/ /several/; proxy_redirect default;' ],
      [ 'regex', 'proxy_redirect ~^https?://([^/:]+)(?::(\\d+))?/(.*)$ /to/$1/$2/$3;' ], [ 'nocase', 'proxy_redirect ~*^http://origin\\.TEST/(.*)$ $scheme://$host/$1;' ], [ 'variable', 'proxy_redirect http://origin.test/$arg_p/ /v/$arg_p/;' ], [ 'to', 'proxy_redirect / /prefixed/;' ], [ 'empty', 'proxy_redirect http://origin.test/app/x "";' ],
      [ 'domain', 'proxy_cookie_domain origin.test front.test; proxy_cookie_path /app/ /;' ], [ 'domainregex', 'proxy_cookie_domain ~\\.?(origin|x)\\.test$ $1.front; proxy_cookie_path ~^/(.*)$ /p/$1;' ], [ 'domainoff', 'proxy_cookie_domain off; proxy_cookie_path off;' ], [ 'domaindot', 'proxy_cookie_domain .origin.test front.test; proxy_cookie_path / "/; Secure";' ], [ 'domainvar', 'proxy_cookie_domain origin.test $host; proxy_cookie_path /app/ /$arg_p/;' ], [ 'drop', 'proxy_cookie_domain origin.test "";' ])
      . "location /base/ { proxy_pass $origin->{url}/; } location /var/ { set \$o $origin->{url}; rewrite ^/var(.*)\$ \$1 break; proxy_pass \$o; }",
}, join "\n", (map { my $path = $_; map { "GET /$path/to$_" } 1 .. 13 } qw(default off given full several regex nocase to empty base var)), (map { "GET /variable/to1?p=$_" } 'app', 'x', ''), (map { "GET /$_/cookies?p=q" } qw(default domain domainregex domainoff domaindot domainvar drop)),
  (map { "GET /$_/fields" } qw(default given to regex)), 'GET /default/to5 | host=front.test:99', 'GET /nocase/to7 | host=front.test:99';

done_testing;
