# The same configuration and the same requests: weir answers as nginx does.
use lib 't/lib';
use Weir;
use Nginx;

my $origin = Origin->new(
    '/app/plain'    => { body => 'plain', content_type => 'text/plain', x_one => '1', server => 'Origin/1' },
    '/app/location' => { status => 302, fields => ['Location: http://origin.test/app/next'] },
    '/app/404'      => { status => 404, body => 'origin has none' },
    '/app/503'      => { status => 503, body => 'origin is busy' },
    '/app/chunked'  => { chunks => [ 'one', 'two' ] },
    '/app/204'      => { status => 204 },
    '/app/cookie'   => { body => 'c', fields => [ 'Set-Cookie: a=1', 'Set-Cookie: b=2' ] },
    '/app/accel'    => { fields => ['X-Accel-Redirect: /a.txt'], body => 'not this' },
    '/app/hidden'   => { body => 'h', fields => [ 'X-Hidden: 1', 'X-Pad: 1', 'X-Accel-Expires: 5' ] },
    '/app/echo'     => { echo => 1 },
);

my ($weir, $nginx) = Nginx->beside(
    files => {
        'html/a.txt'             => "0123456789abcdef\n",
        'html/index.html'        => '<p>index</p>',
        'html/empty'             => '',
        'html/dir/index.html'    => 'index of dir',
        'html/no-index/x'        => 'x',
        'html/a b.txt'           => 'space',
        'html/errors/404.html'   => 'nothing here',
        'html/errors/50x.html'   => 'out of order',
        'html/alias/deep/f.html' => 'deep',
        'html/page.unknown'      => '?',
    },
    http => <<'CONF',
types { text/html html; text/plain txt; }
default_type application/octet-stream;
log_format brief "$status";
CONF
    server => <<CONF,
location = /exact { return 200 "exact"; }
location /prefix/ { return 200 "prefix \$uri"; }
location ^~ /strong/ { return 200 "strong"; }
location ~ \\.php\$ { return 200 "regex \$uri"; }
location ~* \\.(jpg|png)\$ { return 200 "image \$1"; }
location ~ ^/named/(?<part>[a-z]+) { return 200 "named \$part"; }
location /nested/ {
    location /nested/inner/ { return 200 "inner"; }
    return 200 "outer";
}
location /return/301 { return 301 /elsewhere; }
location /return/302 { return http://other.test/x; }
location /return/307 { return 307 https://\$host/y; }
location /return/403 { return 403; }
location /return/404 { return 404; }
location /return/204 { return 204; }
location /return/418 { return 418 "short and stout"; }
location /return/500 { return 500; }
location /return/text { default_type text/plain; return 200 "args=\$args uri=\$uri method=\$request_method"; }
location /try/ { try_files \$uri /a.txt; }
location /try-code/ { try_files \$uri =410; }
location /try-named/ { try_files \$uri \@named; }
location \@named { return 200 "named \$uri"; }
location /internal/ { internal; return 200 "secret"; }
location /jump/ { error_page 404 = /internal/x; return 404; }
location /loop/ { error_page 404 /loop/again; recursive_error_pages on; return 404; }
location /own-page/ { error_page 404 /errors/404.html; }
location /own-page-200/ { error_page 404 =200 /errors/404.html; }
location /error-url/ { error_page 403 http://other.test/denied; return 403; }
location /aliased/ { alias %dir%/html/alias/; }
location ~ ^/alias-regex/(.*) { alias %dir%/html/alias/deep/\$1; }
location /denied/ { deny all; }
location /fields/ {
    add_header X-Always "a" always;
    add_header X-Some "\$request_method";
    expires 1h;
    alias %dir%/html/;
}
location /expires-max/ { expires max; alias %dir%/html/; }
location /expires-epoch/ { expires epoch; alias %dir%/html/; }
location /no-etag/ { etag off; alias %dir%/html/; }
location /one-range/ { max_ranges 1; alias %dir%/html/; }
location /limited/ { limit_except GET { deny all; } return 200 "ok"; }
location /empty.gif { empty_gif; }
location /app/ { proxy_pass $origin->{url}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host origin.test; }
location /rewritten/ { proxy_pass $origin->{url}/app/; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_redirect http://origin.test/app/ /rewritten/; proxy_hide_header X-Hidden; }
location /intercepted/ { proxy_pass $origin->{url}/app/; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_intercept_errors on; error_page 503 /errors/50x.html; }
location /down/ { proxy_pass http://127.0.0.1:%port1%; error_page 502 /errors/50x.html; }
location /small-body/ { client_max_body_size 10; proxy_pass $origin->{url}/app/; proxy_http_version 1.1; proxy_set_header Connection ""; }
CONF
);

my $date = 'Tue, 14 Nov 2023 22:13:20 GMT';
my @rows = (
    # files
    [ 'a file',                   'GET',  '/a.txt' ],
    [ 'its head',                 'HEAD', '/a.txt' ],
    [ 'an empty file',            'GET',  '/empty' ],
    [ 'the index',                'GET',  '/' ],
    [ 'the index of a directory', 'GET',  '/dir/' ],
    [ 'a directory without slash', 'GET', '/dir' ],
    [ 'with arguments',           'GET',  '/dir?a=b' ],
    [ 'no index',                 'GET',  '/no-index/' ],
    [ 'nothing there',            'GET',  '/nothing' ],
    [ 'a space',                  'GET',  '/a%20b.txt' ],
    [ 'an unknown ending',        'GET',  '/page.unknown' ],
    [ 'POST to a file',           'POST', '/a.txt', body => 'x' ],
    [ 'a trailing slash behind a file', 'GET', '/a.txt/' ],
    [ 'HTTP/1.0',                 'GET',  '/a.txt', version => '1.0' ],
    [ 'HTTP/1.0, kept',           'GET',  '/a.txt', version => '1.0', keep => 1, fields => ['Connection: keep-alive'] ],

    # the path
    [ 'dot segments',         'GET', '/dir/../a.txt' ],
    [ 'encoded dot segments', 'GET', '/dir/%2e%2e/a.txt' ],
    [ 'above the root',       'GET', '/../etc/passwd' ],
    [ 'encoded slash',        'GET', '/dir%2findex.html' ],
    [ 'two slashes',          'GET', '//dir//index.html' ],
    [ 'bad escape',           'GET', '/%zz' ],
    [ 'encoded NUL',          'GET', '/a%00b' ],
    [ 'absolute form',        'GET', 'http://localhost/a.txt' ],
    [ 'a fragment',           'GET', '/a.txt#part' ],

    # ranges and conditions
    [ 'a range',                  'GET', '/a.txt', fields => ['Range: bytes=2-5'] ],
    [ 'a suffix',                 'GET', '/a.txt', fields => ['Range: bytes=-3'] ],
    [ 'from a place on',          'GET', '/a.txt', fields => ['Range: bytes=10-'] ],
    [ 'two ranges',               'GET', '/a.txt', fields => ['Range: bytes=0-1,4-5'] ],
    [ 'beyond the end',           'GET', '/a.txt', fields => ['Range: bytes=100-'] ],
    [ 'a malformed range',        'GET', '/a.txt', fields => ['Range: bytes=x'] ],
    [ 'more ranges than allowed', 'GET', '/one-range/a.txt', fields => ['Range: bytes=0-1,4-5'] ],
    [ 'If-Range that fits',       'GET', '/a.txt', fields => [ 'Range: bytes=0-1', "If-Range: $date" ] ],
    [ 'If-Range that does not',   'GET', '/a.txt', fields => [ 'Range: bytes=0-1', 'If-Range: "x"' ] ],
    [ 'not modified since',       'GET', '/a.txt', fields => ["If-Modified-Since: $date"] ],
    [ 'modified since',           'GET', '/a.txt', fields => ['If-Modified-Since: Mon, 13 Nov 2023 22:13:20 GMT'] ],
    [ 'unmodified since',         'GET', '/a.txt', fields => ['If-Unmodified-Since: Mon, 13 Nov 2023 22:13:20 GMT'] ],
    [ 'If-None-Match',            'GET', '/a.txt', fields => ['If-None-Match: "6553f100-11"'] ],
    [ 'If-None-Match, weak',      'GET', '/a.txt', fields => ['If-None-Match: "x", W/"6553f100-11"'] ],
    [ 'If-None-Match, any',       'GET', '/a.txt', fields => ['If-None-Match: *'] ],
    [ 'If-Match that fails',      'GET', '/a.txt', fields => ['If-Match: "x"'] ],
    [ 'no ETag',                  'GET', '/no-etag/a.txt' ],

    # locations
    [ 'exact',                    'GET', '/exact' ],
    [ 'not exact',                'GET', '/exact/' ],
    [ 'prefix',                   'GET', '/prefix/x' ],
    [ 'a regular expression wins over a prefix', 'GET', '/prefix/x.php' ],
    [ 'but not over ^~',          'GET', '/strong/x.php' ],
    [ 'without regard to case',   'GET', '/X.JPG' ],
    [ 'a named capture',          'GET', '/named/abc/d' ],
    [ 'nested',                   'GET', '/nested/inner/x' ],
    [ 'the outer one',            'GET', '/nested/x' ],
    ( map { [ "return $_", 'GET', "/return/$_" ] } 301, 302, 307, 403, 404, 204, 418, 500 ),
    [ 'HEAD of a 404',            'HEAD', '/return/404' ],
    [ 'variables',                'POST', '/return/text?x=1&y=%20', body => 'x' ],
    [ 'the last of try_files',    'GET', '/try/none' ],
    [ 'a code',                   'GET', '/try-code/none' ],
    [ 'a named location',         'GET', '/try-named/none' ],
    [ 'internal',                 'GET', '/internal/x' ],
    [ 'by a redirect',            'GET', '/jump/x' ],
    [ 'in circles',               'GET', '/loop/x' ],
    [ 'a page for an error',      'GET', '/own-page/none' ],
    [ 'with another code',        'GET', '/own-page-200/none' ],
    [ 'elsewhere',                'GET', '/error-url/' ],
    [ 'alias',                    'GET', '/aliased/deep/f.html' ],
    [ 'alias by expression',      'GET', '/alias-regex/f.html' ],
    [ 'denied',                   'GET', '/denied/a' ],
    [ 'other fields',             'GET', '/fields/a.txt' ],
    [ 'fields of an error',       'GET', '/fields/none' ],
    [ 'expires max',              'GET', '/expires-max/a.txt' ],
    [ 'expires epoch',            'GET', '/expires-epoch/a.txt' ],
    [ 'a method that may',        'GET',  '/limited/' ],
    [ 'a method that may not',    'POST', '/limited/', body => '' ],
    [ 'a picture',                'GET',  '/empty.gif' ],

    # requests that are wrong
    [ 'no host',           'GET', '/a.txt', host => undef ],
    [ 'two hosts',         'GET', '/a.txt', fields => [ 'Host: a', 'Host: b' ] ],
    [ 'a bad host',        'GET', '/a.txt', host => 'a/b' ],
    [ 'no request',        '',    '', raw => "nonsense\r\n\r\n" ],
    [ 'a bad version',     '',    '', raw => "GET / HTTP/9.9\r\nHost: a\r\n\r\n" ],
    [ 'a lower-case method', '',  '', raw => "get / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" ],
    [ 'a bad length',      'POST', '/a.txt', fields => ['Content-Length: x'] ],
    [ 'an unknown coding', 'POST', '/a.txt', fields => ['Transfer-Encoding: gzip'] ],
    [ 'a long line',       'GET',  '/' . 'x' x 9000 ],
    [ 'a long field',      'GET',  '/', fields => [ 'X-Long: ' . 'x' x 9000 ] ],

    # an origin
    [ 'proxied',              'GET',  '/app/plain' ],
    [ 'proxied head',         'HEAD', '/app/plain' ],
    [ 'to HTTP/1.0',          'GET',  '/app/chunked', version => '1.0' ],
    [ 'chunks',               'GET',  '/app/chunked' ],
    [ 'no content',           'GET',  '/app/204' ],
    [ 'its redirect',         'GET',  '/app/location' ],
    [ 'rewritten',            'GET',  '/rewritten/location' ],
    [ 'its own 404',          'GET',  '/app/404' ],
    [ 'cookies',              'GET',  '/app/cookie' ],
    [ 'a redirect to a file', 'GET',  '/app/accel' ],
    [ 'hidden fields',        'GET',  '/rewritten/hidden' ],
    [ 'intercepted',          'GET',  '/intercepted/503' ],
    [ 'not intercepted',      'GET',  '/app/503' ],
    [ 'an origin that is down', 'GET', '/down/' ],
    [ 'what the origin gets', 'POST', '/app/echo?x=%2F', body => 'body', fields => [ 'X-A: 1', 'Accept: */*' ] ],
    [ 'the path rewritten',   'GET',  '/rewritten/echo?a=b' ],
    [ 'a body too large',     'POST', '/small-body/echo', body => 'x' x 11 ],
    [ 'a body of that size',  'POST', '/small-body/echo', body => 'x' x 10 ],
);

# Where weir differs on purpose, and why.
my %differs = ();

for my $row (@rows) {
    my ($what, $method, $target, %option) = @$row;
    if (my $reason = $differs{$what}) {
        note("$what: weir differs: $reason");
        next;
    }
    Nginx::same($weir, $nginx, $what, $method, $target, %option);
}
