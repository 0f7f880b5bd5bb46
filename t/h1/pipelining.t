# Requests that are sent without waiting for answers are answered in their order (RFC 9112, 9.3.2).
use lib 't/lib';
use Weir;

my $origin = Origin->new('/slow' => { body => 'slow' }, '/echo' => { echo => 1 });
my $weir   = Weir->new(
    files  => { 'html/file' => 'x' x 3000, 'html/big' => 'b' x 200_000 },
    server => <<CONF,
location /n/ { return 200 \$uri; }
location /444 { return 444; }
location /proxied/ { proxy_pass $origin->{url}/; }
CONF
);

sub request ($target, @fields) { join "\r\n", "GET $target HTTP/1.1", 'Host: a', @fields, '', '' }

subtest 'many small ones in one write' => sub {
    my $client = $weir->client;
    $client->write(join '', map { request("/n/$_") } 1 .. 300);
    my @bodies = map { my $a = $client->answer; $a ? $a->body : 'none' } 1 .. 300;
    is_deeply(\@bodies, [ map { "/n/$_" } 1 .. 300 ], 'all answers, in order');
    ok($client->is_quiet, 'and no more');
};

subtest 'of different kinds' => sub {
    my $client = $weir->client;
    $client->write(request('/file') . "HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n" . request('/big')
          . "POST /n/post HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
          . "POST /n/chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
          . request('/none') . request('/n/last', 'Connection: close') . request('/n/beyond'));
    is(length $client->answer->body,          3000,          'a file');
    is($client->answer(head => 1)->field('Content-Length'), 3000, 'its head');
    is($client->answer->body,                 'b' x 200_000, 'a large file');
    is($client->answer->body,                 '/n/post',     'behind a body of known length');
    is($client->answer->body,                 '/n/chunks',   'behind a chunked one');
    is($client->answer->status,               404,           'an error');
    is($client->answer->body,                 '/n/last',     'the last one');
    is($client->read_all,                     '',            'nothing is answered behind Connection: close');
};

subtest 'a slow one holds those behind it, not those before' => sub {
    $origin->hold('/slow');
    my $client = $weir->client;
    $client->write(request('/n/1') . request('/proxied/slow') . request('/n/2'));
    is($client->answer->body, '/n/1', 'the first at once');
    $origin->wait_requests(1, '/slow');
    ok($client->is_quiet, 'the third waits');
    $origin->release('/slow');
    is($client->answer->body, 'slow', 'the second');
    is($client->answer->body, '/n/2', 'the third');
};

subtest 'an end without an answer takes none along' => sub {
    my $client = $weir->client;
    $client->write(request('/n/1') . request('/n/2') . request('/444') . request('/n/3'));
    is($client->answer->body, '/n/1', 'the first');
    is($client->answer->body, '/n/2', 'the second');
    is($client->read_all,     '',     'no other');
};

subtest 'byte by byte' => sub {
    my $client = $weir->client;
    my $text   = "\r\n" . request('/n/a', 'X-Field: value') . "POST /proxied/echo HTTP/1.1\r\nHost: a\r\n"
      . "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n" . request('/n/b');
    $client->write($_) for split //, $text;
    is($client->answer->body,   '/n/a', 'the first');
    like($client->answer->body, qr/\r\n\r\nabcde\z/, 'the second with its body');
    is($client->answer->body,   '/n/b', 'the third');
};

done_testing;
