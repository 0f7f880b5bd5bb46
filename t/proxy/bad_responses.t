# What is no HTTP response is a 502, never passed on, and a failure of its peer. A body that ends early is an aborted
# response, never a clean end.
use lib 't/lib';
use Weir;

my $ok  = "HTTP/1.1 200 OK\r\n";
my @bad = (
    [ 'garbage'       => 'what is this',          qr/upstream sent no valid HTTP/ ],
    [ 'another protocol' => "SSH-2.0-x\r\n",      qr/upstream sent no valid HTTP/ ],
    [ 'HTTP/0.9'      => "<html>hi</html>\n",     qr/upstream sent no valid HTTP/ ],
    [ 'HTTP/2 answer' => "HTTP/2.0 200 OK\r\n\r\n", qr/upstream sent no valid HTTP/ ],
    [ 'no status'     => "HTTP/1.1 OK\r\n\r\n",   qr/upstream sent invalid status/ ],
    [ 'a long status' => "HTTP/1.1 2000 OK\r\n\r\n", qr/upstream sent invalid status/ ],
    [ 'nothing'       => '',                      qr/upstream prematurely closed connection while reading response header from upstream/ ],
    [ 'half a head'   => "${ok}X-A: b\r\n",       qr/upstream prematurely closed connection while reading response header/ ],
    [ 'folding'       => "${ok}X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok", qr/upstream sent invalid header/ ],
    [ 'a bare CR'     => "${ok}X-A: a\rb\r\n\r\n", qr/upstream sent/ ],
    [ 'NUL'           => "${ok}X-A: a\0b\r\n\r\n", qr/upstream sent/ ],
    [ 'a space before the colon' => "${ok}X-A : a\r\n\r\n", qr/upstream sent invalid header/ ],
    [ 'no colon'      => "${ok}XA\r\n\r\n",       qr/upstream sent invalid header/ ],
    [ 'no name'       => "$ok: x\r\n\r\n",        qr/upstream sent invalid header/ ],
    [ 'two lengths'   => "${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", qr/upstream sent duplicate/ ],
    [ 'length and chunks' => "${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", qr/at the same time/ ],
    [ 'an unknown coding' => "${ok}Transfer-Encoding: gzip\r\n\r\nok", qr/unknown "Transfer-Encoding"/ ],
    [ 'a bad length'  => "${ok}Content-Length: 2x\r\n\r\nok", qr/invalid "Content-Length"/ ],
    [ 'a negative length' => "${ok}Content-Length: -2\r\n\r\nok", qr/invalid "Content-Length"/ ],
    [ 'a huge length' => "${ok}Content-Length: 18446744073709551617\r\n\r\nok", qr/invalid "Content-Length"/ ],
    [ 'a big head'    => "${ok}X-A: " . 'a' x 5000 . "\r\nContent-Length: 2\r\n\r\nok", qr/upstream sent too big header/ ],
    [ 'an endless head' => [ $ok, map { "X-$_: " . 'a' x 900 . "\r\n" } 1 .. 9 ], qr/upstream sent too big header/ ],
    [ 'bad chunks with the head' => "${ok}Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", qr/upstream sent invalid chunked response/ ],
    [ '101 unasked'   => "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nzz", qr/nobody asked/ ],
    [ '100 and no more' => "HTTP/1.1 100 Continue\r\n\r\n", qr/prematurely closed/ ],
    [ 'a flood of 1xx' => "HTTP/1.1 102 P\r\n\r\n" x 100, qr/too many informational/ ],
);
my $n = 0;
my $origin = Origin->new(map { ('/' . $n++ => { raw => $_->[1] }) } @bad);
my $good   = Origin->new('*' => { body => 'good' });
my $weir = Weir->new(
    http   => "upstream two { server $origin->{address} max_fails=1 fail_timeout=1h; server $good->{address}; }",
    server => <<CONF);
    location / { proxy_pass $origin->{url}; }
    location /retry/ { proxy_pass http://two/; proxy_next_upstream error timeout invalid_header; }
CONF

$n = 0;
for my $case (@bad) {
    my $a = $weir->get('/' . $n++);
    is($a && $a->status, 502, "$case->[0]: 502");
    like($weir->error_log =~ s/.*\n(?=.*upstream)//sr, $case->[2], 'said');
}
is($weir->get('/retry/0')->body, 'good', 'invalid_header moves on to the next peer') for 1 .. 2;
is($weir->get('/retry/1')->body, 'good', 'and the peer is not asked again') for 1 .. 4;
is(scalar $origin->requests('/1'), 1, 'while it counts as failed');

# Bodies. Cut short, whatever their framing.
my %cut = (
    'length'  => "${ok}Content-Length: 10\r\n\r\nok",
    'chunks'  => "${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nok",
    'between' => "${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
);
for my $buffering ('on', 'off') {
    my $o = Origin->new((map { ("/$_" => { raw => [ split /(?<=\r\n\r\n)/, $cut{$_} ], pause => 0.02 }) } keys %cut),
        '/bad' => { raw => [ "${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "zz\r\n" ], pause => 0.02, keep => 1 },
        '/reset' => { length => 10, body => 'ok', cut => 'reset' });
    my $w = Weir->new(location => "proxy_pass $o->{url}; proxy_buffering $buffering;");
    for my $path (sort(keys %cut), 'bad', 'reset') {
        my $c = $w->client;
        $c->send_request('GET', "/$path");
        my $a = $c->answer;
        ok(!defined $a || !$a->complete, "$path, buffering $buffering: the client sees that it is cut");
        ok($c->is_closed, 'and the connection ends');
    }
    like($w->error_log, qr/upstream prematurely closed connection while reading upstream.*upstream: "http:/, 'said');
    like($w->error_log, qr/upstream sent invalid chunked response while reading upstream/, 'that too');
    is($w->get('/length', version => '1.0')->complete, '', 'an old client gets no clean end');
}
done_testing;
