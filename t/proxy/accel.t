# An origin's orders: X-Accel-Redirect, -Buffering, -Limit-Rate; and its errors intercepted by error_page.
use lib 't/lib';
use Weir;

my $origin = Origin->new(
    '/redirect' => { fields => [
        'X-Accel-Redirect: /internal/page.html', 'Content-Type: text/x', 'Content-Disposition: d', 'X-Foo: 1', 'Set-Cookie: a',
        'Set-Cookie: b', 'Cache-Control: c', 'Expires: e', 'ETag: "x"', 'Last-Modified: Thu, 01 Jan 1970 00:00:10 GMT', 'Content-Encoding: gzip' ],
        body => 'thrown away' },
    '/from-404' => { status => 404, fields => ['X-Accel-Redirect: /internal/page.html'], body => 'x' },
    '/named'    => { fields => ['X-Accel-Redirect: @named'], body => 'x' },
    '/again'    => { fields => ['X-Accel-Redirect: /second/x%20y?a=b', 'X-Secret: s3'], body => 'x' },
    '/s/x%20y'  => { body => 'second answer' },
    '/away'     => { fields => ['X-Accel-Redirect: /../etc/passwd'], body => 'x' },
    '/ignored'  => { fields => ['X-Accel-Redirect: /internal/page.html'], body => 'its own' },
    '/404' => { status => 404, body => 'origin', fields => ['X-A: b'] },
    '/401' => { status => 401, body => 'origin', fields => ['WWW-Authenticate: Basic x'] },
    '/302' => { status => 302, body => 'origin', fields => ['Location: /x'] },
    '/403' => { status => 403, body => 'origin' },
    '/410' => { status => 410, body => 'origin' },
    '/drop' => { drop => 1 },
);
my $weir = Weir->new(
    files  => { 'html/internal/page.html' => "the page\n", 'html/error.html' => "sorry\n" },
    http   => q(log_format l '$request_uri $status $upstream_addr|$upstream_status|$upstream_http_x_secret'; access_log %dir%/access.log l;),
    server => <<CONF);
    location / { proxy_pass $origin->{url}; }
    location /internal/ { internal; }
    location \@named { return 200 "named \$upstream_status \$uri"; }
    location /second/ { internal; proxy_pass $origin->{url}/s/; proxy_set_header X-Passed \$upstream_http_x_secret; }
    location /ignored { proxy_ignore_headers X-Accel-Redirect; proxy_pass $origin->{url}; }
    location /error.html { }
    location /i/ { proxy_pass $origin->{url}/; proxy_intercept_errors on; error_page 404 401 302 502 /error.html; error_page 403 \@named; }
    location /n/ { proxy_pass $origin->{url}/; error_page 404 /error.html; error_page 502 =200 /error.html; }
CONF

my $a = $weir->get('/redirect');
is($a->status, 200, 'X-Accel-Redirect');
is($a->body, "the page\n", 'another answer takes its place');
is($a->field('Content-Type'), 'text/x', 'with the type of the first');
is($a->field($_->[0]), $_->[1], "$_->[0] is kept") for [ 'Content-Disposition', 'd' ], [ 'Cache-Control', 'c' ], [ 'Expires', 'e' ];
is_deeply([ $a->field('Set-Cookie') ], [ 'a', 'b' ], 'cookies are kept');
is($a->field($_), undef, "$_ is not") for 'X-Foo', 'Content-Encoding', 'X-Accel-Redirect';
isnt($a->field('ETag'), '"x"', 'nor the validator');
is($weir->get('/internal/page.html')->status, 404, 'nobody else gets there');
is($weir->get('/from-404')->status, 200, 'whatever its status was');
is($weir->post('/redirect', 'body')->body, "the page\n", 'a POST becomes a GET');
is($weir->get('/named')->body, 'named 200 /named', 'a named location');
is($weir->get('/again')->body, 'second answer', 'a further origin');
is($origin->last_request->{target}, '/s/x%20y?a=b', 'with query');
is(Origin::field($origin->last_request, 'X-Passed'), 's3', 'told what the first one said');
is($weir->get('/away')->status, 404, 'not out of the root');
is($weir->get('/ignored')->body, 'its own', 'proxy_ignore_headers');
my $addr = $origin->{address};
$weir->wait_log(qr{^/again 200 \Q$addr : $addr\E\|200 : 200\|}m, 'access.log');

is($weir->get('/i/404')->body, "sorry\n", 'an intercepted error');
is($weir->get('/i/404')->status, 404, 'keeps its status');
is($weir->get('/i/404')->field('X-A'), undef, 'not its fields');
is($weir->get('/i/401')->field('WWW-Authenticate'), 'Basic x', 'but for the challenge');
is($weir->get('/i/302')->field('Location'), undef, 'a redirect that is intercepted leads nowhere');
is($weir->get('/i/403')->body, 'named 403 /i/403', 'to a named location');
is($weir->get('/i/410')->body, 'origin', 'without an error_page it is passed on');
is($weir->get('/i/drop')->body, "sorry\n", 'our own errors');
is($weir->get('/n/404')->body, 'origin', 'without proxy_intercept_errors as well');
$a = $weir->get('/n/drop');
is($a->status . $a->body, "200sorry\n", 'our own are');
done_testing;
