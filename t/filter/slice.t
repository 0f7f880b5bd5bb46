#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# slice: a response is whole and right or it is cut off; what an origin gets wrong, filters over slices, memory, clients that go.

use lib 't/lib';
use Weir;

my $data = join '', map { sprintf "%07d\n", $_ } 0 .. 999;    # 8000 bytes

# An origin that answers ranges; what it does to the second and later slices is `how`.
sub ranged ($request, %how) {
    my $range  = Origin::field($request, 'Range') // '';
    my $later  = $range !~ /=0-/;
    my @fields = ($how{etag} && $later ? 'ETag: "other"' : 'ETag: "e"', 'Content-Type: text/plain');
    my $length = length $data;
    return { body => $data, fields => \@fields } unless $range =~ /^bytes=(\d+)-(\d+)$/;
    my ($from, $to) = ($1, $2 < $length ? $2 : $length - 1);
    my $told = $how{told} && ($later || $how{first}) ? $how{told}->($from, $to, $length) : "bytes $from-$to/$length";
    my %part = (status => 206, body => substr($data, $from, $to - $from + 1), fields => [ @fields, defined $told ? "Content-Range: $told" : () ]);
    return { %part, $later ? %{ $how{part} // {} } : () };
}
my %how = (
    right  => {}, etag => { etag => 1 }, status => { part => { status => 200 } }, error => { part => { status => 500 } }, gone => { part => { drop => 1 } },
    cut    => { part => { body => 'x' x 500, length => 1000, cut => 1 } }, short => { part => { body => 'x' x 500 } }, long => { part => { body => 'x' x 1500 } },
    shift  => { told => sub ($f, $t, $l) { sprintf 'bytes %d-%d/%d', $f + 1, $t + 1, $l } },
    less   => { told => sub ($f, $t, $l) { sprintf 'bytes %d-%d/%d', $f, $t - 1, $l } },
    length => { told => sub ($f, $t, $l) { sprintf 'bytes %d-%d/%d', $f, $t, $l + 50 } },
    huge   => { told => sub ($f, $t, $l) { 'bytes 0-18446744073709551615/18446744073709551615' } },
    star   => { told => sub ($f, $t, $l) { "bytes $f-$t/*" } }, none => { told => sub ($f, $t, $l) { undef } }, other => { told => sub ($f, $t, $l) { "items $f-$t/$l" } },
);
my %paths  = map { my $how = $how{$_}; ("/$_" => sub ($r) { ranged($r, %$how) }, "/first-$_" => sub ($r) { ranged($r, %$how, first => 1) }) } keys %how;
my $origin = Origin->new(%paths);
my $conf   = <<CONF;
    location /s/   { slice 1000; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; }
    location /u/   { slice 1000; proxy_buffering off; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; }
    location /7/   { slice 7; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; }
    location /sub/ { slice 1001; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; sub_filter_types *; sub_filter 5 five; sub_filter_once off; }
    location /cs/  { slice 1001; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; charset b; source_charset a; }
    location /add/ { slice 1001; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; addition_types *; add_before_body /text; add_after_body /text; }
    location /text { return 200 text; }
CONF
my $weir = Weir->new(
    http   => 'log_format s "$uri $status $bytes_sent"; access_log %dir%/s.log s; charset_map a b { 31 32; }',
    server => $conf,
    allow  => qr/slice|upstream/,
);

for my $place (qw(s u)) {
    is($weir->get("/$place/right")->body, $data, "/$place: the whole");
    for my $name (sort grep { $_ ne 'right' } keys %how) {
        my $answer = $weir->get("/$place/$name");
        is($answer->status, 200, "$name: the first slice was good");
        ok(!$answer->complete && index($data, substr $answer->body, 0, 1000) == 0 && length $answer->body < 2000, "$name: the response is cut off");
    }
    is($weir->get("/$place/first-$_")->status, 502, "$_ at first: 502") for qw(shift less huge star none other);
}
ok($weir->wait_log(qr/$_/), "logged: $_")
  for 'etag mismatch in slice response', 'unexpected status code 500 in slice response', 'unexpected range in slice response: 1001-2000',
  'no complete length in slice response', 'invalid range in slice response', 'unexpected length in slice response: 8050', 'not as long as its range';
is($weir->get('/7/right')->body, $data, 'very small slices');

# Ranges: only the slices that are needed.
for my $range ('0-0', '999-1000', '2500-4100', '7999-', '-1', '-1500', '0-7999') {
    $origin->forget;
    my $answer = $weir->get('/s/right', fields => ["Range: bytes=$range"]);
    my ($from, $to) = $range =~ /^-(\d+)/ ? (8000 - $1, 7999) : $range =~ /^(\d+)-$/ ? ($1, 7999) : split /-/, $range;
    is($answer->status, 206, "$range: 206");
    is($answer->body, substr($data, $from, $to - $from + 1), "$range: its bytes");
    cmp_ok(scalar($origin->requests), '<=', int($to / 1000) - int($from / 1000) + ($range =~ /^-/ ? 2 : 1), "$range: no more slices than it takes");
}

# What changes the body does it once, over the borders of slices; a range of what keeps its length is right too.
is($weir->get('/sub/right')->body, $data =~ s/5/five/gr, 'sub_filter');
is($weir->get('/sub/right', fields => ['Range: bytes=3000-3010'])->body, $data =~ s/5/five/gr, 'sub_filter and a range');
is($weir->get('/cs/right')->body, $data =~ tr/1/2/r, 'charset');
is($weir->get('/cs/right', fields => ['Range: bytes=3000-3010'])->body, substr($data =~ tr/1/2/r, 3000, 11), 'charset and a range');
is($weir->get('/add/right')->body, "text${data}text", 'additions');

# One line in the log, and a client that goes ends it.
$origin->hold('/right');
my $client = $weir->client;
$client->send_request('GET', '/s/right?gone');
$origin->wait_requests(1);
$client->reset;
ok($weir->wait_log(qr{^/s/right 499 }m, 's.log'), 'a client that has gone');
$origin->release('/right');
is(scalar(() = $weir->read_file('s.log') =~ m{^/7/right 200 }mg), 1, 'one line in the access log');

# A large response in many slices takes little memory.
my $size  = $ENV{WEIR_SANITIZE} ? 2_000_000 : 15_000_000;
my $large = Origin->new(
    '*' => sub ($r) {
        my ($from, $to) = Origin::field($r, 'Range') =~ /(\d+)-(\d+)/;
        $to = $size - 1 if $to >= $size;
        return { status => 206, body => 'x' x ($to - $from + 1), fields => ["Content-Range: bytes $from-$to/$size"] };
    }
);
$weir = Weir->new(server => "slice 100k; location / { proxy_pass $large->{url}; proxy_set_header Range \$slice_range; }");
$weir->get('/', fields => ['Range: bytes=0-100000']);
sub resident () {
    my ($status) = map { local (@ARGV, $/) = "/proc/$_/status"; <> } $weir->workers;
    return $status =~ /^VmRSS:\s*(\d+) kB/m ? $1 : die 'no VmRSS';
}
my $before = resident();
is(length $weir->get('/')->body, $size, 'a large response');
cmp_ok(resident() - $before, '<', 8192, 'in less than 8 MB') unless $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND};

done_testing;
