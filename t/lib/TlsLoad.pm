# SPDX-License-Identifier: BSD-2-Clause
# TlsLoad.pm - as Load, over TLS: clients of several kinds that use a server all the time and count what goes wrong.
#
#     my $load = TlsLoad->new($weir, keepalive => 4, fresh => 2, download => 1, upload => 1, tunnel => 1);
#     ... reload, kill workers ...
#     my $result = $load->stop;       # { requests => n, failed => n, problems => [text ..], by_kind => { kind => n } }
#
# Each client is a process. No request is ever repeated: a kept connection that closes under a request is a failure.
# Between requests a client waits a moment (pause: seconds on average), so that connections are idle when something happens to them.
# `with` has further options of TlsClient's new.
# Targets (others by targets => { small => '/x' .. }): /small answers "small"; /big so many bytes as the option `bytes` says;
# /upload answers the length of the body, or anything with 200; /tunnel upgrades to an echo.

package TlsLoad;
use v5.36;
use POSIX ();
use Socket;
use Storable qw(freeze thaw);
use Time::HiRes qw(time);

use TlsClient;

my %kinds = (
    keepalive => \&keepalive, fresh => \&fresh, download => \&download, upload => \&upload, tunnel => \&tunnel);

sub new ($class, $server, %option) {
    my $self = bless { clients => [] }, $class;
    my %target = (
        to    => $server->port($option{port} // 0),
        bytes => $option{bytes} // 1_000_000,
        pause => $option{pause} // 0.004,
        with  => $option{with} // {},
        small => '/small', big => '/big', upload => '/upload', tunnel => '/tunnel', %{ $option{targets} // {} },
    );
    for my $kind (sort keys %kinds) {
        for my $number (1 .. $option{$kind} // 0) {
            push @{ $self->{clients} }, client($kind, $number, \%target);
        }
    }
    return $self;
}

sub client ($kind, $number, $target) {
    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        close $ours;
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        srand $number;
        $theirs->blocking(0);
        my $self = bless {
            %$target, kind => $kind, control => $theirs, requests => 0, failed => 0, problems => [],
        }, 'TlsLoad::Client';
        eval { $kinds{$kind}->($self); 1 } or $self->problem("died: $@");
        $theirs->blocking(1);
        print {$theirs} freeze({ map { $_ => $self->{$_} } qw(kind requests failed problems) });
        close $theirs;
        POSIX::_exit(0);
    }
    close $theirs;
    return { pid => $pid, control => $ours };
}

# Reloads with changing numbers of workers, each generation serving a while; then stops, and checks that nothing was lost.
sub over_reloads ($self, $weir, $reloads) {
    for my $round (1 .. $reloads) {
        $weir->rewrite_conf(workers => 1 + $round % 3);
        $weir->reload;
        my $seen = () = $weir->access_log =~ /\n/g;
        Weir::wait_for(sub { (() = $weir->access_log =~ /\n/g) > $seen + 20 }, 'requests of this generation');
    }
    my $result = $self->stop;
    Test::More::diag($_) for @{ $result->{problems} };
    Test::More::is($result->{failed}, 0, "none of $result->{requests} requests fails over $reloads reloads");
    Test::More::cmp_ok($result->{by_kind}{$_}, '>', 0, "$_ worked") for sort keys %{ $result->{by_kind} };
}

# Ends all clients after the request that each is at.
sub stop ($self) {
    my %result = (requests => 0, failed => 0, problems => [], by_kind => {});
    shutdown($_->{control}, 1) for @{ $self->{clients} };
    for my $client (@{ $self->{clients} }) {
        local $/;
        my $text = readline($client->{control}) // '';
        waitpid $client->{pid}, 0;
        my $report = length $text ? thaw($text) : { kind => '?', requests => 0, failed => 1, problems => ['no report'] };
        $result{$_} += $report->{$_} for qw(requests failed);
        $result{by_kind}{ $report->{kind} } += $report->{requests};
        push @{ $result{problems} }, map { "$report->{kind}: $_" } @{ $report->{problems} };
    }
    $self->{clients} = [];
    return \%result;
}

sub DESTROY ($self) {
    for my $client (@{ $self->{clients} }) {
        kill 'KILL', $client->{pid};
        waitpid $client->{pid}, 0;
    }
}

# ---- what the kinds do, until they are told to stop

sub keepalive ($self) {
    my $client;
    until ($self->is_over) {
        $client //= $self->connect or next;
        my $answer = $self->ask($client, 'GET', $self->{small});
        $self->count($answer && $answer->status == 200 && $answer->body eq 'small', $answer, $client);
        if (!$answer || lc($answer->field('Connection') // '') eq 'close') {
            undef $client;
        }
        $self->rest;
    }
}

sub fresh ($self) {
    until ($self->is_over) {
        my $client = $self->connect or next;
        my $answer = $self->ask($client, 'GET', $self->{small}, close => 1);
        $self->count($answer && $answer->status == 200 && $answer->body eq 'small', $answer, $client);
        $self->rest;
    }
}

# Reads in small steps, so that one download lasts through several reloads.
sub download ($self) {
    until ($self->is_over) {
        my $client = $self->connect(rcvbuf => 16384) or next;
        $client->send_request('GET', $self->{big}, close => 1);
        my $answer = $client->answer(head => 1);
        my $length = 0;
        while ($answer) {
            my $bytes = $client->read_bytes(32768);
            $length += length $bytes;
            last if $client->{eof} && !length $bytes;
            $self->rest unless $self->is_over;
        }
        $self->count($answer && $answer->status == 200 && $length == $self->{bytes},
            $answer, $client, "$length bytes of $self->{bytes}");
    }
}

sub upload ($self) {
    my $piece = 'u' x 4096;
    until ($self->is_over) {
        my $client = $self->connect or next;
        my $count  = 50;
        my $sent   = $client->write("POST $self->{upload} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
              . 'Content-Length: ' . $count * length($piece) . "\r\n\r\n");
        for (1 .. $count) {
            $sent &&= $client->write($piece);
            $self->rest unless $self->is_over;
        }
        my $answer = $client->answer;
        $self->count($sent && $answer && $answer->status == 200 && $answer->complete, $answer, $client);
    }
}

# One tunnel holds through everything; its messages are the requests.
sub tunnel ($self) {
    until ($self->is_over) {
        my $client = $self->connect or next;
        my $answer = $self->ask($client, 'GET', $self->{tunnel},
            fields => [ 'Connection: Upgrade', 'Upgrade: websocket' ]);
        $self->count($answer && $answer->status == 101, $answer, $client) or next;
        for (my $n = 0 ; $n < 2000 && !$self->is_over ; $n++) {
            my $message = "message $n;";
            my $echo    = $client->write($message) ? $client->read_bytes(length $message) : '';
            $self->count($echo eq $message, undef, $client, "echo of message $n") or last;
            $self->rest;
        }
        $client->close;
    }
}

package TlsLoad::Client;
use v5.36;

sub is_over ($self) {
    my $n = sysread($self->{control}, my $byte, 1);
    return defined $n && $n == 0;
}

sub rest ($self) { select(undef, undef, undef, rand(2 * $self->{pause})) }

sub problem ($self, $text) {
    $self->{failed}++;
    push @{ $self->{problems} }, sprintf('%s (%.3f)', $text, Time::HiRes::time()) if @{ $self->{problems} } < 5;
}

sub connect ($self, %option) {
    my $client = TlsClient->new($self->{to}, %option, %{ $self->{with} });
    if (!$client) {
        $self->{requests}++;
        $self->problem("connect: $!");
        $self->rest;
    }
    return $client;
}

sub ask ($self, $client, @request) {
    $client->send_request(@request) or return undef;
    return $client->answer;
}

sub count ($self, $ok, $answer, $client, $more = '') {
    $self->{requests}++;
    return 1 if $ok;
    my $what = $answer ? 'status ' . $answer->status . ($answer->complete ? '' : ', cut') : 'no answer';
    $self->problem(join ', ', grep { length } $what, $client->problem, $more, $client->{eof} ? 'closed' : '');
    return 0;
}

1;
