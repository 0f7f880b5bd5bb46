#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Reloads under load, with TLS at both ends and mutual certificates towards the origin, lose nothing. RELOADS=200 for more.

use lib 't/lib';
use Certs;
use TlsLoad;
use Weir;

my $certs = Certs->new;
$certs->make('a')->make('good', names => ['client']);
my $dir     = $certs->dir;
my $reloads = $ENV{RELOADS} // ($ENV{WEIR_SANITIZE} ? 5 : 10);

my $origin = Origin->new(tls => { cert => "$dir/a.crt", ca => "$dir/ca.crt", required => 1 }, '/small' => { body => 'small' },
    '/big' => { body => 'b' x 1000, repeat => 200 }, '/upload' => { body => 'ok' }, '/tunnel' => { upgrade => 'websocket' });
my $weir = Weir->new(workers => 2, http => "upstream u { server $origin->{address}; keepalive 4; }", server => <<CONF);
    listen 127.0.0.1:%port0% ssl reuseport;
    ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
    proxy_ssl_certificate $dir/good.crt; proxy_ssl_certificate_key $dir/good.key;
    proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/ca.crt; proxy_ssl_name a.example; proxy_ssl_server_name on;
    location / { proxy_pass https://u; }
    location /tunnel { proxy_pass https://u; proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade; }
CONF
my $load = TlsLoad->new($weir, keepalive => 3, fresh => 2, download => 1, upload => 1, tunnel => 1, bytes => 200_000);
$load->over_reloads($weir, $reloads);
my @handshakes = $origin->handshakes;
is(scalar(grep { !defined $_->{client} } @handshakes), 0, 'all ' . @handshakes . ' handshakes with our certificate');
cmp_ok(scalar(grep { $_->{reused} } @handshakes), '>', 0, 'some of them resumed');

done_testing;
