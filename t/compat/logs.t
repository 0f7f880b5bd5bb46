#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Lines of access logs are nginx's: each kind of escaping, hostile bytes, conditions, variables of all kinds.

use lib 't/lib';
use Compat;

my $origin = Origin->new(
    '/o'    => { body => "body\n", fields => [ 'X-One: 1', 'Set-Cookie: up=down', 'Content-Type: text/plain', "X-Odd: a\"b\\c\xe9" ], trailers => [] },
    '*'     => { echo => 1 },
);

my $hostile = join "\n", (map { "GET / | $_" } split /\n/, <<'FIELDS'), map { "GET $_" } qw(/?a"b /?a\\b /?%0a /a%0ab /a%22b /é /%ff /%00x /a%7fb /"quoted" /'single' /?<script> /{}$x);
User-Agent: plain
User-Agent: quote" back\\slash
User-Agent: tab\there
User-Agent: del\x7f.
User-Agent: \xc3\xa9\xe2\x82\xac utf-8
User-Agent: \xff\xfe no utf-8
User-Agent: \xc0\xaf overlong
User-Agent: \xed\xa0\x80 surrogate
User-Agent: \xf4\x90\x80\x80 too large
User-Agent: %s%n%00 $request_uri ${x}
User-Agent: <script>alert('1')</script> & co
User-Agent:
User-Agent: -
Referer: http://a/"b"?c\\d
Cookie: a="1"; b=\\; c=%22
Authorization: Basic dXNlcjpwYXNz
Authorization: Basic dSJzXGVyOnA=
Authorization: Basic dQpzZXI6cA==
Authorization: Basic w6k6cA==
Authorization: Basic Og==
Authorization: Basic
Authorization: Bearer x
Authorization: Basic !!!
Authorization: basic dXNlcjpwYXNz
Authorization: Basic dXNlcg==
FIELDS

# The lines of further logs, sent as the answer to the last requests of each configuration.
sub escaped ($kind) {
    return <<"CONF";
log_format esc $kind '\$realip_remote_port:\$server_port [\$http_user_agent] [\$http_referer] [\$http_cookie] [\$remote_user] [\$uri] [\$request] [\$args] [\$http_none] [\$cookie_a]';
access_log %dir%/compat.log esc;
CONF
}

# The log of the harness is in the way: only the one with this escaping is looked at.
for my $kind ('escape=default', 'escape=json', 'escape=none', '') {
    compare "escaping $kind" => {
        http    => escaped($kind),
        own_log => 1,
        differs => [ qr{x7f} => 'manual: control bytes in values', $kind eq 'escape=json' ? (qr{xff.xfe|xc0.xaf|xed.xa0|xf4.x90|%ff} => 'manual: In JSON logs, bytes that are no UTF-8 are written as') : () ],
        server  => 'location / { return 200 x; }',
    }, $hostile;
}

compare 'variables of requests' => {
    files  => { 'html/f.txt' => "f\n", 'html/d/index.html' => 'd' },
    own_log => 1,
    differs => [
        qr{Cookie: a=1, b=2} => 'manual: Cookies are parted by semicolons, not by commas',
        qr{^GET /%$} => 'manual: A request that is refused stands in the access log with all that was read of it',
    ],
    http   => <<"CONF",
log_format vars '\$realip_remote_port:\$server_port arg_a=[\$arg_a] arg_B=[\$arg_B] arg_=[\$arg_none] cookie=[\$cookie_a|\$cookie_B|\$cookie_none] http=[\$http_x_one|\$http_x_two|\$http_host|\$http_via|\$http_content_length] '
 'sent=[\$sent_http_etag|\$sent_http_last_modified|\$sent_http_accept_ranges|\$sent_http_content_range|\$sent_http_x_added|\$sent_http_cache_control|\$sent_http_none] uri=[\$uri|\$document_uri|\$request_uri|\$args|\$query_string|\$is_args] '
 'host=[\$host|\$server_name|\$hostname|\$scheme|\$https|\$server_protocol] file=[\$document_root|\$request_filename|\$realpath_root] addr=[\$remote_addr|\$server_addr|\$proxy_protocol_addr] '
 'body=[\$request_body|\$request_body_file|\$content_length|\$content_type] proxy=[\$proxy_host|\$proxy_port|\$proxy_add_x_forwarded_for] up=[\$upstream_status|\$upstream_http_x_one|\$upstream_cookie_up|\$upstream_http_none|\$upstream_addr] limit=[\$limit_rate] '
 'complete=[\$request_completion] pipe=[\$pipe] status=[\$status] nginx=[\$binary_remote_addr] dollar=[\$host\$uri] braces=[\${host}x\${uri}y]';
access_log %dir%/compat.log vars;
CONF
    server => <<CONF,
        server_name first.test second.test;
        location / { add_header X-Added "added \$arg_a"; expires 1h; }
        location /o { proxy_pass $origin->{url}; }
        location /echo { proxy_pass $origin->{url}; }
        location /ret { return 200 "text\\n"; }
        location /err { return 404; }
        location /in { error_page 404 = /o; }
        location /set { set \$limit_rate 100k; set \$args "x=1"; return 200; }
        location /re { rewrite ^/re/(.*)\$ /f.txt?r=\$1 last; }
        location /drop { return 444; }
CONF
}, <<'REQUESTS';
GET /f.txt
GET /f.txt?a=1&b=2&a=3
GET /f.txt?A=1&B=2
GET /f.txt?a
GET /f.txt?a=
GET /f.txt?aa=1&a=2
GET /f.txt?a=%20&b=+
GET /f.txt?=1&&a=2
GET /f.txt | Cookie: a=1; b=2 | X-One: 1 | X-Two: 2
GET /f.txt | Cookie: xa=0; a=1
GET /f.txt | Cookie: a=1, b=2
GET /f.txt | Cookie: a; b=2
GET /f.txt | Range: bytes=0-0
GET /f.txt | If-None-Match: *
GET /f.txt | host=SECOND.test:8080
GET /f.txt | host=other.test
GET /f.txt | nohost | version=1.0
GET /f.txt | Via: 1.1 a | X-Forwarded-For: 10.0.0.1
HEAD /f.txt
GET /d
GET /d/
GET /none
GET /o?a=1
GET /o | X-Forwarded-For: 10.0.0.1
POST /echo | body=the body | Content-Type: text/x
POST /echo | body=a"b\r\nc\xff
POST /echo | body=3\r\nabc\r\n0\r\n\r\n | Transfer-Encoding: chunked
GET /ret
GET /err
GET /in/x
GET /set
GET /re/abc
GET /drop
GET /%
REQUESTS

compare 'where and when' => {
    http   => <<'CONF',
map $status $bad { ~^[45] 1; default 0; }
map $uri $skip { ~quiet 0; default 1; }
CONF
    server => <<'CONF',
        location / { return 200; }
        location /off { access_log off; return 200; }
        location /bad { access_log %dir%/compat.log compat if=$bad; return 404; }
        location /good { access_log %dir%/compat.log compat if=$bad; return 200; }
        location /skip { access_log %dir%/compat.log compat if=$skip; return 200; }
        location /twice { access_log %dir%/compat.log compat; access_log %dir%/compat.log compat if=$arg_again; return 200; }
        location /nested/ { access_log off; location /nested/on { access_log %dir%/compat.log compat; return 200; } return 200; }
        location /jump { access_log off; rewrite ^ /good last; }
        location /named { try_files /none @named; }
        location @named { access_log off; return 200; }
CONF
}, join "\n", map { "GET $_" } qw(/ /off /bad /good /skip /skip/quiet /twice /twice?again=1 /twice?again=0 /nested/ /nested/on /jump /named);

done_testing;
