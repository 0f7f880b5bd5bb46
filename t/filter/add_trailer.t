#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# add_trailer: fields behind the last chunk, with values of that moment.

use lib 't/lib';
use Nginx;
use Weir;

my @statuses = (200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 404, 500);
my $codes = join "\n", map { "location /codes/$_ { return $_ text; }" } @statuses;
my $origin = Origin->new(
    '/length'  => { body => '0123456789' },
    '/chunks'  => { chunks => [ 'abc', 'def' ], trailers => ['X-Origin: o'] },
    '/missing' => { status => 404, body => 'none' },
);
my ($weir, $nginx) = Nginx->beside(
    files => { 'html/a.html' => 'a page', 'html/none.html' => '' },
    http  => 'types { text/html html; }',
    server => <<"CONF",
        add_trailer X-Status "v\$status";
        add_trailer X-Empty "\$arg_x";
        location /codes  { add_trailer X-Usual u; add_trailer X-Always a always;
        $codes
        }
        location /own/    { alias %dir%/html/; add_trailer X-Own o; add_trailer X-Own p; }
        location /plain/  { alias %dir%/html/; chunked_transfer_encoding off; }
        location /origin/ { proxy_pass $origin->{url}/; }
        location /stays/  { alias %dir%/html/; add_trailer X-Own "" ; }
CONF
);

sub same ($what, $method, $target, %option) {
    Nginx::same($weir, $nginx, $what, $method, $target, %option);
    my @trailers = map {
        my $client = $_->client;
        $client->send_request($method, $target, %option, close => 1);
        join "\n", @{ $client->answer(head_only => $method eq 'HEAD')->trailers // [] };
    } $weir, $nginx;
    is($trailers[0], $trailers[1], "$what: its trailers");
}

same("status $_", 'GET', "/codes/$_") for grep { $_ != 204 && $_ != 304 } @statuses;
same("GET $_", 'GET', $_)
  for qw(/a.html /a.html?x=1 /none.html /own/a.html /plain/a.html /stays/a.html /origin/length /origin/missing);
same("HEAD $_", 'HEAD', $_) for qw(/a.html /own/a.html);
same("range of $_", 'GET', $_, fields => ['Range: bytes=0-1']) for qw(/a.html /own/a.html);
same('not modified', 'GET', '/a.html', fields => ['If-None-Match: *']);
Nginx::same($weir, $nginx, 'HTTP/1.0', 'GET', '/a.html', raw => "GET /a.html HTTP/1.0\r\n\r\n");

my $answer = $weir->get('/a.html?x=2');
is_deeply($answer->trailers, [ 'X-Status: v200', 'X-Empty: 2' ], 'both trailers');
is($answer->field('Content-Length'), undef, 'and no length');
is($answer->body, 'a page', 'behind the body');

# The connection goes on.
my $client = $weir->client;
$client->send_request('GET', '/a.html') for 1 .. 2;
is($client->answer->body, 'a page', 'one of two') for 1 .. 2;

done_testing;
