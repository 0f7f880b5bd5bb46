#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Gateways as guides print them: several services behind one entry, WebSockets, headers, a complete proxy. The words
# `ssl http2` and the lines of gzip are taken out, and certificates are the test's.

use lib 't/lib';
use Certs;
use Netns;
use TlsClient;
use Weir;

my @hosts = ('10.0.1.101', '10.0.2.101', '10.0.2.102', '10.0.3.101', '10.0.3.102', '10.0.3.103');
Netns->enter(addresses => \@hosts);

sub sample ($name) {
    open my $fh, '<', glob("t/samples/$name-*.conf") or die "$name: $!";
    local $/;
    return <$fh> =~ s/ ssl http2;/;/gr;
}

sub ask ($target, %option) {
    my $client = Client->new([ '127.0.0.1', $option{port} // 443 ]) // return undef;
    $client->send_request($option{method} // 'GET', $target, close => 1, host => 'example.com', %option);
    return $client->answer;
}

subtest 'an API gateway' => sub {
    my $auth = Origin->new(host => '10.0.1.101', port => 3001,
        '/validate' => { status => 204, x_auth_user => 'alice' }, '/login' => { body => 'logged in' });
    my @users  = map { Origin->new(host => $_, port => 3002, '*' => { body => "users $_" }) } @hosts[ 1, 2 ];
    my @orders = map { Origin->new(host => $_, port => 3003, '*' => { body => "orders $_" }) } @hosts[ 3 .. 5 ];
    my $weir   = Weir->new(http => 'client_max_body_size 2m; ' . sample('17'));

    my %seen;
    $seen{ ask('/api/orders/7?x=1')->body }++ for 1 .. 6;
    is_deeply(\%seen, { map { ("orders $_" => 2) } @hosts[ 3 .. 5 ] }, 'the services share the work');
    is($orders[0]->last_request->{target}, '/7?x=1', 'and see the path without its prefix');
    is(Origin::field(($auth->requests)[0], 'X-Original-URI'), '/api/orders/7?x=1', 'the judge sees the whole');

    my $body = join '', map { sprintf "%07d\n", $_ } 0 .. 131_071;    # 1 MB
    like(ask('/api/users/new', method => 'POST', body => $body, fields => ['X-Auth-User: mallory'])->body, qr/^users /, 'a large POST');
    my ($got) = map { $_->requests } @users;
    ok($got->{body} eq $body, 'reaches the service whole');
    is(Origin::field($got, 'X-Auth-User'), 'alice', 'with what the judge said, not the client');
    my $asked = $auth->last_request;
    is("$asked->{method} '$asked->{body}'", "GET ''", 'the judge gets no body');
    is(Origin::field($asked, 'Content-Length'), undef, 'nor its length');

    $auth->set('/validate' => { status => 401, www_authenticate => 'Bearer' });
    my $refused = ask('/api/users/1');
    is($refused->status . ' ' . $refused->field('WWW-Authenticate'), '401 Bearer', 'a refusal goes to the client');
    is(ask('/api/auth/login')->body, 'logged in', 'what is public stays so');
    is(ask('/auth/validate')->status, 404, 'and the judge is internal');
    $weir->finish;
    $_->stop for $auth, @users, @orders;
};

subtest 'WebSockets' => sub {
    my $socket = Origin->new('*' => { upgrade => 'websocket' });
    my $web    = Origin->new('*' => { echo => 1 });
    my $weir   = Weir->new(http => "upstream websocket_backend { server $socket->{address}; } upstream web_backend { server $web->{address}; }\n" . sample('12'));
    my $client = Client->new([ '127.0.0.1', 443 ]);
    $client->write("GET /ws/chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    is($client->answer(head => 1)->status, 101, 'a tunnel');
    $client->write('hello');
    is($client->read_bytes(5), 'hello', 'both ways');
    like(ask('/page')->body, qr{^GET /page }, 'and ordinary requests');
    $weir->finish;
};

subtest 'headers' => sub {
    my $origin = Origin->new('*' => { body => 'ok', x_powered_by => 'PHP', server => 'hidden', x_kept => 'yes' });
    my $weir   = Weir->new(http => "upstream backend { server $origin->{address}; }\n" . sample('15'));
    my $answer = ask('/api/x', port => 80);
    my $asked  = $origin->last_request;
    like(Origin::field($asked, 'X-Request-ID'), qr/^[0-9a-f]{32}$/, 'a request id');
    is(Origin::field($asked, 'X-Real-IP'), '127.0.0.1', 'the client');
    chomp(my $name = `hostname`);
    is(lc $answer->field('X-Served-By'), lc $name, 'who served');
    like($answer->field('X-Response-Time'), qr/^\d+\.\d{3}$/, 'in what time');
    is($answer->field('X-Powered-By'), undef, 'hidden');
    like($answer->field('Server'), qr/^weir/, 'ours');
    is($answer->field('X-Kept'), 'yes', 'the rest');
    $weir->finish;
};

subtest 'a complete proxy' => sub {
    my $certs = Certs->new;
    $certs->make('site', names => ['example.com']);
    my $origin = Origin->new(host => '127.0.0.1', port => 3000, '*' => { echo => 1 }, '/none' => { status => 404, body => 'none' });
    my $text   = do { open my $fh, '<', glob('t/samples/18-*.conf') or die $!; local $/; <$fh> };
    $text =~ s/ ssl http2;/ ssl;/;
    $text =~ s/^\s*gzip.*\n//mg;
    $text =~ s{/etc/letsencrypt/live/example\.com/fullchain\.pem}{$certs->path('site.crt')}e;
    $text =~ s{/etc/letsencrypt/live/example\.com/privkey\.pem}{$certs->path('site.key')}e;
    $text =~ s{/var/www/static/}{%dir%/static/};
    my $weir = Weir->new(http => $text, files => { 'static/a.css' => 'body {}' });
    my $https = sub ($target) {
        my $client = TlsClient->new(443, name => 'example.com') // return fail(TlsClient->why);
        $client->send_request('GET', $target, host => 'example.com');
        return $client->answer;
    };
    my $to = ask('/p?q=1', port => 80);
    is($to->status . ' ' . $to->field('Location'), '301 https://example.com/p?q=1', 'plain text is redirected');
    my $page = $https->('/page');
    like($page->body, qr{^GET /page HTTP/1\.[01]\r\n(?=.*^Host: example\.com\r$)(?=.*^X-Real-IP: 127\.0\.0\.1\r$)(?=.*^X-Forwarded-For: 127\.0\.0\.1\r$)(?=.*^X-Forwarded-Proto: https\r$)}ms,
        'the origin knows host, client and scheme');
    is($_->field('X-Frame-Options') . ' ' . $_->field('Server'), 'SAMEORIGIN weir', 'headers of security, no version') for $page, $https->('/none');
    my $file = $https->('/static/a.css');
    is($file->body, 'body {}', 'static files');
    is(join(' | ', $file->field('Cache-Control')), 'max-age=604800 | public, immutable', 'with both lines of Cache-Control');
    is($file->field('X-Frame-Options'), undef, 'an add_header of their own takes the place of the others');
    is($https->('/static/../../etc/passwd')->status, 400, 'and nothing above them');
    $weir->finish;
};

done_testing;
