#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Early data (RFC 8446, 2.3): a request in the first flight is answered, marked by $ssl_early_data, only where allowed.

use lib 't/lib';
use Certs;
use IO::Select;
use IO::Socket::INET;
use Weir;

my $certs = Certs->new;
$certs->make('a');
my $dir  = $certs->dir;
my $pair = "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;";
my $weir = Weir->new(http => <<CONF);
    server { listen 127.0.0.1:%port0% ssl; ssl_reject_handshake on; }
    server { listen 127.0.0.1:%port0% ssl; server_name a.example; $pair ssl_early_data on;
        location / { return 200 "early=\$ssl_early_data reused=\$ssl_session_reused \$request_uri\\n"; }
        location /up { proxy_pass http://127.0.0.1:%port2%; } }
    server { listen 127.0.0.1:%port1% ssl; $pair
        location / { return 200 "early=\$ssl_early_data reused=\$ssl_session_reused \$request_uri\\n"; } }
    server { listen 127.0.0.1:%port2%; location / { return 200 "length=\$content_length\\n"; } }
CONF

# openssl s_client until the server closes: all that it printed.
sub s_client ($n, $input, @words) {
    my $port = ref $n ? $n->sockport : $weir->port($n);
    my $in  = $weir->write_file('input', $input);
    my $out = $weir->dir . '/output';
    unlink $out;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<',  $in;
        open STDOUT, '>',  $out;
        open STDERR, '>&', \*STDOUT;
        exec 'openssl', 's_client', '-connect', "127.0.0.1:$port", '-ign_eof', '-tls1_3', '-servername', 'a.example', @words
          or POSIX::_exit(127);
    }
    my $ended;
    wait_for(sub { $ended ||= waitpid($pid, POSIX::WNOHANG()) == $pid }, 'the end of s_client');
    return $weir->read_file($out);
}

my $session = $weir->dir . '/session';
my $request = "GET /late HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

like(s_client(0, $request, '-sess_out', $session), qr/^early= reused=\. \/late$/m, 'a first visit');
ok(-s $session, 'a session');

my $early  = $weir->write_file('early', "GET /early HTTP/1.1\r\nHost: a.example\r\n\r\n");
my $output = s_client(0, $request, '-sess_in', $session, '-early_data', $early);
like($output, qr/Early data was accepted/,        'early data is accepted');
like($output, qr/^early=1 reused=r \/early$/m,    'its request is answered and marked');
like($output, qr/^early= reused=r \/late$/m,      'the request behind the handshake is not');

# Each connection gives the ticket of the next one.
my @chain;
for (1 .. 5) {
    rename $session, "$session.used" or last;
    my $output = s_client(0, $request, '-sess_in', "$session.used", '-sess_out', $session, '-early_data', $early);
    push @chain, $output =~ /^early=1 reused=r/m ? 'early' : 'late';
}
is("@chain", join(' ', ('early') x 5), 'early data with one ticket after the other, each used once');

s_client(0, $request, '-sess_out', $session);
$early  = $weir->write_file('early', "POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 12000\r\n\r\n" . 'x' x 5000);
$output = s_client(0, 'y' x 7000 . $request, '-sess_in', $session, '-early_data', $early);
like($output, qr/Early data was accepted/, 'half a body as early data');
like($output, qr/^length=12000$/m,         'and the rest behind the handshake');
like($output, qr/ \/late$/m,               'and a further request');

s_client(1, $request, '-sess_out', $session);
$early  = $weir->write_file('early', "GET /early HTTP/1.1\r\nHost: a.example\r\n\r\n");
$output = s_client(1, $request, '-sess_in', $session, '-early_data', $early);
unlike($output, qr/early=1/, 'no early data where it is off');

# Takes one connection to the server on port 0. Of what the client says it holds back all behind the first record of data,
# which is early data, until a line of the access log matches.
sub holding_relay ($pattern) {
    my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') // die "listen: $!";
    my $pid = fork // die "fork: $!";
    return ($listener, $pid) if $pid;
    Weir::end_with_parent(9);
    my $client = $listener->accept;
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $weir->port) // POSIX::_exit(1);
    my ($held, $is_holding, $select) = ('', 0, IO::Select->new($client, $server));
    while (1) {
        for my $from ($select->can_read(0.01)) {
            sysread($from, my $bytes, 65536) or POSIX::_exit(0);
            syswrite $client, $bytes if $from == $server;
            $held .= $bytes if $from == $client;
        }
        while (!$is_holding && length $held >= 5 && length $held >= 5 + unpack 'x3n', $held) {
            $is_holding = ord $held == 23;
            syswrite $server, substr $held, 0, 5 + unpack('x3n', $held), '';
        }
        next unless $is_holding && length $held && $weir->access_log =~ $pattern;
        syswrite $server, $held;
        $held = '';
    }
}

# A response to early data that ends the connection: the client has to say the rest of the handshake yet.
s_client(0, $request, '-sess_out', $session);
my ($relay, $pid) = holding_relay(qr{GET /last });
$early  = $weir->write_file('early', $request =~ s/late/last/r);
$output = s_client($relay, '', '-sess_in', $session, '-early_data', $early);
like($output, qr/^early=1 reused=r \/last$/m, 'a response to early data is the last');
like($output, qr/^closed$/m,                  'and ends with close_notify');
unlike($output, qr/unexpected eof/,           'behind the handshake');
waitpid $pid, 0;

done_testing;
