# stop, quit, reopen: by signal, by -s, by the tool; pid file and exit statuses as nginx has them.
use lib 't/lib';
use Weir;

my %ways = (
    'TERM'         => sub ($w) { $w->signal('TERM'); 0 },
    'INT'          => sub ($w) { $w->signal('INT'); 0 },
    'QUIT'         => sub ($w) { $w->signal('QUIT'); 0 },
    '-s stop'      => sub ($w) { ($w->run_weir('-s', 'stop'))[0] },
    '-s quit'      => sub ($w) { ($w->run_weir('-s', 'quit'))[0] },
    'weirctl stop' => sub ($w) { ($w->ctl('stop'))[0] },
    'weirctl quit' => sub ($w) { ($w->ctl('quit'))[0] },
);
for my $way (sort keys %ways) {
    my $weir = Weir->new(
        server   => "listen 127.0.0.1:%port0%;\nlisten unix:%dir%/w.sock;\nserver_name localhost;",
        location => 'return 200 here;'
    );
    my $pid = $weir->pid;
    is($weir->get('/')->body, 'here', "$way: serves");
    is($ways{$way}->($weir), 0, "$way: exit status of who asked");
    is($weir->_wait_gone($pid), 1, "$way: all processes end");
    is($weir->exit_status, 0, "$way: exit status of the master");
    ok(!-e $weir->{pid_file}, "$way: the pid file is gone");
    ok(!-e $weir->dir . "/$_", "$way: $_ is gone") for 'weir.ctl', 'w.sock';
    delete $weir->{pid};
}

# quit finishes what is in flight.
my $origin = Origin->new('/slow' => { body => 'late' });
my $weir   = Weir->new(location => "proxy_pass $origin->{url}; proxy_http_version 1.1;");
$origin->hold('/slow');
my $client = $weir->client;
$client->send_request('GET', '/slow');
$origin->wait_requests(1, '/slow');
my $idle = $weir->client;
$weir->signal('QUIT');
wait_for(sub { !defined $weir->client }, 'the listener to close');
ok($client->is_quiet, 'quit waits for a request');
$origin->release('/slow');
is($client->answer->body, 'late', 'which is answered');
is($weir->_wait_gone($weir->pid), 1, 'then it ends');
delete $weir->{pid};

# Nobody there.
for my $signal (qw(stop quit reopen reload)) {
    my ($status, $output) = $weir->run_weir('-s', $signal);
    is($status, 1, "-s $signal without a master: exit status");
    like($output, qr/\[error\] open\(\) "\S+weir\.pid" failed \(2: No such file or directory\)/, "-s $signal: the reason");
}
my ($status, $output) = $weir->ctl('status');
is($status, 3, 'weirctl without a master: exit status');
like($output, qr/no master answers on/, 'and the reason');

# reopen: a rotated file is left, a new one is written, by master and workers, of old generations too.
$weir = Weir->new(location => 'return 200 here;');
my $kept = $weir->client;
$kept->send_request('GET', '/before');
$kept->answer;
rename $weir->dir . '/access.log', $weir->dir . '/access.old';
rename $weir->dir . '/error.log',  $weir->dir . '/error.old';
$weir->get('/rotated');
$weir->wait_log(qr{/rotated}, 'access.old');
($status) = $weir->ctl('reopen');
is($status, 0, 'reopen: exit status');
wait_for(sub { -e $weir->dir . '/access.log' && -e $weir->dir . '/error.log' }, 'new files');
wait_for(sub { $weir->get('/after'); $weir->access_log =~ m{/after} }, 'a line in the new file');
unlike($weir->read_file('access.old'), qr{/after.*/after}s, 'the old one is left');
unlink $weir->dir . '/access.log';
my $pid = $weir->pid;
($status) = $weir->run_weir('-s', 'reopen');
is($status, 0, '-s reopen: exit status');
wait_for(sub { -e $weir->dir . '/access.log' }, 'a new file by signal');
