# Out of connections or descriptors: idle connections go first, then new clients are refused without waiting, and as soon
# as there is room all is well again.
use lib 't/lib';
use Time::HiRes qw(time);
use Weir;

my $origin = Origin->new('/held' => { body => 'late' }, '/text' => { body => 'from the origin' });
my %files  = (map { ("html/file$_" => "file $_") } 1 .. 5);
my $server = <<CONF;
location = /text { return 200 text; }
location = /held { proxy_pass $origin->{url}; }
location = /proxied { proxy_pass $origin->{url}/text; }
location = /post { proxy_pass $origin->{url}/text; client_body_buffer_size 1k; }
CONF

sub asked ($weir, $target, @more) {
    my $client = $weir->client // return undef;
    $client->send_request('GET', $target, @more);
    return $client;
}

# How a client fares: the status, 'reset' or 'closed'; 'hangs' when there is no outcome in two seconds.
sub outcome ($client) {
    return 'reset' unless $client;    # between connect and the first write
    my $deadline = time + 2;
    while ($client->{in} !~ /\r\n\r\n/) {
        next if $client->fill($deadline);
        return 'reset'  if $client->was_reset || $client->problem =~ /^write|reset/;
        return 'closed' if $client->{eof};
        return 'hangs';
    }
    my $answer = $client->answer;
    return $answer ? $answer->status : 'cut';
}

sub tally (@outcomes) {
    my %count;
    $count{$_}++ for @outcomes;
    return \%count;
}

# Descriptors that the worker uses for other things than connections are counted before it is filled up.
my @limits = (
    [ 'worker_connections', events => 'worker_connections 40;', 40 ],
    [ 'descriptors', main => 'worker_rlimit_nofile 64;', 64 ],
);
for (@limits) {
    my ($what, $where, $line, $limit) = @$_;
    my $weir = Weir->new(
        $where => $line,
        server => $server,
        files  => \%files,
        allow  => [ qr/worker_connections are not enough|Too many open files|exceed open file/ ],
    );
    my $served = sub ($target = '/text') {
        my $since = time;
        my $got   = outcome(asked($weir, $target, close => 1));
        return $got eq 200 && time - $since < 1 ? 'yes' : $got;
    };

    # Idle ones go first, the oldest before the others; each new client is served.
    my @idle = map { my $c = asked($weir, '/text'); outcome($c); $c } 1 .. $limit - 20;
    my @more = map { asked($weir, '/text') } 1 .. $limit;
    my $new  = tally(map { outcome($_) } @more);
    is_deeply($new, { 200 => $limit }, "$what: new clients are served");
    my @closed = map { !$_->is_quiet(0.001) } @idle;
    ok($closed[0], "$what: the oldest idle connection has made room");
    is(scalar(grep { $_->was_reset } @idle), 0, "$what: closed, not reset");
    $_->close for @idle, @more;

    # A request that needs a descriptor more takes an idle one's.
    @idle = map { my $c = asked($weir, '/text'); outcome($c); $c } 1 .. $limit;
    my $held_fine = asked($weir, '/proxied');
    is(outcome($held_fine), 200, "$what: a proxied request finds room");
    is(outcome(asked($weir, '/file1', close => 1)), 200, "$what: so does a file");
    my $post = $weir->client;
    $post->send_request('POST', '/post', body => 'x' x 20000);
    is(outcome($post), 200, "$what: and a temporary file");
    $_->close for @idle, $post, $held_fine;

    # All busy: nothing is idle, nothing to close.
    $origin->hold('/held');
    my @busy = map { asked($weir, '/held') } 1 .. $limit;
    my $since = time;
    my @refused = map { asked($weir, '/text') } 1 .. 30;
    my $got = tally(map { outcome($_) } @refused);
    is($got->{hangs} // 0, 0, "$what: nobody hangs while all are busy") or diag(explain($got));
    is($got->{closed} // 0, 0, "$what: nor is closed without a word") or diag(explain($got));
    cmp_ok(time - $since, '<', 3, "$what: they know soon");
    $_ && $_->close for @refused;

    # Room again.
    $origin->release('/held');
    my $finished = tally(map { outcome($_) } @busy);
    ok(!$finished->{hangs} && !$finished->{closed} && $finished->{200}, "$what: the busy ones end in order")
      or diag(explain($finished));
    $_ && $_->close for @busy;
    ok(eval { wait_for(sub { $served->() eq 'yes' }, 'service', 2) }, "$what: recovery at once");
    is(tally(map { $served->($_) } ('/text', '/file2', '/proxied') x 10)->{yes}, 30, "$what: of everything");
    diag("$what: refused " . join(', ', map { "$_ $got->{$_}" } sort keys %$got) . '; busy '
          . join(', ', map { "$_ $finished->{$_}" } sort keys %$finished));
}

# A worker that is full leaves new clients to the other.
my $weir = Weir->new(
    workers => 2,
    events  => 'worker_connections 30;',
    server  => $server . 'location = /pid { return 200 $pid; }',
    allow   => [qr/worker_connections are not enough/],
);
$origin->hold('/held');
my @busy;
for (1 .. 60) {
    my $client = asked($weir, '/held');
    push @busy, $client;
    last if grep { length $_->{in} || !$_->is_quiet(0.001) } $client;
}
$origin->release('/held');
my $got = tally(map { outcome($_) } @busy);
cmp_ok($got->{200} // 0, '>=', 25, 'both workers fill up before somebody is refused') or diag(explain($got));
$_ && $_->close for @busy;
is(outcome(asked($weir, '/text', close => 1)), 200, 'and both serve on');
