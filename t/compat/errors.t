#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Errors and where they lead: error_page, try_files, named locations, internal, nested locations, access.

use lib 't/lib';
use Compat;

my $origin = Origin->new(
    '/404'    => { status => 404, body => "origin's 404", fields => ['X-Origin: 1'] },
    '/500'    => { status => 500, body => "origin's 500" },
    '/301'    => { status => 301, fields => ['Location: /elsewhere'] },
    '/401'    => { status => 401, fields => ['WWW-Authenticate: Basic realm="o"'], body => 'who' },
    '*'       => { echo => 1 },
);

compare 'error_page' => {
    differs => [
        qr{^(?:GET /(?:named|several)/x|POST /large)} => 'manual: All codes of the registry have their reason phrase.',
    ],
    files  => { 'html/404.html' => "my 404\n", 'html/50x.html' => "my 50x\n", 'html/f.txt' => "f\n", 'html/a b.html' => "blank\n" },
    server => <<CONF,
        error_page 418 /404.html;
        error_page 500 502 503 504 /50x.html;
        recursive_error_pages off;
        location = /50x.html { internal; }
        location /own { error_page 404 /404.html; }
        location /status { error_page 404 =200 /404.html; }
        location /taken { error_page 404 = /give; }
        location /give { return 201 "given \$uri \$request_uri \$status\\n"; }
        location /proxied { error_page 404 = \@origin; }
        location /proxiedcode { error_page 404 =202 \@origin; }
        location /proxiedkeep { error_page 404 \@origin; }
        location /proxied404 { error_page 404 = \@origin404; }
        location \@origin { proxy_pass $origin->{url}; }
        location \@origin404 { rewrite ^ /404 break; proxy_pass $origin->{url}; }
        location \@return { return 203 "named \$uri \$args\\n"; }
        location /named { error_page 403 = \@return; return 403; }
        location /namedmissing { error_page 403 = \@missing; return 403; }
        location /url { error_page 404 http://other.test/gone; }
        location /url301 { error_page 404 =301 http://other.test/gone?u=\$uri; }
        location /urlhttps { error_page 404 =307 https://\$host\$request_uri; }
        location /url308 { error_page 404 =308 https://\$host/; }
        location /url200 { error_page 404 =200 https://\$host/; }
        location /var { error_page 404 /404.html?u=\$uri; }
        location /varname { set \$page /404.html; error_page 404 \$page; }
        location /blank { error_page 404 "/a b.html"; }
        location /twice { error_page 404 /none1; error_page 403 /404.html; }
        location /several { error_page 403 404 410 =203 /f.txt; return 410; }
        location /recursive { recursive_error_pages on; error_page 404 /recursive2; }
        location /recursive2 { recursive_error_pages on; error_page 404 =200 /f.txt; }
        location /nonrecursive { error_page 404 /nonrecursive2; }
        location /nonrecursive2 { error_page 404 =200 /f.txt; }
        location /inherit { return 418; }
        location /noninherit { error_page 404 /404.html; return 418; }
        location /fifty { return 503; }
        location /post { error_page 405 =200 /f.txt; }
        location /postget { error_page 404 = /method; }
        location /method { return 200 "\$request_method \$content_length\\n"; }
        location /methodnamed { error_page 404 = \@method; }
        location \@method { return 200 "\$request_method \$content_length\\n"; }
        location /intercept { proxy_intercept_errors on; error_page 404 /404.html; error_page 301 =200 /f.txt; error_page 401 /404.html; proxy_pass $origin->{url}/; }
        location /nointercept/ { error_page 404 /404.html; proxy_pass $origin->{url}/; }
        location /large { client_max_body_size 1; error_page 413 = \@return; proxy_pass $origin->{url}; }
        location /redirect { error_page 301 302 =200 /f.txt; return 301 /x; }
        location /header { add_header X-A 1; add_header X-B 2 always; error_page 404 /404.html; }
        location = /404.html { add_header X-Page 1; add_header X-Page-Always 1 always; }
CONF
}, <<'REQUESTS';
GET /own/x
HEAD /own/x
GET /own/x?a=b
POST /own/x | body=x
GET /own/x | version=1.0
GET /own/x | If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT
GET /own/x | Range: bytes=0-1
GET /status/x
GET /taken/x?a
GET /proxied/x?a
POST /proxied/x | body=abc
GET /proxiedcode/x
GET /proxiedkeep/x
GET /proxied404/x
GET /named/x?a=b
GET /namedmissing/x
GET /url/x
HEAD /url/x
GET /url301/x
GET /urlhttps/x?y
GET /url308/x
GET /url200/x
GET /var/x
GET /varname/x
GET /blank/x
GET /twice/x
GET /several/x
GET /recursive/x
GET /nonrecursive/x
GET /inherit
GET /noninherit
GET /fifty
GET /50x.html
POST /post | body=a
POST /postget/x | body=abc
PUT /methodnamed/x | body=abc
DELETE /methodnamed/x
GET /intercept404
GET /intercept/404
GET /intercept/301
GET /intercept/401
GET /intercept/500
GET /nointercept/404
GET /nointercept/500
POST /large | body=abc
GET /redirect
GET /header/x
GET /404.html
REQUESTS

compare 'try_files' => {
    differs => [
        qr{^GET /code200/} => 'manual: A code that is no error is answered with an empty response.',
        qr{^GET /pass/} => 'manual: A file that it found counts as a rewritten URI',
        qr{f=/../secret} => 'manual: in it is no file',
    ],
    files => {
        'html/a.txt' => "a\n", 'html/d/index.html' => "d\n", 'html/e/x' => '', 'html/d/a.txt' => "da\n", 'html/$x' => "dollar\n",
        'html/a b.txt' => "blank\n", 'html/maintenance.html' => "maintenance\n", 'alias/a.txt' => "alias a\n", 'alias/d/index.html' => "alias d\n",
        'html/passuri/f.txt' => '', 'secret' => "secret\n", 'html/index.php' => "php\n",
    },
    server => <<CONF,
        location / { try_files \$uri \$uri/ /index.php?q=\$uri&\$args; }
        location ~ \\.php\$ { return 200 "php \$uri \$args \$document_root \$request_filename\\n"; }
        location /code/ { try_files \$uri =404; }
        location /code503/ { error_page 503 /maintenance.html; try_files \$uri =503; }
        location /code200/ { try_files \$uri =200; }
        location /code301/ { try_files \$uri =301; }
        location /code204/ { try_files \$uri =204; }
        location /code444/ { try_files \$uri =444; }
        location /named/ { try_files \$uri \@fallback; }
        location \@fallback { return 200 "fallback \$uri \$request_filename\\n"; }
        location /proxy/ { try_files \$uri \@origin; }
        location \@origin { proxy_pass $origin->{url}; }
        location /first/ { try_files /maintenance.html \$uri =404; }
        location /dir/ { try_files /d/ =404; }
        location /dirnoindex/ { try_files /e/ =404; }
        location /noslash/ { try_files /d =404; }
        location /blank/ { try_files "/a b.txt" =404; }
        location /alias/ { alias %dir%/alias/; try_files \$uri \$uri/ =404; }
        location /aliasfall/ { alias %dir%/alias/; try_files \$uri /a.txt; }
        location ~ ^/regexalias/(.*)\$ { alias %dir%/alias/\$1; try_files "" =404; }
        location /pass/ { try_files /a.txt \@fallback; proxy_pass $origin->{url}/base/; }
        location /passas/ { try_files /a.txt \@fallback; proxy_pass $origin->{url}; }
        location /passuri/ { try_files \$uri \@fallback; proxy_pass $origin->{url}/base/; }
        location /passnone/ { try_files /none /none2; }
        location /ret/ { try_files /a.txt =404; return 202 "x\\n"; }
        location /loop/ { try_files /none /loop/x; }
        location /host/ { try_files /\$host/\$uri /\$arg_f =404; }
        location /last/ { try_files /none /a.txt; }
        location /arg/ { try_files \$arg_f =404; }
        location /type/ { default_type text/plain; try_files /a.txt =404; }
CONF
}, <<'REQUESTS';
GET /a.txt
GET /a.txt?x
GET /d/
GET /d
GET /d?x=1
GET /e/
GET /e
GET /none
GET /none?x=1&y
GET /none/
POST /none | body=x
GET /a%20b.txt
GET /$x
GET /x.php
GET /code/x
GET /code503/x
GET /code200/x
GET /code301/x
GET /code204/x
GET /code444/x
GET /named/x
GET /proxy/x%20y?z
GET /first/x
GET /dir/x
GET /dirnoindex/x
GET /noslash/x
GET /blank/x
GET /alias/a.txt
GET /alias/d
GET /alias/d/
GET /alias/none
GET /alias/
GET /aliasfall/none
GET /regexalias/a.txt
GET /regexalias/none
GET /pass/x?y
GET /passas/%78?y
GET /passuri/f.txt?y
GET /passuri/none?y
GET /passnone/x
GET /ret/x
GET /loop/x
GET /host/x?f=a.txt
GET /last/x
GET /arg/x?f=/a.txt
GET /arg/x?f=/../secret
GET /arg/x?f=/%2e%2e/secret
GET /type/x
REQUESTS

compare 'locations' => {
    server => <<'CONF',
        location / { return 200 "root $uri\n"; }
        location = / { return 200 "exact root\n"; }
        location /a { return 200 "a\n"; }
        location /a/ { return 200 "a/\n"; }
        location /a/b { return 200 "a/b\n"; }
        location = /a/b { return 200 "exact a/b\n"; }
        location ^~ /strong { return 200 "strong\n"; }
        location ^~ /strong/not { location ~ x { return 200 "strong not x\n"; } return 200 "strong not\n"; }
        location ~ ^/re/(?<x>[a-z]+)/(\d+) { return 200 "re x=$x 1=$1 2=$2\n"; }
        location ~* \.JPE?G$ { return 200 "jpeg\n"; }
        location ~ \.jpg$ { return 200 "later\n"; }
        location /outer/ {
            location /outer/inner/ {
                location = /outer/inner/exact { return 200 "exact inner\n"; }
                location ~ \.re$ { return 200 "re inner\n"; }
                return 200 "inner\n";
            }
            location ~ \.re$ { return 200 "re outer\n"; }
            location ~ \.jpg$ { return 200 "jpg outer\n"; }
            return 200 "outer\n";
        }
        location ~ ^/reouter/ {
            location ~ ^/reouter/(.*)\.x$ { return 200 "reinner $1\n"; }
            return 200 "reouter\n";
        }
        location "/with blank" { return 200 "blank\n"; }
        location "/quote\"d" { return 200 "quoted\n"; }
        location /utf8/é { return 200 "utf8\n"; }
        location ~ "^/n{2}/$" { return 200 "nn\n"; }
        location ~ ^/neg/(?!no) { return 200 "neg\n"; }
        location = /exact { return 200 "exact\n"; }
        location /internal { internal; return 200 "internal\n"; }
        location /tointernal { rewrite ^ /internal last; }
        location /tonamed { try_files /none @named; }
        location @named { return 200 "named $uri\n"; }
        location /@named { return 200 "no name\n"; }
        location /%25 { return 200 "percent\n"; }
        location /case { return 200 "lower\n"; }
        location /Case { return 200 "upper\n"; }
CONF
}, join "\n", map { "GET $_" } split ' ', <<'TARGETS';
/ // /? /a /a/ /ab /a/b /a/b/ /a/bc /a//b /a/../a/b /strong /strong.jpg /strongx/y.jpg /strong/not /strong/not/x /strong/notx.jpg
/re/abc/12 /re/ABC/12 /x.jpg /x.JPG /x.jpeg /outer/ /outer/x /outer/x.re /outer/x.jpg /outer/inner/ /outer/inner/exact /outer/inner/x.re
/outer/inner/x.jpg /outer /reouter/ /reouter/a.x /with%20blank /with+blank /quote%22d /utf8/%c3%a9 /utf8/%C3%A9 /nn/ /nnn/
/neg/yes /neg/no /exact /exact/ /exact?x /internal /internal/x /tointernal /tonamed /@named /%25 /%2525 /case /CASE /Case
TARGETS

compare 'who may' => {
    files  => { 'html/f.txt' => "f\n", 'html/a/f.txt' => "f\n" },
    server => <<CONF,
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Real-IP;
        location /deny { deny all; return 200 x; }
        location /f.txt { deny all; }
        location /a/ { allow 10.0.0.0/8; deny 10.1.0.0/16; allow 192.0.2.1; deny all; }
        location /order { deny 10.1.1.1; allow 10.0.0.0/8; deny all; try_files /f.txt =404; }
        location /six { allow 2001:db8::/32; deny all; try_files /f.txt =404; }
        location /any { satisfy any; deny all; auth_request /yes; try_files /f.txt =404; }
        location /anyno { satisfy any; deny all; auth_request /no; try_files /f.txt =404; }
        location /anyfirst { satisfy any; allow all; auth_request /no; try_files /f.txt =404; }
        location /all { satisfy all; allow all; auth_request /no; try_files /f.txt =404; }
        location /allyes { allow all; auth_request /yes; try_files /f.txt =404; }
        location /auth401 { auth_request /401; try_files /f.txt =404; }
        location /auth403 { auth_request /no; try_files /f.txt =404; }
        location /auth500 { auth_request /500; try_files /f.txt =404; }
        location /auth404 { auth_request /404; try_files /f.txt =404; }
        location /auth301 { auth_request /301; try_files /f.txt =404; }
        location /authset { auth_request /setter; auth_request_set \$who \$upstream_http_x_who; auth_request_set \$code \$upstream_status; add_header X-Who \$who; add_header X-Code \$code; try_files /f.txt =404; }
        location /authpass { auth_request /setter; auth_request_set \$who \$upstream_http_x_who; proxy_set_header X-Who \$who; proxy_set_header Connection ""; proxy_pass $origin->{url}; }
        location /authpage { auth_request /no; error_page 403 = \@denied; }
        location /authpage401 { auth_request /401; error_page 401 = \@denied; }
        location \@denied { return 200 "denied \$uri\\n"; }
        location = /yes { return 204; }
        location = /no { return 403; }
        location = /500 { return 500; }
        location = /404 { return 404; }
        location = /301 { return 301 /x; }
        location = /401 { internal; proxy_pass $origin->{url}/401; }
        location = /setter { internal; proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header Connection ""; proxy_pass $origin->{url}/set; }
        location /limit { limit_except GET POST { deny all; } try_files /f.txt =404; }
        location /limitallow { limit_except GET { allow 10.0.0.0/8; deny all; } proxy_pass $origin->{url}; }
        location /limithead { limit_except POST { deny all; } try_files /f.txt =404; }
CONF
}, <<'REQUESTS';
GET /deny
GET /f.txt
GET /a/f.txt
GET /a/f.txt | X-Real-IP: 10.0.0.1
GET /a/f.txt | X-Real-IP: 10.1.0.1
GET /a/f.txt | X-Real-IP: 192.0.2.1
GET /order | X-Real-IP: 10.1.1.1
GET /order | X-Real-IP: 10.1.1.2
GET /six | X-Real-IP: 2001:db8::1
GET /six | X-Real-IP: 2001:db9::1
GET /six
GET /any
GET /anyno
GET /anyfirst
GET /all
GET /allyes
GET /auth401
GET /auth403
GET /auth500
GET /auth404
GET /auth301
HEAD /auth403
POST /auth403 | body=abc
GET /authset
GET /authpass
POST /authpass | body=abc
GET /authpage
GET /authpage401
GET /limit
HEAD /limit
POST /limit | body=
PUT /limit | body=
GET /limitallow
DELETE /limitallow
DELETE /limitallow | X-Real-IP: 10.0.0.1
GET /limithead
HEAD /limithead
POST /limithead | body=
REQUESTS

done_testing;
