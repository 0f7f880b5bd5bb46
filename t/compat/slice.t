#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# slice: what the client gets of a large response and what the origin is asked for, as nginx has it.

use lib 't/lib';
use Nginx;
use Weir;

my $data = join '', map { chr(97 + $_ % 26) } 0 .. 99;

# An origin that answers ranges, right or wrong from the second slice on.
sub ranged ($request, %how) {
    my $range  = Origin::field($request, 'Range') // '';
    my $etag   = $how{other} && $range !~ /=0-/ ? '"e2"' : '"e1"';
    my @fields = ($how{untagged} ? () : "ETag: $etag", 'Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT', 'Content-Type: text/plain');
    my $length = length $data;
    return { body => $data, fields => \@fields } unless $range =~ /^bytes=(\d+)-(\d+)$/;
    my ($from, $to) = ($1, $2 < $length ? $2 : $length - 1);
    return { status => 416, body => '416', fields => ["Content-Range: bytes */$length"] } if $from >= $length;
    return { status => 206, reason => 'Partial Content', body => substr($data, $from, $to - $from + 1), fields => [ @fields, "Content-Range: bytes $from-$to/$length" ] };
}
my $origin = Origin->new(
    '/f'        => sub ($r) { ranged($r) },
    '/untagged' => sub ($r) { ranged($r, untagged => 1) },
    '/plain'    => { body => $data, fields => ['ETag: "p"'] },
    '/ignores'  => { body => $data, fields => [ 'Accept-Ranges: bytes', 'ETag: "p"' ] },
    '/404'      => { status => 404, body => 'nothing' },
    '/302'      => { status => 302, fields => ['Location: http://other.test/'] },
);
my $proxy = "proxy_http_version 1.1; proxy_set_header Connection '';";
my ($weir, $nginx) = Nginx->beside(
    files  => { 'html/i.html' => '[<!--# include virtual="/s/f" -->]' },
    http   => 'types { text/html html; }',
    server => <<CONF,
        location /s/     { slice 30; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; $proxy }
        location /exact/ { slice 25; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; $proxy }
        location /large/ { slice 1k; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; $proxy }
        location /u/     { slice 30; proxy_buffering off; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; $proxy }
        location /not/   { slice 30; proxy_pass $origin->{url}/; $proxy }
        location /off/   { slice 0; proxy_pass $origin->{url}/; proxy_set_header X-Slice "[\$slice_range]"; $proxy }
        location /one/   { slice 30; max_ranges 1; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; $proxy }
        location /add/   { slice 30; proxy_pass $origin->{url}/; proxy_set_header Range \$slice_range; $proxy add_header X-Slice \$slice_range; }
        location ~ ^/re/(.*) { slice 30; rewrite ^/re/(.*) /\$1 break; proxy_pass $origin->{url}; proxy_set_header Range \$slice_range; $proxy }
        location / { ssi on; }
CONF
    allow => qr/upstream/,
);

sub both ($what, $path, @fields) {
    my @got;
    for my $server ($weir, $nginx) {
        $origin->forget;
        my $answer = Nginx::plain($server, $server->get($path, fields => \@fields));
        push @got, join "\n", $answer, map { "$_->{target} " . (Origin::field($_, 'Range') // '-') . ' ' . (Origin::field($_, 'X-Slice') // '') } $origin->requests;
    }
    is($got[0], $got[1], $what);
}
for my $place (qw(s exact large u not off one add re)) {
    both("/$place: the whole", "/$place/f");
    both("/$place: a range $_", "/$place/f", "Range: bytes=$_")
      for qw(0-9 40-50 25-35 90- -5 -1000 200- 99-99 0-99 10- 95-200 0-29 30-59), $place eq 'not' || $place eq 'off' ? () : ('0-0,50-52', '50-52,0-0');
}
both("a range $_", '/s/f', "Range: bytes=$_") for qw(x 5-3);
both("/s/$_", "/s/$_") for qw(untagged plain ignores 404 302);
both("/s/$_, a range", "/s/$_", 'Range: bytes=40-50') for qw(untagged plain ignores 404 302);
both("If-Range: $_", '/s/f', 'Range: bytes=40-50', "If-Range: $_") for '"e1"', '"e2"', 'Tue, 14 Nov 2023 22:13:20 GMT';
both('If-None-Match', '/s/f', 'If-None-Match: "e1"');
both('another unit', '/s/f', 'Range: items=40-50');
both('in a page', '/i.html');
Nginx::same($weir, $nginx, 'HTTP/1.0', 'GET', '/s/f', version => '1.0');
my ($ours, $its) = map { $_->head('/s/f') } $weir, $nginx;
is($ours->field($_), $its->field($_), "HEAD: $_") for qw(Content-Length Content-Type ETag Last-Modified Accept-Ranges Content-Range);

done_testing;
