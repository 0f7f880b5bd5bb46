#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# rewrite: paths, arguments, flags, redirects and log lines as nginx has them.

use lib 't/lib';
use Weir;
use Nginx;

my ($weir, $nginx) = Nginx->beside(
    main   => 'error_log %dir%/error.log notice;',
    files  => { 'html/f.txt' => "file\n" },
    server => <<'CONF',
        rewrite_log on;
        if ($http_move) { rewrite ^/server/(.*)$ /v/$1; }
        location /last/     { rewrite ^/last/(.*)$ /v/$1 last; }
        location /next/     { rewrite ^/next/(.*)$ /v/$1; }
        location /twice/    { rewrite ^/twice/(.*)$ /second/$1; rewrite ^/second/(.*)$ /v/$1-2; }
        location /args/     { rewrite ^/args/(.*)$ /v/$1?x=1 last; }
        location /dropped/  { rewrite ^/dropped/(.*)$ /v/$1? last; }
        location /only/     { rewrite ^/only/(.*)$ /v/$1?x=$1? last; }
        location /marks/    { rewrite ^/marks/(.*)$ /v/$1?? last; }
        location /mark/     { rewrite ^/mark/(.*)$ /v/$1?a?b last; }
        location /variable/ { set $q a=b; rewrite ^ /v/?$q last; }
        location /inside/   { set $q ?a=b; rewrite ^ /v/$q last; }
        location /encoded/  { rewrite ^ /v/%20x%3F last; }
        location /captures/ { rewrite ^/captures/([^/]*)/?(.*)$ /v/?a=$1&b=$2&c=$3 last; }
        location /named/    { rewrite ^/named/(?<part>.*)$ /v/$part?p=$part last; }
        location /none/     { rewrite ^/other/(.*)$ /v/$1; return 200 "no match\n"; }
        location /break/    { rewrite ^/break/(.*)$ /$1 break; return 200 "not reached"; }
        location /stays/    { rewrite ^/stays/(.*)$ /$1; break; return 200 "not reached"; }
        location /goes/     { rewrite ^/goes/(.*)$ /v/$1; return 200 "goes $uri|$args\n"; }
        location /302/      { rewrite ^/302/(.*)$ /v/$1 redirect; }
        location /301/      { rewrite ^/301/(.*)$ /v/$1?y=$1 permanent; }
        location /301drop/  { rewrite ^/301drop/(.*)$ /v/$1? permanent; }
        location /http/     { rewrite ^/http/(.*)$ http://example.org/$1?y; }
        location /https/    { rewrite ^/https/(.*)$ https://example.org/$1 break; }
        location /scheme/   { rewrite ^/scheme/(.*)$ $scheme://example.org/$1 permanent; }
        location /literal/  { rewrite ^ /v/%20x%3Fé?a%3Fb permanent; }
        location /relative/ { absolute_redirect off; rewrite ^ /v/ permanent; }
        location /page/     { error_page 302 /v/page; rewrite ^ /x redirect; }
        location /empty/    { set $nothing ""; rewrite ^ $nothing last; }
        location /hidden    { internal; return 200 "internal\n"; }
        location /tohidden  { rewrite ^ /hidden last; }
        location /nowhere/  { add_header X-A 1; rewrite ^ /none/at/all.txt last; }
        location /loop      { rewrite ^ /loop last; }
        location = /ten     { rewrite ^ /ten/1; }
        location ~ "^/ten/(1{1,9})$" { rewrite ^ /ten/1$1 last; }
        location ~ "^/ten/1{10}$"    { return 200 "arrived\n"; }
        location = /eleven         { rewrite ^ /eleven/1; }
        location ~ "^/eleven/(1{1,10})$" { rewrite ^ /eleven/1$1 last; }
        location ~ "^/eleven/1{11}$" { return 200 "arrived\n"; }
        location /v/        { return 200 "$uri|$args|$request_uri|$1|$2\n"; }
CONF
);

my @requests = grep { length } split /\n/, <<'END';
/last/x
/last/x?q=1
/next/x?q=1
/twice/x?q
/args/x
/args/x?q=1
/dropped/x?q=1
/only/x?q=1
/marks/x?q=1
/mark/x?q=1
/variable/?z=1
/inside/?z=1
/encoded/x
/captures/a%20b/c%26d?q=1
/captures/a+b/c
/captures/ab/c&d;e"f
/named/x%26y
/none/x
/break/f.txt
/break/nothing
/stays/f.txt
/goes/x?z
/302/x
/302/x?q=1
/301/x?q=1
/301/a%20b/%c3%a9%25%3f%23%26+;=?q
/301/abé"<>\^`{|}
/301drop/x?q=1
/http/x?q=1
/https/x?q=1
/https/x
/scheme/x?q=1
/literal/x?q
/relative/x?q
/page/
/empty/
/hidden
/tohidden
/nowhere/
/loop
/ten
/eleven
/server/x
END
Nginx::same($weir, $nginx, $_, 'GET', $_) for @requests;
Nginx::same($weir, $nginx, 'in server {}',  'GET',  '/server/x', fields => [ 'Move: 1' ]);
Nginx::same($weir, $nginx, 'POST',          'POST', '/301/x', body => 'body');

# What the log says of each of them, in order.
sub steps ($server) {
    return [ map { s/\Q$server->{dir}\E/DIR/gr } $server->error_log =~ /\[(?:notice|error)\] \S+ \*\d+ (.*?), client/g ];
}
is_deeply(steps($weir), steps($nginx), 'the log lines');
Nginx::same($weir, $nginx, 'line ends in a path', 'GET', '/301drop/x%0d%0aSet-Cookie:%20a');

# What nginx lets through.
my $own = Weir->new(
    files  => { 'html_secret' => 'secret', 'html/f.txt' => 'file' },
    server => <<'CONF',
        location /args/  { rewrite ^ /v?x=$uri last; }
        location /set/   { set $args x=$uri; return 200 $args; }
        location /loc/   { rewrite ^ http://example.org$uri redirect; }
        location /slash/ { rewrite ^/slash/(.*)$ $1 break; }
        location /up/    { rewrite ^/up/(.*)-(.*)$ /v/$1/$2; }
        location /v      { return 200 "$uri|$args"; }
        location /top/   { rewrite ^/top/(.*)-(.*)$ /$1/$2; }
CONF
);
is($own->get('/args/a%0d%0ab%20c%7f')->body, '/v|x=/args/a%0D%0Ab%20c%7F', 'arguments stay within their line');
is($own->get('/set/a%0ab')->body,            'x=/set/a%0Ab',               'set $args too');
my $answer = $own->get('/loc/a%0d%0aX-Evil:%201');
is($answer->field('Location'), 'http://example.org/loc/a%0D%0AX-Evil: 1', 'a Location stays a line');
is($answer->field('X-Evil'),   undef,                                     'nothing gets into the head');
is($own->get('/slash/f.txt')->body,     'file',     'a path without its slash gets one');
is($own->get('/slash/_secret')->status, 404,        'and leads nowhere else');
is($own->get('/up/..-v/x')->body, '/v/x|', 'captures that make ".." are resolved');
is($own->get('/top/..-x')->status, 400, 'and do not lead above the root');

# What an origin gets: a path that was changed in its location is sent as it is, in place of what proxy_pass says.
my $origin = Origin->new('*' => { body => 'ok' });
for my $class ('Weir', 'Nginx') {
    my $server = $class->new(server => <<"CONF");
        location /base/ { rewrite ^/base/x/(.*)\$ /new/\$1 break; proxy_pass $origin->{url}/to/; }
        location /stay/ { if (\$arg_x) { rewrite ^/stay/(.*)\$ /if/\$1 break; } proxy_pass $origin->{url}; }
        location /vars/ { set \$args a=\$arg_a; proxy_pass $origin->{url}; }
        location /last/ { rewrite ^/last/(.*)\$ /base/\$1; }
CONF
    my %to = (
        '/base/y'           => '/to/y',
        '/base/x/y?q'       => '/new/y?q',
        '/base/x/a%20b%3f'  => '/new/a%20b%3F',
        '/stay/y'           => '/stay/y',
        '/stay/%79?x=1'     => '/if/y?x=1',
        '/vars/y?a=1&b=2'   => '/vars/y?a=1',
        '/last/y?q'         => '/to/y?q',
        '/last/x/y?q'       => '/new/y?q',
    );
    for my $target (sort keys %to) {
        $server->get($target);
        is(($origin->requests)[-1]{target}, $to{$target}, $server->name . ": $target becomes $to{$target}");
    }
    $server->finish;
}
my $proxy = Weir->new(server => <<"CONF");
    location /args/ { rewrite ^ /v?x=\$uri break; proxy_pass $origin->{url}; }
    location /set/  { set \$args x=\$uri; proxy_pass $origin->{url}; }
CONF
for my $way (qw(args set)) {
    $proxy->get("/$way/a%20HTTP/1.1%0d%0aX-Evil:%201");
    my $seen = ($origin->requests)[-1];
    like($seen->{target}, qr{x=/$way/a%20HTTP/1.1%0D%0AX-Evil:%201$}, "$way: the request line stays whole");
    ok(!(grep { $_->[0] eq 'X-Evil' } @{ $seen->{fields} }), "$way: nothing gets into the head");
}

for (
    [ 'rewrite a;',             qr/invalid number of arguments in "rewrite" directive in / ],
    [ 'rewrite ( b;',           qr/pcre2_compile\(\) failed: .* in "\(" in / ],
    [ 'rewrite a b c;',         qr/invalid parameter "c" in / ],
    [ 'rewrite a "";',          qr/empty replacement in / ],
    [ 'rewrite a $nothing_of;', qr/unknown "nothing_of" variable in / ],
    [ 'rewrite (?<uri>a) /b;',  qr/the duplicate "uri" variable in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(server => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
