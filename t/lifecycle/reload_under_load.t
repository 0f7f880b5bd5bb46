# Reloads under load lose nothing: kept connections, new ones, pipelines, downloads, uploads and tunnels; with a changing
# number of workers, with and without reuseport.
use lib 't/lib';
use Weir;
use Load;

my $slow    = $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND};
my $reloads = $slow ? 20 : 100;
my $bytes   = 300_000;
my $origin  = LoadOrigin->new(bytes => $bytes);
for my $listen ('listen 127.0.0.1:%port0%;', 'listen 127.0.0.1:%port0% reuseport deferred;') {
    my $server = sub { "$listen\nserver_name localhost;\n" . $origin->locations };
    my $weir   = Weir->new(files => $origin->files($bytes), server => $server->(), workers => 4);
    my $load   = Load->new(
        $weir,
        keepalive => 2, fresh => 2, pipeline => 1, download => 1, upload => 1, tunnel => 1,
        bytes     => $bytes,
        targets   => { small => '/small,/file,/proxied' },
    );
    $load->wait_requests(50);
    my $refused = 0;
    for my $n (1 .. $reloads) {
        $weir->rewrite_conf(workers => (4, 1, 3)[ $n % 3 ]);
        my ($status, $output) = $weir->ctl('reload');
        next if $status == 0;
        $refused++;
        diag($output);
    }
    is($refused, 0, "$reloads reloads: $listen");
    my $result = $load->stop;
    is($result->{failed}, 0, 'no request failed') or diag(join "\n", @{ $result->{problems} });
    cmp_ok($result->{requests}, '>', $reloads, "of $result->{requests}");
    wait_for(sub { $weir->workers <= 4 }, 'the old generations to end', 90);
    $weir->stop;
}
