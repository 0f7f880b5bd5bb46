#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Early data (RFC 8446, 2.3): a request in the first flight is answered, marked by $ssl_early_data, only where allowed.

use lib 't/lib';
use Certs;
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
sub s_client ($port, $input, @words) {
    my $in  = $weir->write_file('input', $input);
    my $out = $weir->dir . '/output';
    unlink $out;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<',  $in;
        open STDOUT, '>',  $out;
        open STDERR, '>&', \*STDOUT;
        exec 'openssl', 's_client', '-connect', '127.0.0.1:' . $weir->port($port), '-ign_eof', '-tls1_3', '-servername', 'a.example', @words
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

done_testing;
