#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Many handshakes, half of them broken off at random points, at both ends of a proxied request: neither memory nor
# descriptors are lost. HANDSHAKES=10000 for more of them.

use lib 't/lib';
use Certs;
use Socket;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a');
my $dir    = $certs->dir;
my $count  = $ENV{HANDSHAKES} // 300;
my %tls    = (cert => "$dir/a.crt");
my $script = { body => 'ok' };
my $origin = Origin->new(tls => {%tls}, '*' => $script);
my $closes = Origin->new(tls => { %tls, hang_up => 'close' }, '*' => $script);
my $resets = Origin->new(tls => { %tls, hang_up => 'reset' }, '*' => $script);
my $weir   = Weir->new(
    http   => "upstream good { server $origin->{address}; keepalive 2; } upstream fresh { server $origin->{address}; keepalive 0; }",
    server => <<CONF);
    listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; ssl_session_cache shared:s:1m;
    location / { return 200 ok; }
    location /good { proxy_pass https://good; } location /fresh { proxy_pass https://fresh; }
    location /closes { proxy_pass $closes->{url}; } location /resets { proxy_pass $resets->{url}; }
CONF

# A ClientHello as the library sends it.
my $hello = do {
    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0) or die;
    $ours->blocking(0);
    my $client = bless { fh => $ours, in => '', eof => 0, problem => '', head_only => [] }, 'Client';
    TlsClient::start($client, handshake => 0, name => 'a.example');
    Net::SSLeay::do_handshake($client->{ssl});
    sysread($theirs, my $bytes, 65536);
    $bytes;
};

sub whole (%option) {
    my $client = TlsClient->new($weir->port, name => 'a.example', %option) or return 0;
    $client->send_request('GET', (qw(/ /good /fresh /closes /resets))[ rand 5 ]);
    return defined $client->answer;
}

# So many bytes of the hello, perhaps with one of them wrong; or a handshake up to one of its steps.
sub broken () {
    my $kind = int rand 4;
    if ($kind == 0) {
        my $client = TlsClient->new($weir->port, name => 'a.example', handshake => 0) or return;
        Net::SSLeay::do_handshake($client->{ssl}) if rand 2 > 1;
        return;
    }
    my $bytes = substr $hello, 0, int rand length($hello) + 1;
    substr($bytes, int rand length $bytes, 1) = chr int rand 256 if $kind == 1 && length $bytes;
    my $client = $weir->client;
    $client->write($bytes);
    if ($kind == 2) {
        my $read = '';
        vec($read, fileno $client->fh, 1) = 1;
        select($read, undef, undef, 0.002);
    }
    setsockopt($client->fh, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0) if $kind == 3;
}

my ($worker) = $weir->workers;
sub descriptors () { scalar(() = glob "/proc/$worker/fd/*") }

sub memory () {
    open my $fh, '<', "/proc/$worker/status" or die;
    my ($kb) = join('', <$fh>) =~ /^VmRSS:\s+(\d+)/m;
    return $kb;
}

srand($ENV{SEED} // 1);
sub storm ($n) {
    my $answered = 0;
    for my $i (1 .. $n) {
        $i % 2 ? $answered += whole($i % 4 == 1 ? (max => 'TLSv1.2') : ()) : broken();
    }
    return $answered;
}
my $warm = $count < 600 ? 100 : 500;
storm($warm);
wait_for(sub { $origin->open_now <= 2 }, 'connections to the origin to end');
my ($fds, $kb) = (descriptors, memory);
is(storm($count), int(($count + 1) / 2), "each whole one of $count handshakes is answered");
wait_for(sub { descriptors() <= $fds }, 'descriptors to be given back');
cmp_ok(descriptors(), '<=', $fds, 'descriptors are given back');
my $grown = memory() - $kb;
# A sanitizer keeps what is freed for a while, and looks for leaks at the end.
cmp_ok($grown, '<', $ENV{WEIR_SANITIZE} ? 400_000 : 3000, "memory grew by $grown kB");
is(($weir->workers)[0], $worker, 'by the same worker');

done_testing;
