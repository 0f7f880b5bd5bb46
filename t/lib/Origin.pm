# SPDX-License-Identifier: BSD-2-Clause
# Origin.pm - a fake origin server in a process of its own: answers as scripted, remembers what it was asked.
#
#     my $origin = Origin->new('/a' => { body => 'one', fields => ['X-Y: z'] }, '*' => { status => 404 });
#     proxy_pass $origin->{url};  $origin->{address} is "127.0.0.1:PORT" (or "unix:/path" with unix => 1 before the paths;
#     host => '127.0.0.2', port => n, backlog => n and accept => 0 can stand there too, and tls => { .. }: TlsOrigin.pm)
#
# Keys of an answer:
#   status, reason, version, body, fields (lines or a hash); a key with an underscore such as cache_control is a field
#   chunks => [..]    the body in chunks;  trailers => [lines]
#   pieces => [..]    the body in pieces, pause => seconds between them (sent as they are, with Content-Length)
#   length => n       a Content-Length that is not the body's;  until_close => 1   no length, close at the end
#   close => 1        Connection: close and close;  drop => 1   close without an answer;  reset => 1   the same, by RST
#   cut => 1          close after the body, whatever was announced; cut => 'reset'
#   raw => bytes or [pieces]   instead of all this, and close unless keep => 1
#   interim => [bytes]  sent before;  early => 1   answer when the head has come;  no_continue => 1   ignore Expect
#   slow_read => seconds   a pause before each read of the body;  stop_reading => 1   reads no body at all
#   echo => 1         the body is the request as it came;  upgrade => name   101 and then an echo of all bytes
#   repeat => n       the body n times over (made when it is sent)
# A code reference gets the request and returns such a hash. Paths match without the query; '*' is for all others.
#
# Requests are hashes: method, target, version, fields ([name, value] ..), head, body, connection (number), complete.

package Origin;
use v5.36;
use POSIX ();
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use Storable qw(freeze thaw);
use Time::HiRes qw(time);

use Client;
use Port;
use TlsOrigin;

my @origins;

sub new ($class, @script) {
    my %option;
    while (@script && $script[0] =~ /^(unix|host|port|backlog|accept|tls)$/) {
        my ($name, $value) = splice @script, 0, 2;
        $option{$name} = $value;
    }
    my $self = bless { owner => $$ }, $class;
    my $listener;
    if ($option{unix}) {
        my $dir = $self->{dir} = File::Temp::tempdir('origin-XXXXXX', TMPDIR => 1);
        chmod 0755, $dir;
        socket($listener, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
        bind($listener, pack_sockaddr_un("$dir/socket")) or die "bind: $!";
        chmod 0777, "$dir/socket";
        @$self{qw(address url)} = ("unix:$dir/socket", "http://unix:$dir/socket");
    }
    else {
        my $port = $self->{port} = $option{port} // Port::claim();
        socket($listener, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
        setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
        my $host = $option{host} // '127.0.0.1';
        bind($listener, pack_sockaddr_in($port, inet_aton($host))) or die "bind: $!";
        @$self{qw(address url)} = ("$host:$port", "http://$host:$port");
    }
    $self->{url} =~ s/^http/https/ if $option{tls};
    listen($listener, $option{backlog} // 1024) or die "listen: $!";
    socketpair($self->{control}, my $control, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!";

    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        Weir::end_with_parent(POSIX::SIGKILL());
        close $self->{control};
        close $_->{control} for @origins;
        $SIG{INT} = 'IGNORE';
        $SIG{TERM} = 'DEFAULT';
        my $server = $option{tls} ? 'TlsOriginServer' : 'OriginServer';
        eval { $server->new($listener, $control, { @script }, %option)->run; 1 } or print STDERR "origin: $@";
        POSIX::_exit(0);
    }
    $self->{pid} = $pid;
    push @origins, $self;
    return $self;
}

sub address ($self) { $self->{address} }
sub url ($self)     { $self->{url} }
sub port ($self)    { $self->{port} }

# One question to the origin's process, one answer.
sub _ask ($self, @words) {
    my $text = freeze(\@words);
    local $SIG{PIPE} = 'IGNORE';
    my $message = pack('N', length $text) . $text;
    while (length $message) {
        my $n = syswrite($self->{control}, $message) // die "the origin has died\n";
        substr($message, 0, $n, '');
    }
    my $read = sub ($n) {
        my $bytes = '';
        while (length $bytes < $n) {
            sysread($self->{control}, $bytes, $n - length $bytes, length $bytes) or die "the origin has died\n";
        }
        return $bytes;
    };
    return thaw($read->(unpack 'N', $read->(4)))->[0];
}

# Scripts further paths, or others for the same ones. (No code references here.)
sub set ($self, %script) { $self->_ask('set', \%script) }

# Requests for this path get no answer until it is released; '*' holds all.
sub hold ($self, $path)    { $self->_ask('hold',    $path) }
sub release ($self, $path) { $self->_ask('release', $path) }

# All requests whose head has come so far, oldest first; of one path, if given.
sub requests ($self, $path = undef) {
    my $all = $self->_ask('requests');
    return grep { !defined $path || $_->{path} eq $path } @$all;
}

sub last_request ($self) { ($self->requests)[-1] }

# With tls: what came of all handshakes so far, in order: { name, protocol, cipher, alpn, reused, client } or { error }.
sub handshakes ($self) { @{ $self->_ask('handshakes') } }

# Connections accepted so far, and those that are open now.
sub connections ($self) { $self->_ask('connections') }
sub open_now ($self)    { $self->_ask('open') }
sub forget ($self)      { $self->_ask('forget') }

# Closes all connections that wait for a request; the number of them.
sub close_idle ($self) { $self->_ask('close_idle') }

# Bytes of the request body that were read so far, over all requests; also of those that are under way.
sub body_bytes ($self) { $self->_ask('body_bytes') }

# Waits until so many requests have come (for this path) and returns them.
sub wait_requests ($self, $count, $path = undef) {
    my @requests;
    Weir::wait_for(sub { (@requests = $self->requests($path)) >= $count }, "$count requests at the origin");
    return @requests;
}

# The value of a field in one of the requests: undef without it; in list context all values.
sub field ($request, $name) {
    my @values = map { $_->[1] } grep { lc($_->[0] // '') eq lc $name } @{ $request->{fields} };
    return wantarray ? @values : $values[0];
}

# Stops listening and answering, as a crashed origin; start anew with port => the same port.
sub stop ($self) {
    return if $self->{owner} != $$ || !$self->{pid};
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
    close $self->{control};
    if ($self->{dir}) {
        unlink "$self->{dir}/socket";
        rmdir $self->{dir};
    }
}

sub stop_all ($class) {
    $_->stop for @origins;
    @origins = ();
}

# ---- the server process --------------------------------------------------------------------------------------------

package OriginServer;
use v5.36;
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use Storable qw(freeze thaw);
use Time::HiRes qw(time);

sub new ($class, $listener, $control, $script, %option) {
    $listener->blocking(0);
    return bless {
        listener => $listener, control => $control, script => $script, held => {}, connections => {}, accepted => 0,
        requests => [], body_bytes => 0, accepts => $option{accept} // 1,
    }, $class;
}

sub run ($self) {
    $SIG{PIPE} = 'IGNORE';
    while (1) {
        my ($read, $write) = ('', '');
        vec($read, fileno $self->{control},  1) = 1;
        vec($read, fileno $self->{listener}, 1) = 1 if $self->{accepts};
        my $now   = time;
        my $until = $now + 60;
        for my $c (values %{ $self->{connections} }) {
            my $n = fileno $c->{fh};
            vec($read,  $n, 1) = 1 if $self->wants_bytes($c, $now);
            vec($write, $n, 1) = 1 if $self->has_bytes($c,   $now);
            $until = $c->{not_before}  if $c->{not_before} > $now  && $c->{not_before} < $until;
            $until = $c->{read_after}  if $c->{read_after} > $now  && $c->{read_after} < $until;
        }
        select($read, $write, undef, $until - $now < 0 ? 0 : $until - $now);
        $self->control or return if vec($read, fileno $self->{control}, 1);
        $self->accept            if vec($read, fileno $self->{listener}, 1);
        for my $c (values %{ $self->{connections} }) {
            my $n = fileno $c->{fh};
            $self->receive($c) if vec($read, $n, 1);
            $self->send($c) if $self->{connections}{ $c->{id} } && $self->has_bytes($c, time);
        }
    }
}

# ---- orders from the test

sub control ($self) {
    my $read = sub ($n) {
        my $bytes = '';
        while (length $bytes < $n) {
            sysread($self->{control}, $bytes, $n - length $bytes, length $bytes) or return undef;
        }
        return $bytes;
    };
    my $head = $read->(4) // return 0;
    my ($order, @words) = @{ thaw($read->(unpack 'N', $head)) };
    my $answer = $self->can("on_$order")->($self, @words);
    my $text   = freeze([$answer]);
    my $out    = pack('N', length $text) . $text;
    while (length $out) {
        my $n = syswrite($self->{control}, $out) // return 0;
        substr($out, 0, $n, '');
    }
    return 1;
}

sub on_requests ($self)    { [ map { my %r = %$_; delete $r{spec}; \%r } @{ $self->{requests} } ] }
sub on_connections ($self) { $self->{accepted} }
sub on_open ($self)        { scalar keys %{ $self->{connections} } }
sub on_body_bytes ($self)  { $self->{body_bytes} }
sub on_forget ($self)      { $self->{requests} = []; $self->{body_bytes} = 0; 1 }

sub on_set ($self, $script) {
    $self->{script} = { %{ $self->{script} }, %$script };
    return 1;
}

sub on_hold ($self, $path) { $self->{held}{$path} = 1 }

sub on_release ($self, $path) {
    delete $self->{held}{$path};
    for my $c (values %{ $self->{connections} }) {
        my $request = $c->{waiting} or next;
        $self->is_held($request->{path}) or $self->answer($c);
    }
    return 1;
}

sub on_close_idle ($self) {
    my @idle = grep { !$_->{request} && !length $_->{in} } values %{ $self->{connections} };
    $self->drop($_) for @idle;
    return scalar @idle;
}

sub is_held ($self, $path) { $self->{held}{$path} || $self->{held}{'*'} }

# ---- connections

sub accept ($self) {
    accept(my $fh, $self->{listener}) or return;
    $fh->blocking(0);
    setsockopt($fh, IPPROTO_TCP, TCP_NODELAY, 1);
    my $id = ++$self->{accepted};
    $self->{connections}{$id} = {
        id         => $id, fh      => $fh,   in     => '',    out   => [], not_before => 0,
        read_after => 0,   request => undef, waiting => undef, tunnel => 0,
    };
}

# As sysread (with the bytes behind it) and syswrite, also over TLS.
sub read_some ($self, $c) {
    my $n = sysread($c->{fh}, my $bytes, 65536);
    return ($n, $bytes);
}

sub write_some ($self, $c, $bytes) { syswrite($c->{fh}, $bytes) }

sub drop ($self, $c, $reset = 0) {
    setsockopt($c->{fh}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $reset;
    close $c->{fh};
    delete $self->{connections}{ $c->{id} };
}

sub wants_bytes ($self, $c, $now) {
    return 0 if $c->{request} && $c->{request}{spec}{stop_reading};
    return $c->{read_after} <= $now;
}

sub has_bytes ($self, $c, $now) { @{ $c->{out} } && $c->{not_before} <= $now }

# What goes out is a queue: strings, [pause => seconds], [repeat => text, count], 'close' and 'reset' orders.
sub send ($self, $c) {
    while (@{ $c->{out} }) {
        my $item = $c->{out}[0];
        if (ref $item) {
            my ($what, $value) = @$item;
            if ($what eq 'repeat') {
                if ($item->[2]-- > 0) {
                    unshift @{ $c->{out} }, $value;
                }
                else {
                    shift @{ $c->{out} };
                }
                next;
            }
            shift @{ $c->{out} };
            if ($what eq 'pause') {
                $c->{not_before} = time + $value;
                return;
            }
            return $self->drop($c, $what eq 'reset');
        }
        my $n = $self->write_some($c, $item);
        if (!defined $n) {
            $self->drop($c) unless $!{EAGAIN};
            return;
        }
        if ($n == length $item) {
            shift @{ $c->{out} };
        }
        else {
            $c->{out}[0] = substr($item, $n);
        }
    }
}

sub receive ($self, $c) {
    my ($n, $bytes) = $self->read_some($c);
    if (!defined $n) {
        $self->drop($c) unless $!{EAGAIN};
        return;
    }
    return $self->ended($c) if $n == 0;
    if ($c->{tunnel}) {
        push @{ $c->{out} }, $bytes;
        return;
    }
    $c->{in} .= $bytes;
    $c->{read_after} = time + $c->{request}{spec}{slow_read} if $c->{request} && $c->{request}{spec}{slow_read};
    $self->advance($c);
}

# The peer sends no more. Answers that are under way still go out.
sub ended ($self, $c) {
    $c->{request}{cut} = 1 if $c->{request} && !$c->{request}{complete};
    if (@{ $c->{out} } && !$c->{tunnel}) {
        push @{ $c->{out} }, ['close'];
        $c->{read_after} = time + 1e6;
    }
    else {
        push @{ $c->{out} }, ['close'] if @{ $c->{out} };
        $self->drop($c) unless @{ $c->{out} };
        $c->{read_after} = time + 1e6;
    }
}

# Takes as much out of the input as there is: heads and bodies of one request after the other.
sub advance ($self, $c) {
    while ($self->{connections}{ $c->{id} } && !$c->{waiting}) {
        if (!$c->{request}) {
            $c->{in} =~ /\r?\n\r?\n/ or return;
            my $head = substr($c->{in}, 0, $+[0], '');
            $self->begin($c, $head) or return $self->drop($c);
        }
        my $request = $c->{request};
        $self->take_body($c, $request) or return;
        $request->{complete} = 1;
        $request->{answered} ? $self->next_request($c) : $self->reply($c);
    }
}

sub begin ($self, $c, $head) {
    my ($line, @lines) = split /\r?\n/, $head;
    my ($method, $target, $version) = $line =~ m{^(\S+) (\S+) HTTP/(\d\.\d)$} or return 0;
    my %request = (
        method => $method, target => $target, version => $version, head => $head, body => '', complete => 0,
        path => $target =~ s{^https?://[^/]*}{}r =~ s/\?.*//sr,
        fields => [ map { [ /^([^:]*):\s*(.*?)\s*$/ ] } @lines ], connection => $c->{id},
    );
    $request{left} = Origin::field(\%request, 'Content-Length') // 0;
    $request{left} = 'chunk' if (Origin::field(\%request, 'Transfer-Encoding') // '') =~ /chunked/i;
    my $spec = $self->{script}{ $request{path} } // $self->{script}{'*'} // { status => 404, body => 'not scripted' };
    $spec = $spec->(\%request) if ref $spec eq 'CODE';
    $request{spec} = $spec;
    $c->{request}  = \%request;
    push @{ $self->{requests} }, \%request;
    my $expects = (Origin::field(\%request, 'Expect') // '') =~ /100-continue/i;
    push @{ $c->{out} }, "HTTP/1.1 100 Continue\r\n\r\n" if $expects && !$spec->{no_continue} && !$spec->{early};
    $c->{read_after} = time + $spec->{slow_read} if $spec->{slow_read};
    if ($spec->{early}) {
        $request{answered} = 1;
        $self->reply($c);
    }
    return 1;
}

# True when the whole body is there.
sub take_body ($self, $c, $request) {
    while ($request->{left} eq 'chunk' || $request->{left} eq 'trailer') {
        if ($request->{left} eq 'trailer') {
            $c->{in} =~ s/\A(.*?)\r?\n// or return 0;
            return 1 if $1 eq '';
            push @{ $request->{trailers} }, $1;
            next;
        }
        my ($line, $hex) = $c->{in} =~ /\A(([0-9a-fA-F]+)[^\n]*\n)/ or return 0;
        my $size = hex $hex;
        if ($size == 0) {
            substr($c->{in}, 0, length $line, '');
            $request->{left} = 'trailer';
            next;
        }
        return 0 if length $c->{in} < length($line) + $size + 2;
        $request->{body} .= substr($c->{in}, length $line, $size);
        $self->{body_bytes} += $size;
        substr($c->{in}, 0, length($line) + $size + 2, '');
    }
    my $piece = substr($c->{in}, 0, $request->{left}, '');
    $request->{body} .= $piece;
    $request->{left} -= length $piece;
    $self->{body_bytes} += length $piece;
    return $request->{left} == 0;
}

sub reply ($self, $c) {
    $c->{waiting} = $c->{request};
    $self->answer($c) unless $self->is_held($c->{request}{path});
}

sub answer ($self, $c) {
    my $request = delete $c->{waiting};
    $self->script_answer($c, $request, $request->{spec});
    $self->next_request($c) if $request->{complete};
}

sub next_request ($self, $c) {
    $c->{request} = undef;
    $self->advance($c) if length $c->{in};
}

my %reasons = (200 => 'OK', 204 => 'No Content', 301 => 'Moved Permanently', 302 => 'Found', 304 => 'Not Modified',
    404 => 'Not Found', 500 => 'Internal Server Error', 502 => 'Bad Gateway', 503 => 'Service Unavailable');
my %is_key = map { $_ => 1 } qw(status reason version body fields chunks trailers pieces pause length until_close close
  drop reset cut raw keep interim early no_continue slow_read stop_reading echo upgrade repeat);

sub script_answer ($self, $c, $request, $spec) {
    my $out = $c->{out};
    push @$out, @{ $spec->{interim} // [] };
    if ($spec->{drop} || $spec->{reset}) {
        push @$out, [ $spec->{reset} ? 'reset' : 'close' ];
        return;
    }
    if (defined $spec->{raw}) {
        $self->queue_pieces($out, $spec, ref $spec->{raw} ? @{ $spec->{raw} } : $spec->{raw});
        push @$out, ['close'] unless $spec->{keep};
        return;
    }
    if ($spec->{upgrade}) {
        push @$out, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: $spec->{upgrade}\r\n"
          . join('', map { "$_\r\n" } Client::field_lines($spec->{fields})) . "\r\n";
        $c->{tunnel} = 1;
        push @$out, substr($c->{in}, 0, length $c->{in}, '');
        return;
    }
    push @$out, $self->head_of($request, $spec);
    $self->queue_body($out, $request, $spec);
    push @$out, ['reset'] if ($spec->{cut} // '') eq 'reset';
    push @$out, ['close'] if $spec->{cut} || $spec->{close} || $spec->{until_close} || $request->{version} eq '1.0'
      && (Origin::field($request, 'Connection') // '') !~ /keep-alive/i;
}

sub body_of ($request, $spec) {
    return $request->{head} . $request->{body} if $spec->{echo};
    return join '', @{ $spec->{pieces} } if $spec->{pieces};
    return $spec->{body} // '';
}

sub head_of ($self, $request, $spec) {
    my $status = $spec->{status} // 200;
    my @fields = Client::field_lines($spec->{fields});
    for my $name (sort grep { !$is_key{$_} } keys %$spec) {
        push @fields, join('-', map { ucfirst } split /_/, $name) . ": $spec->{$name}";
    }
    if ($spec->{chunks}) {
        push @fields, 'Transfer-Encoding: chunked';
    }
    elsif (!$spec->{until_close} && $status !~ /^(?:1..|204)$/ && !($status == 304 && !defined $spec->{body})) {
        push @fields, 'Content-Length: '
          . ($spec->{length} // length(body_of($request, $spec)) * ($spec->{repeat} // 1));
    }
    push @fields, 'Connection: close' if $spec->{close};
    push @fields, 'Connection: keep-alive' if $request->{version} eq '1.0' && !$spec->{close} && !$spec->{until_close}
      && (Origin::field($request, 'Connection') // '') =~ /keep-alive/i;
    my $reason = $spec->{reason} // $reasons{$status} // 'Some Reason';
    return join("\r\n", 'HTTP/' . ($spec->{version} // '1.1') . " $status $reason", @fields) . "\r\n\r\n";
}

sub queue_pieces ($self, $out, $spec, @pieces) {
    while (@pieces) {
        push @$out, shift @pieces;
        push @$out, [ pause => $spec->{pause} ] if $spec->{pause} && @pieces;
    }
}

sub queue_body ($self, $out, $request, $spec) {
    return if $request->{method} eq 'HEAD' || ($spec->{status} // 200) =~ /^(?:204|304)$/;
    if ($spec->{chunks}) {
        my @chunks = map { sprintf("%x\r\n", length) . "$_\r\n" } @{ $spec->{chunks} };
        my $end = "0\r\n" . join('', map { "$_\r\n" } @{ $spec->{trailers} // [] }) . "\r\n";
        $self->queue_pieces($out, $spec, @chunks, $spec->{cut} ? () : $end);
    }
    elsif ($spec->{repeat}) {
        push @$out, [ repeat => body_of($request, $spec), $spec->{repeat} ];
    }
    elsif ($spec->{pieces}) {
        $self->queue_pieces($out, $spec, @{ $spec->{pieces} });
    }
    else {
        push @$out, body_of($request, $spec);
    }
}

1;
