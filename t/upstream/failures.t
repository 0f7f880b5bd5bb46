# max_fails, fail_timeout, backup, down: who is asked after failures, in all workers and after a reload.
use lib 't/lib';
use Weir;

my ($x, $y, $z) = map { Origin->new('*' => { body => $_ }) } 'x', 'y', 'z';
my $dead = Port::claim();
my $weir = Weir->new(
    workers => 2,
    http => <<CONF,
    upstream weights { server $x->{address} weight=5; server $y->{address}; server $z->{address}; }
    upstream equal { server $x->{address}; server $y->{address}; server $z->{address}; }
    upstream dead { server 127.0.0.1:$dead fail_timeout=1h; server $y->{address}; }
    upstream two { server 127.0.0.1:$dead max_fails=3 fail_timeout=1h; server $y->{address}; }
    upstream down { server $x->{address} down; server $y->{address}; }
    upstream backup { server 127.0.0.1:$dead fail_timeout=1h; server $z->{address} backup; }
    upstream lone { server 127.0.0.1:$dead fail_timeout=1h; }
    upstream none { server $x->{address} down; }
    upstream zoned { zone zoned 64k; server 127.0.0.1:$dead fail_timeout=1h; server $y->{address}; }
    log_format l '\$request_uri [\$upstream_addr] \$upstream_status';
    access_log %dir%/access.log l;
CONF
    server => join "\n", map { "location /$_ { proxy_pass http://$_; }" } qw(weights equal dead two down backup lone none zoned));

sub sequence ($path, $n) { join '', map { my $a = $weir->get($path); $a->status == 200 ? $a->body : $a->status } 1 .. $n }
sub failures () { scalar(() = $weir->error_log =~ /connect\(\) failed/g) }

is(sequence('/weights', 14), 'xxyxzxxxxyxzxx', 'smooth weights, shared by the workers');
is(sequence('/equal', 6), 'xyzxyz', 'in turn');
my $before = failures();
is(sequence('/dead', 12), 'y' x 12, 'a dead peer does not show');
is(failures() - $before, 1, 'and is tried once by all workers together');
$before = failures();
is(sequence('/two', 20), 'y' x 20, 'max_fails=3');
is(failures() - $before, 3, 'three times');
is(sequence('/down', 4), 'yyyy', 'down');
is(sequence('/backup', 4), 'zzzz', 'backup');
$before = failures();
is(sequence('/lone', 3), '502502502', 'a lone server');
is(failures() - $before, 3, 'is tried each time');
is(sequence('/none', 1), '502', 'none can serve');
like($weir->error_log, qr/no live upstreams while connecting to upstream, client: 127.0.0.1, server: localhost, request: "GET \/none HTTP\/1.1", upstream: "http:\/\/none\/none", host: "localhost"/, 'said');
ok($weir->wait_log(qr{^/none \[none\] 502}m, 'access.log'), 'logged under the group\'s name');
is(sequence('/zoned', 4), 'yyyy', 'a zone of its own');
$weir->reload;
$before = failures();
is(sequence('/dead', 6), 'y' x 6, 'after a reload');
is(sequence('/zoned', 6), 'y' x 6, 'in a zone as well');
is(failures() - $before, 0, 'the failure is still known');

# It comes back.
my $port = Port::claim();
my $w2 = Weir->new(http => "upstream u { server 127.0.0.1:$port fail_timeout=300ms; server $y->{address}; }", location => 'proxy_pass http://u;');
is($w2->get('/')->body, 'y', 'dead') for 1 .. 3;
my $back = Origin->new(port => $port, '*' => { body => 'back' });
my %seen;
Weir::wait_for(sub { $seen{ $w2->get('/')->body }++; $seen{back} }, 'the peer to be asked again');
ok($seen{y}, 'after fail_timeout it is asked again');
my $both = join '', sort map { $w2->get('/')->body } 1 .. 4;
is($both, 'backbackyy', 'and has its share');

for my $case (
    [ 'upstream u { }'                                 => qr/no servers are inside upstream/ ],
    [ 'upstream u { server a b; }'                     => qr/invalid parameter "b"/ ],
    [ 'upstream u { server 127.0.0.1 weight=0; }'      => qr/invalid parameter "weight=0"/ ],
    [ 'upstream u { server 127.0.0.1:0; }'             => qr/invalid (?:port|host) in upstream/ ],
    [ 'upstream u { server 127.0.0.1; } upstream u { server 127.0.0.1; }' => qr/duplicate upstream "u"/ ],
    [ 'upstream u { server 127.0.0.1; keepalive x; }'  => qr/invalid value "x" in "keepalive"/ ],
    [ 'upstream u { server 127.0.0.1; zone z 1k; }'    => qr/zone "z" is too small/ ],
    [ 'upstream u { server 127.0.0.1; } server { location / { proxy_pass http://u:81; } }' => qr/upstream "u" may not have port 81/ ],
  )
{
    my $bad = Weir->new(start => 0, http => $case->[0], server => '');
    my ($status, $text) = $bad->run_weir('-t');
    like($text, $case->[1], $case->[0]);
    isnt($status, 0, 'and fails');
}
done_testing;
