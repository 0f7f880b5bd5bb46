#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Core variables that cannot be compared with the installed nginx: newer ones, and those with values of their own.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files  => { 'html/f' => 'file' },
    http   => 'log_format l "$uri $bytes_sent $request_time"; access_log %dir%/l.log l;',
    server => <<'CONF',
        location /port   { return 200 "$host$is_request_port$request_port"; }
        location /id     { return 200 "$request_id $request_id"; }
        location /conn   { return 200 "$connection $connection_requests $connection_time"; }
        location /time   { return 200 "$msec|$time_iso8601|$time_local|$time_iso8601_ms"; }
        location /tcp    { return 200 "$tcpinfo_rtt,$tcpinfo_rttvar,$tcpinfo_snd_cwnd,$tcpinfo_rcv_space"; }
        location /pid    { return 200 "$pid $hostname $nginx_version"; }
        location /files  { return 200 "$document_root $realpath_root $request_filename"; }
        location /joined { return 200 "$http_x_a|$http_cookie|$content_type"; }
        location /ports  { return 200 "$remote_port $server_port"; }
        location /braces { return 200 "${uri}x$arg_a"; }
        location /prefix { return 200 "$arg_$http_$cookie_$sent_http_$uri"; }
        location /nested/ { alias %dir%/html/; add_header X-File $request_filename; }
CONF
);
sub body ($target, @more) { $weir->get($target, @more)->body }

is(body('/port', host => 'A.b:81'), 'a.b:81', '$request_port');
is(body('/port', host => 'a.b'),    'a.b',    'no port');
is(body('/port', host => '[::1]'),  '[::1]',  'no port of an IPv6 address');
is(body('/port', host => '[::1]:9'), '[::1]:9', 'with one');
like(body('/id'), qr/^([0-9a-f]{32}) \1$/, '$request_id stays the same within a request');
isnt(body('/id'), body('/id'), 'and differs between them');
like(body('/time'), qr{^\d{10}\.\d{3}\|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d\|\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$}, 'times');
like(body('/tcp'), qr/^\d+,\d+,\d+,\d+$/, '$tcpinfo_*');
like(body('/pid'), qr/^\d+ \S+ 1\.\d+\.\d+$/, '$pid, $hostname, $nginx_version');
is(body('/files'), join(' ', map { $weir->dir . $_ } '/html', '/html', '/html/files'), 'paths');
is($weir->get('/nested/f')->field('X-File'), $weir->dir . '/html/f', '$request_filename below an alias');
is(body('/joined', fields => [ 'X-A: 1', 'X-A: 2', 'Cookie: a=1', 'Cookie: b=2', 'Content-Type: a/b', 'Content-Type: c/d' ]), '1, 2|a=1; b=2|a/b, c/d', 'joined fields');
like(body('/ports'), qr/^\d+ ${\ $weir->port}$/, 'ports');
is(body('/braces?a=1'), '/bracesx1', 'braces');
is(body('/prefix?=1'), '/prefix', 'a prefix without a name is empty, as in nginx');

my $client = $weir->client;
my ($id, $last);
for my $n (1 .. 3) {
    $client->send_request('GET', '/conn');
    my ($c, $requests, $time) = split ' ', $client->answer->body;
    is($requests, $n, "request $n of a connection");
    is($c, $id // $c, 'of the same connection');
    like($time, qr/^\d+\.\d{3}$/, 'its time');
    $id = $c;
}
my $answer = $weir->get('/f');
my $size   = length($answer->raw // '') || length($answer->head) + length($answer->body);
like($weir->wait_log(qr/^\/f .*/m, 'l.log'), qr/^\/f \d+ \d+\.\d{3}$/, '$bytes_sent, $request_time');

done_testing;
