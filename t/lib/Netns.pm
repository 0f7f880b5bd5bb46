# SPDX-License-Identifier: BSD-2-Clause
# Netns.pm - puts the test into a network namespace of its own, where it may use any address and port.
#
#     use Weir;
#     use Netns;
#     Netns->enter(addresses => ['10.0.1.101']);    # skips where it is not allowed

package Netns;
use v5.36;
use Config;

my %unshare = (x86_64 => 272, aarch64 => 97);
my ($new_user, $new_net) = (0x10000000, 0x40000000);

sub enter ($class, %option) {
    my ($machine) = $Config{archname} =~ /^(x86_64|aarch64)/ or Weir::skip_all('unshare is not known here');
    `ip -V 2>/dev/null` or Weir::skip_all('no ip command');
    my ($uid, $gid) = ($<, $( + 0);
    if (syscall($unshare{$machine}, $new_net) != 0) {
        syscall($unshare{$machine}, $new_user | $new_net) == 0
          or Weir::skip_all('no right to a network namespace');
        put('/proc/self/setgroups', 'deny');
        put('/proc/self/uid_map',   "0 $uid 1");
        put('/proc/self/gid_map',   "0 $gid 1");
    }
    run('ip', 'link', 'set', 'lo', 'up');
    run('ip', 'address', 'add', "$_/32", 'dev', 'lo') for @{ $option{addresses} // [] };
}

sub put ($path, $text) {
    open my $fh, '>', $path or die "$path: $!";
    print $fh $text;
    close $fh or die "$path: $!";
}

sub run (@command) {
    system(@command) == 0 or Weir::skip_all("@command does not work here");
}

1;
