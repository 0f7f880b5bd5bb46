#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# try_files: files, directories, codes, URIs, names; what it leaves to nested locations.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files => {
        'html/a.html'        => 'a',
        'html/d/index.html'  => 'index',
        'html/maint.html'    => 'maintenance',
        'html/front.html'    => 'front',
        'html/$x'            => 'dollar',
    },
    server => <<'CONF',
        location /            { try_files $uri $uri.html $uri/ /front.html; }
        location /code        { try_files /missing =404; }
        location /code418     { try_files /missing =418; }
        location /switch      { try_files /maint.html =404; }
        location /named       { try_files /missing @app; }
        location /args        { try_files /missing /v?u=$uri; }
        location /v           { return 200 "$uri?$args"; }
        location /dirasfile   { try_files /d =404; }
        location /fileasdir   { try_files /a.html/ =404; }
        location /outer       { try_files /a.html =404; location /outer/in { } }
        location ~ ^/re/(.*)$ { try_files /$1.html =404; }
        location @app         { return 200 "app $uri $args"; }
CONF
);

my @table = (
    [ '/a.html',       200, 'a' ],
    [ '/a',            200, 'a' ],
    [ '/d/',           200, 'index' ],
    [ '/d',            301, undef ],
    [ '/none',         200, 'front' ],
    [ '/code',         404, undef ],
    [ '/code418',      418, '' ],
    [ '/switch',       200, 'maintenance' ],
    [ '/named?x=1',    200, 'app /named x=1' ],
    [ '/args',         200, '/v?u=/args' ],
    [ '/dirasfile',    404, undef ],
    [ '/fileasdir',    404, undef ],
    [ '/outer',        200, 'a' ],
    [ '/outer/in',     404, undef ],
    [ '/re/a',         200, 'a' ],
    [ '/re/../a',      200, 'a' ],
    [ '/re/none',      404, undef ],
);
for my $row (@table) {
    my ($target, $status, $body) = @$row;
    my $answer = $weir->get($target);
    is($answer->status, $status, "$target: status");
    is($answer->body, $body, "$target: body") if defined $body;
}
is($weir->get('/a')->field('Content-Type'), 'text/html', 'the type is that of the file');

my $other = Weir->new(server => 'try_files /a =x;', start => 0);
like(($other->run_weir('-t'))[1], qr/invalid code "=x" in /, 'a bad code');

done_testing;
