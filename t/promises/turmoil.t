# Reloads, deaths of workers and of the master in any state, rotations, growing zones and listeners that change their kind, all mixed: only
# connections of the dead break.
use lib 't/lib';
use POSIX qw(WNOHANG);
use Time::HiRes qw(time);
use Weir;
use Load;
use TcpTable;

skip_all('a single process does not reload') if $ENV{WEIR_VALGRIND};

my $steps  = $ENV{WEIR_STEPS} // ($ENV{WEIR_SANITIZE} ? 60 : 150);
my $seed   = $ENV{WEIR_SEED} // 7;
my $bytes  = 500_000;
my $origin = LoadOrigin->new(bytes => $bytes);

my @kinds = ('', 'reuseport', 'reuseport deferred', 'backlog=200');

sub conf ($workers, $kind, $size) {
    return (
        workers => $workers,
        events  => 'worker_connections 1024;',
        http    => "upstream group { zone group ${size}k; server $origin->{address} max_conns=500; keepalive 8; }",
        server  => "listen 127.0.0.1:%port0% $kind; listen 127.0.0.1:%port1%;"
          . $origin->locations(url => 'http://group')
          . 'location = /status { stub_status; }',
    );
}

my $weir = Weir->new(
    conf(4, '', 64),
    files => $origin->files($bytes),
    allow => [ qr/exited on signal 9/, qr/process \d+ ended before it was ready/, qr/the master process \d+ has died/,
        qr/open\(\) "\S+\.log" failed \(13/ ]    # an orphan may not open what is root's,
);
my @load = map {
    Load->new(
        $weir,
        port      => $_,
        keepalive => 8,
        fresh     => 4,
        pipeline  => 2,
        download  => 2,
        upload    => 2,
        tunnel    => 2,
        bytes     => $bytes,
        pause     => 0.012,
        targets   => { small => '/small,/file,/proxied', big => '/relayed' },
    )
} 0, 1;
$_->wait_requests(100) for @load;

my (%broken, %did);
my ($size, $reloads, $refused, $longest) = (64, 0, 0, 0);

sub kill_one () {
    my @workers = $weir->workers;
    return unless @workers >= 2;
    end($workers[ rand @workers ]);
}

sub end ($victim) {
    Weir::freeze($victim) or return;
    $weir->allow(qr/held by thread $victim\b|thread $victim holds it|process $victim ended before all others were ready/);
    $broken{$_} //= time for TcpTable::clients_of($victim, map { $weir->port($_) } 0, 1);
    kill 'KILL', $victim;
}

sub start_reload () {
    my $kind = $kinds[ rand @kinds ];
    $size += 64 if rand() < 0.3;
    $weir->rewrite_conf(conf(1 + int rand 6, $kind, $size));
    return $weir->_spawn("$weir->{dir}/reload.out", $weir->command, 'ctl', 'reload');
}

my %deeds = (
    reload => sub {
        my $since = time;
        waitpid start_reload(), 0;
        $? ? $refused++ : $reloads++;
        $longest = time - $since if time - $since > $longest;
    },
    'reload and kill' => sub {
        my $tool = start_reload();
        select undef, undef, undef, rand 0.03;
        kill_one();
        waitpid $tool, 0;
        $? ? $refused++ : $reloads++;
    },
    'reload and kill a new one' => sub {
        my %old  = map { $_ => 1 } Weir::children($weir->pid);
        my $tool = start_reload();
        my $until = time + 0.2;
        while (time < $until && waitpid($tool, WNOHANG) == 0) {
            my @new = grep { !$old{$_} && Weir::command_line($_) =~ /worker process/ } Weir::children($weir->pid);
            next if @new < 2;
            end($new[ rand @new ]);
            $did{'died as they started'}++;
            last;
        }
        waitpid($tool, 0) > 0 && $? ? $refused++ : $reloads++;
    },
    'kill the master' => sub {
        my $tool = rand() < 0.7 && start_reload();
        select undef, undef, undef, rand 0.05;
        my $pid = $weir->pid;
        kill 'KILL', $pid;
        waitpid $pid,  0;
        waitpid $tool, 0 if $tool;
        $load[ rand @load ]->wait_requests(20);
        $weir->start;
    },
    kill   => \&kill_one,
    reopen => sub { $weir->signal('USR1') },
    HUP    => sub { $weir->signal('HUP') },
);
my @deeds = (('reload') x 4, ('reload and kill') x 2, ('reload and kill a new one') x 3, 'kill', 'kill the master', 'reopen', 'HUP');
srand $seed;
my $until = time + 40;    # a busy machine does fewer
for (1 .. $steps) {
    last if time > $until && !$ENV{WEIR_STEPS};
    my $deed = $deeds[ rand @deeds ];
    $did{$deed}++;
    $deeds{$deed}->();
    $load[ rand @load ]->wait_requests(20);
}

my ($total, $failed, @foreign) = (0, 0);
for my $result (map { $_->stop } @load) {
    $total  += $result->{requests};
    $failed += $result->{failed};
    push @foreign, grep { !$broken{ $_->{port} } || $_->{at} < $broken{ $_->{port} } } @{ $result->{failures} };
}
is(scalar @foreign, 0, 'nothing failed but on connections of the dead')
  or diag(map { "$_->{kind} $_->{port} $_->{at}: $_->{text}\n" } splice @foreign, 0, 20);
diag("seed $seed: " . join(', ', map { "$_ $did{$_}" } sort keys %did)
      . sprintf("; reloads: %d ok, %d refused, longest %.0f ms; %d requests, %d failed on %d connections of the dead",
        $reloads, $refused, 1000 * $longest, $total, $failed - @foreign, scalar keys %broken));

# Afterwards all is as after a start.
$weir->rewrite_conf(conf(2, '', $size));
my ($status, $output);
wait_for(sub { ($status, $output) = $weir->ctl('reload'); $status == 0 }, 'a reload');
wait_for(sub { (() = $weir->workers) == 2 }, 'two workers');
my $idle = sub { ($output = $weir->get('/status')->body) =~ /^Active connections: 1 \n.*Reading: 0 Writing: 1 Waiting: 0 $/s };
ok(eval { wait_for($idle, 'counts to return') }, 'no connection is counted') or diag($output);
is($weir->get('/proxied', port => $_)->body, 'small', "port $_ serves") for 0, 1;
