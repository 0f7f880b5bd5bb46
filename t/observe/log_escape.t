#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# log_format: what is escaped, and how, and what is logged of subrequests is what nginx logs.

use lib 't/lib';
use Nginx;
use Weir;

my $format = '$remote_addr|$uri|$status|$args|$http_x_odd|$arg_none|$http_user_agent';
my ($ours, $nginx) = Nginx->beside(
    http => <<"CONF",
        log_format one '$format';
        log_format two escape=json '$format';
        log_format three escape=none '$format';
        log_format four escape=default "\${uri}x\$\{status}";
        log_format five escape=json;
        access_log %dir%/one.log one; access_log %dir%/two.log two; access_log %dir%/three.log three; access_log %dir%/four.log four;
        access_log %dir%/five.log five;
CONF
    server => <<'CONF',
        location /a     { return 200 a; }
        location /sub   { auth_request /auth; log_subrequest on; proxy_pass http://127.0.0.1:%port0%/a; }
        location /nosub { auth_request /auth2; proxy_pass http://127.0.0.1:%port0%/a; }
        location /auth  { log_subrequest on; return 204; }
        location /auth2 { return 204; }
CONF
);
my @fields = ("X-Odd: a\"b\\c\xc3\xa9e/'<>", "User-Agent: \xf0\x9f\x98\x80 \t x");
for my $server ($ours, $nginx) {
    for my $target ('/a?x=1&y=%00"', '/a%22%5c%01a%0a', '/a%C3%A9', '/sub', '/nosub') {
        $server->get($target, fields => \@fields);
    }
    # One connection after the other, so the order is that of the requests.
    wait_for(sub { ($server->read_file('four.log') =~ tr/\n//) >= 8 }, 'the logs of ' . $server->name);
    $server->stop('QUIT');
}
is($ours->read_file("$_.log"), $nginx->read_file("$_.log"), "log $_") for qw(one two three four five);


done_testing;
