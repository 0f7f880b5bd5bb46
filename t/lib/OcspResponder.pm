# SPDX-License-Identifier: BSD-2-Clause
# OcspResponder.pm - an OCSP responder (RFC 6960) that says what a test wants it to.
#
#     my $ocsp = OcspResponder->new($certs);              # answers for the authority "ca", which signs by itself
#     $certs->make('a', ocsp => $ocsp->url);              # Certs: the URL goes into the certificate
#     $ocsp->says(status => 'revoked');                   # from now on, for all certificates
#     $ocsp->requests                                     # { method, serial } of each so far
#
# Options of new and of says (which starts from the defaults of new each time):
#   status       good, revoked or unknown; a hash of name of Certs => status for some certificates alone
#   from, until  seconds from now: -60 and 3600; until => undef for none
#   signer       a certificate of Certs in place of the authority; with_signer => 1: it is sent along
#   failure      the status of the response (6: unauthorized), without anything in it
#   another      the response is about another certificate
#   garbage, http => 500, silent, hang_up    no response at all; type: another Content-Type
#   pieces       the response comes in pieces of so many bytes
# response($certs, $name, %option) is the response alone, in DER.

package OcspResponder;
use v5.36;
use MIME::Base64 ();
use POSIX qw(strftime WNOHANG);
use Socket;
use Storable qw(freeze lock_retrieve lock_store thaw);

use Port;

sub tlv ($tag, $content) {
    my $n   = length $content;
    my $len = $n < 128 ? chr $n : $n < 256 ? "\x81" . chr $n : "\x82" . pack 'n', $n;
    return chr($tag) . $len . $content;
}
sub seq (@parts) { tlv(0x30, join '', @parts) }
sub date ($offset) { tlv(0x18, strftime('%Y%m%d%H%M%SZ', gmtime(time + $offset))) }

# The first element: its tag, content, and what is behind it.
sub element ($der) {
    my ($tag, $n) = unpack 'CC', $der;
    my $at = 2;
    if ($n & 0x80) {
        my $more = $n & 0x7f;
        $n  = unpack 'N', substr("\0\0\0\0" . substr($der, 2, $more), -4);
        $at = 2 + $more;
    }
    return ($tag, substr($der, $at, $n), substr($der, $at + $n));
}

# OCSPRequest: the CertID of its first entry, as it is encoded.
sub cert_id_of ($der) {
    my ($tag, $tbs) = element((element($der))[1]);
    my $rest = $tbs;
    ($tag, my $content, $rest) = element($rest);
    ($tag, $content, $rest) = element($rest) while $tag != 0x30;
    my $entry = (element($content))[1];
    my ($id_tag, $id) = element($entry);
    return tlv(0x30, $id);
}

sub serial_of ($cert_id) {
    my $rest = (element($cert_id))[1];
    my $last;
    (undef, $last, $rest) = element($rest) while length $rest;
    return uc unpack('H*', $last) =~ s/^0+//r;
}

sub response_to ($certs, $cert_id, %o) {
    return seq(tlv(0x0a, chr $o{failure})) if $o{failure};
    my $ca     = $o{ca} // 'ca';
    my $signer = $o{signer} // $ca;
    my $status = $o{status} // 'good';
    if (ref $status) {
        $status = $status->{ serial_of($cert_id) } // 'good';
    }
    if ($o{another}) {
        substr($cert_id, -1, 1) ^.= "\x01";
    }
    my %encoded = (good => "\x80\0", revoked => tlv(0xa1, date(-3600)), unknown => "\x82\0");
    my $single = seq($cert_id, $encoded{$status}, date($o{from} // -60),
        exists $o{until} && !defined $o{until} ? '' : tlv(0xa0, date($o{until} // 3600)));
    my $dir = $certs->dir;
    my ($key_hash) = qx(openssl x509 -in $dir/$signer.crt -noout -ocspid) =~ /Public key OCSP hash: (\w+)/;
    my $data = seq(tlv(0xa2, tlv(0x04, pack 'H*', $key_hash)), date(0), seq($single));
    my $temporary = "$dir/ocsp.$$";
    open my $fh, '>:raw', $temporary or die "$temporary: $!";
    print $fh $data;
    close $fh;
    my $signature = qx(openssl dgst -sha256 -sign $dir/$signer.key $temporary);
    unlink $temporary;
    my $certificate = $o{with_signer} ? tlv(0xa0, seq(MIME::Base64::decode($certs->text("$signer.crt") =~ s/-----[^-]*-----//gr))) : '';
    my $basic = seq($data, seq("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), tlv(0x03, "\0$signature"), $certificate);
    return seq("\x0a\x01\0", tlv(0xa0, seq("\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01", tlv(0x04, $basic))));
}

sub request_for ($certs, $name, $ca = 'ca') {
    my $path = $certs->path("$name.ocsp");
    $certs->openssl('ocsp', '-issuer', "$ca.crt", '-cert', "$name.crt", '-reqout', $path, '-no_nonce');
    return $certs->text("$name.ocsp");
}

sub response ($class, $certs, $name, %option) {
    return response_to($certs, cert_id_of(request_for($certs, $name, $option{ca} // 'ca')), %option);
}

# ---- the server

sub new ($class, $certs, %option) {
    my $port = $option{port} // Port::claim();
    my $self = bless { certs => $certs, port => $port, owner => $$, defaults => \%option }, $class;
    $self->{state} = $certs->path("ocsp-$port");
    $certs->authority($option{ca} // 'ca');
    $self->says;
    socket(my $listener, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
    setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
    bind($listener, pack_sockaddr_in($port, INADDR_LOOPBACK)) or die "bind: $!";
    listen($listener, 128) or die "listen: $!";
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        Weir::end_with_parent(POSIX::SIGKILL());
        $SIG{$_} = 'DEFAULT' for qw(INT TERM CHLD);
        $SIG{PIPE} = 'IGNORE';
        my @held;
        while (accept(my $fh, $listener)) {
            1 while waitpid(-1, WNOHANG) > 0;
            next if fork // 0;
            Weir::end_with_parent(POSIX::SIGKILL());
            $self->serve($fh);
            POSIX::_exit(0);
        }
        POSIX::_exit(0);
    }
    return $self;
}

sub url ($self, $path = '/') { "http://127.0.0.1:$self->{port}$path" }

sub says ($self, %option) {
    my $status = $option{status};
    $option{status} = { map { $self->{certs}{serial}{$_} => $status->{$_} } keys %$status } if ref $status;
    lock_store({ %{ $self->{defaults} }, %option }, $self->{state});
}

sub requests ($self) {
    open my $fh, '<', "$self->{state}.log" or return;
    return map { { method => (split)[0], serial => (split)[1] } } <$fh>;
}

sub read_request ($fh) {
    my $in = '';
    while ($in !~ /\r\n\r\n/) {
        sysread($fh, $in, 65536, length $in) or return;
    }
    my ($method, $target) = $in =~ m{^(GET|POST) (\S+)};
    if ($method eq 'GET') {
        my $text = $target =~ s{.*/}{}r =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
        return ($method, MIME::Base64::decode($text));
    }
    my ($length) = $in =~ /^Content-Length: *(\d+)/mi;
    my ($body)   = $in =~ /\r\n\r\n(.*)\z/s;
    while (length $body < $length) {
        sysread($fh, $body, 65536, length $body) or return;
    }
    return ($method, $body);
}

sub serve ($self, $fh) {
    my ($method, $request) = read_request($fh) or return;
    my %o       = %{ lock_retrieve($self->{state}) };
    my $cert_id = cert_id_of($request);
    open my $log, '>>', "$self->{state}.log" or die;
    syswrite($log, "$method " . serial_of($cert_id) . "\n");
    return if $o{hang_up};
    if ($o{silent}) {
        sysread($fh, my $nothing, 1);
        return;
    }
    my $body = $o{garbage} ? 'x' x 500 : response_to($self->{certs}, $cert_id, %o);
    my $status = $o{http} // 200;
    my $type   = $o{type} // 'application/ocsp-response';
    my $out = "HTTP/1.0 $status Whatever\r\nContent-Type: $type\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    while (length $out) {
        syswrite($fh, substr($out, 0, $o{pieces} // 65536, '')) or return;
        select(undef, undef, undef, 0.002) if $o{pieces};
    }
}

sub stop ($self) {
    return if $self->{owner} != $$ || !$self->{pid};
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
}

sub DESTROY ($self) {
    local ($?, $@, $!);
    $self->stop;
}

1;
