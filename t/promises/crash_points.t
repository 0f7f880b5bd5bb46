# A worker that dies at any one point of shared memory - under a lock, before and after each store that matters - leaves
# the others serving: WEIR_CRASH_AT names a file, and the first process that passes the point written there dies.
use lib 't/lib';
use Weir;
use Load;

skip_all('a single process has no other to serve on') if $ENV{WEIR_VALGRIND};

my $most   = 60;
my $origin = LoadOrigin->new(bytes => 200_000);
my $slow   = Origin->new('/hold' => { body => 'done' });

# What makes somebody pass the point, beside the load: nothing, a death (reaping, a new process), a reload by which
# a group is new, by which the zone grows, or by which there are many more processes.
my %points = (
    nothing => [qw(lock_take lock_taken lock_release lock_released zone_dirty zone_clean zone_cleaned
          peer_acquire peer_release)],
    death  => [qw(zone_reap peer_reap counters_retire counters_retired counters_attach)],
    repair => [qw(zone_repair)],
    group  => [qw(peer_group peer_new slab_object)],
    grow   => [qw(zone_grow)],
);

sub conf (%option) {
    my $groups = join '', map { "upstream more$_ { server 127.0.0.1:1; server 127.0.0.1:2; }\n" } 1 .. $option{groups} // 0;
    my $size   = $option{size} // 64;
    return (
        workers => 4,
        main    => 'env WEIR_CRASH_AT;',
        files   => $origin->files(200_000),
        http    => "upstream group { server $origin->{address} max_conns=$most; keepalive 4; }\n"
          . "upstream slow { zone slow ${size}k; server $slow->{address} max_conns=8 max_fails=0; }\n$groups",
        server => $origin->locations(url => 'http://group')
          . 'location = /status { stub_status; } location = /hold { proxy_pass http://slow; }'
          . join '', map { "location = /more$_ { proxy_pass http://more$_; }\n" } 1 .. $option{groups} // 0,
    );
}

my $weir = Weir->new(
    conf(),
    start => 0,
    env   => { WEIR_CRASH_AT => '%dir%/crash/order' },
    allow => [ qr/exited on signal 9/, qr/process \d+ ended before it was ready/ ],
);
skip_all('a build without crash points') if $weir->read_file($weir->binary) !~ /WEIR_CRASH_AT/;
mkdir "$weir->{dir}/crash";
chmod 0777, "$weir->{dir}/crash";
$weir->start;

my $load = Load->new(
    $weir,
    keepalive => 8,
    fresh     => 2,
    download  => 4,
    upload    => 2,
    bytes     => 200_000,
    targets   => { small => '/proxied', big => '/relayed' },
);
$load->wait_requests(100);

sub order ($point) {
    $weir->write_file('crash/new', $point);
    rename "$weir->{dir}/crash/new", "$weir->{dir}/crash/order";
}
sub was_taken () { !-e "$weir->{dir}/crash/order" }

my ($groups, $size, $deaths) = (0, 64, 0);

sub kill_one () {
    my @workers = wait_for(sub { my @w = $weir->workers; @w > 2 && \@w }, 'workers')->@*;
    kill 'KILL', $workers[ rand @workers ];
}

my %trigger = (
    nothing => sub { },
    # One that drains is not replaced: then another one has to go.
    death   => sub {
        for (1 .. 10) {
            kill_one();
            last if eval { wait_for(\&was_taken, 'a death', 3); 1 };
        }
    },
    repair  => sub { },
    group   => sub { $weir->rewrite_conf(conf(groups => ++$groups, size => $size)); $weir->ctl('reload') },
    grow => sub { $weir->rewrite_conf(conf(groups => $groups, size => $size *= 2)); $weir->ctl('reload') },
);

for my $trigger (qw(nothing death repair group grow)) {
    for my $point ($points{$trigger}->@*) {
        # Who repairs does so behind somebody who died with the zone torn.
        order($trigger eq 'repair' ? "peer_acquire $point" : $point);
        $trigger{$trigger}->();
        my $died = eval { wait_for(\&was_taken, "a death at $point"); 1 };
        ok($died, "$point: somebody died there");
        unlink "$weir->{dir}/crash/order";
        my ($reload, $output) = $weir->ctl('reload');
        $reload == 0 or diag($output);
        is($reload, 0, "$point: the next reload works");
        # All that broke with the dead has been counted when each client has had an answer.
        $load->wait_requests(100);
        my $before = $load->count->{failed};
        $load->wait_requests(100);
        is($load->count->{failed}, $before, "$point: the others serve on");
    }
}
my $result = $load->stop;
diag("$result->{requests} requests, $result->{failed} failed with the dead");
my @hung = grep { /timed out/ } @{ $result->{problems} };
is("@hung", '', 'no client waited for a lock');

my $gone = sub { $weir->get('/status')->body =~ /^Active connections: 1 \n.*Reading: 0 Writing: 1 Waiting: 0 $/s };
ok(eval { wait_for($gone, 'counts to return') }, 'connections are no longer counted') or diag($weir->get('/status')->body);
