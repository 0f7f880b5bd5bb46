# A worker that dies is replaced at once; one that keeps dying, with pauses; the service goes on.
use lib 't/lib';
use Weir;

my $weir = Weir->new(location => 'return 200 served;', workers => 3);
$weir->allow(qr/exited on signal 9/);
my $rounds = 9;
for my $round (1 .. $rounds) {
    my @before = $weir->workers;
    my $dead   = $before[ $round % 3 ];
    kill 'KILL', $dead;
    is($weir->get('/')->body, 'served', "serves after death $round");
    wait_for(sub { my @now = $weir->workers; @now == 3 && !grep { $_ == $dead } @now }, 'three workers again');
}
my $log = $weir->error_log;
is((() = $log =~ /\[alert\] .* worker process \d+ exited on signal 9/g) + 0, $rounds, 'each death is logged in nginx\'s words');

my ($status, $output) = $weir->ctl('status');
like($output, qr/serving, 3 processes/, 'status');
($status) = $weir->ctl('reload');
is($status, 0, 'reload');
wait_for(sub { ($weir->ctl('status'))[1] =~ /^connections_active: [01]$/m }, 'nothing of the dead is counted');

wait_for(sub { ($weir->ctl('status'))[1] =~ /^slots: 1021 of 1024 free$/m }, 'the slots of the dead are free again');

# WINCH: no workers, but a master, until the next reload.
$weir->signal('WINCH');
wait_for(sub { !$weir->workers }, 'workers to end');
ok(Weir::is_alive($weir->pid), 'the master stays');
($status) = $weir->ctl('reload');
is($status, 0, 'a reload');
is($weir->get('/')->body, 'served', 'brings workers back');
