# SPDX-License-Identifier: BSD-2-Clause
# Load.pm - clients of several kinds that use a server all the time and count what goes wrong (load.c does the work).
#
#     my $load = Load->new($weir, keepalive => 4, fresh => 2, pipeline => 1, download => 1, upload => 1, tunnel => 1);
#     $load->wait_requests(1000);
#     ... reload, kill workers ...
#     my $result = $load->stop;
#
# The result: { requests => n, failed => n, problems => [text ..], by_kind => { kind => n }, ids => n,
# failures => [{ kind, port (the client's), at (time), text }] }.
#
# No request is ever repeated: a kept connection that closes under a request, or while it is idle without having been
# announced, is a failure. Requests are numbered from 1 to `ids`: ?id=N. Clients of the kind `rude` leave in the middle
# of everything and are not counted, except for connections that they do not get.
# Options: pause (seconds between two steps of a client, on average), patience (seconds), bytes (of /big), port (number
# of the server's), targets => { small => '/a,/b', big => ..., upload => ..., tunnel => ... }. /small answers "small";
# /big so many bytes of the alphabet; /upload "LENGTH SUM" as LoadOrigin does; /tunnel upgrades to an echo.
#
#     my $origin = LoadOrigin->new(bytes => 1_000_000);   # all of that, behind the server: $origin->address, ->url

package Load;
use v5.36;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Open2;

use Client;

our $bytes = 1_000_000;
my @kinds = qw(keepalive fresh pipeline download upload tunnel rude);

# A program of this directory, built beside the daemon.
sub program ($name) {
    my $build = dirname($ENV{WEIR} // 'build/weir');
    my $path  = "$build/t/lib/$name";
    if (!$ENV{MAKELEVEL}) {    # else make has seen to it
        system(qw(make -s), "BUILD=$build", $path);
    }
    -x $path or die "$path is missing: make $path\n";
    return abs_path($path);
}

sub spawn ($name, @words) {
    local $SIG{PIPE} = 'IGNORE';
    my $pid = open2(my $from, my $to, program($name), @words);
    $to->autoflush(1);
    return { pid => $pid, from => $from, to => $to, owner => $$ };
}

sub new ($class, $server, %option) {
    my @words = ($server->port($option{port} // 0));
    push @words, map { "$_=" . ($option{$_} // 0) } @kinds;
    push @words, 'bytes=' . ($option{bytes} // $bytes);
    push @words, 'pause=' . int(1e6 * ($option{pause} // 0.004));
    push @words, 'patience=' . int(1000 * ($option{patience} // $Client::patience));
    push @words, map { "$_=$option{targets}{$_}" } sort keys %{ $option{targets} // {} };
    return bless spawn('load', @words), $class;
}

# Requests and failures so far.
sub count ($self) {
    print { $self->{to} } "count\n";
    my ($requests, $failed) = (readline($self->{from}) // '') =~ /^count (\d+) (\d+)$/ or die "the load has died\n";
    return { requests => $requests, failed => $failed };
}

# Waits until so many more requests have been answered.
sub wait_requests ($self, $more) {
    my $until = $self->count->{requests} + $more;
    Weir::wait_for(sub { $self->count->{requests} >= $until }, "$more requests of the load");
}

# Ends all clients after the request that each is at.
sub stop ($self) {
    my %result = (requests => 0, failed => 0, problems => [], failures => [], by_kind => {}, ids => 0);
    my $ended;
    print { $self->{to} } "stop\n";    # to close it would not do: other children of the test may hold it
    while (defined(my $line = readline $self->{from})) {
        chomp $line;
        my ($what, @words) = split / /, $line, $line =~ /^problem/ ? 5 : -1;
        if ($what eq 'problem') {
            my %failure;
            @failure{qw(kind port at text)} = @words;
            push @{ $result{failures} }, \%failure;
            push @{ $result{problems} }, "$failure{kind} (port $failure{port}, $failure{at}): $failure{text}";
        }
        elsif ($what eq 'kind') {
            $result{by_kind}{ $words[0] } = $words[1];
            $result{requests} += $words[1];
            $result{failed}   += $words[2];
        }
        elsif ($what eq 'ids') {
            $result{ids} = $words[0];
            $ended = 1;
        }
    }
    waitpid delete $self->{pid}, 0;
    if (!$ended) {
        $result{failed}++;
        push @{ $result{problems} }, 'the load ended without a report';
    }
    return \%result;
}

sub DESTROY ($self) {
    return if $self->{owner} != $$ || !$self->{pid};
    local ($?, $!);
    kill 'KILL', $self->{pid};
    waitpid delete $self->{pid}, 0;
}

package LoadOrigin;
use v5.36;

use Port;

our @ISA = 'Load';

# bytes: of /big; drop_after: answers, after which a connection is closed without a word.
sub new ($class, %option) {
    my $port = $option{port} // Port::claim();
    my $self = Load::spawn('load_origin', $port, $option{bytes} // $Load::bytes, $option{drop_after} // 0);
    @$self{qw(port address url)} = ($port, "127.0.0.1:$port", "http://127.0.0.1:$port");
    (readline($self->{from}) // '') eq "ready\n" or die "the origin did not start\n";
    return bless $self, $class;
}

sub stop ($self) { $self->DESTROY }

sub port ($self)    { $self->{port} }
sub address ($self) { $self->{address} }
sub url ($self)     { $self->{url} }

# Locations for all kinds of clients: "small" by return, from a file and from the origin, the rest from the origin.
# `files` are what `new` of Weir needs for it.
sub locations ($self, %option) {
    my $url = $option{url} // $self->url;
    return <<CONF;
location = /small { return 200 small; }
location = /proxied { proxy_pass $url/small; proxy_http_version 1.1; proxy_set_header Connection ""; }
location = /upload { proxy_pass $url; proxy_http_version 1.1; proxy_set_header Connection ""; }
location = /stream { proxy_pass $url/upload; proxy_request_buffering off; proxy_http_version 1.1; }
location = /relayed { proxy_pass $url/big; proxy_http_version 1.1; proxy_set_header Connection ""; }
location = /tunnel {
    proxy_pass $url;
    proxy_http_version 1.1;
    proxy_set_header Upgrade \$http_upgrade;
    proxy_set_header Connection upgrade;
}
CONF
}

my $alphabet = join '', 'a' .. 'z';

sub files ($class, $bytes = $Load::bytes) {
    return {
        'html/file' => 'small',
        'html/big'  => substr($alphabet x ($bytes / 26 + 1), 0, $bytes),
    };
}

1;
