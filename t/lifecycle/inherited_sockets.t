# Sockets that the start finds: from systemd (LISTEN_FDS) and from a running nginx (NGINX=).
use lib 't/lib';
use Weir;
use Socket;
use Fcntl;

for my $way ('LISTEN_FDS', 'NGINX') {
    my $weir = Weir->new(location => 'return 200 inherited;', start => 0);
    socket(my $socket, AF_INET, SOCK_STREAM, 0);
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    bind($socket, pack_sockaddr_in($weir->port, inet_aton('127.0.0.1'))) or die "bind: $!";
    listen($socket, 10);
    # A client of before the start is served.
    my $early = $weir->client;
    $early->send_request('GET', '/');

    my $pid = fork // die;
    if ($pid == 0) {
        my $old = fileno $socket;
        POSIX::dup2($old, 3) if $old != 3;
        $^F = 10;
        if ($way eq 'NGINX') { $ENV{NGINX} = '3;' }
        else                 { ($ENV{LISTEN_PID}, $ENV{LISTEN_FDS}) = ($$, 1) }
        POSIX::dup2($old, 3);
        open my $flags, '<&=', 3;
        fcntl($flags, F_SETFD, 0);
        $ENV{ASAN_OPTIONS} .= ':detect_leaks=0' if $ENV{ASAN_OPTIONS};
        exec $weir->command or POSIX::_exit(127);
    }
    close $socket;
    wait_for(sub { ($weir->{pid}) = $weir->read_file($weir->{pid_file}) =~ /^(\d+)\n/ }, 'the start');
    is($weir->{pid}, $pid, "$way: runs");
    is($early->answer->body, 'inherited', "$way: a connection that waited is served");
    is($weir->get('/')->body, 'inherited', "$way: serves");
    for (1 .. 3) {
        my ($status, $output) = $weir->ctl('reload');
        is($status, 0, "$way: reload") or diag($output);
    }
    is($weir->get('/')->body, 'inherited', "$way: serves after reloads");
    unlike($weir->read_file("/proc/$pid/environ"), qr/LISTEN_FDS|NGINX=/, "$way: not offered to the next image");
}
