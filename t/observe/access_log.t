#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# access_log: levels, conditions, buffers, several logs, reopening, many workers.

use lib 't/lib';
use Nginx;
use Weir;

my $weir = Weir->new(
    workers => 2,
    http    => <<'CONF',
        log_format short '$uri $status';
        log_format other "$uri" " in two";
        access_log %dir%/main.log short;
CONF
    server => <<'CONF',
        location /a       { return 200 a; }
        location /off     { access_log off; return 200; }
        location /two     { access_log %dir%/one.log short; access_log %dir%/two.log other; return 200; }
        location /nested  { location /nested/in { return 200; } access_log %dir%/nested.log short; return 200; }
        location /if      { access_log %dir%/if.log short if=$arg_log; return 200; }
        location /full    { access_log %dir%/full.log short buffer=64; return 200; }
        location /flush   { access_log %dir%/flush.log short buffer=4k flush=50ms; return 200; }
        location /held    { access_log %dir%/held.log short buffer=4k; return 200; }
        location /combined { access_log %dir%/combined.log; return 200 xyz; }
        location /long    { access_log %dir%/long.log other; return 200; }
CONF
);

sub lines ($file, $count) {
    wait_for(sub { ($weir->read_file($file) =~ tr/\n//) >= $count }, "$count lines in $file");
    return $weir->read_file($file);
}

$weir->get($_) for qw(/off /a /two /nested/in /if /if?log=0 /if?log=1 /combined);
is(lines('main.log',   1), "/a 200\n",         'the outer log; off; others take its place');
is(lines('one.log',    1), "/two 200\n",       'two logs: one');
is(lines('two.log',    1), "/two in two\n",    'two logs: two');
is(lines('nested.log', 1), "/nested/in 200\n", 'inherited');
is(lines('if.log',     1), "/if 200\n",        'if=');
like(lines('combined.log', 1), qr{^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /combined HTTP/1\.1" 200 3 "-" "-"\n\z},
    'combined');

# One connection stays with one worker, so its buffer fills.
my $client = $weir->client;
for (1 .. 20) {
    $client->send_request('GET', '/full');
    $client->answer;
}
my $full = lines('full.log', 14);
is($full, "/full 200\n" x ($full =~ tr/\n//), 'whole lines');
cmp_ok($full =~ tr/\n//, '<', 20, 'the rest waits in the buffer');
$weir->get('/flush');
is(lines('flush.log', 1), "/flush 200\n", 'flush=');
$weir->get('/held');
is($weir->read_file('held.log'), '', 'held back');

# No line is torn or lost with two workers and pipelined requests.
my $long = '/long/' . 'x' x 500;
my @clients = map { $weir->client } 1 .. 8;
for my $c (@clients) {
    $c->write("GET $long HTTP/1.1\r\nHost: a\r\n\r\n" x 50);
}
for my $c (@clients) {
    $c->answer for 1 .. 50;
}
is(lines('long.log', 400), "$long in two\n" x 400, '400 long lines');

# Reopening: new lines go to the new file.
rename $weir->dir . '/main.log', $weir->dir . '/main.log.1';
$weir->signal('USR1');
wait_for(sub { -e $weir->dir . '/main.log' }, 'the new file');
wait_for(sub { $weir->get('/a'); $weir->read_file('main.log') =~ /\n/ }, 'a line in the new file');
like($weir->read_file('main.log'), qr{\A(?:/a 200\n)+\z}, 'whole lines in the new file');

$weir->stop('QUIT');
is($weir->read_file('held.log'), "/held 200\n", 'the end writes what was held back');
is($weir->read_file('full.log'), "/full 200\n" x 20, 'of all buffers');

for (
    [ 'access_log %dir%/x nope;',            qr/unknown log format "nope" in / ],
    [ 'access_log %dir%/x combined foo;',    qr/invalid parameter "foo" in / ],
    [ 'access_log %dir%/x combined gzip=0;', qr/invalid compression level "0" in / ],
    [ 'access_log %dir%/x combined gzip=10;', qr/invalid compression level "10" in / ],
    [ 'access_log %dir%/x combined flush=1s;', qr/no buffer is defined for access_log ".*\/x" in / ],
    [ 'access_log %dir%/x combined buffer=0;', qr/invalid buffer size "0" in / ],
    [ 'access_log %dir%/x combined buffer=1k flush=x;', qr/invalid flush time "x" in / ],
    [ 'access_log %dir%/x buffer=1k;',       qr/unknown log format "buffer=1k" in / ],
    [ 'access_log %dir%/$host combined buffer=1k;', qr/buffered logs cannot have variables in name in / ],
    [ 'access_log %dir%/$host combined gzip;', qr/buffered logs cannot have variables in name in / ],
    [ 'access_log %dir%/$nope;',             qr/unknown "nope" variable in / ],
    [ 'access_log syslog:server=127.0.0.1 combined buffer=1k;', qr/logs to syslog cannot be buffered in / ],
    [ 'access_log syslog:srv=1;',            qr/unknown syslog parameter "srv=1" in / ],
    [ 'access_log off combined;',            qr/invalid parameter "combined" in / ],
    [ 'open_log_file_cache inactive=2s;',    qr/"open_log_file_cache" must have "max" parameter in / ],
    [ 'open_log_file_cache max=3 foo=1;',    qr/invalid "open_log_file_cache" parameter "foo=1" in / ],
    [ 'open_log_file_cache max=x;',          qr/invalid "open_log_file_cache" parameter "max=x" in / ],
    [ 'access_log %dir%/x combined gzip; location /x { access_log %dir%/x combined gzip=2; }',
        qr/access_log ".*\/x" already defined with conflicting parameters in / ],
    [ 'access_log %dir%/x combined buffer=1k; location /x { access_log %dir%/x combined buffer=2k; }',
        qr/access_log ".*\/x" already defined with conflicting parameters in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(server => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}
for (
    [ 'log_format a x; log_format a y;',    qr/duplicate "log_format" name "a" in / ],
    [ 'log_format a escape=x y;',           qr/unknown log format escaping "x" in / ],
    [ 'log_format a "$";',                  qr/invalid parameter "\$" in / ],
    [ 'log_format a "$no_such";',           qr/unknown "no_such" variable in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(http => $line, server => '', start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

# $request_body of a body that was read into memory, as nginx logs it.
my $origin = Origin->new('*' => { body => 'ok' });
my %option = (
    http   => q(log_format b '$request_uri "$request_body" "$request_length"'; access_log %dir%/body.log b; client_body_buffer_size 1k;),
    server => "location / { proxy_pass $origin->{url}; } location /own { return 200; }"
      . " location /stream { proxy_pass $origin->{url}; proxy_request_buffering off; }",
);
for my $daemon (Weir->new(%option), Nginx->binary ? Nginx->new(%option) : ()) {
    $daemon->post('/memory', "a=b\n");
    $daemon->post('/file', 'x' x 100_000);
    $daemon->post('/own', 'not read');
    $daemon->get('/none');
    my $is = $daemon->name;
    wait_for(sub { $daemon->read_file('body.log') =~ m{^/none}m }, "$is: the lines");
    my %line = $daemon->read_file('body.log') =~ m{^(/\w+) (".*?") }mg;
    is($line{'/memory'}, '"a=b\x0A"', "$is: a body in memory");
    is($line{'/file'},   '"-"',       "$is: in a file");
    is($line{'/own'},    '"-"',       "$is: that nobody read");
    is($line{'/none'},   '"-"',       "$is: none");
}

done_testing;
