#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# internal_redirect: on to another location when the checks of this one are through.
use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files  => { 'html/found/a.txt' => 'a file' },
    server => <<'CONF',
        listen 127.0.0.1:%port0%;
        location /named/   { internal_redirect @named; }
        location @named    { internal; return 200 "named $uri"; }
        location /uri/     { internal_redirect /target$uri?b=2; }
        location /file/    { internal_redirect /found/a.txt; }
        location /target/  { internal; return 200 "$uri $args"; }
        location /maybe/   { internal_redirect $arg_to; root %dir%/html; try_files /found/a.txt =404; }
        location /denied/  { deny all; internal_redirect @named; }
        location /loop/    { internal_redirect /loop2/; }
        location /loop2/   { internal_redirect /loop/x; }
        location /missing/ { internal_redirect @missing; }
        location /return/  { internal_redirect @named; if ($arg_x) { return 200 rewrite; } }
    }
    server {
        listen 127.0.0.1:%port1%;
        internal_redirect /inner$uri;
        location /inner/ { return 200 $uri; }
        location /off/ { internal_redirect ""; return 200 off; }
CONF
);
sub body ($target, %option) { $weir->get($target, %option)->body }

is(body('/named/x'),        'named /named/x',        'a named location');
is(body('/uri/x'),          '/target/uri/x b=2',      'a URI with arguments');
is(body('/file/'),          'a file',                'a file');
is(body('/maybe/'),         'a file',                'an empty value is none');
is(body('/maybe/?to=@named'), 'named /maybe/',       'a variable one');
is(body('/maybe/?to=/target/y'), '/target/y ',       'or a URI');
is($weir->get('/denied/')->status, 403,              'access is checked before');
is(body('/return/?x=1'),    'rewrite',               'and what the rewrite phase answers');
is($weir->get('/target/x')->status, 404,             'internal locations stay so for others');
is($weir->get('/missing/')->status, 500,             'a location that is not there');
is($weir->get('/loop/')->status, 500,                'in circles');
$weir->allow(qr/cycle/);
is(body('/a', port => 1),   '/inner/a',              'in server {}: once');
is(body('/inner/a', port => 1), '/inner/a',          'return comes before it');
is(body('/off/', port => 1), 'off',                  'none in a location');
done_testing;
