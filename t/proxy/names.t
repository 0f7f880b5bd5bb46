# Where proxy_pass leads: groups and addresses from variables, names asked for at run time, names that do not resolve.
use lib 't/lib';
use Weir;
use Socket qw(:DEFAULT);

# A name server: answers A questions from %zone, counts them.
package NameServer {
    use v5.36;
    use Socket qw(:DEFAULT);

    sub new ($class, %zone) {
        socket(my $fh, AF_INET, SOCK_DGRAM, 0) or die;
        bind($fh, pack_sockaddr_in(0, inet_aton('127.0.0.1'))) or die;
        pipe(my $r, my $w) or die;
        my ($port) = unpack_sockaddr_in(getsockname $fh);
        my $pid = fork // die;
        if (!$pid) {
            Weir::end_with_parent(9);
            my %z = %zone;
            while (1) {
                my $bits = '';
                vec($bits, fileno $fh, 1) = 1;
                vec($bits, fileno $r,  1) = 1;
                select(my $ready = $bits, undef, undef, undef);
                if (vec $ready, fileno $r, 1) {
                    my $line = <$r> // POSIX::_exit(0);
                    my ($name, @addresses) = split ' ', $line;
                    $z{$name} = [@addresses];
                }
                next unless vec $ready, fileno $fh, 1;
                my $from = recv($fh, my $q, 512, 0);
                my ($id) = unpack 'n', $q;
                my ($name, $at) = ('', 12);
                while (my $len = ord substr $q, $at, 1) {
                    $name .= '.' if length $name;
                    $name .= substr $q, $at + 1, $len;
                    $at += $len + 1;
                }
                my ($type) = unpack 'n', substr $q, $at + 1, 2;
                my $known  = $z{$name};
                my @a      = $known && $type == 1 ? @$known : ();
                my $answer = pack('n6', $id, 0x8180 | ($known ? 0 : 3), 1, scalar @a, 0, 0) . substr($q, 12, $at + 5 - 12);
                $answer .= pack('n n n N n', 0xc00c, 1, 1, 1, 4) . inet_aton($_) for @a;
                send $fh, $answer, 0, $from;
            }
        }
        close $r;
        $w->autoflush(1);
        return bless { port => $port, pid => $pid, set => $w }, $class;
    }
    sub set ($self, $name, @addresses) { print { $self->{set} } "$name @addresses\n" }
    sub stop ($self) { kill 'KILL', $self->{pid}; waitpid $self->{pid}, 0 }
}

my $one = Origin->new('*' => { body => 'one' });
my $two = Origin->new(host => '127.0.0.2', port => $one->{port}, '*' => { body => 'two' });
my $dns = NameServer->new('a.test' => ['127.0.0.1'], 'both.test' => [ '127.0.0.1', '127.0.0.2' ]);
my $port = $one->{port};
my $weir = Weir->new(
    http => <<CONF,
    upstream group { server $two->{address}; }
    resolver 127.0.0.1:$dns->{port} valid=100ms ipv6=off;
    log_format l '\$request_uri \$status [\$upstream_addr] [\$proxy_host] [\$proxy_port]';
    access_log %dir%/access.log l;
CONF
    location => 'proxy_pass http://$http_x_to;');

sub to ($where) { my $a = $weir->get('/', fields => ["X-To: $where"]); $a->status == 200 ? $a->body : $a->status }

is(to('group'), 'two', 'a group by its name');
is(to($one->{address}), 'one', 'a literal address');
is(to("a.test:$port"), 'one', 'a name');
ok($weir->wait_log(qr{^/ 200 \[127.0.0.1:$port\] \[a.test:$port\] \[$port\]$}m, 'access.log'), 'as the variables show it');
my %seen;
$seen{ to("both.test:$port") }++ for 1 .. 8;
is_deeply(\%seen, { one => 4, two => 4 }, 'all addresses of a name, in turn');
is(to("gone.test:$port"), 502, 'an unknown name');
like($weir->error_log, qr/gone\.test\S* could not be resolved \(.*Host not found\)/, 'said');
$dns->set('gone.test', '127.0.0.1');
wait_for(sub { to("gone.test:$port") eq 'one' }, 'the name to be known');
pass('which is asked for again');
$dns->set('a.test', '127.0.0.2');
wait_for(sub { to("a.test:$port") eq 'two' }, 'the new address');
pass('an address that changes is followed');
is(to("a.test:0"),      500, 'no port');
is(to("a.test:999999"), 500, 'too large a port');
is(to(''),              500, 'no host');
is(to("a.test:$port/x y\tz"), 'two', 'a URI with odd bytes');
is($two->last_request->{target}, '/x%20y%09z', 'is encoded');

# A client that leaves while the name is asked for.
my $mute;
socket($mute, AF_INET, SOCK_DGRAM, 0);
bind($mute, pack_sockaddr_in(0, inet_aton('127.0.0.1')));
my ($mute_port) = unpack_sockaddr_in(getsockname $mute);
my $waits = Weir->new(http => "resolver 127.0.0.1:$mute_port; resolver_timeout 300ms; access_log %dir%/access.log;",
    location => 'proxy_pass http://$http_x_to;');
my $c = $waits->client;
$c->send_request('GET', '/gone', fields => ['X-To: slow.test']);
recv $mute, my $question, 512, 0;
$c->close;
ok($waits->wait_log(qr{GET /gone HTTP/1.1" 499}, 'access.log'), 'a client that leaves meanwhile');
is($waits->get('/', fields => ['X-To: slow.test'])->status, 502, 'no answer in time');
like($waits->error_log, qr/slow\.test could not be resolved \(.*Operation timed out\)/, 'said');

# Names in the configuration that nobody knows do not keep weir down.
my $start = Weir->new(http => "upstream u { server unknown.invalid:1234; server $one->{address}; } upstream v { server unknown.invalid; }",
    server => "location / { proxy_pass http://unknown.invalid:$port; } location /u/ { proxy_pass http://u/; } location /v/ { proxy_pass http://v/; } location /ok/ { return 200 fine; }");
my ($status, $text) = $start->run_weir('-t');
is($status, 0, 'the configuration is good');
like($text, qr/\[warn\] host not found in upstream "unknown\.invalid:$port" in .*weir\.conf:\d+/, 'with a warning');
is($start->get('/ok/')->body, 'fine', 'weir serves');
is($start->get('/')->status, 502, 'but for that location');
is($start->get('/u/')->body, 'one', 'a group goes on without that server') for 1 .. 3;
is($start->get('/v/')->status, 502, 'if it has another');

# They are asked for again, and served once they are known.
my $late = Weir->new(http => "resolver 127.0.0.1:$dns->{port} valid=100ms; upstream u { server late.test:$port; }",
    server => "location / { proxy_pass http://late.test:$port; } location /u/ { proxy_pass http://u/; }");
is($late->get($_)->status, 502, "$_: not known yet") for '/', '/u/';
like($late->error_log, qr/no name of upstream "late\.test:$port" has been resolved yet while connecting to upstream/, 'said');
$dns->set('late.test', '127.0.0.1');
for my $path ('/', '/u/') {
    wait_for(sub { $late->get($path)->body eq 'one' }, 'the name to resolve');
    pass("$path: served when it is known");
}
$dns->stop;
done_testing;
