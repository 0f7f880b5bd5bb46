#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# auth_request, auth_request_set: another location says who may pass, and what it says of them is kept.

use lib 't/lib';
use Weir;
use Nginx;

my $origin = Origin->new('*' => { body => 'content' });
my $judge  = Origin->new(
    '/yes'       => { status => 204, x_user => 'alice', fields => [ 'Set-Cookie: s=1; Path=/', 'X-Two: a', 'X-Two: b' ] },
    '/long'      => { body => 'x' x 300_000, x_user => 'bob' },
    '/no'        => { status => 403, body => 'no', x_user => 'eve' },
    '/challenge' => { status => 401, body => 'who?', fields => ['WWW-Authenticate: Basic realm="a \"quoted\" one"'] },
    '/bare'      => { status => 401 },
    '/moved'     => { status => 302, fields => ['Location: http://login.test/'] },
    '/broken'    => { status => 500 },
    '/drop'      => { drop   => 1 },
    '/cut'       => { status => 200, body => 'x', length => 10, cut => 1 },
);

my @text = (
    files  => { 'html/f.txt' => "file\n", 'html/login.html' => "log in\n", 'html/d/index.html' => "index\n" },
    http   => 'client_max_body_size 1m; types { text/plain txt; text/html html; }',
    server => <<"CONF",
        location /auth/ {
            internal;
            proxy_pass $judge->{url}/;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI \$request_uri;
        }
        location /yes/       { auth_request /auth/yes; auth_request_set \$user \$upstream_http_x_user;
                               auth_request_set \$said "<\$upstream_status \$upstream_cookie_s>";
                               proxy_set_header X-User \$user; proxy_set_header X-Said \$said;
                               add_header X-User \$user; proxy_pass $origin->{url}; }
        location /long/      { auth_request /auth/long; proxy_pass $origin->{url}; }
        location /no/        { auth_request /auth/no; auth_request_set \$user \$upstream_http_x_user;
                               add_header X-User \$user always; proxy_pass $origin->{url}; }
        location /challenge/ { auth_request /auth/challenge; proxy_pass $origin->{url}; }
        location /bare/      { auth_request /auth/bare; proxy_pass $origin->{url}; }
        location /moved/     { auth_request /auth/moved; proxy_pass $origin->{url}; }
        location /broken/    { auth_request /auth/broken; proxy_pass $origin->{url}; }
        location /drop/      { auth_request /auth/drop; proxy_pass $origin->{url}; }
        location /gone/      { auth_request /nowhere; proxy_pass $origin->{url}; }
        location /args/      { auth_request /auth/yes; proxy_pass $origin->{url}; }
        location = /f.txt    { auth_request /auth/yes; }
        location /d/         { auth_request /auth/yes; }
        location /login/     { auth_request /auth/bare; error_page 401 =200 /login.html; }
        location /away/      { auth_request /auth/challenge; error_page 401 =302 http://login.test/?from=\$request_uri; }
        location /static/    { auth_request /verdict/204; return 200 "never asked"; }
        location /s204/      { auth_request /verdict/204; proxy_pass $origin->{url}; }
        location /s403/      { auth_request /verdict/403; proxy_pass $origin->{url}; }
        location /s401/      { auth_request /verdict/401; proxy_pass $origin->{url}; }
        location /s404/      { auth_request /verdict/404; proxy_pass $origin->{url}; }
        location /file/      { auth_request /f2.txt; proxy_pass $origin->{url}; }
        location ~ ^/verdict/(?<code>204)\$ { return 204; }
        location /verdict/403 { return 403; }
        location /verdict/401 { return 401; }
        location /any/yes/   { satisfy any; deny all; auth_request /auth/yes; proxy_pass $origin->{url}; }
        location /any/no/    { satisfy any; deny all; auth_request /auth/no; proxy_pass $origin->{url}; }
        location /any/challenge/ { satisfy any; deny all; auth_request /auth/challenge; proxy_pass $origin->{url}; }
        location /any/let/   { satisfy any; allow all; auth_request /auth/no; proxy_pass $origin->{url}; }
        location /all/deny/  { deny all; auth_request /auth/yes; proxy_pass $origin->{url}; }
        location /outer/     { auth_request /auth/no; proxy_pass $origin->{url};
            location /outer/off/   { auth_request off; proxy_pass $origin->{url}; }
            location /outer/inner/ { proxy_pass $origin->{url}; }
        }
CONF
);
my ($weir, $nginx) = Nginx->beside(@text);

for my $path (qw(/yes/a /long/a /no/a /challenge/a /bare/a /f.txt /d/ /d /login/x /away/x?y=1 /static/ /s204/ /s403/
    /s401/ /any/yes/ /any/no/ /any/challenge/ /any/let/ /all/deny/ /outer/a /outer/off/a /outer/inner/a /auth/yes)) {
    Nginx::same($weir, $nginx, "GET $path",  'GET',  $path);
    # (A page that HEAD leaves out is as long as the name of the server makes it.)
    Nginx::same($weir, $nginx, "HEAD $path", 'HEAD', $path) unless $path =~ m{^/d$|^/away};
}
for my $path (qw(/moved/a /broken/a /drop/a /gone/a /s404/)) {
    Nginx::same($weir, $nginx, "GET $path", 'GET', $path);
}
like($weir->error_log, qr/auth request unexpected status: 302.*client: 127\.0\.0\.1.*request: "GET \/moved\/a/,
    'what is no verdict is logged');

# What the judge is asked, by both.
for my $case ([ 'GET', '/yes/a?x=1' ], [ 'HEAD', '/yes/h' ], [ 'POST', '/yes/p', body => 'a=b' ], [ 'PUT', '/long/p', body => 'x' x 70_000 ],
    [ 'DELETE', '/yes/d' ])
{
    my ($method, $target, @rest) = @$case;
    my @asked;
    for my $server ($weir, $nginx) {
        $judge->forget;
        $origin->forget;
        my $answer = $server->request($method, $target, @rest, fields => ['Cookie: session=1']);
        is($answer->status, 200, $server->name . ": $method $target passes");
        my $request = ($judge->wait_requests(1))[0];
        is(Origin::field($request, 'X-Original-URI'), $target, 'the judge hears of the target');
        is(Origin::field($request, 'Cookie'), 'session=1', 'has the fields of the request');
        is($request->{body}, '', 'and not the body');
        push @asked, "$request->{method} $request->{target}";
        my $passed = ($origin->wait_requests(1))[0];
        wait_for(sub { ($origin->requests)[0]{complete} }, 'the whole request');
        is(($origin->requests)[0]{method}, $method, 'the origin gets the method');
        is(length(($origin->requests)[0]{body}), length($rest[1] // ''), 'and the body');
        next if $target =~ /long/;
        is(Origin::field($passed, 'X-User'), 'alice', 'a variable is set from the answer');
        is(Origin::field($passed, 'X-Said'), '<204 1>', 'another');
    }
    is($asked[0], $asked[1], "the same question for $method: $asked[0]");
}

# Several challenges reach the client.
$judge->set('/two' => { status => 401, fields => [ 'WWW-Authenticate: Basic realm=a', 'WWW-Authenticate: Digest realm=b, nonce="c"' ] });
my $both = Weir->new(
    server => <<"CONF",
        location /auth/   { proxy_pass $judge->{url}/; }
        location /hidden/ { proxy_pass $judge->{url}/; proxy_hide_header WWW-Authenticate; }
        location /x       { auth_request /auth/two; return 404; }
        location /a       { auth_request /auth/two; proxy_pass $origin->{url}; }
        location /h       { auth_request /hidden/challenge; proxy_pass $origin->{url}; }
        location /c       { auth_request /auth/cut; proxy_pass $origin->{url}; }
        location /q       { auth_request /auth/yes?who=1; proxy_pass $origin->{url}; }
        location /set     { auth_request /auth/yes; auth_request_set \$two \$upstream_http_x_two; add_header X-Two \$two;
                            proxy_pass $origin->{url}; location /set/own { auth_request_set \$three 3; add_header X-Three \$three;
                            add_header X-Two "(\$two)"; proxy_pass $origin->{url}; } }
CONF
);
my @challenges = map { $_->[1] } grep { $_->[0] eq 'WWW-Authenticate' } @{ $both->get('/a')->fields };
is_deeply(\@challenges, [ 'Basic realm=a', 'Digest realm=b, nonce="c"' ], 'two challenges');
is($both->get('/h')->field('WWW-Authenticate'), 'Basic realm="a \"quoted\" one"', 'one that the location hides');
is($both->get('/c')->status, 200, 'a body that is cut short says nothing about the verdict');
is($both->get('/q')->status, 200, 'a question with arguments');
is(($judge->requests)[-1]{target}, '/yes?who=1', 'which arrive');
is($both->get('/set')->field('X-Two'), 'a, b', 'a field that stands twice');
my $own = $both->get('/set/own');
is($own->field('X-Three'), '3', 'auth_request_set of an inner location');
is($own->field('X-Two'), '()', 'takes the place of that of the outer');

# On a kept connection each request is asked for.
$judge->forget;
my $client = $weir->client;
for my $n (1 .. 3) {
    $client->send_request('GET', "/yes/$n");
    is($client->answer->field('X-User'), 'alice', "request $n on one connection");
}
is(scalar $judge->requests, 3, 'three questions');

# A client that leaves while the judge thinks.
$judge->hold('/yes');
my $hasty = $weir->client;
$hasty->send_request('GET', '/yes/hasty');
$judge->wait_requests(4);
$hasty->close;
ok($weir->wait_log(qr{"GET /yes/hasty HTTP/1.1" 499}, 'access.log'), 'is logged as gone');
$judge->release('/yes');
is($weir->get('/yes/later')->status, 200, 'and the next one is served');

# auth_delay: a refusal with 401 takes its time, and nothing else does.
$judge->set('/no' => { status => 401 }, '/never' => { status => 403 });
my $slow = Weir->new(server => <<CONF);
    auth_delay 300ms;
    location /yes   { auth_request /judge/yes; return 204; try_files /x =204; }
    location /no    { auth_request /judge/no; try_files /x =204; }
    location /never { auth_request /judge/never; try_files /x =204; }
    location /any   { satisfy any; auth_request /judge/no; deny all; try_files /x =204; }
    location /quick { auth_delay 0; auth_request /judge/no; try_files /x =204; }
    location /by-return { return 401; }
    location /page  { auth_request /judge/no; error_page 401 /told; try_files /x =204; }
    location /told  { return 200 told; }
    location /judge/ { internal; proxy_pass $judge->{url}/; }
CONF
for my $case ([ '/no', 401, 1 ], [ '/any', 401, 1 ], [ '/page', 401, 1 ], [ '/never', 403, 0 ], [ '/quick', 401, 0 ], [ '/by-return', 401, 0 ]) {
    my ($path, $status, $waits) = @$case;
    my $start = Time::HiRes::time();
    is($slow->get($path)->status, $status, "$path: $status");
    my $took = Time::HiRes::time() - $start;
    ok($waits ? $took > 0.28 : $took < 0.28, $waits ? 'later' : 'at once');
}
$hasty = $slow->client;
$hasty->send_request('GET', '/no');
select undef, undef, undef, 0.05;
$hasty->close;
ok($slow->wait_log(qr{"GET /no HTTP/1.1" 499}, 'access.log'), 'a client that leaves meanwhile');

for my $bad ('auth_request', 'auth_request ""', 'auth_request /a; auth_request /b', 'auth_request_set x y', 'auth_request_set $ y',
    'auth_request_set $x $nosuch', 'auth_request_set $uri y')
{
    my $daemon = Weir->new(start => 0, location => "$bad;");
    like(($daemon->run_weir('-t'))[1], qr/\[emerg\].*weir\.conf:\d+/s, "$bad: refused");
}

done_testing;
