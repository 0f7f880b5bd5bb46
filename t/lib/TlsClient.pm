# SPDX-License-Identifier: BSD-2-Clause
# TlsClient.pm - a Client over TLS, by Net::SSLeay.
#
#     my $c = TlsClient->new($weir->port, name => 'a.example') // die TlsClient->why;
#     $c->send_request('GET', '/'); $c->answer;               # and all else that Client has
#     $c->certificate_name, ->protocol, ->cipher, ->alpn, ->reused, ->serial, ->closed_cleanly
#     my $session = $c->session;                              # for: TlsClient->new(..., session => $session)
#     my $session = $c->new_session;                          # undef when the server gave none on this connection
#
# Options: name (SNI), min and max (TLS1.2 ..: 'TLSv1.2'), alpn ([..]), cert and key (paths), ciphers, ciphersuites (of
# TLS 1.3), session, tickets (1),
# handshake (1: until it is complete), and those of Client. Certificates of servers are not verified.

package TlsClient;
use v5.36;
use parent 'Client';
use Errno;
use Net::SSLeay;
use Socket ();
use Time::HiRes qw(time);

Net::SSLeay::initialize();

my %version = ('TLSv1' => 0x0301, 'TLSv1.1' => 0x0302, 'TLSv1.2' => 0x0303, 'TLSv1.3' => 0x0304);
my $why = '';

sub why ($class) { $why }

sub errors () {
    my @errors;
    while (my $code = Net::SSLeay::ERR_get_error()) {
        push @errors, Net::SSLeay::ERR_error_string($code);
    }
    return join '; ', @errors;
}

sub new ($class, $to, %option) {
    my $self = Client::new($class, $to, %option);
    if (!$self) {
        $why = "connect: $!";
        return undef;
    }
    return $self->start(%option) ? $self : undef;
}

# TLS on a connection that there is.
sub start ($self, %option) {
    bless $self, __PACKAGE__;
    my $ctx = $self->{ctx} = Net::SSLeay::CTX_new_with_method(Net::SSLeay::TLS_client_method()) or die errors();
    Net::SSLeay::CTX_set_options($ctx, Net::SSLeay::OP_NO_TICKET()) if !($option{tickets} // 1);
    Net::SSLeay::CTX_set_min_proto_version($ctx, $version{ $option{min} // 'TLSv1.2' });
    Net::SSLeay::CTX_set_max_proto_version($ctx, $version{ $option{max} }) if $option{max};
    Net::SSLeay::CTX_set_cipher_list($ctx, $option{ciphers} // 'ALL:@SECLEVEL=0') or die errors();
    Net::SSLeay::CTX_set_ciphersuites($ctx, $option{ciphersuites}) if $option{ciphersuites};
    Net::SSLeay::CTX_set_alpn_protos($ctx, $option{alpn}) if $option{alpn};
    if ($option{cert}) {
        Net::SSLeay::CTX_use_certificate_chain_file($ctx, $option{cert}) or die errors();
        Net::SSLeay::CTX_use_PrivateKey_file($ctx, $option{key} // $option{cert} =~ s/\.crt$/.key/r, 1) or die errors();
    }
    my $ssl = $self->{ssl} = Net::SSLeay::new($ctx) or die errors();
    Net::SSLeay::set_fd($ssl, fileno $self->{fh});
    Net::SSLeay::set_tlsext_host_name($ssl, $option{name}) if defined $option{name};
    Net::SSLeay::set_session($ssl, $self->{session} = $option{session}) if $option{session};
    Net::SSLeay::set_connect_state($ssl);
    $self->{clean} = 0;
    return 1 unless $option{handshake} // 1;
    return $self->handshake;
}

sub handshake ($self) {
    my $deadline = time + $Client::patience;
    local $SIG{PIPE} = 'IGNORE';
    while (1) {
        my $r = Net::SSLeay::do_handshake($self->{ssl});
        return 1 if $r == 1;
        next if $self->_again($r, $deadline);
        $why = $self->{problem} ||= 'handshake: ' . (errors() || 'closed');
        return 0;
    }
}

# Waits for what the library wants; false: it is the end.
sub _again ($self, $result, $deadline) {
    my $error = Net::SSLeay::get_error($self->{ssl}, $result);
    return $self->_wait('read',  $deadline) if $error == Net::SSLeay::ERROR_WANT_READ();
    return $self->_wait('write', $deadline) if $error == Net::SSLeay::ERROR_WANT_WRITE();
    return 0;
}

sub write ($self, $bytes) {
    my $deadline = time + $Client::patience;
    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes) {
        my $n = Net::SSLeay::write($self->{ssl}, length $bytes > 16384 ? substr($bytes, 0, 16384) : $bytes);
        if ($n > 0) {
            substr($bytes, 0, $n, '');
        }
        elsif (!$self->_again($n, $deadline)) {
            $self->{problem} ||= 'write: ' . (errors() || "$!");
            return 0;
        }
    }
    return 1;
}

sub write_some ($self, $bytes) {
    local $SIG{PIPE} = 'IGNORE';
    my $n = Net::SSLeay::write($self->{ssl}, $bytes);
    return $n > 0 ? $n : 0;
}

sub fill ($self, $deadline = time + $Client::patience, $most = 65536) {
    while (!$self->{eof}) {
        my ($bytes, $n) = Net::SSLeay::read($self->{ssl}, $most);
        if (defined $bytes && length $bytes) {
            $self->{in} .= $bytes;
            return 1;
        }
        my $error = Net::SSLeay::get_error($self->{ssl}, $n);
        if ($error == Net::SSLeay::ERROR_ZERO_RETURN()) {
            $self->{eof} = $self->{clean} = 1;
            return 0;
        }
        if ($error == Net::SSLeay::ERROR_WANT_READ() || $error == Net::SSLeay::ERROR_WANT_WRITE()) {
            $self->_again($n, $deadline) or return 0;
            next;
        }
        $self->{reset}   = $!{ECONNRESET} ? 1 : 0;
        $self->{problem} = 'read: ' . (errors() || "$!");
        $self->{eof}     = 1;
    }
    return 0;
}

# close_notify, and no more bytes from us.
sub shutdown ($self) {
    Net::SSLeay::shutdown($self->{ssl});
    CORE::shutdown($self->{fh}, 1);
}

# Whether the peer said that it closes.
sub closed_cleanly ($self) { $self->is_closed && $self->{clean} }

sub protocol ($self) { Net::SSLeay::get_version($self->{ssl}) }
sub cipher ($self)   { Net::SSLeay::get_cipher($self->{ssl}) }
sub alpn ($self)     { Net::SSLeay::P_alpn_selected($self->{ssl}) }
sub reused ($self)   { Net::SSLeay::session_reused($self->{ssl}) ? 1 : 0 }
sub session ($self)  { Net::SSLeay::get1_session($self->{ssl}) }

# The library keeps the session that it came with until a ticket makes another one.
sub new_session ($self) {
    my $session = $self->session;
    return $session && $session != ($self->{session} // 0) ? $session : undef;
}

sub certificate_name ($self) {
    my $certificate = Net::SSLeay::get_peer_certificate($self->{ssl}) or return undef;
    return Net::SSLeay::X509_NAME_get_text_by_NID(Net::SSLeay::X509_get_subject_name($certificate),
        Net::SSLeay::NID_commonName()) =~ s/\0\z//r;
}

# In hexadecimal digits, as Certs has it.
sub serial ($self) {
    my $certificate = Net::SSLeay::get_peer_certificate($self->{ssl}) or return undef;
    return Net::SSLeay::P_ASN1_INTEGER_get_hex(Net::SSLeay::X509_get_serialNumber($certificate)) =~ s/^0+//r;
}

sub DESTROY ($self) {
    Net::SSLeay::free($self->{ssl})     if $self->{ssl};
    Net::SSLeay::CTX_free($self->{ctx}) if $self->{ctx};
}

1;
