# A client that leaves: the origin's connection is closed in every state, unless proxy_ignore_client_abort.
use lib 't/lib';
use Weir;

my $origin = Origin->new(
    '/never' => { body => 'x' },
    '/trickle' => { pieces => [ ('x' x 1000) x 200 ], pause => 0.05 },
    '/large' => { body => 'y' x 100_000, repeat => 400 },
    '/upload' => { body => 'ok' },
    '/done'  => { body => 'done' },
);
$origin->hold('/never');
my $weir   = Weir->new(
    http   => q(log_format l '$request_uri $status [$upstream_status] [$upstream_addr]'; access_log %dir%/access.log l;),
    server => <<CONF);
    location / { proxy_pass $origin->{url}; }
    location /memory/ { proxy_max_temp_file_size 0; proxy_pass $origin->{url}/; }
    location /unbuffered/ { proxy_buffering off; proxy_pass $origin->{url}/; }
    location /stream/ { proxy_request_buffering off; proxy_pass $origin->{url}/; }
    location /ignore/ { proxy_ignore_client_abort on; proxy_pass $origin->{url}/; }
CONF

sub leaves ($path, $when, $what, %option) {
    $origin->forget;
    my $c = $weir->client(0, rcvbuf => 4096);
    $option{send} ? $c->write($option{send}) : $c->send_request('GET', $path);
    $when->($c);
    my $open = $origin->open_now;
    $option{reset} ? $c->reset : $c->close;
    if ($option{stays}) {
        $option{stays}->();
        return;
    }
    wait_for(sub { $origin->open_now < $open }, "the origin's connection to end: $what");
    pass($what);
    ok($weir->wait_log(qr{^\Q$path\E \d+ }m, 'access.log'), 'logged');
}

my $sent = sub ($path) { sub ($c) { $origin->wait_requests(1, $path) } };
leaves('/never', $sent->('/never'), 'while the response is awaited');
ok($weir->wait_log(qr{^/never 499 \[-\]}m, 'access.log'), 'as 499');
leaves('/never', $sent->('/never'), 'by reset', reset => 1);
leaves('/trickle', sub ($c) { $c->read_until('xxx') }, 'while the body comes');
leaves('/unbuffered/trickle', sub ($c) { $c->read_until('xxx') }, 'unbuffered');
leaves('/memory/large', sub ($c) { $c->read_until('yyy') }, 'while a large body is being sent', reset => 1);
leaves('/unbuffered/large', sub ($c) { $c->read_until('yyy') }, 'unbuffered', reset => 1);
leaves('/stream/upload', $sent->('/upload'), 'in the middle of its body',
    send => "POST /stream/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");

leaves('/ignore/never', $sent->('/never'), 'ignored', stays => sub {
        ok($weir->get('/done')->body eq 'done', 'time passes');
        $origin->release('/never');
        ok($weir->wait_log(qr{^/ignore/never 200 \[200\]}m, 'access.log'), 'proxy_ignore_client_abort: the exchange goes on');
        $origin->hold('/never');
    });
is($weir->get('/done')->body, 'done', 'all others are served');
done_testing;
