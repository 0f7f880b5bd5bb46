#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# mirror, mirror_request_body: copies of requests arrive whole, and the client does not wait for them.

use lib 't/lib';
use Weir;

my $mirror = Origin->new('*' => { body => 'ignored' });
my $real   = Origin->new('*' => { body => 'real' });
my $weir   = Weir->new(
    files  => { 'html/f/a.html' => 'a file' },
    http   => 'client_max_body_size 10m; log_format uri "$uri"; access_log %dir%/uri.log uri;',
    server => <<"CONF",
        location /f/       { mirror /mirror; }
        location /proxied  { mirror /mirror; proxy_pass $real->{url}; }
        location /two      { mirror /mirror/a; mirror /mirror/b; proxy_pass $real->{url};
            location /two/none { mirror off; proxy_pass $real->{url}; }
            location /two/own  { mirror /mirror/c; proxy_pass $real->{url}; }
            location /two/same { proxy_pass $real->{url}; }
        }
        location /nobody   { mirror /mirror; mirror_request_body off; proxy_pass $real->{url}; }
        location /stream   { mirror /mirror; mirror_request_body off; proxy_request_buffering off; proxy_pass $real->{url}; }
        location /memory   { mirror /mirror; client_body_buffer_size 1k; proxy_pass $real->{url}; }
        location /missing  { mirror /gone; proxy_pass $real->{url}; }
        location /jump     { mirror /mirror/jump; error_page 404 = /landed; }
        location /landed   { mirror /mirror/landed; proxy_pass $real->{url}; }
        location /return   { mirror /mirror; return 200 text; }
        location /denied   { mirror /mirror; deny all; }
        location /small    { mirror /mirror; client_max_body_size 10; proxy_pass $real->{url}; }
        location /again    { mirror /proxied; proxy_pass $real->{url}; }
        location /mirror   { internal; proxy_pass $mirror->{url}; proxy_set_header X-From \$remote_addr; proxy_set_header X-Asked \$request_uri;
            proxy_set_header X-Ports "\$server_port \$realip_remote_port"; }
CONF
);

# One request, and what arrived at the mirror: the requests since the last look, `n` of them.
sub arrived ($n, $method, $target, %option) {
    $mirror->forget;
    $real->forget;
    my $answer = $weir->request($method, $target, %option);
    return ($answer, $n ? $mirror->wait_requests($n) : $mirror->requests);
}

my ($answer, @copies) = arrived(1, 'GET', '/f/a.html?x=1&y', fields => ['X-Mine: m']);
is($answer->body, 'a file', 'the client gets the file');
is($copies[0]{target}, '/mirror?x=1&y', 'the copy has the path of the mirror and the arguments of the request');
is($copies[0]{method}, 'GET', 'its method');
is(Origin::field($copies[0], 'X-Mine'),  'm', 'its fields');
is(Origin::field($copies[0], 'X-From'),  '127.0.0.1', 'the address of the client');
like(Origin::field($copies[0], 'X-Ports'), qr{^@{[ $weir->port ]} [1-9]\d*$}, 'the ports of its connection');
is(Origin::field($copies[0], 'X-Asked'), '/f/a.html?x=1&y', 'and the target as asked for');

for my $size (0, 1, 10, 5_000, 300_000) {
    my $body = join '', map { chr(32 + $_ % 90) } 1 .. $size;
    for my $path ('/proxied', '/memory') {
        my ($answer, @copies) = arrived(1, 'POST', $path, body => $body);
        is($answer->body, 'real', "POST $path of $size bytes");
        is($copies[0]{method}, 'POST', 'the copy is one too');
        wait_for(sub { ($mirror->requests)[0]{complete} }, 'the whole copy');
        ok(($mirror->requests)[0]{body} eq $body, 'with the same body');
        ok(($real->requests)[0]{body} eq $body,   'as the original');
    }
}
$mirror->forget;
$weir->raw("POST /proxied HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
is(($mirror->wait_requests(1))[0]{body}, 'abc', 'a body in chunks');

($answer, @copies) = arrived(2, 'POST', '/two', body => 'twice');
is_deeply([ sort map { "$_->{target} $_->{body}" } @copies ], [ '/mirror/a twice', '/mirror/b twice' ], 'two mirrors');
($answer, @copies) = arrived(1, 'POST', '/two/own', body => 'once');
is($copies[0]{target}, '/mirror/c', 'a level of its own');
($answer, @copies) = arrived(2, 'GET', '/two/same');
is(scalar @copies, 2, 'inherited');
($answer, @copies) = arrived(0, 'GET', '/two/none');
is($answer->body, 'real', 'off: answered');

for my $path ('/nobody', '/stream') {
    ($answer, @copies) = arrived(1, 'POST', $path, body => 'secret');
    is($copies[0]{method}, 'POST', "$path: mirror_request_body off keeps the method");
    is($copies[0]{body}, '', 'and not the body');
    is(($real->wait_requests(1))[0]{body}, 'secret', 'which the original has');
}

($answer, @copies) = arrived(1, 'HEAD', '/proxied');
is($copies[0]{method}, 'HEAD', 'HEAD stays HEAD');
($answer, @copies) = arrived(0, 'GET', '/missing');
is($answer->body, 'real', 'a mirror that answers 404');
($answer, @copies) = arrived(2, 'GET', '/jump');
is($answer->body, 'real', 'a redirect within');
is_deeply([ sort map { $_->{target} } @copies ], [ '/mirror/jump', '/mirror/landed' ], 'is mirrored at both places');
($answer, @copies) = arrived(0, 'GET', '/again');
is(scalar $real->wait_requests(2), 2, 'a mirror has no mirrors of its own');
($answer, @copies) = arrived(0, 'POST', '/small', body => 'x' x 11);
is($answer->status, 413, 'too large a body');
is($weir->get('/return')->body, 'text', 'return comes before');
is($weir->get('/denied')->status, 403, 'and so does deny');
is(scalar $mirror->requests, 0, 'none of them was mirrored');

# The client waits neither for the answer of a mirror nor for a connection to it, nor does the next request.
$mirror->hold('*');
my $client = $weir->client;
$client->send_request('POST', '/proxied', body => 'held') for 1 .. 3;
is($client->answer->body, 'real', "request $_ on one connection") for 1 .. 3;
is(scalar $mirror->wait_requests(3), 3, 'while three copies wait');
$client->close;
is($_->{body}, 'held', 'the body of a copy outlives its request') for $mirror->requests;
$mirror->release('*');

# The log has the requests of clients, not the copies.
$weir->stop('QUIT');
my @uris = split /\n/, $weir->read_file('uri.log');
cmp_ok(scalar @uris, '>', 20, 'requests are logged');
is(join(' ', grep { m{^/mirror} } @uris), '', 'copies are not');

my $down = Weir->new(
    server => "location / { mirror /m; return 404; } location /x { mirror /m; proxy_pass $real->{url}; } "
      . 'location /m { proxy_pass http://127.0.0.1:%port1%; }'
);
is($down->get('/x')->body, 'real', 'a mirror that nobody serves');
ok($down->wait_log(qr/connect\(\) failed .* while connecting to upstream/), 'is logged');

like($down->error_log, qr/connect\(\) failed .*, client: 127\.0\.0\.1, .*, subrequest: "\/m"/, 'with the client');

# Copies are in the access log with log_subrequest only, as other subrequests.
for my $on ('off', 'on') {
    my $logged = Weir->new(
        http   => "log_format l '\$uri \$remote_addr'; access_log %dir%/copies.log l;",
        server => "log_subrequest $on; location / { mirror /m; proxy_pass $real->{url}; } location /m { internal; proxy_pass $mirror->{url}; }",
    );
    $mirror->forget;
    $logged->get('/first');
    $mirror->wait_requests(1);
    wait_for(sub { $logged->read_file('copies.log') =~ m{^/m 127\.0\.0\.1$}m }, 'the line of the copy') if $on eq 'on';
    $logged->stop('QUIT');
    is(join('', sort split /^/, $logged->read_file('copies.log')), ($on eq 'on' ? "/first 127.0.0.1\n/m 127.0.0.1\n" : "/first 127.0.0.1\n"), "log_subrequest $on");
}

# A mirror that answers without end is left behind by a client that goes; the daemon stops with it under way.
my $long = Origin->new('*' => { body => 'x' x 1000, repeat => 5_000 });
$weir = Weir->new(server => "location / { mirror /m; return 404; } location /x { mirror /m; proxy_pass $real->{url}; } "
      . "location /m { internal; proxy_pass $long->{url}; }");
is($weir->get('/x')->body, 'real', 'a long answer is forgotten') for 1 .. 5;
is(scalar $long->wait_requests(5), 5, 'five of them');

for my $bad ('mirror', 'mirror /a /b', 'mirror off; mirror /a', 'mirror /a; mirror off', 'mirror_request_body maybe', 'mirror ""') {
    my $daemon = Weir->new(start => 0, location => "$bad;");
    like(($daemon->run_weir('-t'))[1], qr/\[emerg\].*weir\.conf:\d+/s, "$bad: refused");
}

done_testing;
