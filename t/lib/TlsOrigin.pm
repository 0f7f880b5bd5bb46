# SPDX-License-Identifier: BSD-2-Clause
# TlsOrigin.pm - the server process of an Origin that speaks TLS, by Net::SSLeay.
#
#     my $origin = Origin->new(tls => { cert => "$dir/a.crt" }, '/' => { body => 'x' });   # url: https://...
#
# Keys: cert, key (that of cert by default), ca (clients are asked for a certificate of it), required (they have to have
# one), crl; min and max ('TLSv1.2'), ciphers, alpn ([..]), tickets (0: sessions by ID), sessions (0: none is resumed),
# no_context (with ca: breaks off when a session is resumed, as careless servers do), record (bytes of the largest one), names ({ name => cert }: another certificate by SNI), no_notify (closes without close_notify), plain (answers "plain
# text" in place of a handshake), silent (never answers a handshake), hang_up (closes in the middle of it).
# A request's `tls` has what its handshake was: name, protocol, cipher, alpn, reused, client (subject); handshakes has all.

package TlsOriginServer;
use v5.36;
our @ISA = ('OriginServer');
use Net::SSLeay;

Net::SSLeay::initialize();

my %version = ('TLSv1' => 0x0301, 'TLSv1.1' => 0x0302, 'TLSv1.2' => 0x0303, 'TLSv1.3' => 0x0304);

sub errors () {
    my @errors;
    while (my $code = Net::SSLeay::ERR_get_error()) {
        push @errors, Net::SSLeay::ERR_error_string($code);
    }
    return join '; ', @errors;
}

sub context ($tls, $cert) {
    my $ctx = Net::SSLeay::CTX_new_with_method(Net::SSLeay::TLS_server_method()) or die errors();
    my $key = $cert eq $tls->{cert} ? $tls->{key} : undef;
    Net::SSLeay::CTX_use_certificate_chain_file($ctx, $cert) or die errors();
    Net::SSLeay::CTX_use_PrivateKey_file($ctx, $key // $cert =~ s/\.crt$/.key/r, 1) or die errors();
    Net::SSLeay::CTX_set_mode($ctx, 1 | 2);    # partial writes, from a buffer that moves
    Net::SSLeay::CTX_set_options($ctx, Net::SSLeay::OP_NO_TICKET()) if !($tls->{tickets} // 1);
    Net::SSLeay::CTX_set_session_cache_mode($ctx, 0) if !($tls->{sessions} // 1);
    Net::SSLeay::CTX_set_num_tickets($ctx, 0) if !($tls->{sessions} // 1);
    Net::SSLeay::CTX_set_session_id_context($ctx, 'origin', 6) if !$tls->{no_context};
    Net::SSLeay::CTX_set_min_proto_version($ctx, $version{ $tls->{min} // 'TLSv1.2' });
    Net::SSLeay::CTX_set_max_proto_version($ctx, $version{ $tls->{max} }) if $tls->{max};
    Net::SSLeay::CTX_set_cipher_list($ctx, $tls->{ciphers}) if $tls->{ciphers};
    Net::SSLeay::CTX_ctrl($ctx, 52, $tls->{record}, 0) if $tls->{record};    # SSL_CTRL_SET_MAX_SEND_FRAGMENT
    Net::SSLeay::CTX_set_alpn_select_cb($ctx, $tls->{alpn}) if $tls->{alpn};
    if ($tls->{ca}) {
        Net::SSLeay::CTX_load_verify_locations($ctx, $tls->{ca}, '') or die errors();
        Net::SSLeay::CTX_set_verify($ctx, Net::SSLeay::VERIFY_PEER()
              | ($tls->{required} ? Net::SSLeay::VERIFY_FAIL_IF_NO_PEER_CERT() : 0), 0);
    }
    if ($tls->{crl}) {
        my $bio = Net::SSLeay::BIO_new_file($tls->{crl}, 'r') or die errors();
        my $crl = Net::SSLeay::PEM_read_bio_X509_CRL($bio) or die errors();
        my $store = Net::SSLeay::CTX_get_cert_store($ctx);
        Net::SSLeay::X509_STORE_add_crl($store, $crl);
        Net::SSLeay::X509_STORE_set_flags($store, Net::SSLeay::X509_V_FLAG_CRL_CHECK());
    }
    return $ctx;
}

sub new ($class, $listener, $control, $script, %option) {
    my $self = OriginServer::new($class, $listener, $control, $script, %option);
    my $tls = $self->{tls} = $option{tls};
    my %by_name = map { $_ => context($tls, $tls->{names}{$_}) } keys %{ $tls->{names} // {} };
    $self->{ctx} = context($tls, $tls->{cert});
    $self->{handshakes} = [];
    Net::SSLeay::CTX_set_tlsext_servername_callback($self->{ctx}, sub ($ssl, @) {
        my $ctx = $by_name{ Net::SSLeay::get_servername($ssl) // '' };
        Net::SSLeay::set_SSL_CTX($ssl, $ctx) if $ctx;
        return 0;
    });
    return $self;
}

sub on_handshakes ($self) { $self->{handshakes} }

sub accept ($self) {
    OriginServer::accept($self);
    my $c = $self->{connections}{ $self->{accepted} } or return;
    return if $c->{known}++;
    my $ssl = $c->{ssl} = Net::SSLeay::new($self->{ctx}) or die errors();
    Net::SSLeay::set_fd($ssl, fileno $c->{fh});
    Net::SSLeay::set_accept_state($ssl);
}

# Of the client's certificate.
sub subject ($ssl) {
    my $certificate = Net::SSLeay::get_peer_certificate($ssl) or return undef;
    return Net::SSLeay::X509_NAME_oneline(Net::SSLeay::X509_get_subject_name($certificate));
}

# True when the handshake is complete.
sub handshake ($self, $c) {
    my $ssl = $c->{ssl};
    return 1 if $c->{tls};
    if ($self->{tls}{plain} || $self->{tls}{silent} || $self->{tls}{hang_up}) {
        my $n = sysread($c->{fh}, my $hello, 65536);
        syswrite($c->{fh}, "HTTP/1.1 400 Bad Request\r\n\r\nplain text") if $self->{tls}{plain};
        $self->drop($c, ($self->{tls}{hang_up} // '') eq 'reset') if $self->{tls}{hang_up} || !$n;
        $! = POSIX::EAGAIN();
        return 0;
    }
    my $r = Net::SSLeay::do_handshake($ssl);
    if ($r == 1) {
        $c->{tls} = {
            name     => Net::SSLeay::get_servername($ssl) // '',
            protocol => Net::SSLeay::get_version($ssl),
            cipher   => Net::SSLeay::get_cipher($ssl),
            alpn     => $self->{tls}{alpn} ? Net::SSLeay::P_alpn_selected($ssl) : undef,
            reused   => Net::SSLeay::session_reused($ssl) ? 1 : 0,
            client   => subject($ssl),
        };
        push @{ $self->{handshakes} }, $c->{tls};
        return 1;
    }
    return 0 if $self->waits($ssl, $r);
    push @{ $self->{handshakes} }, { error => errors() || 'closed' };
    $! = POSIX::EPROTO();
    return 0;
}

# True, with EAGAIN, when the library waits for the socket.
sub waits ($self, $ssl, $result) {
    my $error = Net::SSLeay::get_error($ssl, $result);
    return 0 if $error != Net::SSLeay::ERROR_WANT_READ() && $error != Net::SSLeay::ERROR_WANT_WRITE();
    $! = POSIX::EAGAIN();
    return 1;
}

# A record at a time: the library keeps nothing that select would not know of.
sub read_some ($self, $c) {
    $self->handshake($c) or return undef;
    my ($bytes, $n) = Net::SSLeay::read($c->{ssl}, 65536);
    return (length $bytes, $bytes) if defined $bytes && length $bytes;
    my $waits = $self->waits($c->{ssl}, $n);
    my $error = $!;
    errors();
    $! = $error;
    return $waits ? undef : 0;
}

sub write_some ($self, $c, $bytes) {
    return 0 if !length $bytes;
    my $n = Net::SSLeay::write($c->{ssl}, length $bytes > 16384 ? substr($bytes, 0, 16384) : $bytes);
    return $n if $n > 0;
    $! = POSIX::EPROTO() if !$self->waits($c->{ssl}, $n);
    return undef;
}

sub begin ($self, $c, $head) {
    my $good = OriginServer::begin($self, $c, $head);
    $c->{request}{tls} = $c->{tls} if $good;
    return $good;
}

sub drop ($self, $c, $reset = 0) {
    my $notify = $c->{tls} && !$reset && !$self->{tls}{no_notify};
    Net::SSLeay::shutdown($c->{ssl}) if $notify && $c->{ssl};
    Net::SSLeay::free($c->{ssl}) if $c->{ssl};
    OriginServer::drop($self, $c, $reset);
}

1;
