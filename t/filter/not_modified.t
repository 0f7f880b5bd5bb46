#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Conditional requests: 304 and 412 by entity tags and dates; if_modified_since, etag off. Compared with nginx where both
# go by RFC 9110, 13.2.2.

use lib 't/lib';
use Nginx;
use Weir;

my ($weir, $nginx) = Nginx->beside(
    files => { 'html/a.html' => 'a page', 'html/none.html' => '' },
    http  => 'types { text/html html; } add_header X-Added yes; expires 1h;',
    server => <<'CONF',
        location /off/     { alias %dir%/html/; if_modified_since off; }
        location /before/  { alias %dir%/html/; if_modified_since before; }
        location /notag/   { alias %dir%/html/; etag off; }
        location /return   { return 200 text; }
        location /gone     { error_page 410 /a.html; return 410; }
        location /replaced { alias %dir%/html/; add_header Last-Modified ""; }
CONF
);

my $etag = $weir->get('/a.html')->field('ETag');
like($etag, qr/^"[0-9a-f]+-6"$/, 'an entity tag of time and size');
my ($date, $earlier, $later) = map { "Tue, 14 Nov 2023 22:13:$_ GMT" } 20, 19, 21;
my @conditions = (
    "If-None-Match: $etag", "If-None-Match: W/$etag", 'If-None-Match: *', 'If-None-Match: "x"', "If-None-Match: \"x\", $etag",
    "If-None-Match: \"x\" ,W/\"y\",$etag", 'If-None-Match: x', 'If-None-Match: ', 'If-None-Match: "unfinished',
    "If-Modified-Since: $date", "If-Modified-Since: $earlier", "If-Modified-Since: $later", 'If-Modified-Since: yesterday',
    'If-Modified-Since: Tuesday, 14-Nov-23 22:13:20 GMT', 'If-Modified-Since: Tue Nov 14 22:13:20 2023',
    'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT',
    "If-Match: $etag", "If-Match: W/$etag", 'If-Match: *', 'If-Match: "x"', "If-Match: \"x\", $etag",
    "If-Unmodified-Since: $date", "If-Unmodified-Since: $earlier", "If-Unmodified-Since: $later",
);
for my $condition (@conditions) {
    for my $path ('/a.html', '/off/a.html', '/before/a.html', '/notag/a.html') {
        Nginx::same($weir, $nginx, "$path, $condition", 'GET', $path, fields => [$condition]);
    }
    Nginx::same($weir, $nginx, "HEAD, $condition", 'HEAD', '/a.html', fields => [$condition])
      unless $condition =~ /^If-Match: (?:"x"|W.*)$|^If-Unmodified-Since: $earlier/;    # the length of an error's page tells the server's name
    Nginx::same($weir, $nginx, "text, $condition", 'GET', '/return', fields => [$condition]);
    Nginx::same($weir, $nginx, "error, $condition", 'GET', '/gone', fields => [$condition]);
    Nginx::same($weir, $nginx, "own date, $condition", 'GET', '/replaced/a.html', fields => [$condition]);
    Nginx::same($weir, $nginx, "POST, $condition", 'POST', '/a.html', fields => [$condition]);
}
Nginx::same($weir, $nginx, 'a range with a condition that fails', 'GET', '/a.html',
    fields => [ 'Range: bytes=0-1', 'If-Match: "x"' ]);
Nginx::same($weir, $nginx, 'a range that is not modified', 'GET', '/a.html',
    fields => [ 'Range: bytes=0-1', "If-None-Match: $etag" ]);

# RFC 9110, 13.1.3 and 13.1.4: dates do not count beside tags, nor do broken ones.
my @pairs = (
    [ 200, 'If-Unmodified-Since: never' ],
    [ 304, "If-None-Match: $etag",      "If-Modified-Since: $earlier" ],
    [ 200, 'If-None-Match: "x"',        "If-Modified-Since: $date" ],
    [ 200, "If-Match: $etag",           "If-Unmodified-Since: $earlier" ],
    [ 412, 'If-Match: "x"',             "If-Unmodified-Since: $date" ],
    [ 412, 'If-Match: "x"',             "If-None-Match: $etag" ],
    [ 304, "If-Match: $etag",           "If-None-Match: $etag" ],
);
for my $pair (@pairs) {
    my ($status, @fields) = @$pair;
    is($weir->get('/a.html', fields => \@fields)->status, $status, "@fields");
}

my $answer = $weir->get('/a.html', fields => ["If-None-Match: $etag"]);
is($answer->field('ETag'),          $etag,  'a 304 names the tag');
is($answer->field('Last-Modified'), $date,  'and the date');
is($answer->field('X-Added'),       'yes',  'and what is added');
ok(defined $answer->field('Expires'),       'and for how long');
is($answer->field('Content-Type'),  undef,  'but no type');
is($answer->field('Content-Length'), undef, 'and no length');

# The connection goes on behind it.
my $client = $weir->client;
$client->send_request('GET', '/a.html', fields => ["If-None-Match: $etag"]) for 1 .. 2;
is($client->answer->status, 304, 'one') for 1 .. 2;

done_testing;
