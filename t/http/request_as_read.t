#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# What logs and texts say of a request is what was read of it: lengths, line, protocol, body; two values where one can be
# are refused.

use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { echo => 1 });
my $weir   = Weir->new(
    http => <<'CONF',
log_format read '$arg_n|$request_length|$content_length|$pipe|$server_protocol|$request_body|$request|$status';
access_log %dir%/read.log read;
CONF
    server => <<CONF,
        client_max_body_size 1m;
        location / { return 200 "\$status"; }
        location /moved { return 301 /x?\$status; }
        location /pass { proxy_pass $origin->{url}; proxy_http_version 1.1; proxy_set_header Connection ""; }
        location /stream { proxy_request_buffering off; proxy_pass $origin->{url}; proxy_http_version 1.1; proxy_set_header Connection ""; }
        location /body { proxy_set_body "<\$request_body>"; proxy_pass $origin->{url}; proxy_http_version 1.1; proxy_set_header Connection ""; }
CONF
);

my $n = 0;
# Sends bytes with the number of the request in its target, and returns the line of the log.
sub logged ($bytes) {
    $n++;
    $bytes =~ s/N/$n/;
    $weir->raw($bytes);
    return $weir->wait_log(qr/^(.*n=$n\b.*)$/m, 'read.log');
}

my $end   = "Host: a\r\nConnection: close\r\n";
my $chunk = "3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n";
for my $row (
    [ 'no body',        "GET /?n=N HTTP/1.1\r\n$end\r\n",                                             '-', '-' ],
    [ 'empty lines before', "\r\n\r\nGET /?n=N HTTP/1.1\r\n$end\r\n",                                 '-', '-', 4 ],
    [ 'a body',         "POST /pass?n=N HTTP/1.1\r\n${end}Content-Length: 5\r\n\r\nabcde",            5,   'abcde' ],
    [ 'chunks',         "POST /pass?n=N HTTP/1.1\r\n${end}Transfer-Encoding: chunked\r\n\r\n$chunk",  5,   'abcde' ],
    [ 'a stream',       "POST /stream?n=N HTTP/1.1\r\n${end}Content-Length: 5\r\n\r\nabcde",          5,   '-' ],
    [ 'chunks that are streamed', "POST /stream?n=N HTTP/1.1\r\n${end}Transfer-Encoding: chunked\r\n\r\n$chunk", 5, '-' ],
    [ 'a body of ours', "POST /body?n=N HTTP/1.1\r\n${end}Content-Length: 5\r\n\r\nabcde",            5,   'abcde' ],
  )
{
    my ($what, $bytes, $length, $body, $before) = @$row;
    my (undef, $read, $told, $pipe, $protocol, $kept) = split /\|/, logged($bytes);
    is($read, length($bytes) - ($before // 0) + length($n) - 1, "$what: all bytes count");
    is("$told $protocol $kept", "$length HTTP/1.1 $body", "$what: length, protocol, body");
}
is(($origin->requests('/body'))[0]{body}, '<abcde>', 'proxy_set_body has the body of the client');
is($weir->get('/')->body, '200', 'a text knows its status');
like($weir->get('/moved')->field('Location'), qr{/x\?301$}, 'a redirect too');

my $two = $weir->client;
$two->write("GET /?n=a HTTP/1.1\r\nHost: a\r\n\r\nGET /?n=b HTTP/1.1\r\nHost: a\r\n\r\n");
$two->answer for 1 .. 2;
$two->write("GET /?n=c HTTP/1.1\r\n$end\r\n");
$two->answer;
is($weir->wait_log(qr/^$_->[0]\|\d+\|-\|(.)/m, 'read.log'), $_->[1], "\$pipe: $_->[0]") for [ a => '.' ], [ b => 'p' ], [ c => '.' ];

like(logged("GET /?n=N HTTP/1.2\r\n$end\r\n"), qr/\|HTTP\/1\.2\|/, 'the protocol as sent');
like(logged("GET /\x01?n=N HTTP/1.1\r\n$end\r\n"), qr/\|GET \/\\x01\?n=$n HTTP\/1\.1\|400$/, 'a line that is no good, whole');

for my $name (qw(Authorization If-Match If-None-Match If-Modified-Since If-Unmodified-Since If-Range Host)) {
    is($weir->get('/', host => undef, fields => [ "Host: a", "$name: \"a\"", "$name: \"b\"" ])->status, 400, "$name twice");
}
is($weir->get('/', fields => [ 'Accept: a', 'Accept: b', 'Cookie: a', 'Cookie: b' ])->status, 200, 'lists may come in parts');

done_testing;
