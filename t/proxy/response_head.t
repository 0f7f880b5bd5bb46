# What a client gets of an origin's head: hidden fields, those of one connection, framing that is our own.
use lib 't/lib';
use Weir;

my @fields = (
    'Server: osrv', 'Date: Thu, 01 Jan 1970 00:00:00 GMT', 'X-Pad: 1', 'X-Accel-Expires: 3', 'X-Accel-Foo: 1',
    'X-Hide: 1', 'ETag: "e"', 'Last-Modified: Thu, 01 Jan 1970 00:00:10 GMT', 'Content-Type: text/html; charset=utf-8',
    'Set-Cookie: a', 'Set-Cookie: b', 'X_u: 1', 'Vary: x',
);
my $origin = Origin->new(
    '/fields' => { fields => \@fields, body => 'ok' },
    '/hide/fields' => { fields => \@fields, body => 'ok' },
    '/pass/fields' => { fields => \@fields, body => 'ok' },
    '/hop'  => { fields => [ 'Connection: x-foo, keep-alive', 'X-Foo: 1', 'Keep-Alive: 3', 'Proxy-Connection: x', 'TE: a', 'Trailer: b', 'Upgrade: h2c', 'X-Bar: 1' ], body => 'ok' },
    '/reason'  => { status => 299, reason => 'My Own Reason', body => 'ok' },
    '/created' => { status => 201, reason => 'Created', fields => ['Location: /new'], body => '' },
    '/204'     => { status => 204 },
    '/304'     => { status => 304, fields => ['ETag: "x"'] },
    '/date'    => { fields => ['Last-Modified: yesterday'], body => 'ok' },
    '/empty'   => { fields => ['X-E:'], body => '' },
    '/chunks'  => { chunks => [ 'a', 'bc' ], trailers => ['X-T: v'], fields => ['Trailer: X-T'] },
    '/trailers/chunks' => { chunks => [ 'a', 'bc' ], trailers => ['X-T: v'], fields => ['Trailer: X-T'] },
    '/close'   => { body => 'until close', until_close => 1 },
    '/old'     => { version => '1.0', body => 'until close', until_close => 1 },
    '/range'   => { fields => ['Accept-Ranges: bytes'], body => 'hello' },
    '/force/range' => { fields => ['Accept-Ranges: none'], body => 'hello' },
    '/odd'     => { raw => "HTTP/1.1 200 OK\r\nX-Before: 1\r\nX(y: 1\r\nX\xe4: 2\r\nX/z: 3\r\nX-After: 2\r\nContent-Length: 3\r\n\r\nodd" },
    '/lf'      => { raw => "HTTP/1.1 200 OK\nContent-Length: 2\n\nok" },
    '/extra'   => { raw => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEXTRA", keep => 1 },
);
my $weir = Weir->new(server => <<CONF);
    location / { proxy_pass $origin->{url}; }
    location /hide/ { proxy_pass $origin->{url}; proxy_hide_header x-hide; proxy_hide_header Etag; proxy_hide_header content-type; proxy_hide_header Last-Modified; }
    location /pass/ { proxy_pass $origin->{url}; proxy_pass_header Server; proxy_pass_header Date; proxy_pass_header x-pad; }
    location /force/ { proxy_pass $origin->{url}; proxy_force_ranges on; }
    location /trailers/ { proxy_pass $origin->{url}; proxy_pass_trailers on; }
CONF

sub names ($answer) { join ' ', sort map { $_->[0] } @{ $answer->fields } }

my $a = $weir->get('/fields');
is(names($a), 'Connection Content-Length Content-Type Date ETag Last-Modified Server Set-Cookie Set-Cookie Vary X-Accel-Foo X-Hide X_u', 'hidden by default');
isnt($a->field('Server'), 'osrv', 'Server is ours');
is($a->field('Content-Type'), 'text/html; charset=utf-8', 'Content-Type as it came');
is_deeply([ $a->field('Set-Cookie') ], [ 'a', 'b' ], 'several of one name');
is(names($weir->get('/hide/fields')), 'Connection Content-Length Date Server Set-Cookie Set-Cookie Vary X-Accel-Foo X_u', 'proxy_hide_header');
$a = $weir->get('/pass/fields');
is($a->field('Server'), 'osrv', 'proxy_pass_header Server');
is($a->field('Date'), 'Thu, 01 Jan 1970 00:00:00 GMT', 'and Date, once');
is($a->field('X-Pad'), '1', 'and others');
is(names($weir->get('/hop')), 'Connection Content-Length Date Server X-Bar', 'what belongs to the origin\'s connection stays there');

$a = $weir->get('/reason');
is($a->status . ' ' . $a->reason, '299 My Own Reason', 'status and reason');
is($weir->get('/created')->field('Location'), '/new', 'a Location of its own stays as it is');
is($weir->get('/204')->field('Content-Length'), undef, '204 has no length');
is($weir->get('/304')->field('ETag'), '"x"', '304 keeps its fields');
is($weir->get('/date')->field('Last-Modified'), 'yesterday', 'a date that is none is passed on');
is($weir->get('/empty')->field('X-E'), '', 'an empty value');

$a = $weir->get('/chunks');
is($a->field('Transfer-Encoding'), 'chunked', 'chunks');
is($a->body, 'abc', 'their bytes');
is_deeply($a->trailers, [], 'no trailers');
is($a->field('Trailer'), undef, 'nor their names');
$a = $weir->get('/trailers/chunks');
is_deeply($a->trailers, ['X-T: v'], 'proxy_pass_trailers');
is($a->field('Trailer'), 'X-T', 'with their names');
for my $path ('/close', '/old') {
    $a = $weir->get($path);
    is($a->body, 'until close', "$path: ends with the connection");
    ok($a->complete, 'and is complete for the client');
}
is($weir->get('/close', version => '1.0')->body, 'until close', 'an old client sees the same');
is($weir->get('/range', fields => ['Range: bytes=1-2'])->status, 200, 'ranges are the origin\'s business');
$a = $weir->get('/force/range', fields => ['Range: bytes=1-2']);
is($a->status . $a->body, '206el', 'proxy_force_ranges');
is($weir->get('/lf')->body, 'ok', 'lone LF');

$a = $weir->head('/fields');
is($a->field('Content-Length'), 2, 'HEAD has the length');
is($a->body, '', 'and no body');
my $client = $weir->client;
$client->send_request('HEAD', '/chunks');
$a = $client->answer;
is($a->status, 200, 'HEAD of chunks');
is($a->field('Transfer-Encoding'), undef, 'says nothing about its length, as nginx');
is($a->field('Connection'), 'keep-alive', 'and the connection stays');
$client->send_request('GET', '/chunks');
is($client->answer->body, 'abc', 'for the next request');

# A name that is none is not passed on, and is no reason to refuse the page.
$a = $weir->get('/odd');
is($a->body, 'odd', 'a response with odd field names');
is_deeply([ map { $a->field($_) } 'X-Before', 'X-After' ], [ 1, 2 ], 'its other fields');
unlike($a->head, qr/X\(y|X\xe4|X\/z/, 'but not these');

my $before = $origin->connections;
is($weir->get('/extra')->body, 'ok', 'bytes behind the response are not passed on');
$weir->wait_log(qr/upstream sent more data than/);
is($weir->get('/fields')->body, 'ok', 'and the next one is right');
cmp_ok($origin->connections, '>', $before, 'on another connection');
done_testing;
