# The load of the reload tests: all kinds of clients work, and failures are seen.
use lib 't/lib';
use Weir;
use Load;

my $origin = Origin->new(
    '/upload' => { body => 'ok' },
    '/tunnel' => { upgrade => 'websocket' },
    '/bad'    => { status => 500 },
);
my $weir = Weir->new(
    files  => { 'html/big' => 'b' x 200_000 },
    server => <<CONF,
location = /small { return 200 small; }
location /upload { proxy_pass $origin->{url}; proxy_http_version 1.1; }
location /bad { proxy_pass $origin->{url}; proxy_http_version 1.1; }
location /tunnel {
    proxy_pass $origin->{url};
    proxy_http_version 1.1;
    proxy_set_header Upgrade \$http_upgrade;
    proxy_set_header Connection upgrade;
}
CONF
);

my $load = Load->new($weir, keepalive => 2, fresh => 1, download => 1, upload => 1, tunnel => 1, bytes => 200_000,
    pause => 0.001);
wait_for(sub { my @lines = split /\n/, $weir->access_log; @lines > 100 }, 'a hundred requests');
my $result = $load->stop;
is($result->{failed}, 0, 'nothing fails') or diag(@{ $result->{problems} });
cmp_ok($result->{by_kind}{$_}, '>', 0, "$_ worked") for qw(keepalive fresh download upload tunnel);

$load = Load->new($weir, keepalive => 1, targets => { small => '/bad' });
wait_for(sub { $weir->access_log =~ m{/bad} }, 'a request that fails');
$result = $load->stop;
cmp_ok($result->{failed}, '>', 0, 'failures are counted');
like($result->{problems}[0], qr/status 500/, 'and named');
