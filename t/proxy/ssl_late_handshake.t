#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# What an origin says about the session after the handshake may come in several records: a request body that is on its way
# to it then waits for the rest, and is no failure.

use lib 't/lib';
use Certs;
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('a', names => ['a.example'])->make('long', names => [ map { 'a' x 50 . "$_.example" } 1 .. 40 ]);

local $SIG{PIPE} = "IGNORE";

# Tickets have our certificate in them, which is larger than a record of the origin.
my $origin = Origin->new(tls => { cert => "$dir/a.crt", ca => "$dir/ca.crt", required => 1, record => 512 }, '*' => { echo => 1 });

# Stands between both and lets the origin's records through one by one: further ones when it is told so.
sub between () {
    my $port = Port::claim();
    socket(my $listener, AF_INET, SOCK_STREAM, 0) or die $!;
    setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
    bind($listener, pack_sockaddr_in($port, INADDR_LOOPBACK)) or die $!;
    listen($listener, 10) or die $!;
    socketpair(my $control, my $child, AF_UNIX, SOCK_STREAM, 0) or die $!;
    my $pid = fork // die $!;
    return ($port, $control, $pid) if $pid;
    Weir::end_with_parent(POSIX::SIGKILL());
    close $control;
    accept(my $weir, $listener) or die $!;
    socket(my $to, AF_INET, SOCK_STREAM, 0) or die $!;
    connect($to, pack_sockaddr_in($origin->port, INADDR_LOOPBACK)) or die $!;
    setsockopt($_, IPPROTO_TCP, TCP_NODELAY, 1) for $weir, $to;
    my ($held, $open, $flights) = ('', 0, 0);
    my $pass = sub ($n) {
        while ($n-- > 0 && length $held >= 5 && length $held >= 5 + unpack 'x3n', $held) {
            syswrite $weir, substr($held, 0, 5 + unpack('x3n', $held), '');
        }
    };
    while (1) {
        my $read = '';
        vec($read, fileno $_, 1) = 1 for $weir, $to, $child;
        select $read, undef, undef, undef;
        if (vec $read, fileno $weir, 1) {
            sysread($weir, my $bytes, 65536) or last;
            syswrite $to, $bytes;
            $flights++;
        }
        if (vec $read, fileno $to, 1) {
            sysread($to, my $bytes, 65536) or last;
            $held .= $bytes;
        }
        if (vec $read, fileno $child, 1) {
            sysread($child, my $word, 1) or last;
            $pass->(1), syswrite $child, '.' if $word eq 'n';
            syswrite $child, length($held) ? '+' : '-' if $word eq '?';
            $open = 1 if $word eq 'a';
        }
        $pass->(1e9) if $open || $flights < 2;    # the handshake itself
    }
    POSIX::_exit(0);
}

my ($port, $control, $pid) = between();

sub asked ($word) {
    syswrite $control, $word;
    sysread $control, my $answer, 1;
    return $answer;
}

my $weir = Weir->new(workers => 1, server => <<CONF);
    location / { proxy_request_buffering off; proxy_ssl_certificate $dir/long.crt; proxy_ssl_certificate_key $dir/long.key;
        proxy_pass https://127.0.0.1:$port; }
    location = /ping { return 204; }
CONF
my $client = $weir->client;
$client->write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" . 'x' x 1000);
wait_for(sub { $origin->body_bytes == 1000 && asked('?') eq '+' }, 'the first part, and tickets of the origin');
asked('n');
is($weir->get('/ping')->status, 204, 'the first record of a ticket has been read');
$client->write('y' x 1000);
is($weir->get('/ping')->status, 204, 'and a part of the body');
syswrite $control, 'a';
$client->write('z' x 1000);
like($client->answer->body, qr/x{1000}y{1000}z{1000}\z/, 'the whole body arrives');
unlike($weir->error_log, qr{\[error\]}, 'and nothing was wrong');
close $control;
waitpid $pid, 0;

done_testing;
