# SPDX-License-Identifier: BSD-2-Clause
# Client.pm - a raw client: bytes out, bytes or parsed answers in, every wait with a deadline.
#
#     my $c = $weir->client;                      # or Client->new($port), Client->new('/path/to/socket')
#     $c->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
#     my $answer = $c->answer;                    # reads one response off a connection that may stay open
#     $answer->status, ->reason, ->version, ->body, ->field('Content-Type'), ->fields, ->head, ->raw, ->trailers
#
# Nothing here dies because of the peer: what could not be read is undef or cut, and $c->problem says why.

package Client;
use v5.36;
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY inet_pton);
use Time::HiRes qw(time);

our $patience = $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND} ? 30 : 10;    # seconds that any one wait may take

# Connects to a port of 127.0.0.1, [address, port], or the path of a unix socket. undef when that is refused.
sub new ($class, $to, %option) {
    my ($domain, $address);
    if (ref $to && $to->[0] =~ /:/) {
        ($domain, $address) = (AF_INET6, pack_sockaddr_in6($to->[1], inet_pton(AF_INET6, $to->[0])));
    }
    elsif (ref $to || $to =~ /^\d+$/) {
        my ($host, $port) = ref $to ? @$to : ('127.0.0.1', $to);
        ($domain, $address) = (AF_INET, pack_sockaddr_in($port, inet_aton($host)));
    }
    else {
        ($domain, $address) = (AF_UNIX, pack_sockaddr_un($to));
    }
    socket(my $fh, $domain, SOCK_STREAM, 0) or die "socket: $!";
    if (my $from = $option{from}) {
        bind($fh, pack_sockaddr_in(0, inet_aton($from))) or die "bind to $from: $!";
    }
    if (my $size = $option{rcvbuf}) {
        setsockopt($fh, SOL_SOCKET, SO_RCVBUF, $size);
    }
    if (!connect($fh, $address)) {
        return undef;
    }
    setsockopt($fh, IPPROTO_TCP, TCP_NODELAY, 1) if $domain != AF_UNIX;
    $fh->blocking(0);
    return bless { fh => $fh, in => '', eof => 0, problem => '', head_only => [] }, $class;
}

sub problem ($self) { $self->{problem} }
sub fh ($self)      { $self->{fh} }

# What has been read and not been taken yet.
sub pending ($self) { $self->{in} }

# The local port, as the server's log sees it.
sub port ($self) { (unpack_sockaddr_in(getsockname($self->{fh})))[0] }

# Sends all of it; false when the peer does not take it.
sub write ($self, $bytes) {
    my $deadline = time + $patience;
    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes) {
        my $n = syswrite($self->{fh}, $bytes);
        if (defined $n) {
            substr($bytes, 0, $n, '');
        }
        elsif (!$!{EAGAIN} && !$!{EINTR}) {
            $self->{problem} = "write: $!";
            return 0;
        }
        elsif (!$self->_wait('write', $deadline)) {
            return 0;
        }
    }
    return 1;
}

# Sends as much as fits without waiting; the number of bytes.
sub write_some ($self, $bytes) {
    local $SIG{PIPE} = 'IGNORE';
    return syswrite($self->{fh}, $bytes) // 0;
}

# A request with its fields; `body` brings its Content-Length along.
sub send_request ($self, $method, $target, %option) {
    push @{ $self->{head_only} }, $method eq 'HEAD';
    return $self->write(request_text($method, $target, %option));
}

sub request_text ($method, $target, %option) {
    my $version = $option{version} // '1.1';
    my @fields  = field_lines($option{fields});
    my $body    = $option{body};
    unshift @fields, 'Host: ' . ($option{host} // 'localhost')
      unless exists $option{host} && !defined $option{host}
      or grep { /^host:/i } @fields;
    push @fields, 'Connection: close' if $option{close};
    if (defined $body && !grep { /^(content-length|transfer-encoding):/i } @fields) {
        push @fields, 'Content-Length: ' . length $body;
    }
    return join("\r\n", "$method $target HTTP/$version", @fields) . "\r\n\r\n" . ($body // '');
}

# Fields as "Name: value" lines, from a list of lines, or from a hash whose values may be lists.
sub field_lines ($fields) {
    return () unless defined $fields;
    return ($fields) unless ref $fields;
    return @$fields if ref $fields eq 'ARRAY';
    return map {
        my $name = $_;
        map { "$name: $_" } ref $fields->{$name} ? @{ $fields->{$name} } : $fields->{$name}
    } sort keys %$fields;
}

# Waits until the socket is ready; false after the deadline.
sub _wait ($self, $for, $deadline) {
    my $bits = '';
    vec($bits, fileno $self->{fh}, 1) = 1;
    my $left = $deadline - time;
    my ($r, $w) = $for eq 'read' ? ($bits, undef) : (undef, $bits);
    if ($left <= 0 || select($r, $w, undef, $left) < 1) {
        return 1 if $!{EINTR} && $deadline > time;
        $self->{problem} = "timed out while waiting to $for";
        return 0;
    }
    return 1;
}

# Reads what is there, waiting for at least one byte; false at the end, on an error and after the deadline.
sub fill ($self, $deadline = time + $patience, $most = 65536) {
    while (!$self->{eof}) {
        my $n = sysread($self->{fh}, $self->{in}, $most, length $self->{in});
        if (!defined $n) {
            if ($!{EAGAIN} || $!{EINTR}) {
                $self->_wait('read', $deadline) or return 0;
                next;
            }
            $self->{problem} = "read: $!";
            $self->{reset}   = $!{ECONNRESET} ? 1 : 0;
            $self->{eof}     = 1;
            return 0;
        }
        if ($n == 0) {
            $self->{eof} = 1;
            return 0;
        }
        return 1;
    }
    return 0;
}

# Takes everything up to and with the pattern (a string or a qr//); undef when the connection ends or stays silent.
sub read_until ($self, $pattern) {
    my $deadline = time + $patience;
    $pattern = qr/\Q$pattern\E/ unless ref $pattern;
    while (1) {
        if ($self->{in} =~ $pattern) {
            return substr($self->{in}, 0, $+[0], '');
        }
        $self->fill($deadline) or return undef;
    }
}

# Takes exactly n bytes, or fewer when there are no more.
sub read_bytes ($self, $n) {
    my $deadline = time + $patience;
    while (length $self->{in} < $n) {
        $self->fill($deadline) or last;
    }
    return substr($self->{in}, 0, $n, '');
}

# Everything until the peer closes.
sub read_all ($self) {
    my $deadline = time + $patience;
    1 while $self->fill($deadline);
    return substr($self->{in}, 0, length $self->{in}, '');
}

# True when the peer closes (or resets) within the time; bytes that come before are kept.
sub is_closed ($self, $within = $patience) {
    my $deadline = time + $within;
    1 while $self->fill($deadline);
    return $self->{eof};
}

# True when nothing arrives and nothing closes for so long. A short look, not a proof.
sub is_quiet ($self, $seconds = 0.05) {
    return 0 if length $self->{in} || $self->{eof};
    my $got     = $self->fill(time + $seconds);
    my $is_open = !$self->{eof};
    $self->{problem} = '' if !$got && $is_open;
    return !$got && $is_open;
}

sub was_reset ($self) { $self->{reset} // 0 }

# One final response; 1xx before it are in $answer->interim. undef without a complete head.
sub answer ($self, %option) {
    my $head_only = shift @{ $self->{head_only} };
    my @interim;
    while (1) {
        my $head = $self->read_until(qr/\r?\n\r?\n/) // return undef;
        my $answer = Answer->parse_head($head) // do {
            $self->{problem} = 'not a response: ' . substr($head, 0, 80);
            return undef;
        };
        if ($answer->status =~ /^1/ && $answer->status != 101) {
            push @interim, $answer;
            next;
        }
        $answer->{interim} = \@interim;
        $self->_read_body($answer) unless $option{head} // $head_only;
        return $answer;
    }
}

sub _read_body ($self, $answer) {
    return if $answer->status =~ /^(?:1..|204|304)$/;
    my $length = $answer->field('Content-Length');
    if (lc($answer->field('Transfer-Encoding') // '') eq 'chunked') {
        $self->_read_chunks($answer);
    }
    elsif (defined $length) {
        $answer->{body}     = $self->read_bytes($length);
        $answer->{complete} = length $answer->{body} == $length;
        $answer->{raw} .= $answer->{body};
    }
    else {
        $answer->{body}     = $self->read_all;
        $answer->{complete} = $self->{eof} && !$self->{problem};
        $answer->{raw} .= $answer->{body};
    }
}

sub _read_chunks ($self, $answer) {
    $answer->{complete} = 0;
    $answer->{chunks}   = [];
    while (defined(my $line = $self->read_until("\r\n"))) {
        $answer->{raw} .= $line;
        my ($hex) = $line =~ /^([0-9a-fA-F]+)/ or return;
        my $size = hex $hex;
        last if $size == 0;
        my $data = $self->read_bytes($size + 2);
        $answer->{raw} .= $data;
        my $piece = substr($data, 0, $size);
        $answer->{body} .= $piece;
        push @{ $answer->{chunks} }, $piece;
        return if substr($data, $size) ne "\r\n";
    }
    while (defined(my $line = $self->read_until("\r\n"))) {
        $answer->{raw} .= $line;
        if ($line eq "\r\n") {
            $answer->{complete} = 1;
            return;
        }
        push @{ $answer->{trailers} }, $line =~ s/\r\n\z//r;
    }
}

# No more bytes from us; the peer's still come.
sub shutdown ($self) { shutdown($self->{fh}, 1) }

sub close ($self) { CORE::close($self->{fh}) }

# Closes so that the peer sees a reset.
sub reset ($self) {
    setsockopt($self->{fh}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
    CORE::close($self->{fh});
}

package Answer;
use v5.36;

sub parse_head ($class, $text) {
    my ($line, @lines) = split /\r?\n/, $text;
    my ($version, $status, $reason) = ($line // '') =~ m{^HTTP/(\d\.\d) (\d{3})(?: (.*))?$} or return undef;
    my @fields = map { [ /^([^:]*):[ \t]*(.*?)[ \t]*$/ ? ($1, $2) : ($_, '') ] } @lines;
    return bless {
        version  => $version, status   => $status, reason => $reason // '', fields  => \@fields,
        head     => $text,    raw      => $text,   body   => '',            interim => [],
        trailers => [],       complete => 1,
    }, $class;
}

sub version ($self)  { $self->{version} }
sub status ($self)   { $self->{status} }
sub reason ($self)   { $self->{reason} }
sub body ($self)     { $self->{body} }
sub head ($self)     { $self->{head} }
sub raw ($self)      { $self->{raw} }
sub interim ($self)  { $self->{interim} }
sub trailers ($self) { $self->{trailers} }
sub chunks ($self)   { $self->{chunks} }

# True when the body ended as its framing says.
sub complete ($self) { $self->{complete} }

# All fields in order: a list of [name, value].
sub fields ($self) { $self->{fields} }

# The first value of a field, or undef; in list context all of them.
sub field ($self, $name) {
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{fields} };
    return wantarray ? @values : $values[0];
}

1;
