# Kept connections: how many requests, how long, what is told.
use lib 't/lib';
use Weir;

my $weir = Weir->new(server => <<'CONF');
location /plain    { return 200 $connection_requests; }
location /three    { keepalive_requests 3; return 200 ok; }
location /off      { keepalive_timeout 0; return 200 ok; }
location /told     { keepalive_timeout 10s 7s; return 200 ok; }
location /time     { keepalive_time 1ms; return 200 ok; }
location /browsers { keepalive_disable msie6 safari; return 200 ok; }
CONF

my $client = $weir->client;
for (1 .. 5) {
    $client->send_request('GET', '/plain');
    my $answer = $client->answer;
    is($answer->body,                $_,           "request $_ of a connection");
    is($answer->field('Connection'), 'keep-alive', 'which is kept');
}
$client->send_request('GET', '/plain', close => 1);
is($client->answer->field('Connection'), 'close', 'the client wants its end');
ok($client->is_closed, 'and gets it');

$client = $weir->client;
my @told;
for (1 .. 3) {
    $client->send_request('GET', '/three');
    push @told, $client->answer->field('Connection');
}
is_deeply(\@told, [qw(keep-alive keep-alive close)], 'keepalive_requests');
ok($client->is_closed, 'closed behind the last');

is($weir->get('/off',  keep => 1)->field('Connection'), 'close',     'keepalive_timeout 0');
is($weir->get('/told', keep => 1)->field('Keep-Alive'), 'timeout=7', 'the second parameter is told');

$client = $weir->client;
$client->send_request('GET', '/plain');
$client->answer;
wait_for(sub { $client->send_request('GET', '/time'); $client->answer->field('Connection') eq 'close' },
    'keepalive_time to pass');
pass('keepalive_time');

my %agents = (
    'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)' => { GET => 'keep-alive', POST => 'close' },
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1.15 Version/17.1 Safari/605.1.15' =>
      { GET => 'close', POST => 'close' },
    'curl/8' => { GET => 'keep-alive', POST => 'keep-alive' },
);
for my $agent (sort keys %agents) {
    for my $method (qw(GET POST)) {
        my $answer = $weir->request($method, '/browsers', keep => 1, fields => ["User-Agent: $agent"]);
        is($answer->field('Connection'), $agents{$agent}{$method}, "$method by $agent");
    }
}

# keepalive_min_timeout: so long an idle connection is not closed, neither for room nor by a graceful stop.
my $guarded = Weir->new(events => 'worker_connections 12;', allow => qr/worker_connections are not enough/, server => <<'CONF');
    location / { return 200 ok; keepalive_min_timeout 60s; }
    location /short { return 200 short; }
    location /soon { return 200 soon; keepalive_min_timeout 100ms; }
CONF
sub idle ($path) {
    my $c = $guarded->client;
    $c->send_request('GET', $path);
    return $c->answer ? $c : undef;
}
my @kept  = map { idle('/') } 1 .. 2;
my @short = map { idle('/short') } 1 .. 2;
my $soon  = idle('/soon');
$guarded->get('/short') for 1 .. 3;
my @busy = map { idle('/short') } 1 .. 12;
ok((grep { $_->is_closed(0) } @short), 'connections without it make room');
is(scalar(grep { $_->is_quiet } @kept), 2, 'those with it do not');
close $_->fh for grep { $_ } @busy;
select undef, undef, undef, 0.12;
$guarded->signal('QUIT');
ok($soon->is_closed, 'a graceful stop closes what is idle for long enough');
for my $c (@kept) {
    $c->send_request('GET', '/');
    my $answer = $c->answer;
    is($answer && $answer->body, 'ok', 'but serves another request of the others');
    is($answer && $answer->field('Connection'), 'close', 'as the last');
}

done_testing;
