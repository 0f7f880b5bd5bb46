#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# post_action: a request to another location when an answer is through.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'counted' });
my $weir   = Weir->new(files => { 'html/a.txt' => 'a file' }, server => <<CONF);
    location / { post_action /done; }
    location /done { internal; post_action /done; proxy_pass $origin->{url}/count?uri=\$request_uri&status=\$status&sent=\$body_bytes_sent&client=\$remote_addr; }
    location /if { if (\$arg_x) { post_action /done; } return 200 if; }
    location /off { post_action off; return 200 off; }
CONF
is($weir->get('/a.txt?q=1')->body, 'a file', 'the answer');
my ($asked) = $origin->wait_requests(1);
is($asked->{target}, '/count?uri=/a.txt?q=1&status=200&sent=6&client=127.0.0.1', 'then the action, with what is known of the request');
is($asked->{method}, 'GET', 'by GET');
$weir->post('/none', 'body');
($asked) = ($origin->wait_requests(2))[1];
like($asked->{target}, qr{^/count\?uri=/none&status=404}, 'whatever came of it');
is($asked->{body}, '', 'without its body');
my $client = $weir->client;
$client->send_request('GET', '/a.txt') for 1 .. 20;
is($client->answer->body, 'a file', 'one connection') for 1 .. 20;
$origin->wait_requests(22);
is($weir->get('/off')->body, 'off', 'off');
is($weir->get('/if')->body,  'if',  'not in if');
$weir->get('/a.txt');
is(scalar $origin->wait_requests(23), 23, 'no more and no less');
like((Weir->new(server => 'post_action x;', start => 0)->run_weir('-t'))[1], qr/invalid URI "x" in /, 'no path');
done_testing;
