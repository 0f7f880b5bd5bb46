#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# damage.t - 500 damaged variants of valid configurations: weir -t ends by itself, with success or with file:line.
#
# The damage comes from a fixed sequence of numbers, so variant 217 is the same on every machine.

use lib 't/lib';
use Weir;

my $variants = 500;
my $state    = 20261120;

# Below 2^32 in all steps, so that it is exact without 128-bit products.
sub draw ($below) {
    $state = ($state * 1664525 + 1013904223) % 2**32;
    return int($state / 2**8) % $below;
}

# One piece of damage: bytes taken out, doubled, replaced, put in, moved, or the end cut off.
sub damage ($text) {
    my $at    = draw(length($text) + 1);
    my $len   = draw(1 + draw(40));
    my @bytes = ('{', '}', ';', '"', "'", '\\', '$', '#', "\n", "\r", ' ', "\0", '*', '[', '=', '9', "\xff", 'x' x 5000);
    my $kind  = draw(7);
    $len = length($text) - $at if $at + $len > length $text;
    my $byte = $bytes[ draw(scalar @bytes) ];
    if    ($kind == 0) { substr($text, $at, $len)           = '' }
    elsif ($kind == 1) { substr($text, $at, $len ? 1 : 0)   = '' }
    elsif ($kind == 2) { substr($text, $at, 0)              = substr($text, $at, $len) }
    elsif ($kind == 3) { substr($text, $at, 0)              = $byte }
    elsif ($kind == 4) { substr($text, $at, $len ? 1 : 0)   = $byte }
    elsif ($kind == 5) { substr($text, $at, $len)           = substr($text, draw(length($text) + 1), $len) }
    else               { substr($text, $at)                 = '' if draw(4) == 0 }
    return $text;
}

my $weir = Weir->new(start => 0);
my $dir  = $weir->dir;
mkdir "$dir/parts";

sub slurp ($name) {
    open my $fh, '<:raw', $name or die "$name: $!";
    local $/;
    return <$fh>;
}

# Sockets of files, so that nothing depends on which ports are free.
sub place ($text) { return $text =~ s{listen 127\.0\.0\.1:(\d+)}{listen unix:$dir/$1.sock}gr }

sub check ($text, $part) {
    $weir->write_file('w.conf', $text);
    $weir->write_file('parts/limits.inc', $part);
    unlink "$dir/run.out";
    return $weir->run($weir->binary, '-t', '-p', $dir, '-e', "$dir/error.log", '-c', "$dir/w.conf");
}

my @names = sort glob 't/conf/valid/*.conf';
my @texts = map { place(slurp($_)) } @names;
my $part  = slurp('t/conf/valid/parts/limits.inc');

for my $i (0 .. $#texts) {
    my ($status, $said) = check($texts[$i], $part);
    is($status, 0, "$names[$i] is valid") or diag($said);
}

my @problems;
for my $n (1 .. $variants) {
    my ($text, $inc) = ($texts[ $n % @texts ], $part);
    if   (draw(8) == 0) { $inc  = damage($inc) }
    else                { $text = damage($text) }
    $text = damage($text) while draw(3) == 0;
    my ($status, $said) = check($text, $inc);
    next if $status == 0 || ($status == 1 && $said =~ m{ \[emerg\] .* in /\S+:\d+$}m);
    push @problems, "variant $n: status $status\n$said\n$text";
}
ok(!@problems, "$variants damaged variants end with success or file:line");
diag($_) for @problems[ 0 .. ($#problems > 2 ? 2 : $#problems) ];

done_testing();
