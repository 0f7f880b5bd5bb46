# Logs through rotations and reloads under load: each request has its line exactly once, and no line is torn.
use lib 't/lib';
use Weir;
use Load;

skip_all('a single process does not reload') if $ENV{WEIR_VALGRIND};

my $rounds = $ENV{WEIR_SANITIZE} ? 15 : 50;
my $origin = LoadOrigin->new(bytes => 300_000);
my $filler = 'x' x 300;
my %option = (
    workers => 4,
    events  => 'worker_connections 1024;',
    files   => $origin->files(300_000),
    http    => <<CONF,
log_format id '\$arg_id \$status \$pid $filler end';
access_log %dir%/logs/plain.log id;
access_log %dir%/logs/buffered.log id buffer=16k flush=1s;
CONF
    main   => 'error_log %dir%/logs/error.log debug; error_log %dir%/error.log notice;',
    server => $origin->locations,
);
my $weir = Weir->new(%option);
my $load = Load->new(
    $weir,
    keepalive => 12,
    fresh     => 4,
    download  => 2,
    upload    => 2,
    tunnel    => 2,
    bytes     => 300_000,
    targets   => { small => '/small,/file,/proxied' },
);
$load->wait_requests(200);

my @workers = (4, 1, 3);
my ($reloads, $reopens, $signals) = (0, 0, 0);
for my $round (1 .. $rounds) {
    for my $log (qw(plain buffered error)) {
        rename "$weir->{dir}/logs/$log.log", "$weir->{dir}/logs/$log.$round" or die "rename $log: $!";
    }
    if ($round % 2) {
        my ($status, $output) = $weir->ctl('reopen');
        $status == 0 ? $reopens++ : diag($output);
    }
    else {
        $weir->signal('USR1');
        $signals++;
    }
    # In every third round the reload has no time to wait for the workers to reopen.
    $load->wait_requests(30) if $round % 3;
    if ($round % 5 == 0) {
        $weir->rewrite_conf(workers => $workers[ $reloads % @workers ]);
        my ($status, $output) = $weir->ctl('reload');
        $status == 0 ? $reloads++ : diag($output);
    }
    wait_for(sub { -e "$weir->{dir}/logs/$_.log" }, "a new $_.log") for qw(plain buffered error);
}
my $result = $load->stop;
is($result->{failed}, 0, "no request of $result->{requests} failed") or diag(join "\n", @{ $result->{problems} });
is($reloads, int($rounds / 5), 'reloads');
ok($weir->stop('QUIT'), 'the end');

for my $log ('plain', 'buffered') {
    my (%seen, @torn, $lines);
    for my $file (glob "$weir->{dir}/logs/$log.*") {
        for my $line (split /\n/, $weir->read_file($file), -1) {
            next if $line eq '';
            $lines++;
            $line =~ /^(\d+) \d{3} \d+ \Q$filler\E end$/ ? $seen{$1}++ : push @torn, "$file: $line";
        }
        push @torn, "$file: no end of line" if $weir->read_file($file) =~ /[^\n]\z/;
    }
    is("@torn[0 .. ($#torn > 3 ? 3 : $#torn)]", '', "$log: no line of $lines is torn");
    my @twice   = grep { $seen{$_} > 1 } sort { $a <=> $b } keys %seen;
    my @missing = grep { !$seen{$_} } 1 .. $result->{ids};
    is("@twice", '', "$log: none is there twice");
    is("@missing[0 .. ($#missing > 9 ? 9 : $#missing)]", '', "$log: each of $result->{ids} requests is there");
}

my @odd = grep { length && !m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: } } map { split /\n/, $weir->read_file($_) }
  glob "$weir->{dir}/logs/error.*";
is("@odd[0 .. ($#odd > 3 ? 3 : $#odd)]", '', 'error log: no line is torn');
diag("$reopens reopens, $signals signals, $reloads reloads, $result->{requests} requests, $result->{ids} log lines in each of two logs");
