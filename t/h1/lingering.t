# A response is not lost because the client was still sending (RFC 9112, 9.6): what comes is read away for a while.
use lib 't/lib';
use Weir;

my $weir = Weir->new(
    http   => 'lingering_timeout 200ms; lingering_time 2s;',
    server => <<'CONF',
client_max_body_size 1000;
location /       { return 200 ok; }
location /off    { lingering_close off; return 200 ok; }
location /always { lingering_close always; return 200 ok; }
CONF
);

for my $size (2000, 5_000_000) {
    my $client = $weir->client;
    $client->write("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: $size\r\n\r\n");
    my $answer = $client->answer;
    is($answer->status, 413, "$size bytes are refused");
    ok($client->write('x' x $size) || $size > 1_000_000, 'the client may go on sending');
    ok($client->is_closed,  'and sees the end');
    ok(!$client->was_reset, 'not a reset') if $size < 1_000_000;
}

my $client = $weir->client;
$client->write("GET /always HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is($client->answer->body, 'ok', 'always');
ok($client->is_closed, 'our half is shut at once');
ok($client->write('more'), 'the other one not');

$client = $weir->client;
$client->write("GET /off HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is($client->answer->body, 'ok', 'off');
ok($client->is_closed, 'closed');

# Nobody lingers for ever.
wait_for(sub { ($weir->get('/')->status // 0) == 200 }, 'an answer');
pass('the server goes on');

done_testing;
