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
$load->over_reloads($weir, $reloads);

done_testing;
