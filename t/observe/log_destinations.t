#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# access_log to compressed files, to syslog, to files named by variables, as JSON; reopening.

use lib 't/lib';
use Weir;
use JSON::PP;
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use Socket;

my $syslog_dir = File::Temp->newdir;
chmod 0755, "$syslog_dir";
socket(my $syslog, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($syslog, pack_sockaddr_un("$syslog_dir/log")) or die "bind: $!";
chmod 0777, "$syslog_dir/log";

# The next message; undef when there is none.
sub message () {
    my $bits = '';
    vec($bits, fileno $syslog, 1) = 1;
    return undef unless select($bits, undef, undef, $Client::patience);
    recv($syslog, my $text, 65536, 0);
    return $text;
}

my $weir = Weir->new(
    start => 0,
    files => { 'a.test/f' => 'a', 'b.test/f' => 'b', 'logs/x' => '' },
    http  => 'log_format short "$host $uri $status"; log_format quoted "<$http_user_agent>";',
    server => <<"CONF",
        location /gz      { access_log %dir%/gz.log short gzip buffer=200; return 200; }
        location /best    { access_log %dir%/best.log short gzip=9 flush=50ms; return 200; }
        location /held    { access_log %dir%/held.log short gzip; return 200; }
        location /syslog  { access_log syslog:server=unix:$syslog_dir/log,tag=mine,facility=local3,severity=warn quoted; return 200; }
        location /both    { access_log syslog:server=unix:$syslog_dir/log,nohostname short if=\$arg_log; access_log %dir%/both.log short; return 200; }
        location /host    { root %dir%/\$host; access_log %dir%/logs/\$host.log short; return 200; }
        location /cached  { root %dir%/\$host; access_log logs/cached-\$host.log short; open_log_file_cache max=2 inactive=10s valid=1h; return 200; }
        location /valid   { root %dir%/\$host; access_log %dir%/logs/valid-\$host.log short; open_log_file_cache max=5 valid=0; return 200; }
        location /uses    { root %dir%/\$host; access_log %dir%/logs/uses-\$host.log short; open_log_file_cache max=5 min_uses=3; return 200; }
        location /evil    { root %dir%/html; access_log %dir%/logs/\$arg_name short; return 200; }
CONF
);

chmod 0777, $weir->dir . '/logs';    # the worker makes files there
$weir->start;

sub content ($file, $lines) {
    wait_for(sub { ($weir->read_file($file) =~ tr/\n//) >= $lines }, "$lines lines in $file");
    return $weir->read_file($file);
}

sub unpacked ($file) {
    my $packed = $weir->read_file($file);
    gunzip(\$packed => \my $plain, MultiStream => 1) or return "no gzip: $GunzipError";
    return $plain;
}

# Compressed.
my $client = $weir->client;
for (1 .. 50) {
    $client->send_request('GET', '/gz');
    $client->answer;
}
wait_for(sub { -s $weir->dir . '/gz.log' }, 'a compressed log');
my $plain = unpacked('gz.log');
like($plain, qr/\A(?:localhost \/gz 200\n)+\z/, 'what is in the file is whole at any time');
cmp_ok($plain =~ tr/\n//, '>=', 40, 'each full buffer');
my $members = () = $weir->read_file('gz.log') =~ /\x1f\x8b\x08/g;
cmp_ok($members, '>', 1, 'is a member of its own');
$weir->get('/best');
wait_for(sub { -s $weir->dir . '/best.log' }, 'flush=');
is(unpacked('best.log'), "localhost /best 200\n", 'flush= with gzip=9');
$weir->get('/held');
is($weir->read_file('held.log'), '', 'gzip alone has a large buffer');

# Syslog.
$weir->get('/syslog', fields => ["User-Agent: a\"b\xffc"]);
my $text = message();
like($text, qr/^<156>\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ mine: <a\\x22b\\xFFc>\z/, 'a message to syslog');
$weir->get('/both');
$weir->get('/both?log=1');
like(message(), qr/^<190>\w{3} [ \d]\d \d\d:\d\d:\d\d weir: localhost \/both 200\z/, 'if= holds for syslog; nohostname');
is(content('both.log', 2), "localhost /both 200\n" x 2, 'and a file beside it');

# Names with variables.
for my $path (qw(/host /cached /valid /uses)) {
    $weir->get($path, host => $_) for 'a.test', 'b.test', 'a.test', 'c.test', 'a.test';
}
is(content('logs/a.test.log', 3), "a.test /host 200\n" x 3, 'a file for each host');
is(content('logs/b.test.log', 1), "b.test /host 200\n", 'another');
ok(!-e $weir->dir . '/logs/c.test.log', 'none where the root is missing');
like($weir->error_log, qr/testing ".*c\.test" existence failed \(2: No such file or directory\) while logging request|testing ".*c\.test" existence failed/,
    'which is logged');
is(content("logs/$_-a.test.log", 3), "a.test /$_ 200\n" x 3, "$_: the same with a cache") for qw(cached valid uses);

# A cached file stays the one that is open until `valid` has passed or logs are reopened.
rename $weir->dir . "/logs/$_-a.test.log", $weir->dir . "/logs/$_-old" for qw(cached valid);
$weir->get($_, host => 'a.test') for qw(/cached /valid);
is(content('logs/cached-old', 4), "a.test /cached 200\n" x 4, 'the open file');
is(content('logs/valid-a.test.log', 1), "a.test /valid 200\n", 'checked each time: the new one');
rename $weir->dir . '/held.log', $weir->dir . '/held.1';
$weir->signal('USR1');
wait_for(sub { -e $weir->dir . '/held.log' }, 'the new file');
is((wait_for(sub { -s $weir->dir . '/held.1' }, 'the old file') ? unpacked('held.1') : ''), "localhost /held 200\n",
    'what waited goes to the old file');
$weir->get('/cached', host => 'a.test');
is(content('logs/cached-a.test.log', 1), "a.test /cached 200\n", 'cached ones are opened anew, too');

# More hosts than the cache holds.
mkdir $weir->dir . "/h$_.test" for 1 .. 20;
for (1 .. 3) {
    $weir->get('/cached', host => "h$_.test") for 1 .. 20;
}
is(content("logs/cached-h$_.test.log", 3), "h$_.test /cached 200\n" x 3, "host $_") for 1, 10, 20;
my @open = grep { /cached-/ } map { readlink // '' } map { glob "/proc/$_/fd/*" } $weir->workers;
cmp_ok(scalar @open, '<=', 2, 'no more than max stay open');

# What a client wrote names no file elsewhere.
$weir->get("/evil?name=$_") for 'ok', '../x', 'a/../../x', '..', '';
is(content('logs/ok', 1), "localhost /evil 200\n", 'a harmless name');
ok(!-e $weir->dir . '/x', 'none leads outside');
like($weir->error_log, qr/unsafe name of an access log: ".*\/logs\/\.\.\/x"/, 'the attempt is logged');
$weir->get('/evil?name=none/f');
$weir->allow(qr/open\(\) ".*\/logs\/none\/f" failed/);
ok($weir->wait_log(qr/\[crit\].*open\(\) ".*\/logs\/none\/f" failed \(2: No such file or directory\)/), 'a directory that is missing');

$weir->stop('QUIT');
is(unpacked('gz.log'), "localhost /gz 200\n" x 50, 'the end writes the rest');

# Many workers, one compressed file: no member is torn.
my $many = Weir->new(
    workers => 4,
    http    => 'log_format n "$arg_n ${uri}${uri}${uri}";',
    server  => 'location / { access_log %dir%/many.log n gzip buffer=500; return 200; }'
);
my @clients = map { $many->client } 1 .. 16;
my $n = 0;
for my $round (1 .. 20) {
    $_->write("GET /some/long/path?n=" . $n++ . " HTTP/1.1\r\nHost: a\r\n\r\n") for @clients;
    $_->answer for @clients;
}
$many->stop('QUIT');
my $packed = $many->read_file('many.log');
ok(gunzip(\$packed => \$plain, MultiStream => 1), 'the file of four workers can be read');
is_deeply([ sort { $a <=> $b } $plain =~ /^(\d+) /mg ], [ 0 .. $n - 1 ], 'each line once');
is(scalar(() = $plain =~ /^\d+ (?:\/some\/long\/path){3}$/mg), $n, 'each whole');

# Unlike nginx: bytes that are no UTF-8 would make JSON that nobody can read.
my $bytes = Weir->new(
    http   => q(log_format j escape=json '{"uri":"$uri","agent":"$http_user_agent"}'; access_log %dir%/j.log j; access_log %dir%/json.log json;),
    server => 'location / { return 200; }'
);
$bytes->get('/%FF%22', fields => ["User-Agent: \xc3\xa9\xff"]);
is_deeply(
    JSON::PP->new->utf8->decode($bytes->wait_log(qr/(.*)\n/, 'j.log')),
    { uri => "/\xff\"", agent => "\xe9\xff" },
    'escape=json'
);

# The built-in JSON: numbers are numbers, what is missing is null.
my $origin = Origin->new('/ok' => { body => 'fine' }, '/no' => { status => 503, body => 'no' });
my $typed  = Weir->new(
    http   => "access_log %dir%/json.log json; upstream u { server 127.0.0.1:%port1%; server $origin->{address}; }",
    server => <<"CONF",
        location /ok    { proxy_pass http://u; }
        location /plain { return 200 text; }
        location /jump  { proxy_pass $origin->{url}/no; proxy_intercept_errors on; error_page 503 = /ok; }
CONF
);
my %line;
for my $path ('/plain?a="b', '/ok', '/ok', '/jump') {
    $typed->get($path, fields => [ "Referer: http://a/?\"\\\xff", 'Authorization: Basic YWxpY2U6eA==' ]);
}
wait_for(sub { ($typed->read_file('json.log') =~ tr/\n//) >= 4 }, 'four lines');
my @objects = map { JSON::PP->new->utf8->decode($_) } split /\n/, $typed->read_file('json.log');
my ($one, @proxied) = @objects;
like($typed->read_file('json.log'), qr/"status":200,"bytes_sent":\d+,"body_bytes_sent":4,"request_length":\d+,"request_time":\d+\.\d{3},/, 'numbers');
is($one->{uri}, '/plain?a="b', 'text');
is($one->{referer}, "http://a/?\"\\\xff", 'escaped');
is($one->{remote_user}, 'alice', 'remote_user');
is($one->{user_agent}, undef, 'null');
is_deeply($one->{upstream_status}, [], 'no upstream');
like($one->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/, 'time');
my ($retried) = grep { @{ $_->{upstream_status} } == 2 && $_->{uri} eq '/ok' } @proxied;
is_deeply($retried->{upstream_status}, [ 502, 200 ], 'each attempt') if $retried;
ok($retried, 'a retry');
my ($jumped) = grep { $_->{uri} eq '/jump' } @proxied;
is($jumped->{upstream_status}[0], 503, 'across a redirect');
is($jumped->{upstream_status}[-1], 200, 'both');
is(scalar @{ $jumped->{upstream_addr} }, scalar @{ $jumped->{upstream_response_time} }, 'lists of equal length');
my $mine = Weir->new(http => 'log_format json "mine"; access_log %dir%/json.log json;', server => 'location / { return 200; }');
$mine->get('/');
is($mine->wait_log(qr/.*\n/, 'json.log'), "mine\n", 'a format of that name in the configuration');

done_testing;
