# What is known of upstream servers, and the counters, outlive reloads, resized zones, changed lists and dead workers.
use lib 't/lib';
use Weir;

skip_all('a single process does not reload') if $ENV{WEIR_VALGRIND};

my $origin = Origin->new('*' => { body => 'good' });
my $second = Origin->new('*' => { body => 'second' });
my $dead   = Port::claim();                              # nobody listens there
my $marks  = 'max_fails=1 fail_timeout=100s';

sub conf ($zone, $servers, $more = '') {
    return (
        workers  => 3,
        http     => "upstream group { $zone\n$servers }\n$more",
        location => 'proxy_pass http://group; add_header X-Tried $upstream_addr always;',
        server   => 'location = /status { stub_status; }',
    );
}

# Servers that a request was tried on.
sub tried ($weir) {
    my $answer = $weir->get('/') // return 'no answer';
    return $answer->status . ' ' . ($answer->field('X-Tried') // '');
}

# Each worker has its turn by its own clock: ask often enough for all of them.
sub all_tried ($weir, $times = 24) {
    my %tried;
    $tried{ tried($weir) }++ for 1 .. $times;
    return join ', ', sort keys %tried;
}

my $both  = "server 127.0.0.1:$dead $marks; server $origin->{address} $marks;";
my $good  = "200 $origin->{address}";
my @cases = (
    [ 'without a zone', '', [ 'the same', '', $both ] ],
    [   'with a zone',
        'zone group 64k;',
        [ 'the same',        'zone group 64k;',  $both ],
        [ 'a larger zone',   'zone group 512k;', $both ],
        [ 'a smaller zone',  'zone group 64k;',  $both ],
        [ 'another weight',  'zone group 64k;',  "server 127.0.0.1:$dead weight=5 $marks; server $origin->{address} $marks;" ],
        [ 'another order',   'zone group 64k;',  "server $origin->{address} $marks; server 127.0.0.1:$dead $marks;" ],
        [ 'beyond the room that the zone has reserved', 'zone group 300m;', $both ],
        [ 'and back', 'zone group 64k;', $both ],
    ],
);

for (@cases) {
    my ($name, $zone, @reloads) = @$_;
    my $weir = Weir->new(conf($zone, $both), allow => [qr/exited on signal 9/]);
    my $first = '';
    for (1 .. 4) {
        $first = tried($weir);
        last if $first =~ /,/;
    }
    is($first, "200 127.0.0.1:$dead, $origin->{address}", "$name: a server fails");
    is(all_tried($weir), $good, "$name: and is left out by all workers");
    for my $reload (@reloads) {
        my ($what, $new_zone, $servers) = @$reload;
        $weir->rewrite_conf(conf($new_zone, $servers));
        my ($status, $output) = $weir->ctl('reload');
        is($status, 0, "$name, $what: reload") or diag($output);
        is(all_tried($weir), $good, "$name, $what: the server is left out still");
    }
    my ($victim) = $weir->workers;
    kill 'KILL', $weir->workers;
    wait_for(sub { my @w = $weir->workers; @w == 3 && !grep { $_ == $victim } @w }, 'new workers');
    is(all_tried($weir), $good, "$name: also when all workers have died");

    # A server more: the one known to be bad is still that.
    $weir->rewrite_conf(conf($zone, "$both server $second->{address} $marks;"));
    ok($weir->reload, "$name: reload with a server more");
    is(all_tried($weir, 48), join(', ', sort "200 $origin->{address}", "200 $second->{address}"), "$name: both good ones are used");

    # It is another one under another address, and when it is back after its time.
    my ($accepts, $requests) = $weir->get('/status')->body =~ /^ (\d+) \d+ (\d+) /m;
    ok($weir->reload, "$name: a reload");
    my ($accepts_now, $requests_now) = $weir->get('/status')->body =~ /^ (\d+) \d+ (\d+) /m;
    is($accepts_now,  $accepts + 1,  "$name: connections are counted on");
    is($requests_now, $requests + 1, "$name: requests too");
}

# Connections that an old generation has open count for max_conns in the new one.
$origin->hold('/held');
my $weir = Weir->new(conf('zone group 64k;', "server $origin->{address} max_conns=2 max_fails=0;"));
my @held = map { my $c = $weir->client; $c->send_request('GET', '/held'); $c } 1 .. 2;
$origin->wait_requests(2, '/held');
is($weir->get('/')->status, 502, 'max_conns is reached');
ok($weir->reload, 'a reload');
is($weir->get('/')->status, 502, 'and it still is: the old generation holds them');
$origin->release('/held');
is($_->answer->body, 'good', 'which are answered') for @held;
is($weir->get('/')->status, 200, 'then there is room');

# Shown to the tools.
my ($status, $output) = $weir->ctl('status');
like($output, qr/^requests_total: \d+$/m, 'weirctl status shows the counters');
