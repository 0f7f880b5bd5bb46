#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# add_before_body, add_after_body, addition_types: texts around a body, from files and from an origin; compared with nginx.

use lib 't/lib';
use Nginx;
use Weir;

my $big    = join '', map { sprintf "%07d\n", $_ } 0 .. 39_999;    # 320 kB
my $origin = Origin->new(
    '/text'    => { body => "from the origin\n" },
    '/chunks'  => { chunks => [ "one\n", "two\n", "three\n" ] },
    '/slow'    => { pieces => [ "slow ", "pie", "ces\n" ], pause => 0.05 },
    '/big'     => { body => $big },
    '/short'   => { body => '0123456789', length => 100, cut => 1 },
    '/drop'    => { drop => 1 },
    '/echo'    => { echo => 1 },
    '/html'    => { body => "page of the origin\n", fields => ['Content-Type: text/html'] },
    '/error'   => { status => 500, body => "trouble\n", fields => ['Content-Type: text/html'] },
);
my ($weir, $nginx) = Nginx->beside(
    files => {
        'html/a.html' => "a page\n", 'html/none.html' => '', 'html/a.txt' => "a text\n", 'html/a.css' => "a style\n",
        'html/b.html' => "before\n", 'html/c.txt' => "after\n", 'html/big.html' => $big, 'html/dir/index.html' => "index\n",
    },
    http   => 'types { text/html html; text/plain txt; text/css css; }',
    server => <<"CONF",
        location /both/    { alias %dir%/html/; add_before_body /b.html; add_after_body /c.txt;
            location /both/none/  { alias %dir%/html/; add_before_body ""; add_after_body ""; }
            location /both/half/  { alias %dir%/html/; add_before_body ""; }
            location /both/same/  { alias %dir%/html/; }
        }
        location /before/  { alias %dir%/html/; add_before_body /b.html; }
        location /after/   { alias %dir%/html/; add_after_body /c.txt; }
        location /types/   { alias %dir%/html/; addition_types text/css; add_after_body /c.txt; }
        location /any/     { alias %dir%/html/; addition_types *; add_after_body /c.txt; }
        location /missing/ { alias %dir%/html/; add_before_body /gone; add_after_body /b.html; }
        location /nested/  { alias %dir%/html/; add_before_body /both/a.html; add_after_body /after/b.html; }
        location /same/    { alias %dir%/html/; add_before_body /c.txt; add_after_body /c.txt; }
        location /dir/     { index index.html; }
        location /index/   { alias %dir%/html/; add_after_body /dir/; }
        location /internal { internal; return 200 "internal\\n"; }
        location /hidden/  { alias %dir%/html/; add_after_body /internal; }
        location /deny/    { deny all; alias %dir%/html/; }
        location /denied/  { alias %dir%/html/; add_after_body /deny/c.txt; }
        location /ret      { return 200 "\$uri \$args \$request_method \$request_uri\\n"; }
        location /vars/    { alias %dir%/html/; add_after_body /ret; }
        location /fields   { add_header X-Child c; return 200 "child\\n"; }
        location /quiet/   { alias %dir%/html/; add_after_body /fields; add_header X-Parent p; }
        location /paged    { error_page 404 /c.txt; return 404; }
        location /rescued/ { alias %dir%/html/; add_after_body /paged; }
        location /moved    { return 302 /x; }
        location /moves/   { alias %dir%/html/; add_after_body /moved; }
        location /nothing  { return 204; }
        location /empty/   { alias %dir%/html/; add_before_body /nothing; add_after_body /none.html; }
        location /large/   { alias %dir%/html/; add_before_body /big.html; add_after_body /origin/big; }
        location /origin/  { proxy_pass $origin->{url}/; }
        location /text/    { alias %dir%/html/; add_before_body /origin/text; add_after_body /origin/chunks; }
        location /slow/    { alias %dir%/html/; add_before_body /origin/slow; add_after_body /origin/slow; }
        location /short/   { alias %dir%/html/; add_before_body /origin/short; add_after_body /c.txt; }
        location /drop/    { alias %dir%/html/; add_before_body /origin/drop; add_after_body /c.txt; }
        location /fails/   { alias %dir%/html/; add_before_body /origin/error; add_after_body /c.txt; }
        location /proxied/ { proxy_pass $origin->{url}/; add_before_body /b.html; add_after_body /origin/text; }
        location /off/     { proxy_buffering off; proxy_pass $origin->{url}/; }
        location /direct/  { alias %dir%/html/; add_before_body /off/slow; add_after_body /off/big; }
CONF
    allow => qr/origin/,
);

my @pages = map { "/$_/a.html" } qw(both both/none both/half both/same before after types any missing nested same index hidden
  denied vars quiet rescued moves empty large text slow short drop fails direct);
Nginx::same($weir, $nginx, $_, 'GET', $_) for @pages, map { "/both/$_" } qw(none.html a.txt a.css missing.html big.html);
Nginx::same($weir, $nginx, $_, 'GET', $_)
  for qw(/types/a.css /types/a.txt /any/a.css /any/a.txt /proxied/text /proxied/html /proxied/error /vars/a.html?q=1);
Nginx::same($weir, $nginx, "HEAD $_", 'HEAD', $_) for qw(/both/a.txt /both/none/a.html);
for my $path (qw(/both/a.html /proxied/html)) {
    my ($ours, $its) = map { $_->head($path) } $weir, $nginx;
    is($ours->field($_), $its->field($_), "HEAD $path: $_") for qw(Content-Length Content-Type ETag Last-Modified);
}
Nginx::same($weir, $nginx, 'a range', 'GET', '/both/a.html', fields => ['Range: bytes=0-3']);
Nginx::same($weir, $nginx, 'a condition', 'GET', '/both/a.html', fields => ['If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT']);
Nginx::same($weir, $nginx, 'HTTP/1.0', 'GET', '/both/a.html', raw => "GET /both/a.html HTTP/1.0\r\n\r\n");

my $page = $weir->get('/both/a.html');
is($page->body, "before\na page\nafter\n", 'the three in order');
is($page->field('Content-Length'), undef, 'without a length');
like($page->field('ETag'), qr/^W\//, 'with a weak tag');
is($weir->get('/nested/a.html')->body, "a page\na page\nbefore\n", 'children have no additions of their own');

# What a child is given of the request: method GET, no body, its fields.
my $answer = $weir->post('/text/a.html', 'a=b');
is($answer->status, 405, 'a POST to a file');
$weir = Weir->new(
    files  => { 'html/a.html' => "a page\n" },
    http   => 'types { text/html html; }',
    server => <<"CONF",
        location /     { add_after_body /echo; }
        location /post { add_after_body /echo; default_type text/html; return 200 "posted\\n"; }
        location /echo { proxy_pass $origin->{url}; }
        location /args { add_after_body /echo?x=1; default_type text/html; return 200 "args\\n"; }
CONF
);
like($weir->get('/a.html', fields => ['X-Mine: m'])->body, qr/^a page\nGET \/echo HTTP.*\nX-Mine: m\r\n/s, "the client's fields");
my $posted = $weir->post('/post', 'a=b')->body;
like($posted, qr/^posted\nGET \/echo HTTP/, 'a child of a POST is a GET');
unlike($posted, qr/Content-Length|a=b/, 'without its body');
like($weir->get('/args')->body, qr/^args\nGET \/echo\?x=1 HTTP/, 'arguments of the child');

# Pipelined behind it, and many at once on one connection.
my $client = $weir->client;
$client->send_request('GET', '/a.html') for 1 .. 5;
like($client->answer->body, qr/^a page\nGET \/echo/, "page $_ of five") for 1 .. 5;

# A client that goes while a child is being waited for ends the child's request.
my $held = Origin->new('*' => { body => 'late', pieces => [ 'la', 'te' ], pause => 30 });
$weir = Weir->new(
    files  => { 'html/a.html' => "a page\n" },
    http   => 'types { text/html html; } log_format n "$status"; access_log %dir%/n.log n;',
    server => "location / { add_before_body /held; } location /held { proxy_pass $held->{url}; }",
);
$client = $weir->client;
$client->send_request('GET', '/a.html');
$held->wait_requests(1);
$client->reset;
ok($weir->wait_log(qr/^200$/m, 'n.log'), 'the request has ended');

done_testing;
