#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# proxy_allow_upstream: which addresses a connection may be made to, whatever a name or a variable says.
use lib 't/lib';
use Weir;

my $inner = Origin->new(host => '127.0.0.2', '*' => { body => 'inner' });
my $outer = Origin->new(host => '127.0.0.3', '*' => { body => 'outer' });
my $weir  = Weir->new(
    http => <<CONF,
    geo \$upstream_last_addr \$allowed { volatile; 127.0.0.3 1; }
    upstream both { server $inner->{address} max_fails=0; server $outer->{address} max_fails=0; }
    log_format l '\$request_uri|\$upstream_last_addr|\$upstream_last_server_name|\$upstream_addr';
    access_log %dir%/access.log l;
CONF
    server => <<CONF);
    location /free/   { proxy_pass http://\$arg_to; }
    location /vars/   { proxy_pass http://\$arg_to; proxy_allow_upstream \$allowed; }
    location /group/  { proxy_pass http://both; proxy_allow_upstream \$allowed; proxy_next_upstream denied; }
    location /other/  { proxy_pass http://both; proxy_allow_upstream 1 \$arg_a; }
CONF
is($weir->get("/free/?to=$inner->{address}")->body, 'inner', 'without it');
is($weir->get("/vars/?to=$outer->{address}")->body, 'outer', 'an address that is allowed');
is($weir->get("/vars/?to=$inner->{address}")->status, 403, 'one that is not');
like($weir->error_log, qr/connection to upstream is not allowed while connecting to upstream.*upstream: "http:\/\/\Q$inner->{address}\E/, 'said');
is(scalar $inner->requests, 1, 'and it is not asked');
is($weir->get('/group/')->body, 'outer', 'denied moves on to the next peer') for 1 .. 4;
is($weir->get("/other/?a=$_")->status, 403, "a condition '$_'") for '', '0';
is($weir->get('/other/?a=y')->status, 200, 'all hold');
$weir->wait_log(qr{^/vars/\?to=127\.0\.0\.2:\d+\|\Q$inner->{address}\E\|127\.0\.0\.2\|\Q$inner->{address}\E$}m, 'access.log');
$weir->wait_log(qr{^/group/\|\Q$outer->{address}\E\|127\.0\.0\.3\|\Q$inner->{address}, $outer->{address}\E$}m, 'access.log');
pass('$upstream_last_addr, $upstream_last_server_name');
done_testing;
