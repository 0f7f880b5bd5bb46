# A client that leaves ends what is done for it (499); one that only shuts its half still gets its answer.
use lib 't/lib';
use Weir;

my $origin = Origin->new('/held' => { body => 'late' }, '/big' => { body => 'b' x 3_000_000 }, '/now' => { body => 'now' });
my $weir   = Weir->new(
    http   => 'log_format brief "$request|$status"; access_log %dir%/access.log brief;',
    files  => { 'html/big' => 'f' x 3_000_000 },
    server => "location /p/ { proxy_pass $origin->{url}/; }",
);

$origin->hold('/held');
my $client = $weir->client;
$client->send_request('GET', '/p/held');
$origin->wait_requests(1, '/held');
$client->close;
$weir->wait_log(qr{^GET /p/held HTTP/1.1\|499$}m, 'access.log');
pass('left while waiting');
wait_for(sub { $origin->open_now == 0 }, 'the connection to the origin to be closed');
pass('the origin is left, too');

$client = $weir->client;
$client->send_request('GET', '/p/held');
$origin->wait_requests(2, '/held');
$client->reset;
wait_for(sub { (() = $weir->access_log =~ m{^GET /p/held HTTP/1.1\|499$}mg) == 2 }, 'a reset to be noticed');
pass('reset while waiting');

for my $target ('/big', '/p/big') {
    $client = $weir->client(0, rcvbuf => 4096);
    $client->send_request('GET', $target);
    $client->read_until("\r\n\r\n");
    $client->reset;
    $weir->wait_log(qr{^GET \Q$target\E HTTP/1.1\|200$}m, 'access.log');
    pass("$target: left while reading");
}

for my $target ('/big', '/p/now') {
    $client = $weir->client;
    $client->send_request('GET', $target, close => 1);
    $client->shutdown if $target eq '/big';
    my $answer = $client->answer;
    ok($answer && $answer->complete, "$target: with its half shut");
}

$client = $weir->client;
$client->write("POST /p/now HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
$client->shutdown;
is($client->read_all, '', 'its body cut off');
$weir->wait_log(qr{^POST /p/now HTTP/1.1\|4\d\d$}m, 'access.log');

is($weir->get('/p/now')->body, 'now', 'the server goes on');

done_testing;
