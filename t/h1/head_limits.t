# Sizes of heads: client_header_buffer_size, large_client_header_buffers, max_headers, odd names.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { echo => 1 });
my $weir   = Weir->new(
    http   => 'large_client_header_buffers 4 8k;',
    server => <<CONF,
location /p/ { proxy_pass $origin->{url}; }
location /   { return 200 "ok"; }
CONF
);

sub status ($line, @fields) {
    my $client = $weir->client;
    $client->write(join "\r\n", $line, 'Host: a', 'Connection: close', @fields, '', '');
    my $answer = $client->answer // return 'none';
    ok($client->is_closed, 'closed');
    return $answer->status;
}

is(status('GET /' . 'a' x 8000 . ' HTTP/1.1'), 200, 'a request line of one large buffer');
is(status('GET /' . 'a' x 8200 . ' HTTP/1.1'), 414, 'a longer one');
is(status('GET / HTTP/1.1', 'X: ' . 'a' x 8000), 200, 'a field of one large buffer');
is(status('GET / HTTP/1.1', 'X: ' . 'a' x 8200), 400, 'a longer one');
is(status('GET / HTTP/1.1', map { "X-$_: " . 'a' x 7000 } 1 .. 4), 200, 'four of them');
is(status('GET / HTTP/1.1', map { "X-$_: " . 'a' x 7000 } 1 .. 6), 400, 'six');
like($weir->raw('GET / HTTP/1.1' . "\r\nX: " . 'a' x 9000), qr/400 .*Request Header Or Cookie Too Large/s,
    'refused before it is complete, with the page that says why');
is(status('GET / HTTP/1.1', map { "X-$_: v" } 1 .. 990),  200, '990 fields');
is(status('GET / HTTP/1.1', map { "X-$_: v" } 1 .. 1000), 400, 'a thousand, Host and Connection besides');

my $long = join "\r\n", 'GET /p/ HTTP/1.1', 'Host: a', 'Connection: close', (map { "X-$_: " . $_ x 100 } 1 .. 90), '', '';
my $client = $weir->client;
for (my $at = 0; $at < length $long; $at += 777) {
    $client->write(substr $long, $at, 777);
}
my $echo = $client->answer->body;
is(scalar(() = $echo =~ /^X-(\d+): (?:\1){100}\r$/mg), 90, 'a head in many pieces arrives as it was');

my $names = "GET /p/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUnder_score: 1\r\nO(dd: 2\r\nDo.t: 3\r\nPlain-1: 4\r\n\r\n";
$echo = $weir->raw($names);
like($echo,   qr/^Plain-1: 4\r$/m,        'a plain name is passed on');
unlike($echo, qr/Under_score|O\(dd|Do\.t/, 'others are dropped');

my $strict = Weir->new(server => "ignore_invalid_headers off;\nlocation / { return 200 ok; }");
like($strict->raw($names), qr/^HTTP\/1.1 400 /, 'or refused');
my $under = Weir->new(server => "underscores_in_headers on;\nlocation / { return 200 \$http_under_score; }");
like($under->raw($names), qr/\r\n\r\n1\z/, 'underscores where they are allowed');

done_testing;
