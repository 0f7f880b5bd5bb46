# Configurations as guides print them run as they are, with origins at the addresses that they name.
use lib 't/lib';
use Weir;
use Netns;

my @hosts = map { ("10.0.1.$_", "10.0.2.$_", "10.0.3.$_") } 101, 102;
Netns->enter(addresses => [ @hosts, '192.168.1.7', '172.16.0.9' ]);

# An origin that tells who it is.
sub origin ($host, $port, @script) {
    return Origin->new(host => $host, port => $port, @script, '*' => { body => "$host:$port", fields => ['X-A: b'] });
}

sub sample ($name) {
    open my $fh, '<', glob("t/samples/$name-*.conf") or die "$name: $!";
    local $/;
    return <$fh>;
}

sub ask ($address, $target, %option) {
    my $client = Client->new($address, %option) // return undef;
    $client->send_request('GET', $target, close => 1, %option);
    return $client->answer;
}

# What the origins of several requests answer, sorted.
sub answers ($count, @request) {
    my %seen;
    $seen{ ask(@request)->body }++ for 1 .. $count;
    return join ' ', map { "$_=$seen{$_}" } sort keys %seen;
}

my @origins = map { origin(@$_) }[ '10.0.1.101', 3000 ], [ '10.0.1.102', 3000 ], [ '10.0.2.101', 3000 ],
  [ '10.0.2.102', 3000 ], [ '10.0.2.101', 8080 ], [ '10.0.2.102', 8080 ], [ '10.0.3.101', 4000 ];
my $big     = 'x' x 300_000;
my $backend = origin('10.0.1.101', 9000, '/api/big' => { body => $big }, '/api/stream/big' => { body => $big });

# Fragments speak of groups that stand elsewhere in the guide's file.
my $groups = "upstream backend { server $backend->{address}; } upstream admin_backend { server 10.0.3.101:4000; }\n";

subtest 'path routing' => sub {
    # Without the words `ssl http2`: what is meant here is the choice by path.
    my $weir = Weir->new(http => sample('08') =~ s/ ssl http2//r);
    is(answers(4, [ '127.0.0.1', 443 ], '/'),     '10.0.1.101:3000=2 10.0.1.102:3000=2', 'the application');
    is(answers(4, [ '127.0.0.1', 443 ], '/api/'), '10.0.2.101:8080=2 10.0.2.102:8080=2', 'the API');
    is(ask([ '10.0.1.101', 443 ], '/admin/x', from => '10.0.1.102')->body, '10.0.3.101:4000', 'from the inside');
    is(ask([ '127.0.0.1', 443 ], '/admin/x')->status, 403, 'from elsewhere');
    $weir->finish;
};

subtest 'IP allowlist' => sub {
    my $weir = Weir->new(http => "$groups server { listen 80;\n" . sample('11') . "}");
    for my $row ([ '10.0.1.102', 200 ], [ '192.168.1.7', 200 ], [ '172.16.0.9', 403 ]) {
        my ($from, $status) = @$row;
        is(ask([ '127.0.0.1', 80 ], '/admin/', from => $from)->status, $status, "from $from");
    }
    $weir->finish;
};

subtest 'keepalive pool' => sub {
    $_->forget for @origins;
    my ($before) = $origins[0]->connections;
    my $weir = Weir->new(http => sample('19'));
    is(answers(10, [ '127.0.0.1', 80 ], '/'), '10.0.1.101:3000=5 10.0.1.102:3000=5', 'taken in turns');
    # A checker between the body's sources may let the answer end before the connection is back in the pool.
    is($origins[0]->connections - $before, 1, 'over one connection each') unless $ENV{WEIR_SANITIZE};
    $weir->finish;
};

subtest 'buffering' => sub {
    my $weir = Weir->new(http => $groups . sample('20'));
    ok(ask([ '127.0.0.1', 80 ], '/api/big')->body eq $big,        'buffered');
    ok(ask([ '127.0.0.1', 80 ], '/api/stream/big')->body eq $big, 'streamed');
    $weir->finish;
};

subtest 'timeouts' => sub {
    my $weir = Weir->new(files => { 'html/index.html' => 'page' }, http => sample('21'));
    is(ask([ '127.0.0.1', 80 ], '/')->body, 'page', 'served');
    $weir->finish;
};

subtest 'blue and green' => sub {
    my $weir = Weir->new(http => sample('22'));
    is(answers(4, [ '127.0.0.1', 80 ], '/'), '10.0.1.101:3000=2 10.0.1.102:3000=2', 'blue');
    $weir->rewrite_conf(http => sample('22') =~ s{http://blue}{http://green}r);
    $weir->reload;
    is(answers(4, [ '127.0.0.1', 80 ], '/'), '10.0.2.101:3000=2 10.0.2.102:3000=2', 'green after a reload');
    $weir->finish;
};
