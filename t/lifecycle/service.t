# What systemd is told: READY, RELOADING with its time stamp, READY again always, STOPPING, MAINPID.
use lib 't/lib';
use Weir;
use Socket;

my $dir  = File::Temp::tempdir(TMPDIR => 1, CLEANUP => 1);
my $path = "$dir/notify";
socket(my $notify, AF_UNIX, SOCK_DGRAM, 0) or die;
bind($notify, pack_sockaddr_un($path)) or die;

# The next message that matches.
sub told ($pattern, $what) {
    my @seen;
    my $found = eval {
        wait_for(
            sub {
                while (defined recv($notify, my $message, 4096, MSG_DONTWAIT)) {
                    push @seen, $message;
                    return 1 if $message =~ $pattern;
                }
                return 0;
            },
            $what
        );
    };
    ok($found, $what) or diag(@seen);
    return $seen[-1];
}

my $weir = Weir->new(location => 'return 200 here;', env => { NOTIFY_SOCKET => $path });
told(qr/^READY=1\nSTATUS=running: generation 1, 1 worker$/, 'READY');
$weir->signal('HUP');
told(qr/^RELOADING=1\nMONOTONIC_USEC=\d{5,}\n/, 'RELOADING');
told(qr/^READY=1\nSTATUS=running: generation 2, /, 'READY after the reload');

$weir->rewrite_conf(location => 'foo;');
$weir->allow(qr/foo|chdir|ended before/);
my ($status) = $weir->ctl('reload');
is($status, 1, 'a reload that fails');
told(qr/^RELOADING=1\n/, 'RELOADING');
told(qr/^READY=1\nSTATUS=running: generation 2, /, 'READY after a reload that failed');

$weir->rewrite_conf(location => 'return 200 x;', main => 'working_directory /nonexistent;');
($status) = $weir->ctl('reload');
is($status, 1, 'a generation that does not come up');
told(qr/^RELOADING=1\n/, 'RELOADING');
told(qr/^READY=1\nSTATUS=holding: generation 2, /, 'READY from HOLD');

my ($worker) = $weir->workers;
unlike($weir->read_file("/proc/$worker/environ"), qr/NOTIFY_SOCKET=\S*$path/, 'workers are not given the socket')
  if $weir->read_file("/proc/$worker/environ") =~ /=/;
$weir->stop('QUIT');
told(qr/^STOPPING=1/, 'STOPPING');

my $daemon = Weir->new(main => 'daemon on;', location => 'return 200 here;', env => { NOTIFY_SOCKET => $path });
told(qr/^MAINPID=${\ $daemon->pid}$/, 'MAINPID of a start into the background');
told(qr/^READY=1\n/, 'READY');
