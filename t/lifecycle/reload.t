# A reload serves the new configuration from the same master, says how it went, and changes nothing when it fails.
use lib 't/lib';
use Weir;

my $weir = Weir->new(location => 'return 200 one;', workers => 2);
sub lines ($pattern) { scalar(() = $weir->error_log =~ /$pattern/g) }
my $pid  = $weir->pid;
my @old  = $weir->workers;
is($weir->get('/')->body, 'one', 'the first configuration');

$weir->rewrite_conf(location => 'return 200 two;');
my ($status, $output) = $weir->ctl('reload');
is($status, 0, 'reload: exit status') or diag($output);
like($output, qr/^generation 2 serves, 2 workers$/m, 'reload: one line of result');
is($weir->get('/')->body, 'two', 'the new generation has served before the tool returned');
ok(Weir::is_alive($pid), 'the master has kept its pid');
is($weir->read_file($weir->{pid_file}), "$pid\n", 'and its pid file');
like(Weir::command_line($pid), qr/^weir: master process \S/, 'and its title');
open my $comm, '<', "/proc/$pid/comm";
is(<$comm>, "weir\n", 'and its name');
wait_for(sub { !grep { Weir::is_alive($_) } @old }, 'the old workers to end');

# Errors: what the tool says, and what the log says.
$weir->rewrite_conf(location => "return 200 three;\nno_such_thing on;");
my @text = split /\n/, $weir->read_file('weir.conf');
my ($line) = grep { $text[ $_ - 1 ] =~ /no_such_thing/ } 1 .. @text;
my $error = qr/unknown directive "no_such_thing" in \S+weir\.conf:$line$/m;
$weir->allow(qr/no_such_thing/);
($status, $output) = $weir->ctl('reload');
is($status, 1, 'a bad configuration: exit status');
like($output, qr/\A\S+: \[emerg\] $error/, 'a bad configuration: file and line');
like($weir->error_log, qr/\[emerg\] .*$error/, 'and in the log');
is($weir->get('/')->body, 'two', 'nothing has changed');

($status, $output) = $weir->run_weir('-s', 'reload');
is($status, 1, '-s reload tells the verdict too');
like($output, $error, 'with the error');
($status, $output) = $weir->ctl('test');
is($status, 1, 'test: exit status');
like($output, $error, 'test: the error');

$weir->signal('HUP');
wait_for(sub { lines('the reload has failed') == 3 }, 'the verdict on SIGHUP');
is($weir->get('/')->body, 'two', 'still nothing has changed');
like($weir->error_log, qr/signal 1 \(SIGHUP\) received from \d+, reconfiguring/, 'the signal is logged as nginx does');

$weir->rewrite_conf(location => 'return 200 three;');
($status, $output) = $weir->ctl('test');
is($status, 0, 'test of a good configuration');
is($weir->get('/')->body, 'two', 'which is not served');
for my $signal (qw(HUP USR2)) {
    my $before = lines('generation \d+ serves');
    $weir->signal($signal);
    wait_for(sub { lines('generation \d+ serves') > $before }, "a reload by SIG$signal");
    # Nobody waits for a signal's reload: the generation before may take a connection yet.
    ok(wait_for(sub { $weir->get('/')->body eq 'three' }, "SIG$signal to take effect"), "SIG$signal reloads");
}
($status, $output) = $weir->run_weir('-s', 'reload');
is($status, 0, '-s reload of a good configuration');
is($output, '', 'says nothing, like nginx');

# A hundred at once are two or three: one runs, one waits.
my $before = lines('generation \d+ serves');
$weir->signal('HUP') for 1 .. 100;
($status) = $weir->ctl('reload');
is($status, 0, 'a reload behind a hundred SIGHUPs');
cmp_ok(lines('generation \d+ serves') - $before, '<=', 4, 'they were joined');

# All the time, also while exec runs, when a fresh image has no handlers yet.
my $sender = fork // die;
if ($sender == 0) {
    my $end = time + 2;
    while (time < $end) {
        kill $_, $pid for qw(HUP USR1 USR2 CHLD);
        select undef, undef, undef, 0.0005;
    }
    POSIX::_exit(0);
}
my $failed = 0;
while (waitpid($sender, POSIX::WNOHANG()) == 0) {
    my $answer = $weir->get('/');
    $failed++ if !$answer || ($answer->body // '') ne 'three';
}
is($failed, 0, 'signals in a loop: all requests are served');
ok(Weir::is_alive($pid), 'signals in a loop: the master lives');
($status) = $weir->ctl('reload');
is($status, 0, 'signals in a loop: it still reloads');

($status, $output) = $weir->ctl('status');
is($status, 0, 'status');
like($output, qr/^master: $pid$/m,                               'status: the master');
like($output, qr/^generation \d+: serving, 2 processes: \d+ \d+/m, 'status: the generation');
($status, $output) = $weir->ctl('nonsense');
is($status, 1, 'an unknown command is an error');
