# Where a request goes: proxy_pass with and without a URI, after normalisation, with variables.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'ok' });
my $u      = $origin->{url};
my $weir   = Weir->new(server => <<CONF);
    location / { proxy_pass $u; }
    location /name/ { proxy_pass $u/remote/; }
    location /short { proxy_pass $u/remote/; }
    location /root/ { proxy_pass $u/; }
    location = /exact { proxy_pass $u/x; }
    location ~ ^/re/ { proxy_pass $u; }
    location /outer/ { proxy_pass $u/o/; location /outer/inner/ { proxy_pass $u/i/; } location /outer/none/ { } }
    location /q { proxy_pass $u?a=1; }
    location /host/ { proxy_pass http://\$http_x_origin; }
    location /uri/ { proxy_pass http://\$http_x_origin/fixed?x=\$arg_x; }
    location /decoded/ { proxy_pass http://\$http_x_origin\$uri; }
    location /limited/ { limit_except GET { proxy_pass $u; } proxy_pass $u/l/; }
    location /page { error_page 404 /moved?y; return 404; }
    location /moved { proxy_pass $u; }
    location /rewritten/ { rewrite ^/rewritten/(.*) "/rewritten/new x/\$1?z=1" break; proxy_pass $u/remote/; }
    location /last/ { rewrite ^/last/(.*) /name/\$1 last; }
    location /if/ { if (\$arg_p) { proxy_pass $u; } }
CONF

sub target ($sent, %option) {
    $origin->forget;
    my $answer = $weir->request($option{method} // 'GET', $sent, fields => ["X-Origin: $origin->{address}"]);
    my $r = $origin->last_request;
    return $r ? $r->{target} : 'status ' . $answer->status;
}

my @cases = (
    [ '/a%2Fb/../%41?q=%20',   '/a%2Fb/../%41?q=%20', 'without a URI the target goes as it was sent' ],
    [ '//x//y',                '//x//y',              'slashes too' ],
    [ '/name/a',               '/remote/a',           'with a URI it takes the place of the location' ],
    [ '/name/./b/../%41%2f?x', '/remote/A/?x',        'of the normalised path' ],
    [ '/name/',                '/remote/',            'alone' ],
    [ '/short/a',              '/remote//a',          'slashes are the configuration\'s' ],
    [ '/root/a?b=c&d',         '/a?b=c&d',            'a root' ],
    [ '/exact?z',              '/x?z',                'an exact location' ],
    [ '/re/a%20b/../c',        '/re/a%20b/../c',      'a regular expression' ],
    [ '/outer/inner/x',        '/i/x',                'a nested location has its own' ],
    [ '/outer/none/x',         'status 404',          'or none' ],
    [ '/q/x',                  '/?a=1/x',             'a query without a path' ],
    [ '/name/%20%3f%25%22%3c%3e%5c%5e%60%7b%7c%7d~%7f%80', '/remote/%20%3F%25%22%3C%3E%5C%5E%60%7B%7C%7D~%7F%80', 'encoded anew' ],
    [ '/name/;:@&=$,+!*()',    '/remote/;:@&=$,+!*()', 'what needs no encoding' ],
    [ '/host/a%20b?c',         '/host/a%20b?c',       'a host from variables' ],
    [ '/uri/whatever?x=9',     '/fixed?x=9',          'with a URI: exactly that' ],
    [ '/decoded/a%20b%0d%0aX:%20y', '/decoded/a%20b%0D%0AX:%20y', 'what would end the target is encoded' ],
    [ '/limited/x',            '/l/x',                'outside limit_except' ],
    [ '/rewritten/a%20b?c=d',  '/rewritten/new%20x/a%20b?z=1&c=d', 'rewritten in its location: the whole URI, not that of proxy_pass' ],
    [ '/last/x%20y?q',         '/remote/x%20y?q',     'rewritten into another' ],
    [ '/if/x?p=1',             '/if/x?p=1',           'inside if' ],
    [ '/page',                 '/moved?y',        'a changed URI is the one that goes' ],
);
is(target($_->[0]), $_->[1], "$_->[2]: $_->[0]") for @cases;
is(target('/limited/x', method => 'DELETE'), '/limited/x', 'inside limit_except');

for my $case (
    [ 'location ~ x { proxy_pass http://127.0.0.1/y; }' => qr/cannot have URI part in location given by regular/ ],
    [ 'location @x { proxy_pass http://127.0.0.1/y; }'  => qr/cannot have URI part/ ],
    [ 'location / { proxy_pass 127.0.0.1; }'            => qr/invalid URL prefix in .*:\d+/ ],
    [ 'location / { proxy_pass http://127.0.0.1:99999; }' => qr/invalid (?:port|host) in upstream/ ],
    [ 'location / { proxy_pass http://127.0.0.1; proxy_pass http://127.0.0.1; }' => qr/"proxy_pass" directive is duplicate/ ],
    [ 'location / { proxy_pass http://$host; proxy_redirect default; }' => qr/"proxy_redirect default" cannot be used/ ],
    [ 'location / { proxy_pass http://127.0.0.1; proxy_buffers 1 4k; }' => qr/at least 2 "proxy_buffers"/ ],
    [ 'location / { proxy_pass http://127.0.0.1; proxy_set_header "A B" c; }' => qr/invalid field name/ ],
  )
{
    my $bad = Weir->new(start => 0, server => $case->[0]);
    my ($status, $text) = $bad->run_weir('-t');
    like($text, $case->[1], $case->[0]);
}
done_testing;
