# SPDX-License-Identifier: BSD-2-Clause
# Weir.pm - starts the daemon with a configuration of the test's own, talks to it, and stops it.
#
#     use lib 't/lib';
#     use Weir;                                   # brings strict, warnings, Test::More and Origin along
#
#     my $weir = Weir->new(location => 'return 200 hello;');
#     is($weir->get('/')->body, 'hello', 'the text of return');
#
# Texts for new: main, events, http, server, location (the last two for the one server on port 0), or conf for the
# whole file. In all of them %dir% is the test's directory (also the prefix) and %port0%, %port1% ... are ports of its
# own. Further: files => { name => content } (below %dir%; html/ is the root), workers (1), args (more words for the
# command line), env, allow (qr// of log lines that are expected), start => 0 to leave the start to the test.
#
# When the test ends, each daemon is stopped; the test fails if a process stays, if the log has lines of level crit,
# alert or emerg that nobody allowed, or if a sanitizer said something. KEEP=1 leaves the directory.

package Weir;
use v5.36;
use feature ();
use Config;
use Cwd qw(abs_path);
use Errno;
use File::Path qw(make_path remove_tree);
use File::Temp ();
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(time);

use Client;
use Origin;
use Port;

my @daemons;    # all that were made, until they are finished
my $is_done;
my $owner = $$;

sub import ($class, @) {
    strict->import;
    warnings->import;
    feature->import(':5.36');
    my $caller = caller;
    no strict 'refs';
    for my $name (qw(ok is isnt like unlike cmp_ok is_deeply pass fail diag note skip plan subtest BAIL_OUT)) {
        *{"${caller}::$name"} = \&{"Test::More::$name"};
    }
    *{"${caller}::TODO"}         = \${"Test::More::TODO"};
    *{"${caller}::done_testing"} = \&done_testing;
    *{"${caller}::wait_for"}     = \&wait_for;
    *{"${caller}::skip_all"}     = \&skip_all;
}

sub prctl ($option, $value) {
    my %number = (x86_64 => 157, aarch64 => 167);
    my ($machine) = $Config{archname} =~ /^(x86_64|aarch64)/ or return;
    syscall($number{$machine}, $option, $value, 0, 0, 0);
}

# Orphans of a dead master come to us, not to init, so that they can be found and ended.
prctl(36, 1);    # PR_SET_CHILD_SUBREAPER

# In a child: a test that is killed leaves nothing running.
sub end_with_parent ($signal) {
    prctl(1, $signal);    # PR_SET_PDEATHSIG
}

# Asks until the answer is true and returns it; dies when that takes too long.
sub wait_for ($question, $what, $seconds = $Client::patience) {
    my $deadline = time + $seconds;
    my $pause    = 0.002;
    while (1) {
        my $answer = $question->();
        return $answer if $answer;
        if (time > $deadline) {
            Test::More::diag("gave up waiting for $what");
            die "gave up waiting for $what\n";
        }
        select(undef, undef, undef, $pause);
        $pause *= 2 if $pause < 0.05;
    }
}

sub skip_all ($why) { Test::More::plan(skip_all => $why) }

sub done_testing {
    $_->finish for @daemons;
    Origin->stop_all;
    Test::More::done_testing();
    $is_done = 1;
}

END {
    if ($$ == $owner) {
        my $status = $?;
        if ($status == 0 && !$is_done && Test::More->builder->current_test) {
            eval { done_testing(); 1 } or $status = 255;
        }
        $_->abandon($status) for @daemons;
        Origin->stop_all;
        $? = $status;
    }
}

$SIG{INT} = $SIG{TERM} = sub ($signal) { exit 1 };

# ---- a daemon ------------------------------------------------------------------------------------------------------

sub binary ($class) {
    my $path = $ENV{WEIR} // 'build/weir';
    -x $path or die "$path is no program: build it, or set WEIR\n";
    return abs_path($path);
}
sub name ($class)   { 'weir' }

# What has a directory for temporary files.
sub temporary ($class) { qw(client_body proxy) }

sub new ($class, %option) {
    my $dir = File::Temp::tempdir(($class->name) . '-test-XXXXXX', TMPDIR => 1, CLEANUP => 0);
    chmod 0755, $dir;
    my $self = bless { dir => $dir, ports => [], allow => [], args => $option{args} // [], env => $option{env} // {} },
      $class;
    push @daemons, $self;
    $self->allow(ref $option{allow} eq 'ARRAY' ? @{ $option{allow} } : $option{allow}) if $option{allow};
    make_path("$dir/html", "$dir/logs");
    $self->write_file($_, $option{files}{$_}) for sort keys %{ $option{files} // {} };
    $self->port(0);
    $self->{option} = \%option;
    $self->write_conf($class->conf_text(%option));
    $self->start if $option{start} // 1;
    return $self;
}

# The file around the texts of the test. Lines of ours make way for a line of the same name in the test's text.
sub conf_text ($class, %option) {
    return $option{conf} if defined $option{conf};
    my ($main, $events, $http, $server, $location) = map { $option{$_} // '' } qw(main events http server location);
    my $unless = sub ($text, @lines) {
        return join "\n", grep { my ($word) = /^\s*(\w+)/; $text !~ /^\s*$word\s/m } @lines;
    };
    my $workers = $option{workers} // 1;
    if ($ENV{WEIR_VALGRIND}) {    # which cannot tell what machine code made at run time looks at
        $main = "master_process off;\n$main" if $main !~ /master_process/;
        $main = "pcre_jit off;\n$main"       if $main !~ /pcre_jit/;
    }
    my $main_lines =
      $unless->($main, "worker_processes $workers;", 'pid %dir%/weir.pid;', 'error_log %dir%/error.log info;');
    my $http_lines = $unless->(
        $http,
        'access_log %dir%/access.log;',
        'root %dir%/html;',
        map { "${_}_temp_path %dir%/${_}_temp;" } $class->temporary
    );
    my $block = '';
    if (defined $option{server} || defined $option{location} || $http !~ /^\s*server\s*\{/m) {
        my $listen = $unless->($server, 'listen 127.0.0.1:%port0%;', 'server_name localhost;');
        $location = "location / {\n$location\n}" if length $location;
        $block    = "server {\n$listen\n$server\n$location\n}";
    }
    # A busy disk may hold a write for a second; nginx's directives alone where nginx reads them too.
    my @stall = $class eq 'Weir' ? 'stall_threshold 10s;' : ();
    $events = $unless->($events, 'worker_connections 512;', @stall) . "\n$events";
    return "$main_lines\n$main\nevents {\n$events\n}\nhttp {\n$http_lines\n$http\n$block\n}\n";
}

# ---- files and ports -----------------------------------------------------------------------------------------------

sub dir ($self)  { $self->{dir} }
sub conf ($self) { "$self->{dir}/weir.conf" }
sub pid ($self)  { $self->{pid} }

# The n-th port of this daemon, claimed at its first mention.
sub port ($self, $n = 0) { $self->{ports}[$n] //= Port::claim() }

sub url ($self, $path = '/') { "http://127.0.0.1:${\ $self->port}$path" }

sub expand ($self, $text) {
    $text =~ s/%dir%/$self->{dir}/g;
    $text =~ s/%port(\d+)%/$self->port($1)/ge;
    return $text;
}

sub write_conf ($self, $text) {
    # A check that runs now reads the old text or the new one.
    rename $self->write_file('weir.conf.new', $self->expand($text)), $self->conf;
    my ($pid_file) = $self->expand($text) =~ /^\s*pid\s+([^;\s]+)\s*;/m;
    $self->{own_pid}  = defined $pid_file;
    $self->{pid_file} = $pid_file // "$self->{dir}/weir.pid";
    $self->{pid_file} = "$self->{dir}/$self->{pid_file}" unless $self->{pid_file} =~ m{^/};
    $self->{daemon}   = $text =~ /^\s*daemon\s/m;
}

# New texts for the next reload: the options of `new`, those not given stay as they were.
sub rewrite_conf ($self, %option) {
    $self->{option} = { %{ $self->{option} }, %option };
    $self->write_conf((ref $self)->conf_text(%{ $self->{option} }));
}

sub write_file ($self, $name, $content) {
    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
    make_path($path =~ s{/[^/]*$}{}r);
    open my $fh, '>', $path or die "$path: $!";
    binmode $fh;
    print $fh $content;
    close $fh or die "$path: $!";
    return $path;
}

sub read_file ($self, $name) {
    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
    open my $fh, '<', $path or return '';
    binmode $fh;
    local $/;
    return <$fh> // '';
}

sub error_log ($self)  { $self->read_file('error.log') }
sub access_log ($self) { $self->read_file('access.log') }
sub stderr ($self)     { $self->read_file('stderr') }

# Waits for a line in a log and returns what the pattern captured, or the match. For what the daemon writes late.
sub wait_log ($self, $pattern, $file = 'error.log') {
    my $match;
    wait_for(sub { $self->read_file($file) =~ $pattern and $match = $1 // $& }, "$pattern in $file");
    return $match;
}

# Log lines of level crit and above that are meant to happen.
sub allow ($self, @patterns) { push @{ $self->{allow} }, @patterns }

# ---- start and stop ------------------------------------------------------------------------------------------------

sub command ($self) {
    my @globals;
    push @globals, 'daemon off;' unless $self->{daemon};
    push @globals, "pid $self->{pid_file};" unless $self->{own_pid};
    my @valgrind = split / /, $ENV{WEIR_VALGRIND} // '';
    push @valgrind, "--log-file=$self->{dir}/sanitizer.%p" if @valgrind;
    return (@valgrind, $self->binary, '-p', "$self->{dir}/", '-c', $self->conf, '-e', "$self->{dir}/error.log",
        @globals ? ('-g', "@globals") : (), @{ $self->{args} });
}

# Runs a program to its end: exit status (128 + signal when killed) and all that it wrote.
sub run ($self, @command) {
    my $out    = "$self->{dir}/run.out";
    my $before = -s $out // 0;             # of earlier runs
    my $pid    = $self->_spawn($out, @command);
    my $status;
    my $deadline = time + 6 * $Client::patience;
    while (waitpid($pid, WNOHANG) == 0) {
        if (time > $deadline) {
            kill 'KILL', $pid;
            waitpid $pid, 0;
            return (-1, substr($self->read_file($out), $before) . "\n(did not end)");
        }
        select(undef, undef, undef, 0.005);
    }
    $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    return ($status, substr($self->read_file($out), $before));
}

sub _spawn ($self, $out, @command) {
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    end_with_parent(POSIX::SIGTERM());
    $SIG{INT} = $SIG{TERM} = $SIG{PIPE} = 'DEFAULT';
    open STDIN,  '<',  '/dev/null';
    open STDOUT, '>>', $out;
    open STDERR, '>&', \*STDOUT;
    if (my $log = $ENV{ASAN_OPTIONS}) {
        # What lives as long as the process is not freed at its end.
        $ENV{ASAN_OPTIONS} = "$log:detect_leaks=0:log_path=$self->{dir}/sanitizer";
        $ENV{UBSAN_OPTIONS} .= ":log_path=$self->{dir}/sanitizer";
    }
    $ENV{$_} = $self->expand($self->{env}{$_}) for keys %{ $self->{env} };
    exec { $command[0] } @command or POSIX::_exit(127);
}

# Starts it and waits until it says that it serves: the pid file is written when all sockets listen.
sub start ($self) {
    unlink $self->{pid_file};
    my $started = $self->_spawn("$self->{dir}/stderr", $self->command);
    my ($ended, $pid);
    wait_for(
        sub {
            $ended ||= waitpid($started, WNOHANG) == $started;
            ($pid) = $self->read_file($self->{pid_file}) =~ /^(\d+)\n/;
            return $pid || ($ended && ($? || !$self->{daemon}));
        },
        'the start of ' . $self->name
    );
    if (!$pid) {
        Test::More::diag($self->stderr, $self->error_log);
        die 'could not start ' . $self->name . "\n";
    }
    $self->{pid} = $pid;
    return $self;
}

# For starts that are to fail: exit status and output. `weir -t` and other calls: pass their options.
sub run_weir ($self, @options) { $self->run($self->command, @options) }

# weirctl with this daemon's configuration: exit status and output.
sub ctl ($self, @words) {
    return $self->run($self->command, 'ctl', @words);
}

sub signal ($self, $signal, $pid = $self->{pid}) { kill $signal, $pid }

# Reloads and waits for the verdict; fails the test when it is not ok.
sub reload ($self) {
    my ($status, $output) = $self->ctl('reload');
    Test::More::is($status, 0, 'reload') or Test::More::diag($output);
    return $status == 0;
}

# All processes that belong to this daemon, draining ones and orphans too: descendants of the test with one of our
# files open.
sub processes ($self) {
    my %children;
    for my $path (glob '/proc/[0-9]*/stat') {
        open my $fh, '<', $path or next;
        my ($pid, $state, $parent) = (<$fh> // '') =~ /^(\d+) \(.*\) (\S) (\d+)/s or next;
        push @{ $children{$parent} }, $pid if $state ne 'Z';
    }
    my @found;
    my @queue = @{ $children{$owner} // [] };
    while (defined(my $pid = shift @queue)) {
        push @queue, @{ $children{$pid} // [] };
        push @found, $pid if grep { (readlink($_) // '') =~ m{^\Q$self->{dir}\E/} } glob "/proc/$pid/fd/*";
    }
    return sort { $a <=> $b } @found;
}

# Its workers: processes other than the master, without helpers.
sub workers ($self) {
    return grep { $_ != $self->{pid} && command_line($_) =~ /worker process/ } $self->processes;
}

sub command_line ($pid) {
    open my $fh, '<', "/proc/$pid/cmdline" or return '';
    local $/;
    return (<$fh> // '') =~ tr/\0/ /r;
}

# One letter, as in /proc/PID/stat; '' when there is no such process.
sub state_of ($pid) {
    open my $fh, '<', "/proc/$pid/stat" or return '';
    return (<$fh> // '') =~ /^\d+ \(.*\) (\S)/s ? $1 : '';
}

sub is_alive ($pid) { state_of($pid) !~ /^Z?$/ }

sub children ($pid) {
    open my $fh, '<', "/proc/$pid/task/$pid/children" or return;
    return split ' ', <$fh> // '';
}

# Makes it stand still; false when it has ended.
sub freeze ($pid) {
    kill 'STOP', $pid or return 0;
    wait_for(sub { state_of($pid) =~ /^[TtZ]?$/ }, "process $pid to stand still");
    return 1;
}

# Ends it (TERM, or the signal given) and waits until no process is left. $weir->exit_status is the master's then.
sub stop ($self, $signal = 'TERM') {
    my $pid = delete $self->{pid} or return 1;
    kill $signal, $pid;
    return $self->_wait_gone($pid);
}

sub exit_status ($self) { $self->{exit} }

sub _wait_gone ($self, $master) {
    my @left;
    my $gone = eval {
        local $SIG{__DIE__};
        wait_for(
            sub {
                my $waited = $master ? waitpid($master, WNOHANG) : -1;
                $self->{exit} = $? if $waited == $master;
                return !(@left = $self->processes) && $waited != 0;
            },
            'the end of all processes'
        );
    };
    return 1 if $gone;
    Test::More::diag("still there: $_ " . command_line($_)) for @left;
    kill 'KILL', @left;
    return 0;
}

# The end of the test for this daemon: stop, look for what should not be there, clean up.
sub finish ($self) {
    return if $self->{finished}++;
    my $name = $self->name;
    my $gone = $self->stop;
    if (my @left = $self->processes) {
        kill 'TERM', @left;
        $gone &&= $self->_wait_gone(0);
    }
    Test::More::ok($gone, "$name: no process is left") unless $gone;
    my @bad = $self->bad_lines;
    if (@bad) {
        Test::More::fail("$name: nothing went wrong by itself");
        Test::More::diag($_) for splice @bad, 0, 40;
    }
    Test::More::note($self->error_log) if $ENV{KEEP};
    $self->_remove;
}

sub bad_lines ($self) {
    my @bad = grep { /\[(?:crit|alert|emerg)\]/ } split /\n/, $self->error_log;
    for my $file ("$self->{dir}/stderr", "$self->{dir}/run.out", glob "$self->{dir}/sanitizer*") {
        my @lines = split /\n/, $self->read_file($file);
        push @bad, @lines if grep { /(?:Address|Leak|Thread|Memory)Sanitizer|runtime error:|^==\d+==|^panic/ } @lines;
    }
    for my $pattern (@{ $self->{allow} }) {
        @bad = grep { !/$pattern/ } @bad;
    }
    return @bad;
}

# The script ends without `finish`: end everything without a word; show the log when it has died.
sub abandon ($self, $failed) {
    return if $self->{finished}++;
    my @tail = split /\n/, $self->error_log;
    Test::More::diag($_) for !$failed ? () : @tail > 20 ? @tail[ -20 .. -1 ] : @tail;
    kill 'KILL', $self->processes, $self->{pid} // ();
    $self->_remove;
}

sub _remove ($self) {
    if ($ENV{KEEP}) {
        Test::More::diag("kept: $self->{dir}");
        return;
    }
    remove_tree($self->{dir}, { safe => 0 });
}

# ---- requests ------------------------------------------------------------------------------------------------------

sub client ($self, $port = 0, %option) { Client->new($self->port($port), %option) }

# One request on a connection of its own. Options: port (0, 1 ...), host, fields, body, version, keep (no Connection:
# close). undef when no answer came.
sub request ($self, $method, $target, %option) {
    my $client = $self->client($option{port} // 0) // return undef;
    $client->send_request($method, $target, %option, close => !$option{keep});
    return $client->answer;
}

sub get ($self, $target, %option)  { $self->request('GET',  $target, %option) }
sub head ($self, $target, %option) { $self->request('HEAD', $target, %option) }

sub post ($self, $target, $body, %option) { $self->request('POST', $target, %option, body => $body) }

# Sends bytes as they are on a connection of their own and returns all that comes until the server closes.
sub raw ($self, $bytes, %option) {
    my $client = $self->client($option{port} // 0) // return undef;
    $client->write($bytes);
    return $client->read_all;
}

1;
