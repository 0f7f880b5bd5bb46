#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Parts of a file: Range, If-Range, max_ranges, several parts, 416; compared with nginx.

use lib 't/lib';
use Nginx;
use Weir;

my $big = join '', map { sprintf "%07d\n", $_ } 0 .. 99_999;    # 800 kB
my ($weir, $nginx) = Nginx->beside(
    files  => { 'html/a.txt' => '0123456789abcdefghijklmnopqrstuvwxyz', 'html/empty.txt' => '', 'html/big.txt' => $big },
    http   => 'default_type text/plain;',
    server => <<'CONF',
        location /none/   { alias %dir%/html/; max_ranges 0; }
        location /one/    { alias %dir%/html/; max_ranges 1; }
        location /two/    { alias %dir%/html/; max_ranges 2; }
        location /copied/ { alias %dir%/html/; sendfile off; }
        location /return  { return 200 0123456789; }
        location /error/  { error_page 404 /a.txt; }
        location /error2/ { error_page 404 =200 /a.txt; }
        location /rescue/ { error_page 404 = /a.txt; }
CONF
);

my @ranges = (
    'bytes=0-9', 'bytes=0-0', 'bytes=35-', 'bytes=10-', 'bytes=-5', 'bytes=-36', 'bytes=-100', 'bytes=0-100',
    'bytes=0-35', 'bytes=36-', 'bytes=36-40', 'bytes=-0', 'bytes=5-2', 'bytes=a-b', 'bytes=', 'bytes=-', 'bytes=5',
    'bytes= 0 - 9', 'BYTES=1-2', 'chars=1-2', 'bytes 1-2', 'bytes=1-2;',
    'bytes=0-1,4-5', 'bytes=0-1, 4-5, -2', 'bytes=0-1 , 40-50', 'bytes=40-50,50-60', 'bytes=0-9,5-14', 'bytes=0-35,0-35',
    'bytes=20-21,4-5', 'bytes=-1,0-0', 'bytes=30-,0-3,10-12', 'bytes=0-20,20-40', 'bytes=18446744073709551615-',
    'bytes=0-18446744073709551615', 'bytes=99999999999999999999-', 'bytes=0-99999999999999999999',
    'bytes=9223372036854775807-', 'bytes=0-9223372036854775807',
);
for my $range (@ranges) {
    Nginx::same($weir, $nginx, "Range: $range", 'GET', '/a.txt', fields => ["Range: $range"]);
}
for my $path (qw(none one two copied error error2 rescue)) {
    for my $range ('bytes=0-9', 'bytes=0-1,4-5', 'bytes=0-1,4-5,8-9') {
        Nginx::same($weir, $nginx, "$path, $range", 'GET', "/$path/a.txt", fields => ["Range: $range"]);
    }
}
for my $path ('/none/a.txt', '/return', '/empty.txt') {
    Nginx::same($weir, $nginx, "no range of $path", 'GET', $path);
    Nginx::same($weir, $nginx, "a range of $path",  'GET', $path, fields => ['Range: bytes=0-9']);
}
for my $range ('bytes=0-9', 'bytes=0-1,4-5', 'bytes=50-') {
    Nginx::same($weir, $nginx, "HEAD, $range", 'HEAD', '/a.txt', fields => ["Range: $range"]) unless $range =~ /50/;
    Nginx::same($weir, $nginx, "HTTP/1.0, $range", 'GET', '/a.txt', raw => "GET /a.txt HTTP/1.0\r\nRange: $range\r\n\r\n");
}

is($weir->request('HEAD', '/a.txt', fields => ['Range: bytes=50-'])->status, 416, 'HEAD, behind the end');
is($weir->get('/a.txt', fields => ["Range: $_"])->body, '0123456789', "$_: empty elements (RFC 9110, 5.6.1.2)")
  for 'bytes=0-9,', 'bytes=,0-9', 'bytes=0-9, ,';
is($weir->get('/a.txt', fields => ['Range: bytes=-18446744073709551615'])->status, 206, 'a suffix longer than all');

my $etag = $weir->get('/a.txt')->field('ETag');
is($etag, $nginx->get('/a.txt')->field('ETag'), 'the same entity tag');
my $date = 'Tue, 14 Nov 2023 22:13:20 GMT';
is($weir->get('/a.txt')->field('Last-Modified'), $date, 'the date of the file');
for my $if ($etag, "W/$etag", '"other"', $date, 'Tue, 14 Nov 2023 22:13:19 GMT', 'Tue, 14 Nov 2023 22:13:21 GMT', 'x', '*') {
    Nginx::same($weir, $nginx, "If-Range: $if", 'GET', '/a.txt', fields => [ 'Range: bytes=0-9', "If-Range: $if" ]);
}

for my $path ('/big.txt', '/copied/big.txt') {
    for my $range ('bytes=799990-', 'bytes=1-700000', 'bytes=100000-300000,400000-600000', 'bytes=600000-700000,1-100,-5') {
        Nginx::same($weir, $nginx, "$path, $range", 'GET', $path, fields => ["Range: $range"]);
    }
}

# A body that comes once is cut on its way: ranges that ascend.
my $origin = Origin->new('*' => { body => $big, fields => ['ETag: "o"'] });
my $proxy  = Weir->new(location => "proxy_pass $origin->{url}; proxy_force_ranges on;");
my @cuts   = (
    [ 'bytes=0-9',                         [ 0,       10 ] ],
    [ 'bytes=799999-',                     [ 799_999, 1 ] ],
    [ 'bytes=123456-654321',               [ 123_456, 530_866 ] ],
    [ 'bytes=0-0,1-1,100-199,700000-',     [ 0, 1 ], [ 1, 1 ], [ 100, 100 ], [ 700_000, 100_000 ] ],
    [ 'bytes=65530-65540,65541-131080,-3', [ 65_530, 11 ], [ 65_541, 65_540 ], [ 799_997, 3 ] ],
);
for my $cut (@cuts) {
    my ($range, @parts) = @$cut;
    my $answer = $proxy->get('/', fields => ["Range: $range"]);
    is($answer->status, 206, "proxied, $range");
    my $want = substr $big, $parts[0][0], $parts[0][1];
    if (@parts > 1) {
        my ($boundary) = $answer->field('Content-Type') =~ /boundary=(\d+)/;
        $want = join '', (map {
            my ($at, $len) = @$_;
            my $end = $at + $len - 1;
            "\r\n--$boundary\r\nContent-Range: bytes $at-$end/800000\r\n\r\n" . substr $big, $at, $len;
        } @parts), "\r\n--$boundary--\r\n";
    }
    ok($answer->body eq $want, "its bytes: $range");
    is($answer->field('Content-Length'), length $want, "its length: $range");
}
my $whole = $proxy->get('/', fields => ['Range: bytes=50-60,10-20']);
is($whole->status, 200, 'proxied, not in order: the whole');
ok($whole->body eq $big, 'and all of it');

# An origin that ends early is seen as such.
my $short = Origin->new('*' => { body => '0123456789', length => 20, cut => 1 });
$proxy = Weir->new(location => "proxy_pass $short->{url}; proxy_force_ranges on;");
my $cut = $proxy->get('/', fields => ['Range: bytes=5-14']);
is($cut->status, 206, 'a part of a body that ends early');
is($cut->body,   '56789', 'what came of it');
ok(!$cut->complete, 'is not complete');

done_testing;
