#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# many_locations.t - with 10,000 servers, 1,000 prefixes and 200 patterns each URI gets to the location that the rules
# name, and processes stay below 40 MB.

use lib 't/lib';
use Weir;

# In the order of the text, with all that the search for texts in patterns tells apart.
my @patterns;
for my $i (1 .. 40) {
    push @patterns, [ '~*', "\\.(?:ext$i|old$i)\$" ], [ '~', "^/user$i/(\\d+)\$" ], [ '~*', "^/Group$i/" ],
      [ '~', "/part$i/.*x" ], [ '~', "^/[a-z]+/(\\d+)y$i\$" ];
}
my @prefixes = map { ($_ % 10 == 0 ? '^~ ' : '') . "/prefix$_/" } 1 .. 1000;

my $text = 'location / { return 200 "/"; }' . "\n";
$text .= "location $prefixes[$_] { return 200 \"prefix $_\"; }\n" for 0 .. $#prefixes;
$text .= "location $patterns[$_][0] \"$patterns[$_][1]\" { return 200 \"pattern $_\"; }\n" for 0 .. $#patterns;

my $weir = Weir->new(
    main   => 'worker_processes 1;',
    server => $text,
    http   => join('', map { "server { listen 127.0.0.1:%port0%; server_name s$_.test; location / { return 200 s$_; } }\n" } 1 .. 10000),
);

# What the documentation says, one by one.
sub expected ($uri) {
    my ($best, $found) = (1, '/');
    for my $i (0 .. $#prefixes) {
        my ($mark, $prefix) = $prefixes[$i] =~ /^(\^~ )?(.*)/;
        next unless length $prefix > $best && index($uri, $prefix) == 0;
        ($best, $found) = (length $prefix, "prefix $i" . ($mark ? '!' : ''));
    }
    return $found =~ s/!$//r if $found =~ /!$/;
    for my $i (0 .. $#patterns) {
        my ($mark, $pattern) = @{ $patterns[$i] };
        return "pattern $i" if $mark eq '~*' ? $uri =~ /$pattern/i : $uri =~ /$pattern/;
    }
    return $found;
}

my @uris = (
    '/', '/x', '/a.EXT7', '/a.old40', '/a.ext41', '/user3/12', '/user3/12x', '/group9/', '/GROUP9/a.ext1', '/q/part5/rx',
    '/q/part5/r', '/abc/12y40', '/abc/12y41', '/prefix1/', '/prefix10/a.ext3', '/prefix11/a.ext3', '/prefix1000/x',
    '/prefix999/12y5', '/user40/7.ext40', '/' . 'a' x 2000 . '.ext9', '/part1/' . 'b' x 1500 . 'x',
);
is($weir->get($_)->body, expected($_), length $_ > 60 ? substr($_, 0, 20) . '...' : $_) for @uris;
is($weir->get('/a.ext1', host => "s$_.test")->body, "s$_", "server $_") for 1, 5000, 10000;

SKIP: {
    skip 'sanitizers and valgrind take memory of their own', 2 if $ENV{WEIR_SANITIZE} || $ENV{VALGRIND};
    for my $pid ($weir->processes) {
        open my $fh, '<', "/proc/$pid/status" or die;
        my ($kb) = join('', <$fh>) =~ /^VmRSS:\s+(\d+)/m;
        cmp_ok($kb, '<', 40 * 1024, 'memory of a process');
    }
}

done_testing();
