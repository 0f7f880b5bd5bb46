# What an origin is told: proxy_set_header, its inheritance, and what is taken over from the client.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'ok' });
my $weir   = Weir->new(
    http   => 'proxy_set_header X-Http http;',
    server => <<CONF);
    location /plain/ { proxy_set_header X-Loc loc; proxy_pass $origin->{url}; }
    location /inherited/ { proxy_pass $origin->{url}; }
    location /vars/ {
        proxy_pass $origin->{url};
        proxy_set_header Host \$host:\$proxy_port;
        proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        proxy_set_header X-Const "a b";
        proxy_set_header X-Empty "";
        proxy_set_header X-Gone \$http_x_not_there;
        proxy_set_header Accept-Encoding "";
        proxy_set_header X-Mixed "<\$request_method>";
    }
    location /old/ { proxy_http_version 1.0; proxy_pass $origin->{url}; }
    location /bare/ { proxy_pass_request_headers off; proxy_pass $origin->{url}; }
    location /framing/ {
        proxy_set_header Content-Length 77;
        proxy_set_header Transfer-Encoding gzip;
        proxy_pass $origin->{url};
    }
    location /nobody/ { proxy_pass_request_body off; proxy_pass $origin->{url}; }
    location /nolength/ { proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass $origin->{url}; }
    location /method/ { proxy_method POST; proxy_set_body "x=\$arg_x"; proxy_pass $origin->{url}; }
    location /badvalue/ { proxy_set_header X-Bad "\$uri"; proxy_pass $origin->{url}; }
CONF

sub lines ($path, %option) {
    $origin->forget;
    my $answer = $weir->request($option{method} // 'GET', $path, %option);
    my $r      = $origin->last_request // return 'status ' . $answer->status;
    return [ map { "$_->[0]: $_->[1]" } @{ $r->{fields} } ];
}

my $host = "Host: $origin->{address}";
is_deeply(lines('/plain/'),     [ 'X-Loc: loc', $host ],                'a list of a level takes the place of the outer one');
is_deeply(lines('/inherited/'), [ 'X-Http: http', $host ],              'without one the outer holds');
is_deeply(lines('/old/'), [ 'X-Http: http', $host, 'Connection: close' ], 'HTTP/1.0 closes');
is($origin->last_request->{version}, '1.0', 'and says its version');

is_deeply(
    lines('/vars/', fields => [ 'X-Forwarded-For: 1.1.1.1', 'X-Empty: x', 'Accept-Encoding: gzip', 'X-Own: y' ]),
    [
        "Host: localhost:$origin->{port}", 'X-Forwarded-For: 1.1.1.1, 127.0.0.1',
        'X-Const: a b', 'X-Mixed: <GET>', 'X-Own: y'
    ],
    'values with variables; an empty one is not sent, nor the client\'s of that name'
);

is_deeply(
    lines(
        '/inherited/',
        fields => [
            'Connection: close, X-Nominated, keep-alive', 'X-Nominated: 1', 'Keep-Alive: 5', 'Proxy-Connection: x',
            'TE: trailers', 'Trailer: x', 'Upgrade: h2c', 'HTTP2-Settings: AAA', 'Cookie: a=b', 'Cookie: c=d',
            'Proxy-Authorization: q', 'X-Two: 1', 'X-Two: 2'
        ]
    ),
    [ 'X-Http: http', $host, 'Cookie: a=b', 'Cookie: c=d', 'Proxy-Authorization: q', 'X-Two: 1', 'X-Two: 2' ],
    'fields of the client\'s connection stay here, all others go on in order'
);
is_deeply(lines('/bare/', fields => ['Cookie: a=b']), [ 'X-Http: http', $host ], 'proxy_pass_request_headers off');

is_deeply(lines('/inherited/', method => 'POST', body => 'abc'), [ 'X-Http: http', $host, 'Content-Length: 3' ], 'a length');
is_deeply(lines('/inherited/', method => 'POST', body => ''), [ 'X-Http: http', $host, 'Content-Length: 0' ], 'of nothing');
is_deeply(lines('/inherited/', method => 'POST'), [ 'X-Http: http', $host ], 'none');
is_deeply(lines('/framing/', method => 'POST', body => 'abc'), [ $host, 'Content-Length: 3' ], 'framing is never the configuration\'s');
is($origin->last_request->{body}, 'abc', 'the body arrives');
is_deeply(lines('/nobody/', method => 'POST', body => 'abc'), [ 'X-Http: http', $host, 'Content-Length: 0' ], 'proxy_pass_request_body off');
is_deeply(lines('/nolength/', method => 'POST', body => 'abc'), [$host], 'and without a length');

lines('/method/?x=7', method => 'GET');
my $r = $origin->last_request;
is($r->{method}, 'POST', 'proxy_method');
is($r->{body},   'x=7',  'proxy_set_body');
lines('/method/?x=123456', method => 'PUT', body => 'thrown away');
is($origin->last_request->{body}, 'x=123456', 'in place of the client\'s');

is(lines('/badvalue/a%0d%0aX-Injected:%201'), 'status 500', 'a value that would break the head apart is refused');
like($weir->error_log, qr/invalid value of field "X-Bad" for upstream/, 'and said');
done_testing;
