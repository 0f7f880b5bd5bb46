# The fake origin alone: framing, pauses, tunnels, resets.
use lib 't/lib';
use Weir;

my $origin = Origin->new(
    '/chunks'  => { chunks => [ 'a', 'bc' ], trailers => ['X-End: 1'] },
    '/pieces'  => { pieces => [ 'one', 'two' ], pause => 0.01 },
    '/until'   => { body => 'all', until_close => 1 },
    '/raw'     => { raw => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx" },
    '/early'   => { early => 1, body => 'before' },
    '/tunnel'  => { upgrade => 'websocket' },
    '/reset'   => { reset => 1 },
    '/interim' => { interim => ["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"], body => 'x' },
    '/repeat'  => { body => 'abc', repeat => 1000 },
);

sub ask ($target, %option) {
    my $client = Client->new($origin->port);
    $client->send_request($option{method} // 'GET', $target, %option);
    return ($client->answer, $client);
}

my ($answer, $client) = ask('/chunks');
is($answer->body, 'abc', 'chunks');
is_deeply($answer->chunks,   [ 'a', 'bc' ], 'one by one');
is_deeply($answer->trailers, ['X-End: 1'],  'trailers');
is((ask('/pieces'))[0]->body, 'onetwo', 'pieces');
is((ask('/until'))[0]->body,  'all',    'until the end of the connection');
is((ask('/raw'))[0]->body,    'x',      'raw');
is(length((ask('/repeat'))[0]->body), 3000, 'repeated');
is((ask('/interim'))[0]->interim->[0]->status, 103, 'interim');
is((ask('/chunks', method => 'HEAD'))[0]->body, '', 'HEAD');

$client = Client->new($origin->port);
$client->write("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
is($client->answer->body, 'before', 'answered before the body');
$client->write("bodyGET /chunks HTTP/1.1\r\nHost: a\r\n\r\n");
is($client->answer->body, 'abc', 'the next request on the connection');

$client = Client->new($origin->port);
$client->write("GET /tunnel HTTP/1.1\r\nHost: a\r\n\r\nfirst");
is($client->answer->status,           101,      'upgraded');
is($client->read_bytes(5),  'first',  'bytes behind the head');
$client->write('second');
is($client->read_bytes(6), 'second', 'echo');

$client = Client->new($origin->port);
$client->send_request('GET', '/reset');
ok($client->is_closed && $client->was_reset, 'reset');
is($origin->connections, 10, 'connections are counted');

my $local = Origin->new(unix => 1, '*' => { body => 'local' });
$client = Client->new($local->address =~ s/^unix://r);
$client->send_request('GET', '/');
is($client->answer->body, 'local', 'over a unix socket');
