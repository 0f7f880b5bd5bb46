#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# What is no handshake ends cleanly and in time: garbage, plain text, half a ClientHello, silence, bad records, cuts at
# any point. Nothing is left of it.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a')->make('rsa', rsa => 1);
my $dir = $certs->dir;

my $weir = Weir->new(
    http   => <<CONF,
    server { listen 127.0.0.1:%port1%; location = /status { stub_status; } }
    server { listen 127.0.0.1:%port2% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
        client_header_timeout 300ms; location / { return 200 patient; } }
    server { listen 127.0.0.1:%port3% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
        error_page 497 https://example.org\$request_uri; }
CONF
    server => <<CONF);
    listen 127.0.0.1:%port0% ssl;
    ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
    ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key;
    ssl_session_cache shared:sessions:1m;
    location / { return 200 hello; }
CONF

sub connections () { ($weir->get('/status', port => 1)->body =~ /Active connections: (\d+)/)[0] }

sub still_serves ($what) {
    my $client = TlsClient->new($weir->port, name => 'a.example') // return fail("$what: " . TlsClient->why);
    $client->send_request('GET', '/');
    is($client->answer->body, 'hello', "$what: others are served");
}

# A client whose bytes go where the test wants them.
package Puppet {
    use v5.36;

    sub new ($class, %option) {
        my $ctx = Net::SSLeay::CTX_new_with_method(Net::SSLeay::TLS_client_method());
        Net::SSLeay::CTX_set_max_proto_version($ctx, 0x0303) if $option{old};
        my $ssl = Net::SSLeay::new($ctx);
        my ($in, $out) = map { Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()) } 1, 2;
        Net::SSLeay::set_bio($ssl, $in, $out);
        Net::SSLeay::set_tlsext_host_name($ssl, $option{name}) if $option{name};
        Net::SSLeay::set_connect_state($ssl);
        return bless { ctx => $ctx, ssl => $ssl, in => $in, out => $out }, $class;
    }

    # What the client says to `bytes`.
    sub says ($self, $bytes = '') {
        Net::SSLeay::BIO_write($self->{in}, $bytes) if length $bytes;
        Net::SSLeay::do_handshake($self->{ssl});
        Net::SSLeay::ERR_clear_error();
        my $text = '';
        while (Net::SSLeay::BIO_pending($self->{out})) {
            $text .= Net::SSLeay::BIO_read($self->{out}, 65536);
        }
        return $text;
    }

    sub DESTROY ($self) {
        Net::SSLeay::free($self->{ssl});
        Net::SSLeay::CTX_free($self->{ctx});
    }
}

sub raw ($port = 0) { Client->new($weir->port($port)) }

# ---- what is no TLS

my %garbage = (
    'a record that is no handshake' => "\x17\x03\x03\x00\x05hello",
    'a record that is too long'     => "\x16\x03\x01\xff\xff" . 'x' x 100,
    'another handshake message'     => "\x16\x03\x01\x00\x04\x02\x00\x00\x00",
    'a hello of nothing'            => "\x16\x03\x01\x00\x04\x01\x00\x00\x00",
    'an old hello'                  => "\x80\x2e\x01\x00\x02" . 'x' x 43,
    'a version that is none'        => "\x16\x09\x09\x00\x05\x01\x00\x00\x01\x00",
    'bytes by chance'               => "\x16" . join('', map { chr($_ * 37 % 256) } 1 .. 500),
);
for my $what (sort keys %garbage) {
    my $client = raw();
    $client->write($garbage{$what});
    ok($client->is_closed, "$what ends the connection");
}
still_serves('garbage');

my $plain = raw();
$plain->send_request('GET', '/x?y');
my $answer = $plain->answer;
is($answer->status, 400, 'plain text');
like($answer->body, qr/The plain HTTP request was sent to HTTPS port/, 'says what is wrong');
ok($plain->is_closed, 'and closes');
$weir->wait_log(qr/client sent plain HTTP request to HTTPS port while reading client request headers, client: 127/);
$plain = raw(3);
$plain->send_request('GET', '/x?y');
$answer = $plain->answer;
is($answer->status . ' ' . $answer->field('Location'), '302 https://example.org/x?y', 'error_page 497');

# ---- pieces

{
    my $puppet = Puppet->new(name => 'a.example');
    my $client = raw();
    $client->write($_) for split //, $puppet->says;
    my $flight = '';
    $flight = $client->read_until(qr/./s) until length $flight;
    pass('a ClientHello byte by byte');
    my $finished = $puppet->says($flight . $client->pending);
    ok(length $finished, 'is answered');
    $client->reset;
    $weir->wait_log(qr/peer closed connection in SSL handshake \(104: Connection reset by peer\) while SSL handshaking, client: 127/);
}
{    # The ClientHello in records of ten bytes.
    my $puppet = Puppet->new(name => 'a.example');
    my $hello  = substr $puppet->says, 5;
    my $client = raw();
    $client->write(join '', map { pack('Cnn', 22, 0x0301, length) . $_ } unpack '(a10)*', $hello);
    my $said = '';
    $said .= $client->read_bytes(1) until length $said || $client->{eof};
    is(ord $said, 22, 'a ClientHello in many records');
}

{    # An end that is said in the middle: close_notify, to the server's flight.
    my $client = raw();
    $client->write(Puppet->new(old => 1)->says);
    $client->read_bytes(1);
    $client->write("\x15\x03\x03\x00\x02\x01\x00");
    ok($client->is_closed, 'a client that takes its leave in the middle');
    $weir->wait_log(qr/peer closed connection in SSL handshake while SSL handshaking, client: 127/);
    unlike($weir->error_log, qr/SSL_do_handshake\(\) failed while/, 'no failure without a reason is logged');
}

# ---- silence

for my $part ('', "\x16\x03\x01", 'half') {
    my $client = raw(2);
    my $bytes  = $part eq 'half' ? substr(Puppet->new->says, 0, 100) : $part;
    $client->write($bytes) if length $bytes;
    ok($client->is_closed, 'silence after ' . length($bytes) . ' bytes is ended');
}
{
    my $client = raw(2);
    my $puppet = Puppet->new;
    $client->write($puppet->says);
    $client->read_bytes(1);
    ok($client->is_closed, 'silence in the middle of the handshake is ended');
}
my $timeouts = () = $weir->error_log =~ /client timed out \(110: Connection timed out\) while SSL handshaking, client: 127\.0\.0\.1, server: 127/g;
is($timeouts, 4, 'and logged');

# ---- bad records behind a good handshake

for my $old (0, 1) {
    for my $bad ("\x17\x03\x03\x00\x20" . 'x' x 32, "\x16\x03\x03\x00\x04\x00\x00\x00\x00", "GET / HTTP/1.0\r\n\r\n") {
        my $client = TlsClient->new($weir->port, $old ? (max => 'TLSv1.2') : ());
        syswrite $client->fh, $bad;
        ok($client->is_closed, 'a bad record ends the session');
    }
}
like($weir->error_log, qr/SSL_read\(\) failed \(SSL: error:\S+ routines::[\w ]+(?: error:\S+ routines::[\w ]+)*\) while talking to client, client/, 'and is logged');

# No renegotiation.
SKIP: {
    my $client = TlsClient->new($weir->port, max => 'TLSv1.2');
    Net::SSLeay->can('renegotiate') or skip 'no renegotiate', 1;
    Net::SSLeay::renegotiate($client->{ssl});
    $client->send_request('GET', '/');
    my $answer = $client->answer;
    ok(!$answer || $answer->status == 200, 'renegotiation does no harm');
}
still_serves('bad records');

# ---- cuts at any point

sub cut ($old) {
    my $puppet = Puppet->new(name => 'a.example', old => $old);
    my $client = raw() // return;
    my $hello  = $puppet->says;
    if (rand() < 0.5) {
        $client->write(substr $hello, 0, rand length $hello);
    }
    else {
        $client->write($hello);
        if (rand() < 0.7) {
            $client->fill;
            my $next = $puppet->says($client->pending);
            $client->write(substr $next, 0, rand length $next) if length $next;
        }
    }
    rand() < 0.3 ? $client->reset : $client->close;
}

sub memory () {
    my ($worker) = $weir->workers;
    my ($kb)     = $weir->read_file("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m;
    return $kb;
}

srand 7;
cut($_ % 2) for 1 .. 300;
wait_for(sub { connections() == 1 }, 'the end of all connections');
my $before = memory();
cut($_ % 2) for 1 .. 1000;
wait_for(sub { connections() == 1 }, 'the end of all connections');
my $grown = memory() - $before;
note("1,000 cut handshakes: $grown kB");
SKIP: {
    skip 'a sanitizer keeps what was freed', 1 if $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND};
    cmp_ok($grown, '<', 512, 'a thousand cut handshakes leave nothing behind');
}
still_serves('cuts');

done_testing;
