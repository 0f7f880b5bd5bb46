# The load of the reload tests: all kinds of clients work, and failures are seen.
use lib 't/lib';
use Weir;
use Load;

my $origin = LoadOrigin->new(bytes => 200_000);
my $weir   = Weir->new(
    files  => $origin->files(200_000),
    server => $origin->locations . 'location = /bad { return 500 bad; } location = /wrong { return 200 smell; }'
);
my @all = (
    bytes   => 200_000,
    pause   => 0.001,
    targets => { small => '/small,/file,/proxied' }
);

my $load = Load->new($weir, keepalive => 2, fresh => 1, pipeline => 1, download => 1, upload => 1, tunnel => 1, rude => 1,
    @all);
$load->wait_requests(200);
my $result = $load->stop;
is($result->{failed}, 0, 'nothing fails') or diag(join "\n", @{ $result->{problems} });
cmp_ok($result->{by_kind}{$_}, '>', 0, "$_ worked") for qw(keepalive fresh pipeline download upload tunnel);

for (
    [ 'another status',  qr/status 500/,      keepalive => '/bad' ],
    [ 'another body',    qr/status 200.*smell/, pipeline => '/wrong' ],
    [ 'a short body',    qr/200000 bytes/,    download  => '/big' ],
  )
{
    my ($what, $text, $kind, $path) = @$_;
    $load = Load->new($weir, @all, $kind => 1, bytes => 199_999, targets => { small => $path, big => $path });
    wait_for(sub { $load->count->{failed} }, 'a request that fails');
    $result = $load->stop;
    cmp_ok($result->{failed}, '>', 0, "$what is a failure");
    like($result->{problems}[0], $text, 'and named');
}

# The server closes what is idle, and then no longer listens.
$load = Load->new($weir, keepalive => 2, @all);
$load->wait_requests(20);
$weir->stop('QUIT');
wait_for(sub { $load->count->{failed} > 10 }, 'connections that are refused');
$result = $load->stop;
like("@{ $result->{problems} }", qr/connect: Connection refused/, 'a refused connection is a failure');
