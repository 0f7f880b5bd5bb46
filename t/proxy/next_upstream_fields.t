#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# A response that is given up for another origin's leaves nothing behind in it.

use lib 't/lib';
use Weir;

my $bad  = Origin->new(
    '/line'  => { raw => "HTTP/1.1 200 OK\r\nX-First: a\r\nContent-Length: 3\r\nno colon\r\n\r\nabc" },
    '/101'   => { raw => "HTTP/1.1 101 Switching Protocols\r\nX-First: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" },
    '/chunk' => { raw => "HTTP/1.1 200 OK\r\nX-First: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" },
);
my $good = Origin->new('*' => { body => 'good', fields => ['X-Second: b'] });
my $weir = Weir->new(
    allow => qr/\[error\]|\[warn\]/,
    http => "upstream u { server $bad->{address} max_fails=0; server $good->{address} max_fails=0; }",
    server => "location / { proxy_pass http://u; proxy_next_upstream error timeout invalid_header; }",
);
for my $path (qw(/line /101 /chunk)) {
    for (1 .. 2) {
        my $a = $weir->get($path);
        is($a->status, 200, "$path: answered by the other");
        is($a->body, 'good', 'with its body');
        is($a->field('X-First'), undef, 'and its fields alone');
        is($a->field('X-Second'), 'b', 'and its fields');
    }
}
done_testing;
