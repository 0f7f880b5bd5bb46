# Old generations: what they still serve, what bounds them, what reaches them.
use lib 't/lib';
use Weir;

my $weir = Weir->new(location => 'return 200 one;', main => 'worker_shutdown_timeout 60s;');

# An idle connection of an old generation is served once more, and told to close.
my $idle = $weir->client;
$idle->send_request('GET', '/');
is($idle->answer->body, 'one', 'a connection');
my $quiet = $weir->client;
$weir->rewrite_conf(location => 'return 200 two;');
ok($weir->reload, 'a reload') for 1 .. 2;
my ($status, $output) = $weir->ctl('status');
like($output, qr/^generation 3: serving, 1 process: \d+$/m, 'status: who serves');
like($output, qr/^generation 1: draining, 1 process: (\d+)$/m, 'status: who drains');
my ($old) = $output =~ /^generation 1: draining, 1 process: (\d+)$/m;
ok(Weir::is_alive($old), 'it lives');
like(Weir::command_line($old), qr/^weir: worker process is shutting down/, 'with its title');
ok($idle->is_quiet, 'the reload has closed no idle connection');

# Rotated logs reach it.
rename $weir->dir . '/access.log', $weir->dir . '/access.old';
($status) = $weir->ctl('reopen');
is($status, 0, 'reopen');
$idle->send_request('GET', '/old-one');
my $answer = $idle->answer;
is($answer->body, 'one', 'the old generation answers with its configuration');
like($answer->field('Connection'), qr/close/i, 'and closes then');
$weir->wait_log(qr{GET /old-one}, 'access.log');
$quiet->send_request('GET', '/');
is($quiet->answer->body, 'one', 'a connection that had not asked yet is served too');
wait_for(sub { !Weir::is_alive($old) }, 'the old worker to end with its last connection');

# worker_shutdown_timeout bounds it.
$weir->rewrite_conf(main => 'worker_shutdown_timeout 200ms;');
ok($weir->reload, 'with a short worker_shutdown_timeout');
$idle = $weir->client;
$idle->send_request('GET', '/');
$idle->answer;
($old) = $weir->workers;
ok($weir->reload, 'a reload');
wait_for(sub { !Weir::is_alive($old) }, 'the timeout to end the old worker');

# A worker that stands still between the kernel's wake-up and DRAIN: its connection is not lost.
($old) = $weir->workers;
kill 'STOP', $old;
my @waiting = map { my $c = $weir->client; $c->send_request('GET', '/'); $c } 1 .. 5;
ok($weir->reload, 'a reload while the worker stands still');
is($_->answer->body, 'two', 'a connection for which it was woken') for @waiting;
kill 'CONT', $old;
wait_for(sub { !Weir::is_alive($old) }, 'it to drain when it goes on');

# One that hangs is ended by the master.
($old) = $weir->workers;
$idle = $weir->client;
$idle->send_request('GET', '/');
$idle->answer;
kill 'STOP', $old;
$weir->allow(qr/does not end: killed|exited on signal 9/);
ok($weir->reload, 'a reload while a worker is stopped');
is($weir->get('/')->body, 'two', 'the new one serves');
wait_for(sub { !Weir::is_alive($old) }, 'the master to end it', 40);

# Another pid path: control socket and pid file move.
my $moved = $weir->dir . '/moved';
mkdir $moved;
my $before = $weir->{pid_file};
my @ctl    = $weir->command;
splice @ctl, 1, 0, 'ctl';
my $conf = $weir->read_file('weir.conf');
$weir->write_file('old.conf', $conf);
$weir->write_conf($conf =~ s{^pid .*}{pid $moved/other.pid;}mr);
my @old_ctl = map { $_ eq $weir->conf ? $weir->dir . '/old.conf' : $_ } @ctl;
($status, $output) = $weir->run(@old_ctl, 'reload');
is($status, 0, 'a reload that moves the pid file') or diag($output);
ok(!-e $before, 'the old pid file is gone');
ok(!-e $before =~ s/pid$/ctl/r, 'the old control socket too');
is($weir->read_file("$moved/other.pid"), $weir->pid . "\n", 'the new one names the master');
($status, $output) = $weir->ctl('status');
is($status, 0, 'the new control socket answers') or diag($output);
