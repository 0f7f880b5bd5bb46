# Reloads under load lose nothing: kept connections, new ones, downloads, uploads and tunnels; with a changing number of
# workers, with and without reuseport.
use lib 't/lib';
use Weir;
use Load;

my $reloads = $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND} ? 20 : 100;
my $origin  = Origin->new('/upload' => { body => 'ok' }, '/tunnel' => { upgrade => 'websocket' });
my $server  = <<CONF;
server_name localhost;
location = /small { return 200 small; }
location /upload { proxy_pass $origin->{url}; proxy_http_version 1.1; }
location /tunnel {
    proxy_pass $origin->{url};
    proxy_http_version 1.1;
    proxy_set_header Upgrade \$http_upgrade;
    proxy_set_header Connection upgrade;
}
CONF
for my $listen ('listen 127.0.0.1:%port0%;', 'listen 127.0.0.1:%port0% reuseport deferred;') {
    my $weir = Weir->new(files => { 'html/big' => 'b' x 300_000 }, server => "$listen\n$server", workers => 4);
    my $load = Load->new($weir, keepalive => 2, fresh => 2, download => 1, upload => 1, tunnel => 1, bytes => 300_000);
    my $failed = 0;
    for my $n (1 .. $reloads) {
        $weir->rewrite_conf(workers => (4, 1, 3)[ $n % 3 ]);
        my ($status, $output) = $weir->ctl('reload');
        next if $status == 0;
        $failed++;
        diag($output);
    }
    is($failed, 0, "$reloads reloads: $listen");
    my $result = $load->stop;
    is($result->{failed}, 0, 'no request failed') or diag(@{ $result->{problems} });
    cmp_ok($result->{requests}, '>', $reloads, "of $result->{requests}");
    wait_for(sub { $weir->workers <= 4 }, 'the old generations to end', 90);
    $weir->stop;
}
