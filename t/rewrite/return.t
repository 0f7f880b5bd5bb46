#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# return: texts, redirects, statuses; before access; the first one holds.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files => { 'html/404.html' => 'page' },
    http  => 'types { text/html html; application/json json; } default_type text/x-default;',
    server => <<'CONF',
        error_page 404 /404.html;
        location /text      { return 200 "uri $uri\n"; }
        location /first     { return 200 first; return 200 second; }
        location /x.json    { return 200 '{"a":1}'; }
        location /empty     { return 200; }
        location /created   { return 201 made; }
        location /204       { return 204; }
        location /404text   { return 404 text; }
        location = /404     { return 404; }
        location /301       { return 301 /to?a=b; }
        location /302       { return 302 http://example.org/$arg_x; }
        location /url       { return https://example.org$request_uri; }
        location /scheme    { return $scheme://example.org/; }
        location /308       { absolute_redirect off; return 308 /to; }
        location /445       { return 445 text; }
        location /denied    { deny all; return 200 before; }
        location /split     { return 302 /$arg_x; }
        location /444       { return 444; }
        location /body      { return 200 done; }
        location /lines/    { return 302 http://example.org$uri; }
        location /local/    { return 301 $uri; }
        location /page/     { error_page 404 http://example.org$uri; return 404; }
        location /set/      { rewrite ^ http://example.org$uri redirect; }
CONF
);

my @table = (
    [ '/text/a',   200, "uri /text/a\n" ],
    [ '/first',    200, 'first' ],
    [ '/x.json',   200, '{"a":1}' ],
    [ '/empty',    200, '' ],
    [ '/created',  201, 'made' ],
    [ '/204',      204, '' ],
    [ '/404text',  404, 'text' ],
    [ '/404',      404, 'page' ],
    [ '/445',      445, 'text' ],
    [ '/denied',   200, 'before' ],
);
for my $row (@table) {
    my ($target, $status, $body) = @$row;
    my $answer = $weir->get($target);
    is($answer->status, $status, "$target: status");
    is($answer->body, $body, "$target: body");
}
my $port = $weir->port;
my %locations = (
    '/301'    => "http://localhost:$port/to?a=b",
    '/302?x=y' => 'http://example.org/y',
    '/url?q'  => 'https://example.org/url?q',
    '/scheme' => 'http://example.org/',
    '/308'    => '/to',
);
is($weir->get($_, host => 'localhost')->field('Location'), $locations{$_}, "$_: Location") for sort keys %locations;
is($weir->get('/x.json')->field('Content-Type'), 'application/json', 'the type of the URI');
is($weir->get('/text')->field('Content-Type'),   'text/x-default',   'the default type');
# What a client puts into a variable does not end the line: it is encoded, and the redirect stays one.
for my $path (qw(lines local page set)) {
    my $answer = $weir->get("/$path/a%0d%0aX-In:%20b%01%7f");
    is($answer->field('X-In'), undef, "/$path/: no field comes out of a variable");
    like($answer->field('Location') // 'none', qr{^http://[\w.:]+/$path/a%0D%0AX-In: ?b%01%7F$}, 'its bytes are encoded');
}
is($weir->get('/444'), undef, '444 closes without an answer');
is($weir->post('/body', 'x' x 100)->body, 'done', 'a body that nobody reads');

my $client = $weir->client;
$client->write("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345GET /text HTTP/1.1\r\nHost: a\r\n\r\n");
is($client->answer->body, 'done',        'the body is skipped');
is($client->answer->body, "uri /text\n", 'and the next request answered');

for (
    [ 'return foo;',         qr/invalid return code "foo" in / ],
    [ 'return 1000;',        qr/invalid return code "1000" in / ],
    [ 'return /path;',       qr/invalid return code "\/path" in / ],
    [ 'return 200 a b;',     qr/invalid number of arguments in "return" directive in / ],
    [ 'return 200 $nothing_of_this;', qr/unknown "nothing_of_this" variable in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(server => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

$weir = Weir->new(server => 'return 200 server; location / { return 200 location; }');
is($weir->get('/')->body, 'server', 'in server {}: before the location is looked for');

done_testing;
