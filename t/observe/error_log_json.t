#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# error_log ... json: each line is an object, whatever clients send; text logs beside it stay as they are.

use lib 't/lib';
use Weir;
use JSON::PP;

my $origin = Origin->new;
$origin->hold('/slow');
my $weir = Weir->new(
    main   => 'error_log %dir%/error.log info; error_log %dir%/all.json info json;',
    server => "location /slow { proxy_read_timeout 100ms; proxy_pass $origin->{url}; }\n" . <<'CONF',
        location /missing { root %dir%/html; }
        location /proxied { proxy_pass http://127.0.0.1:%port1%/x?y; }
        location /asked   { auth_request /judge; root %dir%/html; }
        location /judge   { proxy_pass http://127.0.0.1:%port1%; }
        location /own     { error_log %dir%/own.json json; root %dir%/html; }
        location /crit    { error_log %dir%/crit.json crit format=json; root %dir%/html; }
CONF
);

# Lines of a log about a request; dies when one is no JSON.
sub entries ($file, $count) {
    wait_for(sub { ($weir->read_file($file) =~ tr/\n//) >= $count }, "$count lines in $file");
    return map { JSON::PP->new->utf8->decode($_) } split /\n/, $weir->read_file($file);
}

my $before = entries('all.json', 3);
$weir->get("/missing/%22%5c%01%FF\xff\xc3\xa9", fields => [ 'Referer: http://r/"\\', "Host: localhost" ]);
my ($missing) = grep { ($_->{request} // '') =~ /missing/ } entries('all.json', $before + 1);
my ($text) = $weir->error_log =~ /^(.*missing.*)$/m;
is($missing->{level}, 'error', 'level');
like($missing->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/, 'time');
is($missing->{errno}, 2, 'errno is a number');
is($missing->{error}, 'No such file or directory', 'and a text');
like($missing->{message}, qr/^open\(\) ".*\/html\/missing\/.*" failed$/s, 'message');
is($missing->{client}, '127.0.0.1', 'client');
is($missing->{server}, 'localhost', 'server');
is($missing->{host}, 'localhost', 'host');
is($missing->{referrer}, 'http://r/"\\', 'referrer');
like($missing->{request}, qr{^GET /missing/\S+ HTTP/1\.1$}, 'request');
like($text, qr/^\d{4}\/\d\d\/\d\d [\d:]{8} \[error\] $missing->{pid}#$missing->{tid}: \*$missing->{connection} open\(\)/, 'the text says the same');

$weir->get('/proxied');
my ($refused) = grep { ($_->{upstream} // '') =~ /x\?y/ } entries('all.json', $before + 2);
is($refused->{message}, 'connect() failed', 'an origin that refuses');
is($refused->{while}, 'connecting to upstream', 'while');
is($refused->{upstream}, 'http://127.0.0.1:' . $weir->port(1) . '/x?y', 'upstream');
$weir->get('/slow');
my ($slow) = grep { ($_->{message} // '') eq 'upstream timed out' } entries('all.json', $before + 3);
is($slow->{timeout}, 'proxy_read_timeout 100ms', 'the directive behind a time-out');
like($slow->{upstream}, qr{^http://.*/slow$}, 'and the upstream');
$weir->get('/asked');
my ($asked) = grep { defined $_->{subrequest} } entries('all.json', $before + 5);
is($asked->{subrequest}, '/judge', 'subrequest');

$weir->get('/own/a');
my ($own) = entries('own.json', 1);
like($own->{request}, qr{/own/a}, 'a log of a location, with the default level');
$weir->get('/crit');
is($weir->read_file('crit.json'), '', 'a level');
is(scalar(grep { ref ne 'HASH' } entries('all.json', 1)), 0, 'every line is an object');

# Repetitions are counted in it, too.
my $client = $weir->client;
for (1 .. 150) {
    $client->send_request('GET', '/own/b');
    $client->answer;
}
$weir->stop;
my @own = entries('own.json', 101);
cmp_ok(scalar @own, '<', 151, 'too many of one kind are left out')
  if grep { $_->{message} =~ /^last message repeated \d+ times$/ } @own;
ok(scalar @own, 'all lines are JSON');

for (
    [ 'error_log %dir%/x loud json;',  qr/invalid log level "loud" in / ],
    [ 'error_log %dir%/x warn yaml;',  qr/invalid parameter "yaml" in / ],
    [ 'error_log %dir%/x warn warn;',  qr/invalid parameter "warn" in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(server => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
