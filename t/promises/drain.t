# What a reload, a stop and a time limit do to connections in each state: idle, fresh, half a request, under way.
use lib 't/lib';
use Time::HiRes qw(time);
use Weir;

skip_all('a single process does not reload') if $ENV{WEIR_VALGRIND};

my $origin = Origin->new('/held' => { body => 'late' }, '/tunnel' => { upgrade => 'echo' });
my $text   = 'old';
my %option = (
    workers => 3,
    events  => 'worker_connections 1024;',
    files   => { 'html/big' => 'b' x 8_000_000 },
);

sub server ($text) {
    return <<CONF;
location = /text { return 200 $text; }
location = /held { proxy_pass $origin->{url}; }
location = /post { client_body_buffer_size 1m; proxy_pass $origin->{url}/held; }
location = /tunnel { proxy_pass $origin->{url}; proxy_http_version 1.1; proxy_set_header Upgrade \$http_upgrade;
  proxy_set_header Connection upgrade; }
CONF
}

sub asked ($weir, $target, @more) {
    my $client = $weir->client;
    $client->send_request('GET', $target, @more);
    return $client;
}

# A client in each state.
sub clients ($weir) {
    my %client;
    $client{idle} = asked($weir, '/text');
    $client{idle}->answer;
    $client{fresh} = $weir->client;
    $client{half}  = $weir->client;
    $client{half}->write("GET /text HTTP/1.1\r\nHo");
    $client{held} = asked($weir, '/held');
    $client{post} = $weir->client;
    $client{post}->write("POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    $client{download} = $weir->client(0, rcvbuf => 4096);
    $client{download}->send_request('GET', '/big');
    $client{download}->fill(time + 5, 1000);
    $client{tunnel} = asked($weir, '/tunnel', fields => [ 'Connection: upgrade', 'Upgrade: echo' ]);
    $client{tunnel}->answer;
    return %client;
}

# The rest of what each is at: its answer.
sub finish (%client) {
    $client{idle}->send_request('GET', '/text') if $client{idle};
    $client{fresh}->send_request('GET', '/text') if $client{fresh};
    $client{half}->write("st: a\r\n\r\n");
    $client{post}->write('67890');
    return map { ($_ => $client{$_}->answer) } grep { $_ ne 'tunnel' } keys %client;
}

# ---- a reload

my $weir = Weir->new(%option, server => server('old'));
my @many = map { asked($weir, '/text') } 1 .. 300;
$_->answer for @many;
$origin->hold('/held');
my %client = clients($weir);
my @old    = $weir->workers;
$weir->rewrite_conf(server => server('new'));
ok($weir->reload, 'a reload');
is($weir->get('/text')->body, 'new', 'the new generation serves');
is(scalar(grep { !$_->is_quiet(0.001) } @many), 0, 'no idle connection is closed');
ok($client{$_}->is_quiet(0.01), "$_: is left alone") for qw(idle fresh half held post tunnel);
ok(scalar(grep { Weir::is_alive($_) } @old), 'the old workers wait for them');
my $before = time;
ok($weir->reload, 'the next reload');
cmp_ok(time - $before, '<', 1.9, 'does not wait for what an earlier generation has open');

$origin->release('/held');
my %answer = finish(%client);
my %body   = (idle => 'old', fresh => 'old', half => 'old', held => 'late', post => 'late', download => 'b' x 8_000_000);
for my $name (sort keys %body) {
    my $answer = $answer{$name};
    ok($answer && $answer->complete && $answer->body eq $body{$name}, "$name: is answered by the old generation");
    next if $name eq 'download';    # its head went out before
    is(lc($answer->field('Connection') // ''), 'close', "$name: and told that this was the last");
    ok($client{$name}->is_closed && !$client{$name}->was_reset, "$name: then closed");
}
$client{tunnel}->write('through');
is($client{tunnel}->read_bytes(7), 'through', 'a tunnel goes on');
$client{tunnel}->close;
$_->send_request('GET', '/text') for @many;
is(scalar(grep { my $a = $_->answer; $a && $a->body eq 'old' } @many), 300, '300 idle connections are served once more');
$client{download}->close;
undef @many;
wait_for(sub { !grep { Weir::is_alive($_) } @old }, 'the old workers to end');

# ---- requests that were sent ahead

$origin->hold('/held');
$origin->forget;
my $ahead = $weir->client;
$ahead->write("GET /held HTTP/1.1\r\nHost: a\r\n\r\n" . "GET /text HTTP/1.1\r\nHost: a\r\n\r\n" x 3);
$origin->wait_requests(1, '/held');
$weir->rewrite_conf(server => server('newer'));
ok($weir->reload, 'a reload');
$origin->release('/held');
my @ahead = map { $ahead->answer } 1 .. 4;
is(join(' ', map { $_ ? $_->body : 'none' } @ahead), 'late new new new', 'requests that were sent ahead are answered');
is(join(' ', map { $_ && $_->field('Connection') // 'none' } @ahead), 'keep-alive keep-alive keep-alive close',
    'the last one says close');
$ahead->write("GET /text HTTP/1.1\r\nHost: a\r\n\r\n");
ok($ahead->is_closed && !$ahead->was_reset, 'one that comes later meets no reset');
$ahead->close;

# ---- keepalive_timeout goes on as it would have

$weir->rewrite_conf(http => 'keepalive_timeout 1s;');
ok($weir->reload, 'with a keepalive_timeout of 1 s');
my $idle = asked($weir, '/text');
$idle->answer;
my $since = time;
ok($weir->reload, 'a reload');
ok($idle->is_closed(5) && !$idle->was_reset, 'an idle connection ends');
cmp_ok(time - $since, '>', 0.9, 'by its own time');
cmp_ok(time - $since, '<', 4,   'and not much later');

# ---- worker_shutdown_timeout bounds all of it

$weir->rewrite_conf(http => '', main => 'worker_shutdown_timeout 1s;');
ok($weir->reload, 'with a worker_shutdown_timeout of 1 s');
$origin->hold('/held');
%client = clients($weir);
@old    = $weir->workers;
$since  = time;
ok($weir->reload, 'a reload');
wait_for(sub { !grep { Weir::is_alive($_) } @old }, 'the old workers to end');
cmp_ok(time - $since, '>', 0.9, 'worker_shutdown_timeout: not before it');
cmp_ok(time - $since, '<', 4,   'and not much later');
$client{download}->close;
ok($client{$_}->is_closed, "$_: is closed then") for qw(idle fresh half held post tunnel);
$origin->release('/held');

# ---- QUIT

$weir->rewrite_conf(main => '');
ok($weir->reload, 'without it');
$origin->hold('/held');
%client = clients($weir);
my $pid = delete $weir->{pid};
kill 'QUIT', $pid;
wait_for(sub { !defined $weir->client }, 'QUIT: listeners close');
ok($client{$_}->is_closed && !$client{$_}->was_reset, "QUIT: $_ is closed at once") for qw(idle fresh);
delete @client{qw(idle fresh)};
ok($client{$_}->is_quiet(0.01), "QUIT: $_ is finished first") for qw(half held post);
$client{tunnel}->write('through');
is($client{tunnel}->read_bytes(7), 'through', 'QUIT: a tunnel goes on');
$client{tunnel}->close;
$origin->release('/held');
%answer = finish(%client);
ok($answer{$_} && $answer{$_}->complete && $answer{$_}->status == 200, "QUIT: $_ is answered") for qw(half held post download);
$_->close for values %client;
ok($weir->_wait_gone($pid), 'QUIT: then all processes end');
is($weir->exit_status, 0, 'QUIT: exit status');

# ---- QUIT with a limit, and TERM

$weir->rewrite_conf(main => 'worker_shutdown_timeout 1s;');
for my $signal (qw(QUIT TERM)) {
    $weir->start;
    $origin->hold('/held');
    %client = clients($weir);
    $pid    = delete $weir->{pid};
    $since  = time;
    kill $signal, $pid;
    ok($weir->_wait_gone($pid), "$signal: all processes end");
    cmp_ok(time - $since, '>', 0.9, 'QUIT: after worker_shutdown_timeout') if $signal eq 'QUIT';
    cmp_ok(time - $since, '<', $signal eq 'QUIT' ? 4 : 0.9 * ($ENV{WEIR_SANITIZE} ? 4 : 1), "$signal: in time");
    is($weir->exit_status, 0, "$signal: exit status");
    $client{download}->close;
    ok($client{$_}->is_closed, "$signal: $_ is closed") for qw(idle fresh half held post tunnel);
    $origin->release('/held');
}

# ---- a worker that stands still between the kernel's wake-up and DRAIN

for my $options ('', 'reuseport') {
    my $weir  = Weir->new(%option, server => "listen 127.0.0.1:%port0% $options;" . server('old'));
    my @old   = $weir->workers;
    my $name  = $options || 'shared sockets';
    my @clients;
    kill 'STOP', @old;
    push @clients, asked($weir, '/text') for 1 .. 30;
    ok($weir->reload, "$name: a reload while all old workers stand still");
    push @clients, asked($weir, '/text') for 1 .. 30;
    kill 'CONT', @old;
    push @clients, asked($weir, '/text') for 1 .. 30;
    is(scalar(grep { my $a = $_->answer; $a && $a->status == 200 } @clients), 90, "$name: all connections are answered");
    $_->close for @clients;
    wait_for(sub { !grep { Weir::is_alive($_) } @old }, 'the old workers to end');
}
