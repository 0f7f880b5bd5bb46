# A worker killed with SIGKILL under load: only its own connections break, and nothing stays locked, counted or behind.
use lib 't/lib';
use File::Find qw(find);
use Time::HiRes qw(time);
use Weir;
use Load;
use TcpTable;

skip_all('a single process has no other to serve on') if $ENV{WEIR_VALGRIND};

my $kills = $ENV{WEIR_KILLS} // ($ENV{WEIR_SANITIZE} ? 15 : 50);
my $bytes = 1_000_000;
my $most  = 40;    # requests at once that the group lets through

for my $options ('', 'reuseport') {
    my $name   = $options || 'shared sockets';
    my $origin = LoadOrigin->new(bytes => $bytes);
    my $slow   = Origin->new('/hold' => { body => 'done' });
    my $weir   = Weir->new(
        workers => 12,    # few deaths of each: a worker that dies often is replaced after a pause
        events  => 'worker_connections 1024;',
        files   => $origin->files($bytes),
        http    => "upstream group { zone group 64k; server $origin->{address} max_conns=$most; keepalive 4; }\n"
          . "upstream slow { zone slow 64k; server $slow->{address} max_conns=$most max_fails=0; }\n"
          . 'log_format id "$arg_id $status";',
        server => "listen 127.0.0.1:%port0% $options;\nclient_body_buffer_size 16k;\nproxy_buffers 4 8k;\n"
          . $origin->locations(url => 'http://group')
          . 'location = /status { stub_status; } location = /hold { proxy_pass http://slow; }',
        allow => [qr/exited on signal 9/],
    );
    my $load = Load->new(
        $weir,
        keepalive => 16,
        fresh     => 4,
        pipeline  => 2,
        download  => 4,
        upload    => 4,
        tunnel    => 2,
        rude      => 1,
        bytes     => $bytes,
        pause     => 0.012,
        targets   => { small => '/small,/file,/proxied', big => '/relayed' },
    );
    my @held_requests;
    $load->wait_requests(200);

    my (%broken, %dead);
    srand 1;
    for my $n (1 .. $kills) {
        my @workers = wait_for(sub { my @w = $weir->workers; @w >= 2 && \@w }, 'a second worker')->@*;
        my $victim  = $workers[ rand @workers ];
        # Requests of the group that are held at the origin die with it as well.
        if ($n == 5) {
            $slow->hold('/hold');
            for (1 .. 8) {
                my $client = $weir->client;
                $client->send_request('GET', '/hold');
                push @held_requests, $client;
            }
            $slow->wait_requests(8);
        }
        Weir::freeze($victim);
        $broken{$_} //= time for TcpTable::clients_of($victim, $weir->port);    # it is stopped, so it gets no others
        kill 'KILL', $victim;
        $dead{$victim} = 1;
        wait_for(sub { !Weir::is_alive($victim) }, "the end of $victim");
        $load->wait_requests(100);
    }
    my $result  = $load->stop;
    my @foreign = grep { !$broken{ $_->{port} } || $_->{at} < $broken{ $_->{port} } } @{ $result->{failures} };
    is(scalar @foreign, 0, "$name: $kills workers killed, others' connections did not mind")
      or diag(map { "$_->{kind} $_->{port} $_->{at}: $_->{text}\n" } @foreign[ 0 .. 19 ]);
    diag(sprintf '%s: %d kills, %d requests, %d failed on %d connections of the killed, %d on others',
        $name, $kills, $result->{requests}, $result->{failed} - @foreign, scalar keys %broken, scalar @foreign);

    # Nothing is counted that is not there.
    $_->close for @held_requests;
    my $status;
    my $gone = sub {
        $status = $weir->get('/status')->body;
        return $status =~ /^Active connections: 1 \n.*Reading: 0 Writing: 1 Waiting: 0 $/s;
    };
    ok(eval { wait_for($gone, 'counts to return') }, "$name: connections are no longer counted") or diag($status);
    my ($total) = $status =~ /(\d+) \nReading/;
    my $answered = $result->{requests} - $result->{by_kind}{tunnel} - $result->{failed};
    cmp_ok($total, '>=', $answered, "$name: totals do not fall with a worker") or diag($status);

    # All of the group's places are free, and no more than there are.
    $slow->release('/hold');
    $slow->forget;
    $slow->hold('/hold');
    my @clients;
    for (1 .. $most) {
        my $client = $weir->client;
        $client->send_request('GET', '/hold', close => 1);
        push @clients, $client;
    }
    ok(eval { $slow->wait_requests($most) }, "$name: all places at the origin are free")
      or diag(scalar($slow->requests) . " of $most requests arrived");
    is($weir->get('/hold')->status, 502, "$name: and not one more");
    $slow->release('/hold');
    is(scalar(grep { my $a = $_->answer; $a && $a->body eq 'done' } @clients), $most, "$name: all are answered");

    my @files;
    find({ no_chdir => 1, wanted => sub { push @files, $_ if -f } },
        grep { -d } map { "$weir->{dir}/${_}_temp" } $weir->temporary);
    is("@files", '', "$name: no temporary file is left");

    ok($weir->reload, "$name: and a reload works");
    is($weir->get('/small')->body, 'small', "$name: as do requests");
    $weir->stop('QUIT');
    $_->stop for $origin, $slow;
}
