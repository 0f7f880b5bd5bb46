#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Ways to read a file: sendfile, copies, aio threads, directio, open_file_cache.

use lib 't/lib';
use Weir;

my %file = (
    'small.txt' => "0123456789\n",
    'page.txt'  => join('', map { sprintf "%07d\n", $_ } 0 .. 1_999),      # 16 kB
    'big.txt'   => join('', map { sprintf "%07d\n", $_ } 0 .. 399_999),    # 3.2 MB
    'empty.txt' => '',
);
my %way = (
    sendfile => 'sendfile on;',
    copies   => 'sendfile off;',
    threads  => 'sendfile on; aio threads;',
    reads    => 'sendfile off; aio threads;',
    direct   => 'directio 4k;',
    slow     => 'directio 4k; aio threads;',
    cached   => 'open_file_cache max=10 inactive=1h; open_file_cache_valid 1h;',
    rare     => 'open_file_cache max=10; open_file_cache_min_uses 3;',
    steps    => 'sendfile on; sendfile_max_chunk 64k; aio threads;',
);
my $weir = Weir->new(
    files  => { map { ("html/$_" => $file{$_}) } keys %file },
    server => join "\n", map { "location /$_/ { alias %dir%/html/; $way{$_} }" } sort keys %way,
);
utime 1700000000, 1700000000, glob $weir->dir . '/html/*';

for my $way (sort keys %way) {
    for my $name (sort keys %file) {
        my $size = length $file{$name};
        for my $round (1 .. 3) {
            my $answer = $weir->get("/$way/$name");
            ok($answer && $answer->status == 200 && $answer->body eq $file{$name}, "$way: $name, $round");
        }
        next unless $size;
        for my $range ([ 0, 1 ], [ $size - 1, 1 ], [ int($size / 3), int($size / 2) ]) {
            my ($at, $len) = @$range;
            my $end    = $at + $len - 1;
            my $answer = $weir->get("/$way/$name", fields => ["Range: bytes=$at-$end"]);
            ok($answer && $answer->status == 206 && $answer->body eq substr($file{$name}, $at, $len), "$way: $name, $at-$end");
        }
        is($weir->head("/$way/$name")->field('Content-Length'), $size, "$way: HEAD $name");
    }
    my $client = $weir->client;
    $client->send_request('GET', "/$way/$_") for qw(small.txt page.txt empty.txt page.txt small.txt);
    ok($client->answer->body eq $file{$_}, "$way: $_, pipelined") for qw(small.txt page.txt empty.txt page.txt small.txt);
}

# Clients that stop in the middle leave nothing behind (the end of the test looks).
for my $way (qw(threads reads slow)) {
    for (1 .. 5) {
        my $client = $weir->client(0, rcvbuf => 4096);
        $client->send_request('GET', "/$way/big.txt");
        $client->read_bytes(1000);
        $client->reset;
    }
}

# `aio threads=` reads in the threads of that pool, which have its name: files that have yet to reach the disk.
sub threads_of ($pid) { map { open my $fh, '<', $_ or (); $fh ? <$fh> =~ s/\n//r : () } glob "/proc/$pid/task/*/comm" }

$weir = Weir->new(
    main   => 'thread_pool slow threads=2; thread_pool other threads=1 max_queue=10;',
    files  => { 'html/big.txt' => $file{'big.txt'}, 'html/new.txt' => $file{'big.txt'} },
    server => <<'CONF',
        location /named/ { aio threads=slow; directio 1; alias %dir%/html/; }
        location /asked/ { set $disk other; aio threads=$disk; directio 1; alias %dir%/html/; }
        location /none/  { set $disk none; aio threads=$disk; alias %dir%/html/; }
CONF
);
my ($worker) = $weir->workers;
ok(!grep(/^(?:slow|other)$/, threads_of($worker)), 'no thread before there is work');
ok($weir->get('/named/big.txt')->body eq $file{'big.txt'}, 'aio threads=name');
ok(scalar(grep { $_ eq 'slow' } threads_of($worker)), 'in a thread of that pool');
ok(!grep(/^other$/, threads_of($worker)), 'and of no other');
ok($weir->get('/asked/new.txt')->body eq $file{'big.txt'}, 'a name with variables');
ok(scalar(grep { $_ eq 'other' } threads_of($worker)), 'in that pool');
is($weir->get('/none/big.txt')->status, 500, 'a pool that does not exist');
like($weir->error_log, qr/thread pool "none" not found/, 'said');
for (
    [ 'aio threads=missing;', '',                                         qr/unknown thread pool "missing" in / ],
    [ '',                     'thread_pool a threads=1; thread_pool a threads=2;', qr/duplicate thread pool "a" in / ],
    [ '',                     'thread_pool a max_queue=1;',               qr/thread pool "a" has no "threads" in / ],
    [ '',                     'thread_pool a threads=0;',                 qr/invalid value "threads=0" in / ],
  )
{
    my ($server, $main, $message) = @$_;
    like((Weir->new(server => $server, main => $main, start => 0)->run_weir('-t'))[1], $message, "$main$server");
}

# What is cached stays as it was while it is valid, and is looked at again later.
$weir = Weir->new(
    files  => { 'html/a.txt' => 'first', 'html/gone.txt' => 'here' },
    server => <<'CONF',
        location /long/  { alias %dir%/html/; open_file_cache max=10; open_file_cache_valid 1h; open_file_cache_errors on; }
        location /short/ { alias %dir%/html/; open_file_cache max=10; open_file_cache_valid 0; }
CONF
);
is($weir->get("/$_/a.txt")->body, 'first', "$_: a file") for qw(long short);
is($weir->get("/$_/missing.txt")->status, 404, "$_: none") for qw(long short);
is($weir->get("/$_/gone.txt")->body, 'here', "$_: another") for qw(long short);
$weir->write_file('html/new.txt', 'second');
rename $weir->dir . '/html/new.txt', $weir->dir . '/html/a.txt';
$weir->write_file('html/missing.txt', 'found');
unlink $weir->dir . '/html/gone.txt';
is($weir->get('/long/a.txt')->body,          'first',  'long: as it was');
is($weir->get('/long/missing.txt')->status,  404,      'long: an error too');
is($weir->get('/long/gone.txt')->body,       'here',   'long: and what is deleted');
is($weir->get('/short/a.txt')->body,         'second', 'short: as it is');
is($weir->get('/short/missing.txt')->body,   'found',  'short: found now');
is($weir->get('/short/gone.txt')->status,    404,      'short: gone');

done_testing;
