#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# rewrite, if, set, break and return do what they do in nginx, surprises included.

use lib 't/lib';
use Compat;

my $show = q(return 200 "uri=$uri args=$args request_uri=$request_uri 1=$1 2=$2 n=$n\n");

compare 'flags of rewrite' => {
    differs => [
        qr{^GET /empty/} => 'manual: a path gets the slash at its front that it lacks',
    ],
    server => <<CONF,
        set \$n "";
        rewrite ^/server/(.*)\$ /seen/\$1;
        rewrite ^/serverlast/(.*)\$ /seen/\$1?server=1 last;
        rewrite ^/serverbreak/(.*)\$ /seen/\$1 break;
        rewrite ^/serverdrop/(.*)\$ /seen/\$1?a=1?;
        rewrite ^/twice/(.*)\$ /server2/\$1;
        rewrite ^/server2/(.*)\$ /seen/two/\$1;
        location /seen/ { $show; }
        location /last/ { rewrite ^/last/(.*)\$ /seen/\$1 last; return 403; }
        location /break/ { rewrite ^/break/(.*)\$ /seen/\$1 break; $show; }
        location /plain/ { rewrite ^/plain/(.*)\$ /seen/\$1; $show; }
        location /none/ { rewrite ^/nothing/(.*)\$ /seen/\$1 last; $show; }
        location /redirect/ { rewrite ^/redirect/(.*)\$ /seen/\$1 redirect; }
        location /permanent/ { rewrite ^/permanent/(.*)\$ /seen/\$1 permanent; }
        location /dropargs/ { rewrite ^/dropargs/(.*)\$ /seen/\$1? last; }
        location /moreargs/ { rewrite ^/moreargs/(.*)\$ /seen/\$1?x=1 last; }
        location /onlymore/ { rewrite ^/onlymore/(.*)\$ /seen/\$1?x=1? last; }
        location /redirargs/ { rewrite ^/redirargs/(.*)\$ /seen/\$1?x=1 redirect; }
        location /redirdrop/ { rewrite ^/redirdrop/(.*)\$ /seen/\$1? redirect; }
        location /redironly/ { rewrite ^/redironly/(.*)\$ /seen/\$1?x=1? redirect; }
        location /scheme/ { rewrite ^/scheme/(.*)\$ https://other.test/\$1; }
        location /schemeargs/ { rewrite ^/schemeargs/(.*)\$ http://other.test/\$1?; }
        location /schemevar/ { rewrite ^/schemevar/(.*)\$ \$scheme://other.test/\$1 permanent; }
        location /schemerelative/ { rewrite ^/schemerelative/(.*)\$ //other.test/\$1 permanent; }
        location /argscapture/ { rewrite ^/argscapture/(.*)\$ /seen/?q=\$1 last; }
        location /argsredirect/ { rewrite ^/argsredirect/(.*)\$ /seen/?q=\$1 redirect; }
        location /argsuri/ { rewrite ^ /seen/?q=\$uri&a=\$arg_a&r=\$request_uri? last; }
        location /named/ { rewrite ^/named/(?<word>[a-z]+)/(\\d+)\$ /seen/\$word-\$2 last; $show; }
        location /two/ { rewrite ^/two/([^/]*)/([^/]*)/(.*)\$ /seen/\$3/\$2/\$1 last; }
        location /nocase/ { rewrite (?i)/NOCASE/(.*) /seen/\$1 last; }
        location /greedy/ { rewrite "/(g)(re{2})dy/(.*)\$" /seen/\$2\$1/\$3 last; }
        location /loop/ { rewrite ^/loop/(.*)\$ /loop/x\$1 last; }
        location /stop/ { break; rewrite ^ /seen/ last; $show; }
        location /after/ { rewrite ^ /seen/x; return 200 "after \$uri\n"; }
        location /keepset/ { set \$n 1; rewrite ^ /seen/x last; }
        location /empty/ { rewrite ^/empty/(.*)\$ \$1 last; $show; }
        location /relative/ { rewrite ^/relative/(.*)\$ rel/\$1 redirect; }
CONF
}, <<'REQUESTS';
GET /server/a
GET /server/a?b=c
GET /serverlast/a?b=c
GET /serverbreak/a?b=c
GET /serverdrop/a?b=c
GET /twice/a
GET /last/a
GET /last/a?b
GET /last/a%20b?c=%20
GET /break/a
GET /plain/a?x
GET /none/a?x
GET /redirect/a
GET /redirect/a?b=c
GET /redirect/a%20b
GET /redirect/a%3fb
GET /redirect/a%2525b
GET /redirect/%c3%a9
GET /redirect/a+b
GET /redirect/a%22b
GET /permanent/a?b
HEAD /permanent/a?b
POST /permanent/a?b | body=x
GET /permanent/a | version=1.0
GET /permanent/a | nohost | version=1.0
GET /permanent/a | host=other.test:8080
GET /dropargs/a?b=c
GET /moreargs/a
GET /moreargs/a?b=c
GET /moreargs/a?
GET /onlymore/a?b=c
GET /redirargs/a?b=c
GET /redirargs/a
GET /redirdrop/a?b=c
GET /redironly/a?b=c
GET /scheme/a
GET /scheme/a?b=c
GET /scheme/a%20b?b=c
GET /schemeargs/a?b=c
GET /schemevar/a?b=c
GET /schemerelative/a?b=c
GET /argscapture/a
GET /argscapture/a/b?c=d
GET /argscapture/a%26b%3dc
GET /argscapture/a+b
GET /argsredirect/a?c=d
GET /argsredirect/a%26b
GET /argsuri/x?a=1
GET /named/abc/12
GET /named/ABC/12
GET /two/a/b/c/d
GET /nocase/x
GET /greedy/x
GET /loop/x
GET /stop/x
GET /after/x
GET /keepset/x
GET /empty//seen/abs
GET /relative/x
REQUESTS

compare 'conditions of if' => {
    files  => { 'html/f.txt' => 'f', 'html/d/x' => 'x', 'html/run.sh' => '#!' },
    prepare => sub ($server) { chmod 0755, "$server->{dir}/html/run.sh" },
    http   => 'map $arg_v $mapped { default $arg_v; off ""; }',
    server => <<'CONF',
        location /set { set $v $arg_v; if ($v) { return 200 "true\n"; } return 200 "false\n"; }
        location /is { if ($arg_v = yes) { return 200 "yes\n"; } if ($arg_v != no) { return 200 "not no\n"; } return 200 "no\n"; }
        location /quoted { if ($arg_v = "a b") { return 200 "blank\n"; } if ($arg_v = '') { return 200 "empty\n"; } return 200 "other\n"; }
        location /variable { if ($arg_v = $arg_w) { return 200 "variable\n"; } return 200 "literal\n"; }
        location /match { if ($arg_v ~ ^a(.)c$) { return 200 "match $1\n"; } return 200 "no match $1\n"; }
        location /nocase { if ($arg_v ~* ^a(?<letter>.)c$) { return 200 "match $letter\n"; } return 200 "no match\n"; }
        location /unlike { if ($arg_v !~ ^a) { return 200 "unlike\n"; } return 200 "like\n"; }
        location /unlikenocase { if ($arg_v !~* ^a) { return 200 "unlike\n"; } return 200 "like\n"; }
        location /file { if (-f $document_root/$arg_v) { return 200 "file\n"; } return 200 "no file\n"; }
        location /nofile { if (!-f $document_root/$arg_v) { return 200 "no file\n"; } return 200 "file\n"; }
        location /dir { if (-d $document_root/$arg_v) { return 200 "dir\n"; } return 200 "no dir\n"; }
        location /nodir { if (!-d $document_root/$arg_v) { return 200 "no dir\n"; } return 200 "dir\n"; }
        location /there { if (-e $document_root/$arg_v) { return 200 "there\n"; } return 200 "not there\n"; }
        location /notthere { if (!-e $document_root/$arg_v) { return 200 "not there\n"; } return 200 "there\n"; }
        location /exec { if (-x $document_root/$arg_v) { return 200 "exec\n"; } return 200 "no exec\n"; }
        location /noexec { if (!-x $document_root/$arg_v) { return 200 "no exec\n"; } return 200 "exec\n"; }
        location /mapped { if ($mapped) { return 200 "true\n"; } return 200 "false\n"; }
        location /method { if ($request_method = POST) { return 405; } return 200 "ok\n"; }
        location /agent { if ($http_user_agent ~* "(bot|spider)") { return 403 "$1\n"; } return 200 "ok\n"; }
        location /cookie { if ($http_cookie ~* "id=([^;]+)(?:;|$)") { set $id $1; } return 200 "id=$id\n"; }
        location /brace { if ($arg_v ~ "^a{2}$") { return 200 "two\n"; } return 200 "not two\n"; }
        location /slash { if ($uri ~ ^/slash/(.+)/$) { return 301 /slash/$1; } return 200 "$uri\n"; }
CONF
}, <<'REQUESTS';
GET /set
GET /set?v=
GET /set?v=0
GET /set?v=00
GET /set?v=01
GET /set?v=1
GET /set?v=a
GET /set?v=%30
GET /is?v=yes
GET /is?v=YES
GET /is?v=no
GET /is
GET /quoted?v=a%20b
GET /quoted?v=
GET /quoted
GET /variable?v=$arg_w&w=x
GET /variable?v=x&w=x
GET /match?v=abc
GET /match?v=abd
GET /match?v=ABC
GET /nocase?v=ABC
GET /nocase?v=AB
GET /unlike?v=abc
GET /unlike?v=Abc
GET /unlikenocase?v=Abc
GET /unlikenocase?v=xbc
GET /file?v=f.txt
GET /file?v=d
GET /file?v=none
GET /nofile?v=f.txt
GET /nofile?v=d
GET /dir?v=d
GET /dir?v=f.txt
GET /nodir?v=d
GET /nodir?v=none
GET /there?v=d
GET /there?v=f.txt
GET /there?v=none
GET /notthere?v=d
GET /notthere?v=none
GET /exec?v=run.sh
GET /exec?v=f.txt
GET /exec?v=none
GET /noexec?v=run.sh
GET /noexec?v=f.txt
GET /mapped?v=1
GET /mapped?v=off
GET /mapped?v=0
POST /method | body=x
GET /method
GET /agent | User-Agent: Googlebot
GET /agent | User-Agent: x
GET /agent
GET /cookie | Cookie: a=b; id=77; c=d
GET /cookie | Cookie: a=b
GET /brace?v=aa
GET /brace?v=aaa
GET /slash/a/b/
GET /slash/a
REQUESTS

my $origin = Origin->new('*' => { echo => 1 });

compare 'if inside location' => {
    files  => { 'html/a.txt' => "a\n", 'other/a.txt' => "other a\n", 'html/p/a.txt' => "pa\n" },
    server => <<CONF,
        location /last/ {
            set \$true 1;
            if (\$true) { add_header X-First 1; }
            if (\$true) { add_header X-Second 2; }
            return 204;
        }
        location /lost/ {
            add_header X-Outer 1;
            if (\$arg_x) { add_header X-Inner 1; }
            return 204;
        }
        location /outer/ {
            add_header X-Outer 1;
            if (\$arg_x) { set \$n 1; }
            return 204 ;
        }
        location /try/ {
            set \$true 1;
            try_files /a.txt =404;
            if (\$true) { }
        }
        location /pass/ {
            set \$true 1;
            proxy_pass $origin->{url}/passed/;
            if (\$true) { set \$n 1; }
        }
        location /passplain/ {
            proxy_pass $origin->{url};
            if (\$arg_x) { set \$n 1; }
        }
        location /passinner/ {
            proxy_set_header X-Outer 1;
            if (\$arg_x) { proxy_pass $origin->{url}; }
            return 200 "not passed\\n";
        }
        location /passinner2/ {
            proxy_set_header X-Outer 1; proxy_set_header Connection "";
            if (\$arg_x) { proxy_pass $origin->{url}; }
        }
        location /breakrewrite/ {
            set \$true 1;
            proxy_pass $origin->{url}/passed/;
            if (\$true) { rewrite ^ /b/changed break; }
        }
        location /rewriteafter/ {
            if (\$arg_x) { proxy_pass $origin->{url}; break; }
            rewrite ^/rewriteafter/(.*)\$ /a.txt break;
        }
        location /alias/ {
            alias %dir%/other/;
            if (\$arg_x) { set \$n 1; }
        }
        location /aliasroot/ {
            alias %dir%/other/;
            if (\$arg_x) { root %dir%/html; }
        }
        location /root/ {
            root %dir%/html;
            if (\$arg_x) { root %dir%/nothing; }
        }
        location /errorpage/ {
            error_page 404 = /a.txt;
            if (\$arg_x) { error_page 404 =410 /a.txt; }
        }
        location /expires/ { if (\$arg_x) { expires max; } rewrite ^ /a.txt break; }
        location /auth/ { if (\$arg_x) { return 401; } deny all; }
        location /unset/ { if (\$arg_x) { set \$maybe 1; } return 200 "maybe=\$maybe\\n"; }
        location /nest/ {
            if (\$arg_x) { return 402; }
            location /nest/in/ { return 200 "in\\n"; }
        }
        location /valid/ { if (\$arg_a = \$arg_b) { return 200 "same\\n"; } return 200 "different\\n"; }
        if (\$arg_server = 1) { return 200 "server \$uri\\n"; }
        if (\$arg_server = 2) { rewrite ^ /a.txt; }
        if (\$arg_server = 3) { rewrite ^ /a.txt last; return 418; }
        if (\$arg_server = 4) { break; }
        if (\$arg_server ~ "^[45]") { rewrite ^ /a.txt; }
CONF
}, <<'REQUESTS';
GET /last/
GET /lost/
GET /lost/?x=1
GET /outer/
GET /outer/?x=1
GET /try/x
GET /try/a.txt
GET /pass/x?y
GET /pass/a%20b
GET /passplain/x?x=1
GET /passplain/a%20b/../c?x=0
GET /passinner/x
GET /passinner/x?x=1
GET /passinner2/x?x=1
GET /passinner2/x
GET /breakrewrite/x
GET /rewriteafter/x
GET /rewriteafter/x?x=1
GET /alias/a.txt
GET /alias/a.txt?x=1
GET /aliasroot/a.txt
GET /aliasroot/a.txt?x=1
GET /root/a.txt
GET /root/a.txt?x=1
GET /errorpage/none
GET /errorpage/none?x=1
GET /expires/x
GET /expires/x?x=1
GET /auth/x
GET /auth/x?x=1
GET /unset/
GET /unset/?x=1
GET /nest/?x=1
GET /nest/in/?x=1
GET /valid/
GET /valid/?a=1
GET /valid/?a=1&b=1
GET /x?server=1
GET /x?server=2
GET /x?server=3
GET /x?server=4
GET /x?server=5
REQUESTS

compare 'return' => {
    differs => [
        qr{^GET /(?:300|451)$} => 'manual: All codes of the registry have their reason phrase.',
        qr{^GET /(?:304|199)$} => 'manual: A response 204 or 304, or of a code below 200, has no Content-Length',
        qr{If-Match} => 'manual: is OK for a complete response 412 too',
        qr{Expect} => 'manual: 100 (Continue) is sent when the body is about to be read',
    ],
    files  => { 'html/x.html' => 'x', 'html/own.html' => "own page\n" },
    server => <<'CONF',
        server_name first.test second.test;
        location /200 { return 200; }
        location /text { return 200 text; }
        location /quoted { return 200 "a \"quoted\" text\twith\\n\n"; }
        location /typed { default_type application/json; return 200 '{"a":1}'; }
        location /ext.html { return 200 "<p>"; }
        location /301 { return 301 /to; }
        location /301args { return 301 /to?$args; }
        location /301uri { return 301 $uri; }
        location /301full { return 301 $scheme://$host$request_uri; }
        location /302 { return 302 /to; }
        location /303 { return 303 /to; }
        location /307 { return 307 /to; }
        location /308 { return 308 /to; }
        location /304 { return 304; }
        location /url { return http://other.test/$1; }
        location /urls { return https://other.test; }
        location /urlscheme { return $scheme://other.test/; }
        location /relative { return 301 to; }
        location /empty301 { return 301 ""; }
        location /dot { return 301 ../x; }
        location /100 { return 100; }
        location /199 { return 199 x; }
        location /201 { return 201 made; }
        location /206 { return 206 part; }
        location /299 { return 299 x; }
        location /300 { return 300 x; }
        location /305 { return 305 x; }
        location /399 { return 399; }
        location /401 { return 401; }
        location /402 { return 402; }
        location /405 { return 405; }
        location /408 { return 408; }
        location /410 { return 410; }
        location /411 { return 411; }
        location /413 { return 413; }
        location /414 { return 414; }
        location /415 { return 415; }
        location /416 { return 416; }
        location /421 { return 421; }
        location /429 { return 429; }
        location /451 { return 451; }
        location /499 { return 499; }
        location /501 { return 501; }
        location /502 { return 502; }
        location /504 { return 504; }
        location /505 { return 505; }
        location /507 { return 507; }
        location /599 { return 599; }
        location /600 { return 600; }
        location /text404 { return 404 "no $uri\n"; }
        location /page404 { error_page 404 /own.html; return 404; }
        location /page404text { error_page 404 /own.html; return 404 text; }
        location /page301 { error_page 301 /own.html; return 301 /to; }
        location /page200 { error_page 404 =200 /own.html; return 404; }
        location /absolute { absolute_redirect off; return 301 /to; }
        location /port { port_in_redirect off; return 301 /to; }
        location /name { server_name_in_redirect on; return 301 /to; }
        location /both { server_name_in_redirect on; port_in_redirect off; return 302 /to; }
        location /crlf { return 302 /$arg_to; }
        location /decoded { return 302 $uri; }
CONF
}, join "\n", (map { "GET $_" } qw(/200 /text /quoted /typed /ext.html /301 /301args?a=b&c /301uri/a%20b /301uri/%22%c3%a9
  /301full?a=b /302 /303 /307 /308 /304 /url /urls /urlscheme /relative /empty301 /dot /199 /201 /206 /299 /300
  /305 /399 /401 /402 /405 /408 /410 /411 /413 /414 /415 /416 /421 /429 /451 /499 /501 /502 /504 /505 /507 /599 /600
  /text404 /page404 /page404text /page301 /page200 /absolute /port /name /both /crlf?to=a%0d%0ab: /decoded/a%20b)),
  'HEAD /200', 'HEAD /text', 'HEAD /301', 'POST /200 | body=x', 'POST /301 | body=x', 'GET /404 | version=1.0', 'GET /301 | version=1.0',
  'GET /301 | version=1.0 | nohost', 'GET /name | host=second.test', 'GET /301 | host=second.test:99', 'GET /301 | host=[::1]:99',
  'GET /text | Range: bytes=0-1', 'GET /text | If-None-Match: *', 'GET /text | If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT', 'GET /text404 | Range: bytes=0-1',
  'GET /text | If-Match: "x"', 'GET /text | Expect: 100-continue', 'OPTIONS /text', 'OPTIONS *', 'TRACE /text', 'PROPFIND /text | Depth: 1', 'PATCH /200 | body=x';

done_testing;
