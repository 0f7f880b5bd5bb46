# proxy_redirect: Location and Refresh in the client's terms; proxy_cookie_domain and proxy_cookie_path.
use lib 't/lib';
use Weir;

my $origin = Origin->new(
    '*' => sub ($request) {
        my ($value) = $request->{target} =~ /v=(.*)/;
        $value =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
        return $request->{target} =~ /cookie/
          ? { fields => ["Set-Cookie: $value"], body => '' }
          : { status => 302, fields => [ "Location: $value", "Refresh: 5; url=$value" ], body => '' };
    }
);
my $o    = $origin->{address};
my $weir = Weir->new(http => "upstream grp { server $o; }", server => <<CONF);
    location / { proxy_pass http://$o; }
    location /p/ { proxy_pass http://$o; }
    location /a/ { proxy_pass http://$o/b/; }
    location /a2 { proxy_pass http://$o/b/; }
    location /g/ { proxy_pass http://grp/b/; }
    location ~ ^/re/ { proxy_pass http://$o; }
    location /v/ { proxy_pass http://\$http_x_o; }
    location /off/ { proxy_pass http://$o/b/; proxy_redirect off; }
    location /many/ {
        proxy_pass http://$o/b/;
        proxy_redirect default;
        proxy_redirect http://one/ /1/;
        proxy_redirect ~*^http://(T[a-z]+)/(?<rest>.*)\$ http://\$host/\$1/\$rest;
        proxy_redirect http://\$http_x_v/ /var/;
        proxy_redirect / /rel/;
        proxy_redirect ~two\$ x;
    }
    location /cookie/ {
        proxy_pass http://$o;
        proxy_cookie_domain localhost .example.org;
        proxy_cookie_domain ~\\.([a-z]+\\.[a-z]+)\$ \$1;
        proxy_cookie_path ~*^/user/([^/]+) /u/\$1;
        proxy_cookie_path /one/ /;
        proxy_cookie_path / /two/;
    }
CONF
my $here = 'http://localhost:' . $weir->port;

sub answer ($path, $value) {
    $value =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ge;
    return $weir->get("$path?v=$value", fields => [ 'X-V: vv', "X-O: $o" ]);
}

for my $case (
    [ '/',     "http://$o/b/x",  '/b/x' ],
    [ '/p/',   "http://$o/b/x",  '/b/x' ],
    [ '/a/',   "http://$o/b/x",  '/a/x' ],
    [ '/a2',   "http://$o/b/x",  '/a2x' ],
    [ '/a/',   "http://$o/x",    undef ],
    [ '/g/',   "http://$o/b/x",  undef ],
    [ '/g/',   'http://grp/b/y', '/g/y' ],
    [ '/re/',  "http://$o/x",    '/x' ],
    [ '/v/',   "http://$o/x",    undef ],
    [ '/off/', "http://$o/b/x",  undef ],
    [ '/',     "http://$o",      undef ],
    [ '/',     '/b/x',           undef ],
    [ '/',     'x',              undef ],
    [ '/many/', 'http://one/x',  '/1/x' ],
    [ '/many/', 'http://two/x',  'http://localhost/two/x' ],
    [ '/many/', 'http://TWO/x',  'http://localhost/TWO/x' ],
    [ '/many/', 'http://vv/x',   '/var/x' ],
    [ '/many/', '/x',            '/rel/x' ],
    [ '/many/', 'xtwo',          'x' ],
    [ '/many/', 'twox',          undef ],
    [ '/many/', "http://$o/b/x", '/many/x' ],
  )
{
    my ($path, $value, $wanted) = @$case;
    my $a = answer($path, $value);
    $wanted //= $value;
    my $absolute = $wanted =~ m{^/} && $wanted ne $value ? "$here$wanted" : $wanted;
    is($a->field('Location'), $absolute, "$path: Location: $value");
    is($a->field('Refresh'), "5; url=$wanted", 'Refresh');
}

for my $case (
    [ 'a=b; Domain=localhost; Path=/one/x;HttpOnly', 'a=b; Domain=example.org; Path=/x; HttpOnly' ],
    [ 'a=b;domain=.LOCALHOST;path=/o',               'a=b; domain=.example.org; path=/two/o' ],
    [ 'a=b; Domain=www.foo.com; Path="/one/"',       'a=b; Domain=foo.com; Path="/one/"' ],
    [ 'a=b;  Path = /one/z ; x',                     'a=b; Path=/z; x' ],
    [ 'a=path=/one/;secure',                         undef ],
    [ 'a=b;domain=localhostx;path=',                 undef ],
    [ 'a=b;path=/USER/joe/x;max-age=3',              'a=b; path=/u/joe; max-age=3' ],
    [ 'path=/one/;path=/one/1;path=/one/2',          'path=/one/; path=/1; path=/2' ],
    [ 'a',                                           undef ],
  )
{
    my ($value, $wanted) = @$case;
    is(answer('/cookie/', $value)->field('Set-Cookie'), $wanted // $value, "Set-Cookie: $value");
}
is(answer('/', 'x')->field('Set-Cookie'), undef, 'no cookie');
done_testing;
