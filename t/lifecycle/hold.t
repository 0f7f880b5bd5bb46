# A new generation that passes the check and cannot come up: the old one serves on, complete, until the next reload.
use lib 't/lib';
use Weir;

my $weir = Weir->new(location => 'return 200 old;', workers => 2);
$weir->allow(qr/chdir\(|ended before|exited on signal 9/);
my @old = $weir->workers;

$weir->rewrite_conf(
    main   => 'working_directory /nonexistent/place;',
    server => "listen 127.0.0.1:%port0%;\nlisten 127.0.0.1:%port1%;\nlisten unix:%dir%/new.sock;\nserver_name localhost;",
    location => 'return 200 new;',
    workers  => 3,
);
my ($status, $output) = $weir->ctl('reload');
is($status, 1, 'the reload fails');
like($output, qr/worker process \d+ ended before it was ready/, 'and says why');
($status, $output) = $weir->ctl('status');
like($output, qr/^state: holding$/m, 'status says so');
is($weir->get('/')->body, 'old', 'the old generation serves');
is($weir->client(1), undef, 'the new address is closed');
ok(!-e $weir->dir . '/new.sock', 'and the new socket is gone');
wait_for(sub { $weir->workers == 2 }, 'the end of the failed generation');
is("@{[ $weir->workers ]}", "@{[ sort { $a <=> $b } @old ]}", 'the old workers are the ones that serve');

kill 'KILL', $old[0];
wait_for(sub { my @now = $weir->workers; @now == 2 && !grep { $_ == $old[0] } @now }, 'one that dies is replaced');
is($weir->get('/')->body, 'old', 'from the last good text') for 1 .. 10;

($status) = $weir->ctl('reload');
is($status, 1, 'the next attempt fails as well');
is($weir->get('/')->body, 'old', 'and the old one still serves');

$weir->rewrite_conf(main => '');
($status, $output) = $weir->ctl('reload');
is($status, 0, 'a good reload leaves the state') or diag($output);
is($weir->get('/')->body, 'new', 'and serves');
is($weir->get('/', port => 1)->body, 'new', 'on the new address too');
($status, $output) = $weir->ctl('status');
like($output, qr/^state: running$/m, 'status says so');
