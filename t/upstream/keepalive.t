# Idle connections to origins are used again: how many, how long, by whom; and one that the origin has closed meanwhile is
# nobody's failure.
use lib 't/lib';
use Weir;

my $origin = Origin->new('/close' => { body => 'c', close => 1 }, '/until' => { body => 'u', until_close => 1 }, '*' => { body => 'ok' });
my $o      = $origin->{address};
my $conf   = sub ($lines) { "upstream u { server $o; $lines }" };

sub connections_for ($weir, @paths) {
    my $before = $origin->connections;
    $weir->get($_) for @paths;
    return $origin->connections - $before;
}

my $weir = Weir->new(
    http   => $conf->('') . "upstream lone { server $o; keepalive 4; }",
    server => "location / { proxy_pass http://u; } location /other/ { proxy_pass http://u; }
        location /direct/ { proxy_pass http://$o; }
        location /old/ { proxy_http_version 1.0; proxy_pass http://u; }
        location /shared/ { proxy_pass http://lone; } location /shared2/ { proxy_pass http://lone; }");
is(connections_for($weir, ('/') x 10), 1, 'one connection for ten requests, by default');
is(connections_for($weir, ('/') x 10), 0, 'and on');
is(connections_for($weir, ('/other/') x 3), 1, 'local: each location its own');
is(connections_for($weir, ('/direct/') x 3), 1, 'an address in proxy_pass');
is(connections_for($weir, '/shared/', '/shared2/', '/shared/'), 1, 'keepalive without local is shared');
is(connections_for($weir, ('/old/x') x 3), 3, 'HTTP/1.0 closes');
is(connections_for($weir, '/close', '/', '/close', '/'), 2, 'an origin that closes');
is(connections_for($weir, '/until', '/'), 1, 'or ends its body by closing');

is(connections_for(Weir->new(http => $conf->('keepalive 0;'), location => 'proxy_pass http://u;'), ('/') x 3), 3, 'keepalive 0');
is(connections_for(Weir->new(http => $conf->('keepalive_requests 3;'), location => 'proxy_pass http://u;'), ('/') x 9), 3, 'keepalive_requests');

# No more than so many stay.
my $few = Weir->new(http => $conf->('keepalive 2;'), location => 'proxy_pass http://u;');
$origin->hold('/held');
my @clients = map { $few->client } 1 .. 5;
$origin->forget;
$_->send_request('GET', '/held') for @clients;
wait_for(sub { $origin->requests('/held') >= 5 }, 'five requests');
my $open = $origin->open_now;
$origin->release('/held');
is($_->answer->body, 'ok', 'answered') for @clients;
wait_for(sub { $origin->open_now <= $open - 3 }, 'three of five to be closed');
is(connections_for($few, '/'), 0, 'and two to stay');

my $short = Weir->new(http => $conf->('keepalive_timeout 100ms;'), location => 'proxy_pass http://u;');
$open = $origin->open_now;
$short->get('/');
wait_for(sub { $origin->open_now == $open }, 'an idle connection to end');
pass('keepalive_timeout');

# Closed by the origin while idle: seen, and no request meets it. Closed at the very moment: repeated afresh.
my $log = 'log_format l "$request_method $status $upstream_addr"; access_log %dir%/access.log l;';
$weir = Weir->new(http => "$log upstream u { server $o max_fails=1 fail_timeout=1h; server 127.0.0.1:1 backup; }", location => 'proxy_pass http://u;');
is($weir->get('/')->body, 'ok', 'a pooled connection');
for my $method ('GET', 'POST', 'PUT') {
    for (1 .. 10) {
        $origin->close_idle;
        my $a = $weir->request($method, '/', $method eq 'GET' ? () : (body => 'b'));
        is($a->status, 200, "$method after the origin has closed idle connections");
    }
}
unlike($weir->read_file('access.log'), qr/,/, 'no further peer was needed');
unlike($weir->error_log, qr/upstream prematurely/, 'and nothing was logged');

# An origin that takes the request of a pooled connection and closes without an answer.
my $count = 0;
my $rude = Origin->new('*' => sub ($r) { $count++ % 2 ? { drop => 1 } : { body => "fresh" } });
$weir = Weir->new(http => "$log upstream u { server $rude->{address} max_fails=1 fail_timeout=1h; server $o; }", location => 'proxy_pass http://u;', server => '');
my %bodies;
$bodies{ $weir->get('/')->body }++ for 1 .. 12;
is_deeply(\%bodies, { fresh => 6, ok => 6 }, 'a pooled connection that closes is tried afresh at the same peer');
my $posts = sub () { scalar grep { $_->{method} eq 'POST' } $rude->requests, $origin->requests };
$origin->forget;
$weir->post('/', "body $_") for 1 .. 8;
is($posts->(), 8, 'a POST that was sent is never sent again');
done_testing;
