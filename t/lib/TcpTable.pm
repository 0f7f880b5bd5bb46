# SPDX-License-Identifier: BSD-2-Clause
# TcpTable.pm - the kernel's TCP connections of IPv4 (sock_diag(7)), without those in TIME_WAIT.
#
#     my @rows = TcpTable::rows();               # { state, local, peer (ports), inode }
#     my @ports = TcpTable::clients_of($pid, $weir->port(0), ...);   # peers' ports of the connections that a process holds
#
# /proc/net/tcp lists TIME_WAIT too: after a load it takes seconds to read.

package TcpTable;
use v5.36;

use constant {
    AF_NETLINK          => 16,
    SOCK_RAW            => 3,
    NETLINK_SOCK_DIAG   => 4,
    SOCK_DIAG_BY_FAMILY => 20,
    NLM_F_REQUEST_DUMP  => 0x301,
    NLMSG_ERROR         => 2,
    NLMSG_DONE          => 3,
    AF_INET             => 2,
    IPPROTO_TCP         => 6,
    TCP_TIME_WAIT       => 6,
};

sub rows () {
    socket my $socket, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG or die "sock_diag: $!";
    my $states = 0xfff & ~(1 << TCP_TIME_WAIT);
    my $query  = pack 'CCCx L x48', AF_INET, IPPROTO_TCP, 0, $states;
    syswrite $socket, pack('L S S L L', 16 + length $query, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 1, 0) . $query
      or die "sock_diag: $!";
    my @rows;
    while (1) {
        sysread $socket, my $answer, 65536 or die "sock_diag: $!";
        while (length $answer >= 16) {
            my ($length, $type) = unpack 'L S', $answer;
            return @rows if $type == NLMSG_DONE;
            die 'sock_diag: error ' . -unpack('x16 l', $answer) . "\n" if $type == NLMSG_ERROR;
            my ($state, $local, $peer, $inode) = unpack 'x16 x C x2 n n x44 x16 L', $answer;
            push @rows, { state => $state, local => $local, peer => $peer, inode => $inode };
            substr $answer, 0, ($length + 3) & ~3, '';
        }
    }
}

sub clients_of ($pid, @ports) {
    my %inode = map { (readlink($_) // '') =~ /^socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
    my %ours  = map { $_ => 1 } @ports;
    return map { $_->{peer} } grep { $ours{ $_->{local} } && $inode{ $_->{inode} } && $_->{peer} } rows();
}

1;
