#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# allow and deny: the first rule that fits decides; inheritance; every kind of address.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files  => { 'html/f' => 'file' },
    server => <<'CONF',
        listen 127.0.0.1:%port0%;
        listen unix:%dir%/socket;
        location /deny/    { deny all; alias %dir%/html/; }
        location /first/   { deny 127.0.0.1; allow all; alias %dir%/html/; }
        location /allowed/ { allow 127.0.0.0/8; deny all; alias %dir%/html/; }
        location /other/   { allow 10.0.0.0/8; deny 127.0.0.2; alias %dir%/html/; }
        location /six/     { allow ::1; deny all; alias %dir%/html/; }
        location /unix/    { allow unix:; deny all; alias %dir%/html/; }
        location /outer/   { deny all;
            location /outer/inner/ { allow all; alias %dir%/html/; }
            location /outer/same/  { alias %dir%/html/; }
        }
        location /return/  { deny all; return 200 before; }
        location /page/    { deny all; error_page 403 /f; }
CONF
);

my %table = (
    '/f' => 200, '/deny/f' => 403, '/first/f' => 403, '/allowed/f' => 200, '/other/f' => 200, '/six/f' => 403,
    '/unix/f' => 403, '/outer/inner/f' => 200, '/outer/same/f' => 403, '/return/' => 200, '/page/' => 403,
);
is($weir->get($_)->status, $table{$_}, $_) for sort keys %table;
is($weir->get('/page/')->body, 'file', 'the error page is not denied');

sub ask ($target) {
    my $client = Client->new($weir->dir . '/socket');
    $client->send_request('GET', $target, close => 1);
    return $client->answer->status;
}
is(ask('/unix/f'),    200, 'a unix socket is allowed');
is(ask('/allowed/f'), 403, 'and not by an address');
$weir->wait_log(qr/access forbidden by rule, client: 127\.0\.0\.1, server: localhost, request: "GET \/deny\/f/);

for (
    [ 'deny 10.0.0.1/40;', qr/invalid parameter "10\.0\.0\.1\/40" in / ],
    [ 'allow example;',    qr/invalid parameter "example" in / ],
    [ 'allow 10.0.0.1/8;', qr/\[warn\] low address bits of 10\.0\.0\.1\/8 are meaningless in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(server => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
