# HTTP/1.0 and 1.1: what is kept open, how a body of unknown length ends, HEAD.
use lib 't/lib';
use Weir;

my $origin = Origin->new(
    '/chunks' => { chunks => [ 'one ', 'two' ], trailers => ['X-Sum: 7'] },
    '/close'  => { body => 'until the end', until_close => 1 },
    '/plain'  => { body => 'plain' },
    '/103'    => { body => 'hinted', interim => ["HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"] },
    '/cut'    => { body => 'short', length => 100, cut => 1 },
);
my $weir = Weir->new(
    files  => { 'html/file' => 'content' },
    server => "early_hints 1; location /p/ { proxy_pass $origin->{url}/; }\nlocation = /x { return 200 x; }",
);

my $answer = $weir->get('/file', version => '1.0', host => undef, keep => 1);
is($answer->version,             '1.1',     'HTTP/1.0 is answered as nginx does');
is($answer->field('Connection'), 'close',   'and closed');
is($answer->body,                'content', 'with the body');

my $client = $weir->client;
for (1 .. 3) {
    $client->send_request('GET', '/file', version => '1.0', fields => ['Connection: keep-alive']);
    $answer = $client->answer;
    is($answer->field('Connection'), 'keep-alive', 'kept when asked for');
    is($answer->body, 'content', 'with the body');
}

for my $target ('/p/chunks', '/p/close') {
    $answer = $weir->get($target, keep => 1);
    is($answer->field('Transfer-Encoding'), 'chunked', "$target: an unknown length in chunks");
    like($answer->body, qr/^(one two|until the end)$/, 'all of it');
    $answer = $weir->get($target, version => '1.0', fields => ['Connection: keep-alive'], keep => 1);
    is($answer->field('Transfer-Encoding'), undef,   'HTTP/1.0 gets no chunks');
    is($answer->field('Content-Length'),    undef,   'no length');
    is($answer->field('Connection'),        'close', 'and the end of the connection');
    like($answer->body, qr/^(one two|until the end)$/, 'all of it');
}

for my $target ('/file', '/p/plain', '/p/chunks', '/x', '/missing') {
    my $get = $weir->get($target, keep => 1);
    my $client = $weir->client;
    $client->send_request('HEAD', $target);
    my $head = $client->answer;
    is($head->status, $get->status, "HEAD $target");
    is($head->field('Content-Length'), $get->field('Content-Length'), 'the same length')
      if defined $get->field('Content-Length');
    ok($client->is_quiet, 'and no body');
}

$answer = $weir->get('/p/103');
is($answer->body, 'hinted', '103 before the answer');
is_deeply([ map { $_->status } @{ $answer->interim } ], [103], 'is passed on');
is($answer->interim->[0]->field('Link'), '</a.css>', 'with its fields') if @{ $answer->interim };
is(scalar @{ $weir->get('/p/103', version => '1.0')->interim }, 0, 'not to HTTP/1.0');

ok(!$weir->get('/p/cut')->complete, 'a body that ends early never looks whole');

done_testing;
