# A further peer gets the request when one fails, as proxy_next_upstream says; and never what may not be sent twice.
use lib 't/lib';
use Weir;

my %script = (
    '/ok'  => { body => 'ok' },
    '/500' => { status => 500, body => 'five' }, '/502' => { status => 502, body => 'five' },
    '/503' => { status => 503, body => 'five' }, '/504' => { status => 504, body => 'five' },
    '/403' => { status => 403, body => 'no' }, '/404' => { status => 404, body => 'no' }, '/429' => { status => 429, body => 'no' },
    '/drop' => { drop => 1 }, '/bad' => { raw => "garbage\r\n\r\n" }, '/cut' => { length => 10, body => 'abc', cut => 1 },
    '/slow' => { body => 'slow' },
);
my $first  = Origin->new(%script);
my $second = Origin->new(map { ($_ => { body => 'second' }) } keys %script);
my $dead   = Port::claim();
my $f = $first->{address};
my $s = $second->{address};

# max_fails=0: each request begins with the first, whatever happened before; a weight keeps the order.
my $weir = Weir->new(
    http => <<CONF,
    upstream u { server $f max_fails=0 weight=1000; server $s max_fails=0 backup; }
    upstream dead { server 127.0.0.1:$dead max_fails=0; server $s backup; }
    upstream dead3 { server 127.0.0.1:$dead max_fails=0; server 127.0.0.2:$dead max_fails=0; server 127.0.0.3:$dead max_fails=0; }
    upstream same { server $f max_fails=0; server $f max_fails=0; }
    log_format l '\$request_uri \$status [\$upstream_addr] [\$upstream_status] [\$upstream_response_length]';
    access_log %dir%/access.log l;
    proxy_read_timeout 300ms;
CONF
    server => <<CONF);
    location / { proxy_pass http://u; }
    location /all/ { proxy_pass http://u/; proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404 http_429; }
    location /off/ { proxy_pass http://u/; proxy_next_upstream off; }
    location /any/ { proxy_pass http://u/; proxy_next_upstream error timeout http_500 non_idempotent; }
    location /stream/ { proxy_pass http://u/; proxy_next_upstream error timeout http_500 non_idempotent; proxy_request_buffering off; }
    location /dead/ { proxy_pass http://dead/; }
    location /dead3/ { proxy_pass http://dead3/; }
    location /tries/ { proxy_pass http://dead3/; proxy_next_upstream_tries 2; }
    location /same/ { proxy_pass http://same/; proxy_next_upstream http_404; }
CONF

sub says ($path, $wanted, $what, %option) {
    my $a = $weir->request($option{method} // 'GET', $path, %option);
    is($a ? $a->status . ' ' . $a->body =~ s/<html>.*/page/sr : 'nothing', $wanted, $what);
}
sub logged ($pattern, $what) { ok($weir->wait_log($pattern, 'access.log'), $what) }

says('/ok',   '200 ok',     'no failure');
says('/drop', '200 second', 'error: by default');
logged(qr{^/drop 200 \[\Q$f, $s\E\] \[502, 200\] \[0, 6\]}m, 'both attempts are told');
$first->hold('/slow');
says('/slow', '200 second', 'timeout: by default');
logged(qr{^/slow 200 \[\Q$f, $s\E\] \[504, 200\]}m, 'as 504');
says('/bad', '502 page',    'invalid_header is not');
says('/500', '500 five',    'nor are statuses');
says("/all/$_", '200 second', "asked for: $_") for 'drop', 'bad', 500, 502, 503, 504, 403, 404, 429;
says('/off/drop', '502 page', 'off');
says('/off/slow', '504 page', 'off, timeout');
says('/same/404', '404 no',  'the last one\'s answer is passed on');
is(scalar($first->requests('/404')), 3, 'after all were asked');

says('/drop', '502 page', 'a POST that was sent is not repeated', method => 'POST', body => 'x');
says('/drop', '200 second', 'a PUT is', method => 'PUT', body => 'content');
is($second->last_request->{body}, 'content', 'with its body');
says('/drop', '502 page', "$_ is not", method => $_) for 'PATCH', 'LOCK', 'UNHEARD';
says('/any/drop', '200 second', 'non_idempotent allows it', method => 'POST', body => 'x' x 100_000);
is(length $second->last_request->{body}, 100_000, 'with all of the body, from its file');
says('/any/500', '200 second', 'for statuses too', method => 'POST', body => 'x');
says('/dead/ok', '200 second', 'a POST that was never sent goes on', method => 'POST', body => 'body');
is($second->last_request->{body}, 'body', 'with its body');
says('/stream/drop', '502 page', 'a streamed body is gone once it was read', method => 'POST', body => 'abc');

says('/dead3/', '502 page', 'nobody there');
logged(qr{^/dead3/ 502 \[127\.0\.0\.\d:$dead, 127\.0\.0\.\d:$dead, 127\.0\.0\.\d:$dead\] \[502, 502, 502\]}m, 'all were tried, each once');
says('/tries/', '502 page', 'proxy_next_upstream_tries');
logged(qr{^/tries/ 502 \[127\.0\.0\.\d:$dead, 127\.0\.0\.\d:$dead\] \[502, 502\]}m, 'bounds them');
my $c = $weir->client;
$c->send_request('GET', '/cut');
my $a = $c->answer;
is($a->body, 'abc', 'what has begun is not repeated');
ok(!$a->complete, 'but cut');
is(scalar($second->requests('/cut')), 0, 'the second was not asked');
like($weir->error_log, qr/connect\(\) failed \(111: Connection refused\) while connecting to upstream, client: 127.0.0.1, server: localhost, request: "GET \/dead3\/ HTTP\/1.1", upstream: "http:\/\/127.0.0.1:$dead\/", host: "localhost"/, 'the log line');
like($weir->error_log, qr/upstream timed out \(110: Connection timed out\) while reading response header from upstream/, 'of a time-out');
like($weir->error_log, qr/upstream prematurely closed connection while reading response header from upstream/, 'of an end');

# A limit of time: the next peer is only tried within it.
my $late = Origin->new('*' => { body => 'x' });
$late->hold('*');
my $w2 = Weir->new(http => "upstream l { server $late->{address} max_fails=0; server $s backup; } proxy_read_timeout 200ms; proxy_next_upstream_timeout 100ms;",
    location => 'proxy_pass http://l;');
is($w2->get('/ok')->status, 504, 'proxy_next_upstream_timeout');
done_testing;
