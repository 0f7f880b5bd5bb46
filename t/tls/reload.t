#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Reloads under TLS load, with changing numbers of workers, lose nothing: kept connections, new ones, downloads, uploads,
# tunnels. RELOADS=200 for more of them.

use lib 't/lib';
use Certs;
use TlsLoad;
use Weir;

my $certs = Certs->new;
$certs->make('a');
my $dir     = $certs->dir;
my $reloads = $ENV{RELOADS} // ($ENV{WEIR_SANITIZE} ? 8 : 15);

my $origin = Origin->new('/upload' => { body => 'ok' }, '/tunnel' => { upgrade => 'websocket' });
my %option = (
    files  => { 'html/big' => 'b' x 200_000 },
    server => <<CONF);
    listen 127.0.0.1:%port0% ssl reuseport;
    ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
    ssl_session_cache shared:sessions:1m;
    location = /small { return 200 small; }
    location /upload { proxy_pass $origin->{url}; proxy_http_version 1.1; }
    location /tunnel { proxy_pass $origin->{url}; proxy_http_version 1.1;
        proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade; }
CONF
my $weir = Weir->new(%option, workers => 2);
my $load = TlsLoad->new($weir, keepalive => 3, fresh => 2, download => 1, upload => 1, tunnel => 1, bytes => 200_000);
for my $round (1 .. $reloads) {
    $weir->rewrite_conf(workers => 1 + $round % 3);
    $weir->reload;
    my $seen = () = $weir->access_log =~ /\n/g;
    wait_for(sub { (() = $weir->access_log =~ /\n/g) > $seen + 20 }, 'requests of this generation');
}
my $result = $load->stop;
diag($_) for @{ $result->{problems} };
is($result->{failed}, 0, "none of $result->{requests} requests fails over $reloads reloads");
cmp_ok($result->{by_kind}{$_}, '>', 0, "$_ worked") for qw(keepalive fresh download upload tunnel);

done_testing;
