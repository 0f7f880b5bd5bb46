# The harness starts a daemon, talks to it and finds nothing left of it.
use lib 't/lib';
use Weir;

my $origin = Origin->new(
    '/a'    => { body => 'one', cache_control => 'no-store' },
    '/echo' => { echo => 1 },
    '/cut'  => { length => 100, body => 'short', cut => 1 },
    '/code' => sub ($request) { { body => "asked for $request->{target}" } },
);
my $weir = Weir->new(
    files    => { 'html/hello.txt' => 'hello' },
    server   => "location /files/ { alias %dir%/html/; }",
    location => "proxy_pass $origin->{url}; proxy_http_version 1.1;",
);

is($weir->get('/files/hello.txt')->body, 'hello', 'a file');

my $answer = $weir->get('/a');
is($answer->status,                 200,        'status');
is($answer->reason,                 'OK',       'reason');
is($answer->body,                   'one',      'body');
is($answer->field('cache-control'), 'no-store', 'field');
is($weir->get('/none')->status,     404,        'a path that is not scripted');
is($weir->get('/code?x=1')->body, 'asked for /code?x=1', 'scripted by code');

like($weir->post('/echo', 'the body')->body, qr{^POST /echo HTTP/1\.1\r\n.*\r\n\r\nthe body$}s, 'a request with a body');
my @requests = $origin->requests;
is(scalar @requests, 4, 'the origin remembers');
is($requests[-1]{body}, 'the body', 'and what it was sent');
is(Origin::field($requests[-1], 'content-length'), 8, 'with its fields');

my $client = $weir->client;
for my $i (1, 2) {
    $client->send_request('GET', '/a');
    is($client->answer->body, 'one', "request $i of a connection that stays");
}
ok($client->is_quiet, 'nothing follows');

$origin->hold('/a');
$client->send_request('GET', '/a');
$origin->wait_requests(4, '/a');
ok($client->is_quiet, 'held');
$origin->release('/a');
is($client->answer->body, 'one', 'and released');

ok(!$weir->get('/cut')->complete, 'a body that ends early is seen');
$weir->wait_log(qr/GET \/cut/, 'access.log');
