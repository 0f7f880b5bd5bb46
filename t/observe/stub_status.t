#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# stub_status has nginx's form, and counts.

use lib 't/lib';
use Weir;

my $weir = Weir->new(workers => 2, server => <<'CONF');
    location = /status { stub_status; }
    location = /vars   { return 200 "$connections_active $connections_reading $connections_writing $connections_waiting"; }
    location = /x      { return 204; }
CONF

my $form = qr/\AActive connections: (\d+) \nserver accepts handled requests\n (\d+) (\d+) (\d+) \nReading: (\d+) Writing: (\d+) Waiting: (\d+) \n\z/;

my $answer = $weir->get('/status');
is($answer->field('Content-Type'), 'text/plain', 'type');
like($answer->body, $form, 'form');
my ($active, $accepts, $handled, $requests, $reading, $writing, $waiting) = $answer->body =~ $form;
is("$active $reading $writing $waiting", '1 0 1 0', 'this request alone');
is($accepts, $handled, 'accepted ones are handled');

my @idle = map {
    my $client = $weir->client;
    $client->send_request('GET', '/x');
    $client->answer;
    $client;
} 1 .. 5;
my @after = ();
wait_for(sub { @after = $weir->get('/status')->body =~ $form; $after[6] == 5 }, 'five idle connections');
is($after[0], 6, 'active');
is($after[5], 1, 'writing');
cmp_ok($after[3] - $requests, '>=', 6, 'requests');
is($weir->get('/vars')->body, '6 0 1 5', 'as variables');
is($weir->post('/status', 'x')->status, 405, 'POST');

done_testing;
