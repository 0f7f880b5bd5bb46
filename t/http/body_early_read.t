#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# client_body_early_read: the body is there before the location is looked for.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'origin' });
my $weir   = Weir->new(
    http => 'map $request_body $tool { "~\"name\": ?\"(\w+)" $1; } client_body_buffer_size 16k;',
    server => <<CONF);
    client_body_early_read \$http_x_early \$arg_early;
    client_max_body_size 100k;
    if (\$tool = weather) { return 200 "weather"; }
    location / { proxy_pass $origin->{url}; proxy_request_buffering off; }
    location /small { client_max_body_size 1; return 200 small; }
CONF
my $body = '{"method": "call", "name": "weather"}';
my %early = (fields => ['X-Early: 1']);
is($weir->post('/', $body, %early)->body, 'weather', 'a decision by the body');
is($weir->post('/?early=y', $body)->body, 'weather', 'any of the strings');
is($weir->post('/', $body)->body, 'origin', 'none of them');
is($weir->post('/?early=0', $body)->body, 'origin', '"0" is none');
is($weir->post('/', '{"name": "other"}', %early)->body, 'origin', 'another body');
is($origin->last_request->{body}, '{"name": "other"}', 'goes to the origin as it is');
is($weir->get('/', %early)->body, 'origin', 'without a body');
is($weir->post('/', 'x' x 90_000, %early)->body, 'origin', 'a large one');
is(length $origin->last_request->{body}, 90_000, 'goes there too');
is($weir->post('/small', 'x' x 200_000, %early)->status, 413, 'client_max_body_size of the server');
is($weir->post('/small', 'x' x 1000, %early)->body, 'small', 'not that of the location');
my $client = $weir->client;
$client->write("POST / HTTP/1.1\r\nHost: a\r\nX-Early: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
$client->write(sprintf "%x\r\n%s\r\n", length $_, $_) for $body =~ /(.{1,7})/g;
$client->write("0\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n");
is($client->answer->body, 'weather', 'in chunks, as they come');
is($client->answer->body, 'small', 'and the next request');
done_testing;
