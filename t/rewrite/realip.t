#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# set_real_ip_from, real_ip_header, real_ip_recursive: the address behind trusted proxies, and nobody else's word for it.

use lib 't/lib';
use Weir;
use Nginx;

my $shown = '$remote_addr $realip_remote_addr';
my @text  = (
    files  => { 'html/page.shtml' => '', 'html/a/f.txt' => "file\n" },
    http   => 'log_format addr "$remote_addr $realip_remote_addr $uri";',
    server => <<"CONF",
        access_log %dir%/access.log addr;
        location /plain   { proxy_pass http://127.0.0.1:%port1%; proxy_set_header X "$shown \$remote_port";
                            set_real_ip_from 127.0.0.1; }
        location /custom  { proxy_pass http://127.0.0.1:%port1%; proxy_set_header X "$shown \$remote_port";
                            set_real_ip_from 127.0.0.0/8; real_ip_header CF-Connecting-IP; }
        location /xff     { proxy_pass http://127.0.0.1:%port1%; proxy_set_header X "$shown \$remote_port";
                            set_real_ip_from 127.0.0.1; set_real_ip_from 192.0.2.0/24; set_real_ip_from 2001:db8::/32;
                            real_ip_header X-Forwarded-For; }
        location /rec     { proxy_pass http://127.0.0.1:%port1%; proxy_set_header X "$shown \$remote_port";
                            set_real_ip_from 127.0.0.1; set_real_ip_from 192.0.2.0/24; set_real_ip_from 2001:db8::/32;
                            real_ip_header X-Forwarded-For; real_ip_recursive on; }
        location /other   { proxy_pass http://127.0.0.1:%port1%; proxy_set_header X "$shown \$remote_port";
                            set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For; }
        location /access  { set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; allow 203.0.113.7; deny all;
                            root %dir%/html/a; try_files /f.txt =404; }
        location /jump    { set_real_ip_from 127.0.0.1; error_page 404 = /jumped; root %dir%/nowhere; }
        location /jumped  { proxy_pass http://127.0.0.1:%port1%; proxy_set_header X "$shown"; }
CONF
);
my ($weir, $nginx) = Nginx->beside(@text, start => 0);
my $echo = 'server { listen 127.0.0.1:%port1%; location / { return 200 "$http_x\n"; } }';
for my $server ($weir, $nginx) {
    $server->rewrite_conf(http => "$server->{option}{http} $echo");
    $server->stop;
    $server->start;
}

# A client's own port differs each time.
sub who ($server, $path, @fields) {
    my $client = $server->client;
    my $port   = $client->port;
    $client->send_request('GET', $path, fields => \@fields, close => 1);
    my $answer = $client->answer // return 'no answer';
    return $answer->status . ' ' . ($answer->body =~ s/ $port$/ PORT/mr =~ s/\n.*//sr);
}

my ($real, $xff) = ('X-Real-IP', 'X-Forwarded-For');
my @cases = (
    [ '/plain' ],
    [ '/plain', "$real: 203.0.113.7" ],
    [ '/plain', "$real: 203.0.113.7:81" ],
    [ '/plain', "$real: 2001:db8::7" ],
    [ '/plain', "$real: [2001:db8::7]:81" ],
    [ '/plain', "$real: unknown" ],
    [ '/plain', "$real: 203.0.113.7x" ],
    [ '/plain', "$real: 203.0.113.777" ],
    [ '/plain', "$real: unix:/tmp/x" ],
    [ '/plain', "$real: " ],
    [ '/plain', "$real: 1.1.1.1, 203.0.113.7" ],
    [ '/plain', "$xff: 203.0.113.7" ],
    [ '/custom', 'CF-Connecting-IP: 203.0.113.7' ],
    [ '/custom', 'cf-connecting-ip: 203.0.113.7' ],
    [ '/custom', "$real: 203.0.113.7" ],
    [ '/other', "$xff: 203.0.113.7" ],
    (
        map { my $path = $_; map { [ $path, "$xff: $_" ] }
          '203.0.113.7', '203.0.113.7:81', '1.1.1.1, 203.0.113.7', '1.1.1.1,203.0.113.7', '1.1.1.1 203.0.113.7',
          '203.0.113.7, 192.0.2.1', '1.1.1.1, 203.0.113.7, 192.0.2.1, 192.0.2.2', '192.0.2.1, 192.0.2.2', '192.0.2.1',
          '203.0.113.7, unknown', 'unknown, 203.0.113.7', '203.0.113.7, unknown, 192.0.2.1', '203.0.113.7,', '203.0.113.7,,', '203.0.113.7 ,', '203.0.113.7, ,', ', 203.0.113.7', '203.0.113.7 192.0.2.1', '203.0.113.7 ,  ,192.0.2.1',
          '203.0.113.7, 2001:db8::1', '203.0.113.7, [2001:db8::1]:443', '[2001:db9::1]:443, 192.0.2.9', '203.0.113.7,192.0.2.1:1:2',
          'x' x 500, ', , ,', '::ffff:203.0.113.7', '"203.0.113.7"', '203.0.113.7;192.0.2.1' } '/xff', '/rec'
    ),
    [ '/rec', "$xff: 203.0.113.7", "$xff: 192.0.2.1" ],
    [ '/rec', "$xff: 1.1.1.1", "$xff: 203.0.113.7", "$xff: 192.0.2.1" ],
    [ '/rec', "$xff: 1.1.1.1", "$xff: unknown, 192.0.2.1" ],
    [ '/xff', "$xff: 1.1.1.1", "$xff: 203.0.113.7" ],
    [ '/access', "$xff: 203.0.113.7" ],
    [ '/access', "$xff: 203.0.113.8" ],
    [ '/access', "$xff: 203.0.113.7, 203.0.113.8" ],
    [ '/access' ],
    [ '/jump', "$real: 203.0.113.7" ],
);
for my $case (@cases) {
    my ($path, @fields) = @$case;
    is(who($weir, @$case), who($nginx, @$case), join ' | ', $path, map { substr $_, 0, 60 } @fields);
}
is(who($weir, '/plain', "$real: 203.0.113.7"), '200 203.0.113.7 127.0.0.1', 'the address of a field');
is(who($weir, '/rec', "$xff: 1.1.1.1, 203.0.113.7, 192.0.2.1"), '200 203.0.113.7 127.0.0.1', 'the last one that is not trusted');
# nginx differs: one address too few, because it takes the field that came first.
is(who($weir, '/plain', "$real: 1.1.1.1", "$real: 203.0.113.7"), '200 203.0.113.7 127.0.0.1', 'a second field is nearer');
is(who($weir, '/custom', 'CF-Connecting-IP: 1.1.1.1', 'CF-Connecting-IP: 203.0.113.7'), '200 203.0.113.7 127.0.0.1', 'of any name');

is(who($weir, '/plain', "$real: [2001:db8::7]"), '200 2001:db8::7 127.0.0.1', 'brackets without a port (RFC 3986)');

is(who($weir, '/xff', "$xff: ,203.0.113.7"), '200 203.0.113.7 127.0.0.1', 'an empty element in front');

# It is that of one request.
my $client = $weir->client;
for my $ip ('203.0.113.7', undef, '203.0.113.8') {
    $client->send_request('GET', '/plain', defined $ip ? (fields => ["$real: $ip"]) : ());
    like($client->answer->body, qr/^\Q${\($ip \/\/ '127.0.0.1')}\E 127\.0\.0\.1/, 'one connection, ' . ($ip // 'none'));
}
is($weir->get('/access', fields => ["$xff: 203.0.113.8"])->status, 403, 'access sees it');
ok($weir->wait_log(qr{^203\.0\.113\.8 127\.0\.0\.1 /access}m, 'access.log'), 'the access log too');
ok($weir->wait_log(qr/access forbidden by rule, client: 203\.0\.113\.8,/), 'and the error log');

# Forwarded (RFC 7239), names, unix sockets, children, the server's rules before the location's.
my $origin = Origin->new('*' => { echo => 1 });
my $other  = Weir->new(
    http   => 'real_ip_header Forwarded; real_ip_recursive on; geo $where { default far; 203.0.113.0/24 near; }',
    server => <<"CONF",
        listen 127.0.0.1:%port0%;
        listen unix:%dir%/socket;
        set_real_ip_from localhost;
        set_real_ip_from 192.0.2.0/24;
        set_real_ip_from unix:;
        location /        { return 200 "[\$remote_addr|\$remote_port|\$realip_remote_addr|\$realip_remote_port]"; }
        location /second  { real_ip_header X-Real-IP; proxy_pass $origin->{url}; proxy_set_header X-Who \$remote_addr; }
        location /asked   { auth_request /judge; proxy_pass $origin->{url}; proxy_set_header Forwarded \$proxy_add_forwarded;
                            proxy_set_header X-Elem \$proxy_forwarded_elem; }
        location /geo     { return 200 \$where; }
        location /binary  { return 200 "\$binary_remote_addr"; }
        location /judge   { proxy_pass $origin->{url}; proxy_set_header X-Judge \$remote_addr; proxy_set_header Content-Length ""; }
        location /mirrored { mirror /judge; return 404; proxy_pass $origin->{url}; }
        location /m       { mirror /judge; proxy_pass $origin->{url}; }
CONF
);

sub forwarded (@lines) {
    my $answer = $other->get('/', fields => [ map { "Forwarded: $_" } @lines ]);
    return $answer->status if $answer->status != 200;
    return $answer->body =~ s/^\[([^|]*)\|.*/$1/sr;
}
for my $case (
    [ '203.0.113.7', 'for=203.0.113.7' ],
    [ '203.0.113.7', 'For="203.0.113.7:81"' ],
    [ '203.0.113.7', 'for=203.0.113.7;proto=https;host="a:1";by=_x' ],
    [ '203.0.113.7', 'proto=https; for=203.0.113.7' ],
    [ '203.0.113.7', 'for=203.0.113.7:_hidden' ],
    [ '203.0.113.7', 'for=1.1.1.1, for=203.0.113.7' ],
    [ '203.0.113.7', 'for=203.0.113.7, for=192.0.2.1,for=192.0.2.2' ],
    [ '203.0.113.7', 'for=203.0.113.7', 'for=192.0.2.1' ],
    [ '203.0.113.7', 'for=1.1.1.1', 'for="203.0.113.7"', 'for=192.0.2.1' ],
    [ '192.0.2.1',   'for=192.0.2.1' ],
    [ '2001:db8::7', 'for="[2001:db8::7]"' ],
    [ '2001:db8::7', 'for="[2001:db8::7]:81"' ],
    [ '203.0.113.7', 'for="\2\0\3.0.113.7"' ],
    [ '203.0.113.7', ', ,for=203.0.113.7,,' ],
    [ '127.0.0.1',   'for=unknown' ],
    [ '127.0.0.1',   'for=203.0.113.7, for=_hidden' ],
    [ '127.0.0.1',   'for=203.0.113.7, proto=https' ],
    [ '192.0.2.1',   'for=203.0.113.7, for=unknown, for=192.0.2.1' ],
    [ '127.0.0.1',   'for=2001:db8::7' ],
    [ '127.0.0.1',   'for="unix:/x"' ],
    [ '127.0.0.1',   'for="x, for=203.0.113.7"' ],
    [ '400', 'for="x, for=203.0.113.7' ],
    [ '400', 'for="x, for="[2001:db8::7]:1"' ],
    [ '400', 'for=203.0.113.7;for=1.1.1.1' ],
    [ '400', '203.0.113.7' ],
    [ '400', 'for=' ],
    [ '400', 'for="1.1.1.1" x' ],
    [ '400', 'for=1.1.1.1', 'for="' ],
    [ '400', join ',', ('for=1.1.1.1') x 257 ],
  )
{
    my ($expected, @lines) = @$case;
    is(forwarded(@lines), $expected, join ' | ', map { substr $_, 0, 60 } @lines);
}
like($other->get('/', fields => ['Forwarded: for="203.0.113.7:81"'])->body, qr/^\[203\.0\.113\.7\|81\|127\.0\.0\.1\|\d+\]$/, 'ports');
my $unix = Client->new($other->dir . '/socket');
$unix->send_request('GET', '/', fields => ['Forwarded: for=203.0.113.7'], close => 1);
is($unix->answer->body, '[203.0.113.7||unix:|]', 'over a unix socket');

like($other->get('/second', fields => [ 'Forwarded: for=203.0.113.7', 'X-Real-IP: 203.0.113.9' ])->body, qr/^X-Who: 203\.0\.113\.7\r$/m,
    'what the server found holds');
like($other->get('/second', fields => ['X-Real-IP: 203.0.113.9'])->body, qr/^X-Who: 203\.0\.113\.9\r$/m, 'else the location looks');

$origin->forget;
my $answer = $other->get('/asked', host => 'Example.org:8080', fields => ['Forwarded: for=203.0.113.7;proto=https']);
my ($judged, $asked) = $origin->wait_requests(2);
is(Origin::field($judged, 'X-Judge'), '203.0.113.7', 'a subrequest has the same client');
is(Origin::field($asked, 'X-Elem'), 'for=203.0.113.7;host="Example.org:8080";proto=http', '$proxy_forwarded_elem');
is(Origin::field($asked, 'Forwarded'), 'for=203.0.113.7;proto=https, for=203.0.113.7;host="Example.org:8080";proto=http',
    '$proxy_add_forwarded');
is($other->get('/binary', fields => ['Forwarded: for=203.0.113.7'])->body, pack('C4', 203, 0, 113, 7), '$binary_remote_addr');
is($other->get('/geo', fields => ['Forwarded: for=203.0.113.7'])->body, 'near', 'geo');
$origin->forget;
$other->get('/asked', fields => ['Forwarded: for="[2001:db8::7]"']);
is(Origin::field(($origin->wait_requests(2))[1], 'X-Elem'), 'for="[2001:db8::7]";host=localhost;proto=http', 'of IPv6');
$origin->forget;
$other->get('/m', fields => ['Forwarded: for=203.0.113.7']);
my ($copy) = grep { $_->{path} eq '/judge' } $origin->wait_requests(2);
is(Origin::field($copy, 'X-Judge'), '203.0.113.7', 'and so has a mirror');

# Addresses that nobody trusted has told are counted.
my $count = sub ($daemon) { ($daemon->ctl('status'))[1] =~ /^realip_ignored_total: (\d+)$/m ? $1 : 'none' };
my $counted = Weir->new(server => <<'CONF');
    set_real_ip_from 127.0.0.2;
    real_ip_header CF-Connecting-IP;
    location / { set_real_ip_from 127.0.0.2; return 200 $remote_addr; }
CONF
is($count->($counted), 0, 'none ignored');
is($counted->get('/', fields => ['CF-Connecting-IP: 203.0.113.7'])->body, '127.0.0.1', 'a forged address');
$counted->get('/');
is($count->($counted), 1, 'is counted once');
my $edge = Client->new($counted->port, from => '127.0.0.2');
$edge->send_request('GET', '/', fields => ['CF-Connecting-IP: 203.0.113.7'], close => 1);
is($edge->answer->body, '203.0.113.7', 'that of the edge holds');
is($count->($counted), 1, 'and is not');

for my $bad ('set_real_ip_from', 'set_real_ip_from 1.2.3.4/33', 'set_real_ip_from 1.2.3.4:80', 'set_real_ip_from ""', 'real_ip_header',
    'real_ip_header "a b"', 'real_ip_recursive maybe', 'real_ip_header A; real_ip_header B')
{
    my $daemon = Weir->new(start => 0, location => "$bad;");
    like(($daemon->run_weir('-t'))[1], qr/\[emerg\].*weir\.conf:\d+/s, "$bad: refused");
}
my $warned = Weir->new(start => 0, location => 'set_real_ip_from 10.1.2.3/8;');
like(($warned->run_weir('-t'))[1], qr/low address bits of 10\.1\.2\.3\/8 are meaningless.*weir\.conf:\d+/s, 'bits below the mask: a warning');
my $unknown = Weir->new(start => 0, location => 'set_real_ip_from nobody.invalid;');
my ($status, $said) = $unknown->run_weir('-t');
is($status, 0, 'a name that is not known: no reason to stay down');
like($said, qr/\[warn\].*host not found in set_real_ip_from "nobody\.invalid".*weir\.conf:\d+/s, 'but a warning');

done_testing;
