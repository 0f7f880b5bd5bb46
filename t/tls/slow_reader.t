#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Clients that read slowly, or not at all, get their bytes whole, cost little, and are ended in time.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a');
my $dir  = $certs->dir;
my $big  = join('', map { chr(($_ * 11 + ($_ >> 8)) & 255) } 0 .. 262_143) x 16;
my $weir = Weir->new(
    files => { 'html/big' => $big },
    # Sixty large responses at once are much for a worker under a sanitizer.
    $ENV{WEIR_SANITIZE} ? (allow => qr/event loop/) : (),
    http   => <<CONF,
    server { listen 127.0.0.1:%port1%; location = /status { stub_status; } }
    server { listen 127.0.0.1:%port2% ssl sndbuf=32k; send_timeout 300ms;
        ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; }
CONF
    server => <<CONF);
    listen 127.0.0.1:%port0% ssl sndbuf=32k;
    ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
    location /slow/ { limit_rate 2m; alias %dir%/html/; }
CONF

sub memory () {
    my ($worker) = $weir->workers;
    my ($kb)     = $weir->read_file("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m;
    return $kb;
}

for my $version ('TLSv1.2', 'TLSv1.3') {
    my $client = TlsClient->new($weir->port, max => $version, rcvbuf => 65536);
    $client->send_request('GET', '/big');
    my $answer = $client->answer(head => 1);
    my $body   = '';
    while (length $body < length $big) {
        my $piece = $client->read_bytes(length($big) - length($body) < 30_000 ? length($big) - length($body) : 30_000);
        last unless length $piece;
        $body .= $piece;
        select undef, undef, undef, 0.001;
    }
    ok($body eq $big, "$version: 4 MB through a small window");
    $client->send_request('GET', '/big', close => 1);
    ok($client->answer->body eq $big, "$version: and again");
    ok($client->closed_cleanly, "$version: close_notify behind it");
}

{
    my $client = TlsClient->new($weir->port);
    $client->send_request('GET', '/slow/big');
    ok($client->answer->body eq $big, 'limit_rate');
}

# Many that do not read at all.
my @idle = map { TlsClient->new($weir->port, rcvbuf => 65536) } 1 .. 60;
my $before = memory();
$_->send_request('GET', '/big') for @idle;
wait_for(sub { $weir->get('/status', port => 1)->body =~ /Writing: 61/ }, 'all responses');
my $each = (memory() - $before) / @idle;
note(sprintf '%.1f kB for each client that does not read', $each);
SKIP: {
    skip 'a sanitizer keeps what was freed', 1 if $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND};
    cmp_ok($each, '<', 200, 'a client that does not read costs little');
}
for my $client (@idle[ 0, 30, 59 ]) {
    ok($client->answer->body eq $big, 'it gets everything when it reads after all');
}
@idle = ();

my $dead = TlsClient->new($weir->port(2), rcvbuf => 65536);
$dead->send_request('GET', '/big?dead');
$weir->wait_log(qr{"GET /big\?dead }, 'access.log');
my $answer = $dead->answer;
ok(!$answer || !$answer->complete, 'a client that never reads is ended by send_timeout');

done_testing;
