# Responses that overtake the request, 1xx before them, and answers to requests that were never read.
use lib 't/lib';
use Weir;

my $origin = Origin->new(
    '/early'   => { early => 1, status => 413, body => 'too much' },
    '/early-close' => { early => 1, status => 413, body => 'too much', close => 1 },
    '/refuses' => { stop_reading => 1, early => 1, raw => "HTTP/1.1 401 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno!\n" },
    '/hints'   => { interim => [ "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Accel-Redirect: /x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n" ], body => 'final' },
    '/split-hints' => { raw => [ "HTTP/1.1 103 Early Hints\r\nLink: </a", ".css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-", "Length: 2\r\n\r\nok" ], pause => 0.02, keep => 1 },
    '/bidi'    => { early => 1, pieces => [ 'first ', 'second' ], pause => 0.1 },
    '/ok'      => { body => 'ok' },
);
my $weir = Weir->new(http => 'client_max_body_size 0; map $http_sec_fetch_mode $hints { navigate 1; }', server => <<CONF);
    location / { proxy_pass $origin->{url}; proxy_request_buffering off; early_hints 1; }
    location /nohints/   { proxy_pass $origin->{url}/; }
    location /somehints/ { proxy_pass $origin->{url}/; early_hints \$hints; }
    location /twohints/  { proxy_pass $origin->{url}/; early_hints \$http_x_a \$http_x_b; }
    location /collected/ { proxy_pass $origin->{url}/; }
CONF

# The client has sent a part of its body only, and gets the answer.
for my $path ('/early', '/early-close', '/refuses') {
    my $c = $weir->client;
    $c->write("POST $path HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" . 'x' x 1000);
    my $a = $c->answer;
    like($a->status, qr/^4(?:13|01)$/, "$path: answered before its body is complete");
    $c->write('x' x 999_000);
    is($weir->get('/ok')->body, 'ok', 'and the next request is right');
}
for my $path ('/early', '/refuses') {
    my $a = $weir->post("/collected$path", 'x' x 5_000_000);
    like($a && $a->status, qr/^4(?:13|01)$/, "/collected$path: an answer while the body is being sent");
    is($weir->get('/ok')->body, 'ok', 'nothing of it reaches the next one');
}
my $c = $weir->client;
$c->write("POST /bidi HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
my $head = $c->answer(head => 1);
is($head->status, 200, 'the head of an answer that goes on');
is($c->read_bytes(6), 'first ', 'its first bytes, while the request is under way');

# Informational ones.
$c = $weir->client;
$c->send_request('GET', '/hints');
my $a = $c->answer;
is($a->body, 'final', 'the final response follows 1xx');
is(join(' ', map { $_->status } @{ $a->interim }), '103 102', 'which are passed on, but for 100');
is($a->interim->[0]->field('Link'), '</a.css>', 'with their fields');
is($a->interim->[0]->field('X-Accel-Redirect'), undef, 'but hidden ones');
$c->send_request('GET', '/split-hints');
$a = $c->answer;
is($a->body, 'ok', 'split anywhere');
is($a->interim->[0]->field('Link'), '</a.css>', 'too');
my $b = $weir->get('/nohints/hints');
is($b->body . join(' ', map { $_->status } @{ $b->interim }), 'final102', 'without early_hints no 103');
for my $mode ('', 'no-cors', '0', 'navigate') {
    $b = $weir->get('/somehints/hints', fields => ["Sec-Fetch-Mode: $mode"]);
    is(scalar(grep { $_->status == 103 } @{ $b->interim }), $mode eq 'navigate' ? 1 : 0, "early_hints by a map: '$mode'");
}
is(scalar(grep { $_->status == 103 } @{ $weir->get('/twohints/hints', fields => ["X-$_: 1"])->interim }), 0, "all of them: not $_")
  for qw(A B);
is(scalar(grep { $_->status == 103 } @{ $weir->get('/twohints/hints', fields => [ 'X-A: 1', 'X-B: y' ])->interim }), 1, 'but both');
is($weir->get('/hints', version => '1.0')->body, 'final', 'HTTP/1.0 clients do not get them');

# Expect is ours to answer.
$c = $weir->client;
$c->write("POST /collected/ok HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
like($c->read_until("\r\n\r\n"), qr/^HTTP\/1.1 100 /, 'Expect: 100-continue');
$c->write('abc');
is($c->answer->body, 'ok', 'and the answer');
is(Origin::field($origin->last_request, 'Expect'), undef, 'is not asked of the origin');
done_testing;
