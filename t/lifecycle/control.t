# The control socket: who may ask, and clients that do not behave.
use lib 't/lib';
use Weir;
use Socket;

my $weir = Weir->new(location => 'return 200 here;');
my $path = $weir->dir . '/weir.ctl';
is((stat $path)[2] & 0777, 0600, 'mode of the socket');
is((stat $path)[2] >> 12, 12, 'it is a socket');

sub ask ($request, $wait = 1) {
    socket(my $fh, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
    connect($fh, pack_sockaddr_un($path)) or return undef;
    send($fh, $request, 0) if defined $request;
    return $fh unless $wait;
    my $bits = '';
    vec($bits, fileno $fh, 1) = 1;
    select($bits, undef, undef, 10) or return 'timeout';
    recv($fh, my $answer, 65536, 0);
    return $answer;
}
like(ask('weir/1 status'), qr/^ok state: running\n/, 'a request');
is(ask('weir/1 adopt'), 'error running ' . $weir->pid, 'a second master is told');
like(ask('weir/9 status'), qr/^error version /, 'another version');
like(ask('weir/1 frobnicate'), qr/^error unknown /, 'another command');
like(ask('weir/1'), qr/^error unknown /, 'no command');
like(ask("\0\xff" x 1000), qr/^error version /, 'garbage');
like(ask('x' x 4096), qr/^error /, 'long garbage');
like(ask('weir/1 held'), qr/^ok socket stream 0 \S+ 127\.0\.0\.1:${\ $weir->port}$/m, 'held');

# Clients that leave, that say nothing, that talk while they wait.
close ask('weir/1 reload', 0) for 1 .. 10;
my @silent = map { ask(undef, 0) } 1 .. 20;
my $talks = ask('weir/1 reload', 0);
send($talks, 'weir/1 stop', 0);
my ($status, $output) = $weir->ctl('reload');
is($status, 0, 'others are served') or diag($output);
wait_for(sub { ($weir->ctl('status'))[1] =~ /^state: running/m }, 'the reloads to end');
is($weir->get('/')->body, 'here', 'the master lives');

# Many at once get one verdict each.
my @waiting = map { ask('weir/1 reload', 0) } 1 .. 10;
my @answers;
for my $fh (@waiting) {
    recv($fh, my $answer, 65536, 0);
    push @answers, $answer;
}
is((grep { /^ok generation \d+ serves/ } @answers) + 0, 10, 'each client has its verdict');
close $_ for @silent;

if ($> == 0) {
    my $pid = fork // die;
    if ($pid == 0) {
        $> = 65534;
        POSIX::_exit(defined ask('weir/1 stop') ? 1 : 0);
    }
    waitpid $pid, 0;
    is($?, 0, 'other users cannot connect');
}

# A stopped master does not answer: a second one does not take its place.
$weir->signal('STOP');
($status, $output) = $weir->run_weir;
is($status, 1, 'a start beside a master that hangs');
like($output, qr/already running: process ${\ $weir->pid}/, 'is told so');
$weir->signal('CONT');
$weir->allow(qr/already running/);
is($weir->get('/')->body, 'here', 'it goes on');
