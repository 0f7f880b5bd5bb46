#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Configurations of guides that look at requests, rewrite their paths or divide clients run as they are.

use lib 't/lib';
use Weir;
use Netns;

my @hosts = map { ("10.0.1.$_", "10.0.2.$_") } 101, 102;
my @clients = map { my $net = $_; map { "10.7.$net.$_" } 1 .. 20 } 1 .. 10;
Netns->enter(addresses => [ @hosts, @clients ]);

sub sample ($name) {
    open my $fh, '<', glob("t/samples/$name-*.conf") or die "$name: $!";
    local $/;
    return <$fh>;
}

sub ask ($target, %option) {
    my $client = Client->new([ '127.0.0.1', 80 ], %option) // return undef;
    $client->send_request($option{method} // 'GET', $target, close => 1, %option);
    return $client->answer;
}

my $backend   = Origin->new(host => '10.0.1.101', port => 9000, '*' => { body => 'backend' });
my $service_a = Origin->new(host => '10.0.1.101', port => 9001, '*' => { body => 'service a' });
my $groups    = "upstream backend { server $backend->{address}; }\n"
  . "upstream service_a_backend { server $service_a->{address}; }\n";

# The target that an origin saw last.
sub seen ($origin) { ($origin->requests)[-1]{target} }

subtest 'request filtering' => sub {
    my $weir = Weir->new(files => { 'html/index.html' => 'page' }, http => $groups . sample('10'));
    my %agents = (
        'Mozilla/5.0'              => 200,
        'curl/8.0'                 => 200,
        'Googlebot/2.1'            => 403,
        'My SPIDER'                => 403,
        'python-scraper'           => 403,
        'web-Crawler (compatible)' => 403,
    );
    is(ask('/', fields => ["User-Agent: $_"])->status, $agents{$_}, $_) for sort keys %agents;
    is(ask('/')->status, 200, 'no agent at all');
    my %targets = (
        '/api/list?page=1'             => 200,
        '/api/list'                    => 200,
        '/api/list?q=UNION%20all'      => 403,
        '/api/list?q=1;drop+table'     => 403,
        '/api/list?updated=1'          => 403,
        '/api/select'                  => 200,
        '/?q=select'                   => 200,
    );
    is(ask($_)->status, $targets{$_}, $_) for sort keys %targets;
    is(ask('/api/list?q=Delete', fields => ['User-Agent: bot'])->status, 403, 'both');
    is(ask('/api/up', method => 'POST', body => 'x' x 1000)->status, 200, 'a small body');
    is(ask('/api/up', method => 'POST', fields => [ 'Content-Length: ' . (10 * 1024 * 1024 + 1) ])->status,
        413, 'a body that is too large');
    for my $answer (ask('/'), ask('/', fields => ['User-Agent: bot']), ask('/api/list')) {
        my $status = $answer->status;
        is($answer->field('Server'), 'weir', "$status: no version");
        is($answer->field('X-Frame-Options'),        'SAMEORIGIN',                      "$status: a field");
        is($answer->field('X-Content-Type-Options'), 'nosniff',                         "$status: a field");
        is($answer->field('X-XSS-Protection'),       '1; mode=block',                   "$status: a field");
        is($answer->field('Referrer-Policy'),        'strict-origin-when-cross-origin', "$status: a field");
    }
    unlike(ask('/', fields => ['User-Agent: bot'])->body, qr{weir/}, 'no version in pages');
    $weir->finish;
};

subtest 'URL rewriting' => sub {
    my $weir = Weir->new(http => $groups . sample('14'));
    my %to = (
        '/old-api/users'          => '/api/v2/users',
        '/old-api/users/7?a=b&c'  => '/api/v2/users/7?a=b&c',
        '/old-api/a%20b?q=%20'    => '/api/v2/a%20b?q=%20',
        '/old-api/'               => '/api/v2/',
        '/users'                  => '/api/v1/users',
        '/users/7'                => '/api/v1/users/7',
        '/users?x=1'              => '/api/v1/users?x=1',
    );
    for my $target (sort keys %to) {
        is(ask($target)->body, 'backend', $target);
        is(seen($backend), $to{$target}, "$target becomes $to{$target}");
    }
    %to = ('/service-a/users' => '/users', '/service-a/' => '/', '/service-a/a%2fb?x' => '/a/b?x');
    for my $target (sort keys %to) {
        is(ask($target)->body, 'service a', $target);
        is(seen($service_a), $to{$target}, "$target becomes $to{$target}");
    }
    my $answer = ask('/service-a');
    is($answer->status, 301, 'the slash is missing');
    like($answer->field('Location'), qr{/service-a/$}, 'and gets added');
    $weir->finish;
};

subtest 'canary' => sub {
    my @origins = map { Origin->new(host => $_, port => 3000, '*' => { body => $_ }) } @hosts[ 0, 2, 1 ];
    my $weir = Weir->new(http => sample('23'));
    my (%side, $moved);
    for my $client (@clients) {
        my $side = sub { ask('/', from => $client)->body =~ /^10\.0\.1\./ ? 'stable' : 'canary' };
        $side{ my $first = $side->() }++;
        $moved++ if $side->() ne $first;
    }
    is($moved, undef, 'a client stays on its side');
    ok($side{canary} > 8 && $side{canary} < 34, "about one in ten of @{[ scalar @clients ]}: $side{canary}");
    $weir->finish;
};

done_testing;
