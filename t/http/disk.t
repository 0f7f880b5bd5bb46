#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Directories for temporary files that are gone: a request body that needs one is refused, a response is given all the same.

use lib 't/lib';
use Weir;

my $piece  = join '', map { sprintf "%07d\n", $_ } 0 .. 1_249;    # 10 kB
my $origin = Origin->new('*' => { body => 'small' }, '/big' => { chunks => [ ($piece) x 300 ] });
my $weir   = Weir->new(
    allow  => qr/\[crit\].* a temporary file in /,
    http   => 'client_max_body_size 10m; sendfile on;',
    # or the system takes megabytes for a client that does not read
    server => "listen 127.0.0.1:%port0% sndbuf=32k; "
      . "location / { client_body_buffer_size 1k; proxy_pass $origin->{url}; proxy_buffers 4 4k; }"
      . "location /only/ { client_body_in_file_only on; proxy_pass $origin->{url}; }",
);

# With the directories all is well.
is($weir->post('/', 'y' x 100_000)->body, 'small', 'a body in a file');
is(length(($origin->requests)[0]{body}), 100_000, 'arrives whole');
my $slow = $weir->client(0, rcvbuf => 4096);
$slow->send_request('GET', '/big', close => 1);
$origin->wait_requests(1, '/big');
ok($slow->answer->body eq $piece x 300, 'a slow client gets a large response');

for my $name (qw(client_body_temp proxy_temp)) {
    ok(rmdir($weir->dir . "/$name"), "$name is empty, and goes");
}
is($weir->post('/', 'y' x 100)->body, 'small', 'a body in memory');
is($weir->post('/', 'y' x 100_000)->status, 500, 'one that needs a file');
my $early = $weir->client;
$early->write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" . 'y' x 200_000);
my $refusal = $early->answer;
is($refusal && $refusal->status, 500, 'and nobody waits for the rest of it');
is($weir->post('/only/', 'y')->status, 500, 'one that has to be in a file');
ok($weir->wait_log(qr/creating a temporary file in "[^"]*client_body_temp" failed/), 'is logged');

my @slow = map { $weir->client(0, rcvbuf => 4096) } 1 .. 3;
$origin->forget;
$_->send_request('GET', '/big', close => 1) for @slow;
$origin->wait_requests(3, '/big');
ok($weir->wait_log(qr/creating a temporary file in "[^"]*proxy_temp" failed/), 'responses miss theirs');
ok($_->answer->body eq $piece x 300, 'and are given whole') for @slow;
is($weir->get('/')->body, 'small', 'the worker goes on');

# A file that grows beyond the limit of the process is a failed write, not the end of the worker.
sub limit_files ($soft) { return system("prlimit --pid $$ --fsize=$soft:unlimited") == 0 }
ok(limit_files(8_000_000), 'files have a limit');
my $limited = Weir->new(
    allow  => qr/\[crit\].* a temporary file in /,
    http   => 'client_max_body_size 10m;',
    server => "location / { client_body_buffer_size 1k; proxy_pass $origin->{url}; }",
);
ok(limit_files('unlimited'), 'and the test itself has none again');
my ($worker) = $limited->workers;
is($limited->post('/', 'y' x 9_000_000)->status, 500, 'a file that is too large');
is($limited->post('/', 'y' x 100)->body, 'small', 'the next request');
is(($limited->workers)[0], $worker, 'has the same worker');

done_testing;
