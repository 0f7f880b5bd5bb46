# A master that is killed takes nothing with it: workers serve on, and the next start takes over all they hold.
use lib 't/lib';
use Weir;
use Load;

my @conf = (
    workers => 2,
    server  => "listen 127.0.0.1:%port0%;\nlisten 127.0.0.1:%port1% reuseport;\nlisten unix:%dir%/w.sock;\nserver_name localhost;",
    location => 'return 200 small;',
);
my $weir = Weir->new(@conf);
$weir->allow(qr/the master process \d+ has died/);

sub kill_master () {
    my $pid = $weir->pid;
    kill 'KILL', $pid;
    waitpid $pid, 0;
}
my $load = Load->new($weir, keepalive => 2, fresh => 2);
for my $round (1 .. 3) {
    my @orphans = $weir->workers;
    kill_master();
    my $known = () = $weir->error_log =~ /has died/g;
    wait_for(sub { (() = $weir->error_log =~ /the master process \d+ has died/g) >= 2 * $round }, 'workers to notice');
    is($weir->get('/')->body, 'small', "round $round: orphans serve");
    my ($status, $output) = $weir->ctl('status');
    is($status, 0, "round $round: and answer");
    like($output, qr/^master: dead/m, "round $round: that the master is dead");
    ($status, $output) = $weir->ctl('reload');
    is($status, 1, "round $round: no reload without a master");
    like($output, qr/no master: start weir/, "round $round: and what to do");
    $weir->start;
    is($weir->get('/')->body, 'small', "round $round: the new master serves");
    is($weir->get('/', port => 1)->body, 'small', "round $round: the group too");
    is(Client->new($weir->dir . '/w.sock')->send_request('GET', '/') && 1, 1, "round $round: the unix socket too");
    wait_for(sub { my %now = map { $_ => 1 } $weir->processes; !grep { $now{$_} } @orphans }, 'the orphans to end');
}
is((() = $weir->error_log =~ /took over \d+ listening sockets/g) + 0, 3, 'three times taken over');
my $result = $load->stop;
is($result->{failed}, 0, 'no request failed') or diag(@{ $result->{problems} });
cmp_ok($result->{requests}, '>', 20, "of $result->{requests}");

my ($status, $output) = $weir->ctl('reload');
is($status, 0, 'and it can reload') or diag($output);

# Killed in the middle of a reload: at some moment between the check and the end of it.
for my $pause (0, 0.01, 0.02, 0.03, 0.05) {
    $weir->signal('HUP');
    select undef, undef, undef, $pause;
    kill_master();
    is($weir->get('/')->body, 'small', "killed $pause s after SIGHUP: somebody serves");
    $weir->start;
    is($weir->get('/')->body, 'small', "killed $pause s after SIGHUP: the new master serves");
}
wait_for(sub { $weir->workers == 2 }, 'all older generations to end');

# Those of the generation that was starting have ended, but nobody has waited for them: they are not taken for the newest.
# A reload whose master is stopped when the first worker has started; whether that was in time, before the old ones left.
sub stopped_in_reload () {
    my $master = $weir->pid;
    my %old    = map { $_ => 1 } Weir::children($master);
    my $known  = () = $weir->error_log =~ /generation \d+ serves/g;
    my $until  = time + $Client::patience;
    $weir->signal('HUP');
    1 until (grep { !$old{$_} && Weir::command_line($_) =~ /worker process/ } Weir::children($master)) || time > $until;
    Weir::freeze($master);
    my @new = grep { !$old{$_} } Weir::children($master);
    return @new if $known == (() = $weir->error_log =~ /generation \d+ serves/g);
    kill 'CONT', $master;
    return;
}

$weir->rewrite_conf(@conf, workers => 16);    # many take a while
for my $round (1 .. 3) {
    my @new = wait_for(sub { my @new = stopped_in_reload(); @new && \@new }, 'a master stopped in time')->@*;
    kill 'KILL', @new;
    kill_master();
    wait_for(sub { !grep { Weir::is_alive($_) } @new }, 'their end');
    is($weir->get('/')->body, 'small', "round $round: the old ones serve");
    $weir->start;
    is($weir->get('/')->body, 'small', "round $round: and a new master finds them");
}

# weirctl orphans: after a crash they serve on, after a stop they end.
kill_master();
$ENV{SERVICE_RESULT} = 'signal';
($status, $output) = $weir->ctl('orphans');
is($status, 0, 'orphans, after a crash');
is($weir->get('/')->body, 'small', 'they are left serving');
$ENV{SERVICE_RESULT} = 'success';
($status, $output) = $weir->ctl('orphans');
is($status, 0, 'orphans, after a stop') or diag($output);
delete $ENV{SERVICE_RESULT};
wait_for(sub { !$weir->processes }, 'they end');
ok(!-e $weir->{pid_file}, 'the stale pid file is gone');
delete $weir->{pid};
$weir->start;
is($weir->get('/')->body, 'small', 'a cold start follows');
