# A request whose end can be read in two ways is refused and the connection closed: what follows is never taken for
# another request (RFC 9112, 11.2).
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'from origin' });
my $weir   = Weir->new(location => "proxy_pass $origin->{url};");
my $hidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

sub post (@fields) { join "\r\n", 'POST / HTTP/1.1', 'Host: a', @fields, '', '' }

my @cases = (
    [ 400, 'length and chunks',       post('Content-Length: 5', 'Transfer-Encoding: chunked') . "0\r\n\r\n" ],
    [ 400, 'chunks and length',       post('Transfer-Encoding: chunked', 'Content-Length: 5') . "0\r\n\r\n" ],
    [ 400, 'two lengths',             post('Content-Length: 0', 'Content-Length: 5') ],
    [ 400, 'two equal lengths',       post('Content-Length: 0', 'Content-Length: 0') ],
    [ 400, 'a list of lengths',       post('Content-Length: 0, 0') ],
    [ 400, 'a signed length',         post('Content-Length: +0') ],
    [ 400, 'a negative length',       post('Content-Length: -1') ],
    [ 400, 'a hexadecimal length',    post('Content-Length: 0x0') ],
    [ 400, 'an empty length',         post('Content-Length: ') ],
    [ 400, 'a length too large',      post('Content-Length: 18446744073709551616') ],
    [ 501, 'an unknown coding',       post('Transfer-Encoding: xchunked') . "0\r\n\r\n" ],
    [ 501, 'a list of codings',       post('Transfer-Encoding: identity, chunked') . "0\r\n\r\n" ],
    [ 400, 'chunked twice',           post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') . "0\r\n\r\n" ],
    [ 400, 'a tab in the coding',     post("Transfer-Encoding: \x0bchunked") . "0\r\n\r\n" ],
    [ 400, 'chunks in HTTP/1.0',      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" ],
    [ 400, 'a space before the colon', post('Transfer-Encoding : chunked') . "0\r\n\r\n" ],
    [ 400, 'a folded field',          post("X: a\r\n Content-Length: 5") ],
    [ 400, 'a line without colon',    post('Content-Length') ],
    [ 400, 'a bare CR',               post("X: a\rContent-Length: 5") ],
    [ 400, 'a NUL',                   post("X: a\0b") ],
    [ 400, 'a control byte',          post("X: a\x01b") ],
    [ 400, 'no Host',                 "GET / HTTP/1.1\r\n\r\n" ],
    [ 400, 'two Hosts',               "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" ],
    [ 400, 'an odd Host',             "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" ],
    [ 400, 'an odd authority',        "GET http://a..b/ HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 400, 'no version',              "GET /\r\n" ],
    [ 400, 'a space in the target',   "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 400, 'no valid method',         "G/T / HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 505, 'another major version',   "GET / HTTP/2.0\r\nHost: a\r\n\r\n" ],
    [ 400, 'above the root',          "GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 400, 'a chunk size',            post('Transfer-Encoding: chunked') . "5x\r\nhello\r\n0\r\n\r\n" ],
    [ 400, 'a signed chunk size',     post('Transfer-Encoding: chunked') . "+5\r\nhello\r\n0\r\n\r\n" ],
    [ 400, 'a chunk size too large',  post('Transfer-Encoding: chunked') . "10000000000000005\r\nhello\r\n0\r\n\r\n" ],
    [ 400, 'a chunk too long',        post('Transfer-Encoding: chunked') . "5\r\nhello!\r\n0\r\n\r\n" ],
    [ 400, 'a lone LF in an extension', post('Transfer-Encoding: chunked') . "5;\nhello\r\n0\r\n\r\n" ],
);

for my $case (@cases) {
    my ($status, $name, $bytes) = @$case;
    my $client = $weir->client;
    $client->write($bytes . $hidden);
    my $answer = $client->answer;
    is($answer && $answer->status, $status, $name);
    is($client->read_all, '', 'and nothing more');
}
is_deeply([ grep { $_->{target} eq '/smuggled' } $origin->requests ], [], 'the origin has seen none of what followed');

my %good = (
    'a lone LF ends a line'        => "GET / HTTP/1.1\nHost: a\nConnection: close\n\n",
    'spaces in the request line'   => "GET   /   HTTP/1.1  \r\nHost: a\r\nConnection: close\r\n\r\n",
    'an empty line in front'       => "\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    'a later minor version'        => "GET / HTTP/1.9\r\nHost: a\r\nConnection: close\r\n\r\n",
    'an odd name is dropped'       => "GET / HTTP/1.1\r\nHost: a\r\nX(Y): z\r\nConnection: close\r\n\r\n",
    'an absolute target'           => "GET http://b:80/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    'no Host in HTTP/1.0'          => "GET / HTTP/1.0\r\n\r\n",
);
like($weir->raw($good{$_}), qr{^HTTP/1.1 200 .*from origin\z}s, $_) for sort keys %good;

done_testing;
