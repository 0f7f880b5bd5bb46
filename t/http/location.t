#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Which location serves a request: exact, prefix, ^~, patterns in order, nested and named ones, with captures.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files  => { 'html/x' => 'file' },
    server => <<'CONF',
        location /                  { return 200 "root"; }
        location = /                { return 200 "exact root"; }
        location /documents/        { return 200 "documents"; }
        location ^~ /images/        { return 200 "images"; }
        location ~* \.(gif|jpg)$    { return 200 "picture $1"; }
        location ~ ^/user/(?<name>[a-z]+)/(\d+)?$ { return 200 "$name/$1/$2"; }
        location "~ ^/quoted"       { return 200 "quoted"; }
        location =/tight            { return 200 "tight"; }
        location /outer/ {
            location ~ \.txt$       { return 200 "text"; }
            location /outer/inner/  { return 200 "inner"; }
            return 200 "outer";
        }
        location /try/              { try_files /missing @named; }
        location @named             { return 200 "named $uri"; }
        location /internal/         { internal; return 200 "internal"; }
        location /show/             { error_page 404 =200 /internal/; return 404; }
        location /limited/          { limit_except GET POST { deny all; } root %dir%/html; try_files /x =404; }
        location /case              { return 200 "lower"; }
        location /%24sign           { return 200 "never"; }
        location /$sign             { return 200 "sign"; }
CONF
);

my @table = (
    [ '/',                      'exact root' ],
    [ '/index.html',            'root' ],
    [ '/documents/a',           'documents' ],
    [ '/documents',             'root' ],
    [ '/images/a.gif',          'images' ],
    [ '/documents/a.JPG',       'picture JPG' ],
    [ '/user/ann/12',           'ann/ann/12' ],
    [ '/user/ann/',             'ann/ann/' ],
    [ '/user/ann',              'root' ],
    [ '/tight',                 'tight' ],
    [ '/outer/a',               'outer' ],
    [ '/outer/a.txt',           'text' ],
    [ '/outer/inner/a',         'inner' ],
    [ '/outer/inner/a.gif',     'picture gif' ],
    [ '/try/it',                'named /try/it' ],
    [ '/show/',                 'internal' ],
    [ '/CASE',                  'root' ],
    [ '/%63ase',                'lower' ],
    [ '/documents/../case',     'lower' ],
    [ '//documents//a',         'documents' ],
    [ '/%24sign',               'sign' ],
    [ '/user/%61nn/',           'ann/ann/' ],
);
is($weir->get($_->[0])->body, $_->[1], $_->[0]) for @table;
is($weir->get('/internal/')->status, 404, 'internal from outside');

my %methods = (GET => 200, HEAD => 200, POST => 405, PUT => 403, DELETE => 403, FOO => 403);
is($weir->request($_, '/limited/')->status, $methods{$_}, "limit_except: $_") for sort keys %methods;

my $twice = Weir->new(start => 0, server => "location /a { return 200; }\nlocation /b { }\nlocation /a { root /x; }");
my ($said) = ($twice->run_weir('-t'))[1];
my ($first, $second) = (qr/weir\.conf:(\d+): move what this one says into its braces/, qr/duplicate location "\/a" in \S*weir\.conf:(\d+)/);
like($said, $second, 'the same location twice');
is(($said =~ $second)[0] - ($said =~ $first)[0], 2, 'with the place of the first, and what to do');

done_testing;
