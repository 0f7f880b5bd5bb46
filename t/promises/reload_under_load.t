# Reloads under load lose no request: the number of workers changes, and the size of a zone, with each kind of listening
# socket.
use lib 't/lib';
use Time::HiRes qw(time);
use Weir;
use Load;

# In each of three variants. A machine that is busy with other things ends it by time, and the figures say so.
my $reloads = $ENV{WEIR_RELOADS} // ($ENV{WEIR_SANITIZE} ? 50 : 200);
my $seconds = $ENV{WEIR_RELOADS_SECONDS} // 30;
my @workers = (4, 1, 3);
my $bytes   = 1_000_000;
skip_all('a single process does not reload') if $ENV{WEIR_VALGRIND};

sub groups ($size, $origin, $fickle) {
    return "upstream group { zone group ${size}k; server $origin->{address}; keepalive 8; }\n"
      . "upstream fickle { server $fickle->{address}; keepalive 8; }\n";
}

for my $options ('', 'reuseport', 'reuseport deferred') {
    my $origin = LoadOrigin->new(bytes => $bytes);
    my $fickle = LoadOrigin->new(drop_after => 7);    # leaves kept connections without a word
    my $weir   = Weir->new(
        workers => 4,
        events  => 'worker_connections 1024;',
        files   => $origin->files($bytes),
        http    => groups(64, $origin, $fickle),
        server  => "listen 127.0.0.1:%port0% $options;" . $origin->locations(url => 'http://group')
          . "location = /fickle { proxy_pass http://fickle/small; }",
    );
    my $load = Load->new(
        $weir,
        keepalive => 16,
        fresh     => 8,
        pipeline  => 3,
        download  => 3,
        upload    => 4,
        tunnel    => 3,
        rude      => 1,
        bytes     => $bytes,
        pause     => 0.015,
        targets   => { small => '/small,/file,/proxied,/fickle', big => '/big', upload => '/upload' },
    );
    my $relayed = Load->new(
        $weir,
        keepalive => 2,
        download  => 2,
        upload    => 2,
        pause     => 0.015,
        bytes     => $bytes,
        targets   => { big => '/relayed', upload => '/stream' },
    );
    $load->wait_requests(200);
    my ($n, $failed, $longest, $from) = (0, 0, 0, time);
    while ($n < $reloads && time - $from < $seconds) {
        $n++;
        $weir->rewrite_conf(workers => $workers[ $n % @workers ], http => groups(64 * (1 + $n % 7), $origin, $fickle));
        my $start = time;
        my ($status, $output) = $weir->ctl('reload');
        $longest = time - $start if time - $start > $longest;
        $status == 0 or $failed++ < 3 and diag("reload $n: $output");
        $load->wait_requests(5);
    }
    my $took = time - $from;
    my $name = $options || 'shared sockets';
    is($failed, 0, "$name: $n reloads");
    $_ = $_->stop for $load, $relayed;
    for my $result ($load, $relayed) {
        is($result->{failed}, 0, "$name: no request failed of $result->{requests}")
          or diag(join "\n", map { /\S.*/g } @{ $result->{problems} }[ 0 .. 19 ]);
    }
    cmp_ok($load->{by_kind}{$_}, '>', 0, "$name: $_") for qw(keepalive fresh pipeline download upload tunnel);
    my %by = (%{ $load->{by_kind} });
    diag(sprintf '%s: %d reloads in %.1f s (longest %.0f ms), %d requests: %s; failed: %d',
        $name, $n, $took, 1000 * $longest, $load->{requests} + $relayed->{requests},
        join(', ', map { "$_ $by{$_}" } sort keys %by), $load->{failed} + $relayed->{failed});
    wait_for(sub { (() = $weir->workers) == $workers[ $n % @workers ] }, 'the end of the workers that drain');
    $weir->stop('QUIT');
    $_->stop for $origin, $fickle;
}
