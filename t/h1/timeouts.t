# Clients that stop: in the head, in the body, in reading, between requests. Each ends in its time, with nginx's statuses.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'x' });
my $weir   = Weir->new(
    http   => <<'CONF',
client_header_timeout 300ms;
client_body_timeout 300ms;
send_timeout 300ms;
keepalive_timeout 300ms;
log_format brief "$request|$status|$bytes_sent";
access_log %dir%/access.log brief;
CONF
    files  => { 'html/big' => 'b' x 8_000_000, 'html/file' => 'f' },
    server => "location /p/ { proxy_pass $origin->{url}; }",
);

my $client = $weir->client;
ok($client->is_closed, 'silent from the start');

$client = $weir->client;
$client->write("GET /half HT");
is($client->read_all, '', 'in the request line: closed without an answer');
$weir->wait_log(qr{^GET /half HT\|408\|0$}m, 'access.log');
$weir->wait_log(qr/client timed out .*while reading client request line/);

$client = $weir->client;
$client->write("GET /fields HTTP/1.1\r\nHost: a\r\n");
is($client->read_all, '', 'in the fields');
$weir->wait_log(qr{^GET /fields HTTP/1.1\|408\|0$}m, 'access.log');

$client = $weir->client;
$client->write("POST /p/body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
is($client->read_all, '', 'in the body');
$weir->wait_log(qr{^POST /p/body HTTP/1.1\|408\|0$}m, 'access.log');

$client = $weir->client;
$client->send_request('GET', '/file');
is($client->answer->body, 'f', 'answered');
ok($client->is_closed, 'silent behind it: closed');

$client = $weir->client(0, rcvbuf => 4096);
$client->send_request('GET', '/big');
$weir->wait_log(qr{^GET /big HTTP/1.1\|200\|\d+$}m, 'access.log');
$weir->wait_log(qr/client timed out .*while sending to client/);
ok(length $client->read_all < 8_000_000, 'a client that does not read is cut off');

done_testing;
