#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# pairs.t - weir -t says of each pairs/NAME.conf what NAME.out beside it has, and its exit status agrees. So it does for
# program/NAME.conf, where the directives are those of the whole program.

use lib 't/lib';
use Weir;
use Cwd qw(abs_path);

my $weir = Weir->new(start => 0);

for my $conf (glob 't/conf/{pairs,program}/*.conf') {
    my ($dir, $name) = abs_path($conf) =~ m{^(.*)/([^/]+)\.conf$};
    unlink $weir->dir . '/run.out';
    my ($status, $said) =
      $weir->run($weir->binary, '-t', '-p', $weir->dir, '-e', $weir->dir . '/error.log', '-c', "$dir/$name.conf");
    $said =~ s/^weir: (?:the )?configuration file .*\n//mg;
    $said =~ s/^weir: //mg;
    $said =~ s/\Q$dir/DIR/g;
    open my $fh, '<', "$dir/$name.out" or die "$name.out: $!";
    my $want = do { local $/; <$fh> };
    is($said . ($status == 0 ? "ok\n" : "failed\n"), $want, $name);
    cmp_ok($status, '<=', 1, "$name: exit status");
}

done_testing();
