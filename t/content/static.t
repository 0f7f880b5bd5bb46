#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Files: types, lengths, entity tags, sizes from none to many megabytes, unreadable ones.

use lib 't/lib';
use Weir;

my $big = join '', map { chr($_ * 7 % 251) } 1 .. 3_000_000;
my $weir = Weir->new(
    files => {
        'html/empty.html' => '',
        'html/a.html'     => '<p>',
        'html/A.HTML'     => '<P>',
        'html/noext'      => 'n',
        'html/.html'      => 'hidden',
        'html/x.y/z'      => 'z',
        'html/p.gif'      => 'gif',
        'html/p.png'      => 'png',
        'html/4096'       => 'x' x 4096,
        'html/64k'        => 'y' x 65536,
        'html/big'        => $big,
    },
    http   => 'types { text/html html; image/x-gif gif; }',
    server => <<'CONF',
        location /inner/ { types { text/x-inner html; } alias %dir%/html/; }
        location /none/  { types { } default_type application/x-none; alias %dir%/html/; }
        location /noetag/ { etag off; alias %dir%/html/; }
        location /sendfile/ { sendfile on; alias %dir%/html/; }
        location /cached/ { open_file_cache max=10; open_file_cache_min_uses 1; alias %dir%/html/; }
        location /quiet/ { log_not_found off; }
        location /symlinks/ { disable_symlinks on; alias %dir%/html/; }
CONF
);

my %types = (
    '/a.html' => 'text/html', '/A.HTML' => 'text/html', '/noext' => 'text/plain', '/.html' => 'text/plain',
    '/x.y/z'  => 'text/plain', '/p.gif' => 'image/x-gif', '/p.png' => 'text/plain',
    '/inner/a.html' => 'text/x-inner', '/inner/p.gif' => 'text/plain', '/none/a.html' => 'application/x-none',
);
is($weir->get($_)->field('Content-Type'), $types{$_}, "type of $_") for sort keys %types;

for my $where ('', '/sendfile', '/cached') {
    for my $file (qw(empty.html a.html 4096 64k big)) {
        my $want = $weir->read_file("html/$file");
        for my $time (1, 2) {
            my $answer = $weir->get("$where/$file");
            is($answer->status, 200, "$where/$file: status");
            is($answer->field('Content-Length'), length $want, "$where/$file: length");
            ok($answer->body eq $want, "$where/$file: body, time $time");
        }
        my $head = $weir->head("$where/$file");
        is($head->field('Content-Length'), length $want, "$where/$file: length of HEAD");
        is($head->body, '', "$where/$file: no body of HEAD");
    }
}

my @stat = stat $weir->dir . '/html/a.html';
is($weir->get('/a.html')->field('ETag'), sprintf('"%x-%x"', $stat[9], $stat[7]), 'ETag');
is($weir->get('/noetag/a.html')->field('ETag'), undef, 'etag off');
like($weir->get('/a.html')->field('Last-Modified'), qr/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/, 'Last-Modified');

$weir->get('/quiet/missing');
$weir->get('/missing');
$weir->wait_log(qr{open\(\) "[^"]*/html/missing" failed \(2: No such file or directory\), client: 127.0.0.1});
unlike($weir->error_log, qr{quiet/missing}, 'log_not_found off');

symlink 'a.html', $weir->dir . '/html/link.html';
is($weir->get('/link.html')->body,            '<p>', 'a link');
is($weir->get('/symlinks/link.html')->status, 403,   'disable_symlinks');

SKIP: {
    skip 'root reads everything', 1 if $> == 0;
    chmod 0, $weir->dir . '/html/noext';
    is($weir->get('/noext')->status, 403, 'an unreadable file');
}
is($weir->get('/' . 'x' x 300)->status, 404, 'a name that is too long');

done_testing;
