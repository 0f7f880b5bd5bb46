# The start: messages and exit statuses, two masters, addresses in use, the background, one process.
use lib 't/lib';
use Weir;
use Socket;

my $weir = Weir->new(location => 'return 200 first;', start => 0);
my ($status, $output) = $weir->run_weir('-t');
is($status, 0, '-t: exit status');
my $conf = $weir->conf;
is($output,
    "weir: the configuration file $conf syntax is ok\nweir: configuration file $conf test is successful\n",
    '-t: what it prints');
($status, $output) = $weir->run_weir('-t', '-q');
is("$status $output", '0 ', '-t -q: nothing');
ok(!-e $weir->{pid_file}, '-t leaves no pid file');

for my $case (['-s foo' => qr/invalid option: "-s foo"/], ['-x' => qr/invalid option: "x"/], ['foo' => qr/invalid option: "foo"/],
    ['-c' => qr/option "-c" requires file name/], ['--what' => qr/invalid option: "--what"/])
{
    my ($arguments, $error) = @$case;
    ($status, $output) = $weir->run($weir->binary, split ' ', $arguments);
    is($status, 1, "$arguments: exit status");
    like($output, qr/\Aweir: $error/, "$arguments: message");
}
($status, $output) = $weir->run($weir->binary, '-v');
like($output, qr{\Aweir version: weir/[\d.]+\n\z}, '-v');
($status, $output) = $weir->run($weir->binary, '-V');
like($output, qr{^configure arguments:}m, '-V');

# Under the name of nginx it is nginx.
symlink $weir->binary, $weir->dir . '/nginx';
($status, $output) = $weir->run($weir->dir . '/nginx', '-v');
like($output, qr{\Anginx version: nginx/[\d.]+ \(weir [\d.]+\)\n\z}, 'nginx -v');
($status, $output) = $weir->run($weir->dir . '/nginx', '-t', '-p', $weir->dir, '-c', "$conf.none");
like($output, qr/\Anginx: \[emerg\] open\(\) "\S+" failed \(2: No such file or directory\)\nnginx: configuration file \S+ test failed\n/,
    'nginx -t of a missing file');
is($status, 1, 'its exit status');

# Two masters.
$weir->start;
($status, $output) = $weir->run_weir;
is($status, 1, 'a second start: exit status');
like($output, qr/already running: process ${\ $weir->pid}/, 'a second start: message');
is($weir->get('/')->body, 'first', 'the first one serves on');
is($weir->read_file($weir->{pid_file}), $weir->pid . "\n", 'its pid file is untouched');
$weir->allow(qr/already running/);
($status, $output) = $weir->run_weir('-t');
is($status, 0, '-t asks the master which addresses are its own') or diag($output);

# An address that somebody else has.
socket(my $taken, AF_INET, SOCK_STREAM, 0);
setsockopt($taken, SOL_SOCKET, SO_REUSEADDR, 1);
bind($taken, pack_sockaddr_in(0, inet_aton('127.0.0.1')));
listen($taken, 1);
my ($port) = unpack_sockaddr_in(getsockname($taken));
$weir->rewrite_conf(server => "listen 127.0.0.1:%port0%;\nlisten 127.0.0.1:$port;\nserver_name localhost;");
my $in_use = qr/bind\(\) to 127\.0\.0\.1:$port failed \(98: Address already in use\) in \S+weir\.conf:\d+$/m;
($status, $output) = $weir->run_weir('-t');
is($status, 1, 'an address in use: -t');
like($output, $in_use, 'an address in use: the message');
($status, $output) = $weir->ctl('reload');
is($status, 1, 'an address in use: reload');
like($output, $in_use, 'an address in use: with file and line');
$weir->allow($in_use);
is($weir->get('/')->body, 'first', 'an address in use: nothing has changed');
close $taken;
($status, $output) = $weir->ctl('reload');
is($status, 0, 'a free address: reload') or diag($output);
is($weir->get('/')->status, 200, 'and it serves');
my $other = Weir->new(
    start  => 0,
    server => "listen 127.0.0.1:%port0%;\nlisten 127.0.0.1:$port;\nserver_name localhost;",
    allow  => $in_use
);
($status, $output) = $other->run_weir;
is($status, 1, 'an address in use: start');
like($output, $in_use, 'an address in use: said on standard error');
like($other->error_log, $in_use, 'and in the log');
ok(!-e $other->{pid_file}, 'no pid file');
is($other->client, undef, 'nothing is bound');

# In the background the call returns when it serves.
my $daemon = Weir->new(start => 0, main => 'daemon on;', location => 'return 200 behind;');
($status, $output) = $daemon->run_weir;
is("$status $output", '0 ', 'daemon on: the start returns');
is($daemon->get('/')->body, 'behind', 'and it serves already');
($daemon->{pid}) = $daemon->read_file($daemon->{pid_file}) =~ /^(\d+)$/;
isnt(readlink("/proc/$daemon->{pid}/fd/1"), undef, 'with standard output');
is(readlink("/proc/$daemon->{pid}/fd/1"), '/dev/null', 'that leads nowhere');
my ($sid) = (split ' ', $daemon->read_file("/proc/$daemon->{pid}/stat"))[5];
is($sid, $daemon->{pid}, 'in a session of its own');
($status, $output) = $daemon->ctl('reload');
is($status, 0, 'it reloads') or diag($output);
$daemon->rewrite_conf(location => 'foo;');
$daemon->stop;
$daemon->allow(qr/foo/);
($status, $output) = $daemon->run_weir;
is($status, 1, 'daemon on, bad configuration: exit status');
like($output, qr/\Aweir: \[emerg\] unknown directive "foo" in /, 'daemon on, bad configuration: message');

# A worker that cannot start fails the start.
my $bad = Weir->new(start => 0, main => 'working_directory /nonexistent;', allow => [qr/chdir/, qr/ended before/]);
($status, $output) = $bad->run_weir;
is($status, 1, 'no worker comes up: exit status');
like($output, qr/worker process \d+ ended before it was ready/, 'no worker comes up: message');
ok(!-e $bad->{pid_file}, 'no worker comes up: no pid file');

# One process.
my $single = Weir->new(main => 'master_process off;', location => 'return 200 alone;');
is($single->get('/')->body, 'alone', 'master_process off: serves');
is(scalar(my @all = $single->processes), 1, 'master_process off: one process');
$single->stop('QUIT');
is($single->exit_status, 0, 'master_process off: ends');

# user, env, limits and affinity reach the workers.
if ($> == 0) {
    my $w = Weir->new(
        main => "worker_rlimit_nofile 777;\nworker_priority 5;\nworker_cpu_affinity auto;\nenv FOO=bar;\nenv PATH;\n"
          . 'worker_rlimit_core 4k;',
    );
    my ($worker) = $w->workers;
    like($w->read_file("/proc/$worker/limits"), qr/^Max open files\s+777\s+777/m, 'worker_rlimit_nofile');
    like($w->read_file("/proc/$worker/limits"), qr/^Max core file size\s+4096\s+4096/m, 'worker_rlimit_core');
    is((split ' ', $w->read_file("/proc/$worker/stat"))[18], 5, 'worker_priority');
    like($w->read_file("/proc/$worker/status"), qr/^Cpus_allowed_list:\s+\d+$/m, 'worker_cpu_affinity');
    unlike($w->read_file("/proc/$worker/status"), qr/^Uid:\s+0/m, 'user');
}
