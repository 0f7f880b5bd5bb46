#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# weirctl rollback: the last good configuration from before the current one serves again; files on disk stay as they are.

use lib 't/lib';
use IO::Socket::INET;
use Load;
use Weir;

my $weir = Weir->new(
    files    => { 'conf.d/a.conf' => "map \$uri \$a { default a1; }\n" },
    http     => 'include conf.d/*.conf;',
    server   => "listen 127.0.0.1:%port0%;\nlocation = /small { return 200 small; }",
    location => 'return 200 "one $a";',
);
$weir->allow(qr/the master process \d+ has died/, qr/bind\(\) .* failed/, qr/unexpected end of file/, qr/chdir\(|ended before/);

sub rollback ($status, $what) {
    my ($got, $output) = $weir->ctl('rollback');
    is($got, $status, $what) or diag($output);
    return $output;
}
sub body ()          { $weir->get('/')->body }
sub is_rolled_back() { ($weir->ctl('status'))[1] =~ /^rolled back: yes/m ? 1 : 0 }
sub differs ()       { ($weir->ctl('diff'))[0] }

like(rollback(1, 'nothing to go back to'), qr/no configuration from before this one is known/, 'is said');
is(body(), 'one a1', 'nothing has changed');

# The same text again is no other configuration.
$weir->reload;
rollback(1, 'a reload of the same text changes nothing');

my $first = $weir->read_file('weir.conf');
$weir->write_file('conf.d/a.conf', "map \$uri \$a { default a2; }\n");
$weir->write_file('conf.d/b.conf', "map \$uri \$b { default b2; }\n");
$weir->rewrite_conf(location => 'return 200 "two $a $b";');
my $second = $weir->read_file('weir.conf');
$weir->reload;
is(body(), 'two a2 b2', 'the second');
is(is_rolled_back(), 0, 'no rollback');

my $load   = Load->new($weir, keepalive => 1, fresh => 1);
my $output = rollback(0, 'back');
like($output, qr/^generation \d+ serves, 1 worker\nrolled back: the files on disk are as they were/, 'what is said');
is(body(), 'one a1', 'the first serves, with what it included');
is(is_rolled_back(), 1, 'status says so');
is($weir->read_file('weir.conf'), $second, 'the file is untouched');
ok(-e $weir->dir . '/conf.d/b.conf', 'the others too');
is(differs(), 1, 'diff shows what a reload would bring');
like($weir->error_log, qr/rollback asked for on the control socket/, 'the log has it');

# Again: to and fro.
rollback(0, 'forth again');
is(body(), 'two a2 b2', 'the second');
is(differs(), 0, 'as on disk');
rollback(0, 'and back');
is(body(), 'one a1', 'the first');
my $result = $load->stop;
is($result->{failed}, 0, 'no request failed') or diag(@{ $result->{problems} });

# A reload reads the files.
$weir->reload;
is(body(), 'two a2 b2', 'a reload reads the files');
is(is_rolled_back(), 0, 'which is no rollback');
rollback(0, 'back from it');
is(body(), 'one a1', 'the first');
$weir->reload;

# A broken file, and a failed reload: the one before is still the one before.
$weir->write_conf("$second\nbroken");
my ($status) = $weir->ctl('reload');
is($status, 1, 'a broken file is refused');
is(body(), 'two a2 b2', 'the second serves on');
rollback(0, 'back with a broken file');
is(body(), 'one a1', 'the first');
is($weir->read_file('weir.conf'), "$second\nbroken", 'which stays broken');
$weir->write_conf($second);

# A configuration that passes, but cannot start: the master holds the one before.
{
    $weir->reload;
    rollback(0, 'the first again');
    my $other = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die;
    $weir->write_conf($second =~ s/(listen [^;]*;)/"$1 listen 127.0.0.1:" . $other->sockport . ';'/er);
    ($status) = $weir->ctl('reload');
    is($status, 1, 'an address in use');
    is(body(), 'one a1', 'the first serves on');
    is(is_rolled_back(), 1, 'and is still a rollback');
    $weir->write_conf($second);
    close $other;
}

# One that passes the check and cannot come up: what serves is held, and what was before it is still known.
{
    $weir->reload;
    is(body(), 'two a2 b2', 'the second');
    $weir->rewrite_conf(main => 'working_directory /nonexistent/place;', location => 'return 200 never;');
    ($status) = $weir->ctl('reload');
    is($status, 1, 'a generation that cannot come up');
    like(($weir->ctl('status'))[1], qr/^state: holding$/m, 'the one before is held');
    is(differs(), 1, 'diff compares with what serves');
    my ($code, $told) = $weir->ctl('explain', $weir->url, '--json');
    like($told, qr/"directive":"return 200 \\"two /, 'which is what explain explains');
    is(is_rolled_back(), 0, 'that is no rollback');
    rollback(0, 'back from there');
    is(body(), 'one a1', 'the first');
    like(($weir->ctl('status'))[1], qr/^state: running$/m, 'and no longer held');
    rollback(0, 'forth');
    is(body(), 'two a2 b2', 'the second, not the one that never served');
    $weir->rewrite_conf(main => '');
}

# Several reloads: only the last one is undone.
$weir->rewrite_conf(location => 'return 200 "three";');
$weir->reload;
$weir->rewrite_conf(location => 'return 200 "four";');
$weir->reload;
rollback(0, 'from the fourth');
is(body(), 'three', 'to the third');

# The master dies: the next one reads the files, and knows what was served.
sub kill_master () {
    my $pid = $weir->pid;
    my $before = () = $weir->error_log =~ /has died/g;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    wait_for(sub { (() = $weir->error_log =~ /has died/g) > $before }, 'workers to notice');
}
sub restart () {
    my @orphans = $weir->workers;
    $weir->start;
    wait_for(sub { my %now = map { $_ => 1 } $weir->processes; !grep { $now{$_} } @orphans }, 'the orphans to end');
}
kill_master();
is(body(), 'three', 'orphans serve what was rolled back to');
restart();
is(body(), 'four', 'the next master reads the files');
is(is_rolled_back(), 0, 'no rollback');
rollback(0, 'what the orphans served');
is(body(), 'three', 'comes back');

# The same text before and after: what was before that is known.
$weir->reload;
kill_master();
restart();
is(body(), 'four', 'the same again');
rollback(0, 'the one before the death');
is(body(), 'three', 'comes back');

# Killed at once after a rollback was asked for.
for my $pause (0, 0.02, 0.04) {
    my $pid = fork // die;
    if ($pid == 0) {
        $weir->ctl('rollback');
        POSIX::_exit(0);
    }
    select undef, undef, undef, $pause;
    kill 'KILL', $weir->pid;
    waitpid $weir->pid, 0;
    waitpid $pid, 0;
    like(body(), qr/^(?:three|four)$/, "killed $pause s after a rollback was asked for: somebody serves");
    wait_for(sub { my ($code) = $weir->run_weir('-t'); $code == 0 }, 'a good test');
    restart();
    is(body(), 'four', 'and the next master');
}

# Ten thousand lines, and names that the hand-over has to escape.
$weir->write_file("conf.d/with blank %20 \xc3\xa9.conf", join '', map { "map \$uri \$many$_ { default $_; }\n" } 1 .. 10_000);
$weir->rewrite_conf(location => 'return 200 "many $many9999";');
$weir->reload;
is(body(), 'many 9999', 'a long configuration');
unlink $weir->dir . "/conf.d/with blank %20 \xc3\xa9.conf";
$weir->rewrite_conf(location => 'return 200 "few";');
$weir->reload;
rollback(0, 'back to it');
is(body(), 'many 9999', 'it serves, though its file is gone');
$weir->reload;
is(body(), 'few', 'until the files are read');

# One at a time, and only by those who may.
{
    use Socket;
    my $ask = sub {
        socket(my $fh, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
        connect($fh, pack_sockaddr_un($weir->dir . '/weir.ctl')) or die "connect: $!";
        send($fh, 'weir/1 rollback', 0);
        return $fh;
    };
    my @all = map { $ask->() } 1 .. 5;
    my %answers;
    for my $fh (@all) {
        recv($fh, my $answer, 65536, 0);
        $answers{ $answer =~ /^(ok|error busy|error rollback)/ ? $1 : $answer }++;
    }
    is($answers{ok} + ($answers{'error busy'} // 0), 5, 'each has an answer');
    close $ask->() for 1 .. 3;
    wait_for(sub { ($weir->ctl('status'))[1] =~ /^state: running/m }, 'the last one to end');
    like(body(), qr/^(?:many 9999|few)$/, 'it serves');
}
