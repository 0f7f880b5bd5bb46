# SPDX-License-Identifier: BSD-2-Clause
# Port.pm - ports that no other test, and no outgoing connection, can take before the daemon binds them.
#
# They lie below the kernel's ephemeral range. A port is claimed by an abstract unix socket of its name, which the
# kernel frees when the last holder ends, so nothing is left behind.

package Port;
use v5.36;
use Socket;

my ($first, $last) = (11000, 31999);
my $next = $first + ($$ * 37) % ($last - $first);
my @claims;

sub claim () {
    for (1 .. $last - $first) {
        my $port = $next;
        $next = $next == $last ? $first : $next + 1;
        socket(my $claim, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
        bind($claim, pack_sockaddr_un("\0weir-test-port-$port")) or next;
        is_free($port) or next;
        push @claims, $claim;
        return $port;
    }
    die "no free port between $first and $last";
}

# Somebody outside our tests may listen there.
sub is_free ($port) {
    socket(my $probe, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
    setsockopt($probe, SOL_SOCKET, SO_REUSEADDR, 1);
    return bind($probe, pack_sockaddr_in($port, INADDR_ANY));
}

1;
