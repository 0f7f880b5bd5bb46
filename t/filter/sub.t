#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# sub_filter: strings wherever the borders of buffers lie, pages of any size in little memory, variables of the request.

use lib 't/lib';
use Weir;

my $rows = $ENV{WEIR_SANITIZE} ? 2000 : 15_000;
my @html = (fields => ['Content-Type: text/html']);
my $text = join '', map { ('x' x ($_ % 7)) . '<NEEDLE>' . ('<need' x ($_ % 3)) } 1 .. 3000;
my ($want) = map { s/<NEEDLE>/[1]/gr } $text;
my %script = map { ("/cut$_" => { chunks => [ unpack "(a$_)*", $text ], @html }) } 1, 2, 3, 5, 7, 8, 11, 64, 4095, 4096;
my $origin = Origin->new(
    %script,
    '/huge'  => { body => ('<need' x 200) . "<needle>\n", repeat => $rows, @html },
    '/trail' => { chunks => ['a needl'], trailers => ['X-End: 1'], @html },
);
my $weir = Weir->new(
    files  => { 'html/a.html' => $text, 'html/b.html' => "one two three one\n" },
    http   => 'types { text/html html; } map $arg_v $wanted { default one; t two; }',
    server => <<CONF,
        location /        { proxy_pass $origin->{url}; sub_filter <needle> [1]; sub_filter_once off; }
        location /off/    { proxy_pass $origin->{url}/; proxy_buffering off; sub_filter <needle> [1]; sub_filter_once off; }
        location /a.html  { output_buffers 2 3; sub_filter <needle> [1]; sub_filter_once off; }
        location /b.html  { sub_filter \$wanted "<\$wanted>"; sub_filter_once off; }
CONF
);

is($weir->get("/cut$_")->body,     $want, "chunks of $_")               for 1, 2, 3, 5, 7, 8, 11, 64, 4095, 4096;
is($weir->get("/off/cut$_")->body, $want, "chunks of $_, not buffered") for 1, 7, 4096;
is($weir->get('/a.html')->body, $want, 'a file');
is($weir->get('/trail')->body, 'a needl', 'the start of a string at the end');
is($weir->get('/b.html')->body,     "<one> two three <one>\n", 'a string with a variable');
is($weir->get('/b.html?v=t')->body, "one <two> three one\n",   'of each request anew');

# 15 MB pass, the worker stays small.
sub resident () {
    my ($status) = map { local (@ARGV, $/) = "/proc/$_/status"; <> } $weir->workers;
    return $status =~ /^VmRSS:\s*(\d+) kB/m ? $1 : die 'no VmRSS';
}
my $before = resident();
my $answer = $weir->get('/huge');
my $huge   = $answer->body;
is(length $huge, $rows * (5 * 200 + 3 + 1), 'a page of 15 MB');
is(scalar(() = $huge =~ /\[1\]/g), $rows, 'with all strings replaced');
cmp_ok(resident() - $before, '<', 8192, 'in less than 8 MB') unless $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND};

# What is wrong is said at load.
my $bad = Weir->new(location => 'sub_filter "" x;', start => 0);
like(join('', $bad->run_weir('-t')), qr/empty search pattern/, 'an empty string');
$bad->rewrite_conf(location => 'sub_filter abc;');
like(join('', $bad->run_weir('-t')), qr/invalid number of arguments in "sub_filter" directive/, 'no replacement');
$bad->rewrite_conf(location => 'sub_filter a $nothing_like_it;');
like(join('', $bad->run_weir('-t')), qr/unknown "nothing_like_it" variable/, 'an unknown variable');

done_testing;
