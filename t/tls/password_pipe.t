#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# A file of passphrases may be a pipe into which somebody writes once: it is read once for a start and once for a reload,
# and what it said stays known to workers, to a rollback and to a master that takes over.

use lib 't/lib';
use Certs;
use POSIX ();
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('a')->make('b');
$certs->openssl('pkey', '-in', "$_.key", '-aes128', '-passout', 'pass:the-first-word', '-out', "$_.locked") for qw(a b);
POSIX::mkfifo("$dir/pipe", 0600) or die "mkfifo: $!";

# Somebody who writes one time, as soon as somebody reads.
my @writers;

sub write_once ($what) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        Weir::end_with_parent(POSIX::SIGKILL());
        open my $pipe, '>', "$dir/pipe" or POSIX::_exit(1);
        syswrite $pipe, "another\n$what\n";
        POSIX::_exit(0);
    }
    push @writers, $pid;
}

# Whether what was written was read.
sub taken () {
    return eval { wait_for(sub { 0 == (@writers = grep { waitpid($_, POSIX::WNOHANG()) != $_ } @writers) }, 'a reader of the pipe') };
}

sub conf ($text) {
    return <<CONF;
    ssl_password_file $dir/pipe;
    server { listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.locked; return 200 $text; }
    server { listen 127.0.0.1:%port1% ssl; ssl_protocols TLSv1.2; ssl_certificate $dir/b.crt; ssl_certificate_key $dir/b.locked;
        location / { proxy_pass https://127.0.0.1:%port0%; proxy_http_version 1.0; proxy_ssl_certificate $dir/a.crt; proxy_ssl_certificate_key $dir/a.locked;
            proxy_ssl_password_file $dir/pipe; } }
CONF
}

sub answers ($weir, $expected, $what) {
    for my $port (0, 1) {
        my $client = TlsClient->new($weir->port($port)) // die TlsClient->why;
        $client->send_request('GET', '/');
        is($client->answer->body, $expected, "$what: port $port");
    }
}

my $weir = Weir->new(http => conf('one'), start => 0);
write_once('the-first-word');
$weir->start;
ok(taken(), 'a start reads it once');
answers($weir, 'one', 'start');

write_once('the-first-word');
$weir->write_conf(Weir->conf_text(http => conf('two')));
$weir->reload;
ok(taken(), 'a reload reads it once');
answers($weir, 'two', 'reload');

write_once('the-first-word');
$weir->write_conf(Weir->conf_text(http => conf('three')));
$weir->signal('HUP');
$weir->wait_log(qr/generation 3 serves/);
ok(taken(), 'a reload by signal too');
answers($weir, 'three', 'reload by signal');

# Nobody writes: what was read is known.
my ($victim) = wait_for(sub { my @w = $weir->workers; @w == 1 && $w[0] }, 'the end of the old workers');
$weir->allow(qr/exited on signal 9/);
kill 'KILL', $victim;
wait_for(sub { my @w = $weir->workers; @w == 1 && $w[0] != $victim }, 'another worker');
answers($weir, 'three', 'a new worker');
my ($status, $output) = $weir->ctl('rollback');
is($status, 0, 'rollback') or diag($output);
answers($weir, 'two', 'rollback');

# A generation that passes and cannot come up: who dies of the old one is replaced by what the last good text says.
$weir->allow(qr/chdir\(|ended before/);
write_once('the-first-word');
$weir->write_conf(Weir->conf_text(main => 'working_directory /nonexistent/place;', http => conf('never')));
is(($weir->ctl('reload'))[0], 1, 'a generation that cannot come up');
ok(taken(), 'for which it was read once');
like(($weir->ctl('status'))[1], qr/^state: holding$/m, 'the old one is held');
($victim) = wait_for(sub { my @w = $weir->workers; @w == 1 && $w[0] }, 'the end of the failed one');
kill 'KILL', $victim;
wait_for(sub { my @w = $weir->workers; @w == 1 && $w[0] != $victim }, 'another worker');
answers($weir, 'two', 'held');

# A wrong word.
$weir->allow(qr/\[emerg\].*cannot load certificate key/);
write_once('the-wrong-word');
($status, $output) = $weir->ctl('reload');
isnt($status, 0, 'a wrong one is refused');
like($output, qr/cannot load certificate key "\Q$dir\E\/a\.locked"/, 'and why');
ok(taken(), 'after it was read once');
answers($weir, 'two', 'the old generation');

# It is a secret, and no part of the text.
($status, $output) = $weir->ctl('diff');
like($output, qr/^\+.*never/m, 'diff has the text');
unlike($output, qr/the-first-word|pipe:/, 'and not what the pipe said');
write_once('the-first-word');
($status, $output) = $weir->run_weir('-T');
ok(taken(), '-T reads it once');
like($output, qr/ssl_password_file \Q$dir\E\/pipe/, '-T has the text');
unlike($output, qr/the-first-word|pipe:/, 'and not what the pipe said');
unlike($weir->error_log, qr/the-first-word/, 'nor has the log');

# One after the other, a text may say either.
my $file = $certs->write('file', "the-first-word\n");
$weir->write_conf(Weir->conf_text(http => conf('four') =~ s/\Q$dir\E\/pipe/$file/gr));
$weir->reload;
answers($weir, 'four', 'an ordinary file');

done_testing;
