#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# env(NAME, default) where a value stands in the configuration, and nowhere else.

use lib 't/lib';
use Weir;

my %env = (TEXT => 'from outside; {} "x"', NUMBER => '7', EMPTY => '', SIZE => '5m', _odd1 => 'odd', HOSTS => 'a.test');

sub answer_of ($value, %option) {
    my $weir = Weir->new(env => \%env, location => "return 200 $value;", %option);
    return $weir->get('/', host => 'a.test')->body;
}
for my $case (
    [ 'env(TEXT)',                 'from outside; {} "x"' ],
    [ 'env( TEXT )',               'from outside; {} "x"' ],
    [ 'env(TEXT, other)',          'from outside; {} "x"' ],
    [ 'env(_odd1)',                'odd' ],
    [ 'env(EMPTY, other)',         '' ],
    [ 'env(NOT_THERE, other)',     'other' ],
    [ 'env(NOT_THERE,other)',      'other' ],
    [ 'env(NOT_THERE, two words)', 'two words' ],
    [ 'env(NOT_THERE, "a, (b); c")', 'a, (b); c' ],
    [ q{env(NOT_THERE, 'q"q')},    'q"q' ],
    [ 'env(NOT_THERE, )',          '' ],
    [ 'env(NOT_THERE, "")',        '' ],
    [ '"env(TEXT)"',               'env(TEXT)' ],
    [ q{'env(TEXT)'},              'env(TEXT)' ],
    [ 'xenv(TEXT)',                'xenv(TEXT)' ],
    [ 'env(TEXT)x',                'env(TEXT)x' ],
    [ 'env(TEXT|OTHER)',           'env(TEXT|OTHER)' ],
    [ 'env()',                     'env()' ],
    [ 'env(1A)',                   'env(1A)' ],
    [ 'env\(TEXT)',                'env\(TEXT)' ],
    [ 'env(NOT_THERE, $host)',     'a.test' ],
  )
{
    my ($value, $expected) = @$case;
    is(answer_of($value), $expected, $value);
}

# In blocks, maps, names, sizes, includes; regular expressions stay.
my $weir = Weir->new(
    env   => { %env, FILE => '%dir%/part.conf', PORT => '%port0%' },
    files => { 'part.conf' => 'location /part { return 200 "env(X)"; } location /second { return 200 env(NUMBER); }' },
    http  => 'map $arg_x $y { default env(NUMBER); env(TEXT) outside; }',
    server => <<'CONF',
        listen env(PORT);
        server_name env(HOSTS) env(MORE, b.test);
        client_max_body_size env(SIZE, 1k);
        include env(FILE);
        location /map { return 200 $y; }
        location ~ ^/env(/|$) { return 200 regex; }
        location ~ env(a|b)$ { return 200 either; }
        location = env(PLACE, /place){ return 200 place; }
CONF
);
is($weir->get('/map')->body, '7', 'the value of a map');
is($weir->get('/part')->body, 'env(X)', 'the name of a file to include');
is($weir->get('/second')->body, '7', 'within it');
is($weir->get('/env/x')->body, 'regex', 'part of a regular expression');
is($weir->get('/xenva')->body, 'either', 'the beginning of one');
is($weir->get('/place')->body, 'place', 'in front of a brace');

for my $case ([ 'env(NOT_THERE)', 'NOT_THERE' ], [ "env(TEXT)\n    env( ALSO_NOT )", 'ALSO_NOT' ]) {
    my ($value, $name) = @$case;
    my $lines = () = $value =~ /\n/g;
    my $bad   = Weir->new(env => \%env, start => 0, conf => "events {}\nhttp {\n  log_format a $value;\n}\n");
    my ($status, $said) = $bad->run_weir('-t');
    is($status, 1, "$name: refused");
    like($said, qr/\[emerg\] no "$name" in the environment in \S+weir\.conf:${\(3 + $lines)}\n.*env\(\s*$name.*\n\s*\|\s*\^/s, 'with its line and place');
    like($said, qr/env\($name, default\)/, 'and what to write');
}

# The text that is shown and kept has the name, not the value; reloads read the environment of the process.
my ($status, $dump) = Weir->new(env => { SECRET => 'hidden-value' }, location => 'return 200 env(SECRET);')->run_weir('-T');
is($status, 0, '-T');
like($dump, qr/return 200 env\(SECRET\);/, 'shows the name');
unlike($dump, qr/hidden-value/, 'and not the value');
my $again = Weir->new(env => \%env, location => 'return 200 env(NUMBER);');
ok($again->reload, 'a reload');
is($again->get('/')->body, '7', 'still has it');

done_testing;
