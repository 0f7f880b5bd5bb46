#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# weirctl explain: server, location, rewriting, access, files, origin and response of a request, by the running
# configuration and by a given one, and nothing else happens.

use lib 't/lib';
use Certs;
use JSON::PP;
use Weir;

my $certs = Certs->new;
$certs->make('a', names => ['tls.test']);
my $cert = $certs->dir . '/a';

my $origin = Origin->new('*' => { body => 'origin' });
my $to     = $origin->address;
my $weir   = Weir->new(
    workers => 2,
    files   => {
        'html/index.html' => 'index',
        'html/a.txt'      => 'text',
        'html/dir/x'      => 'x',
        'html/page.html'  => 'page',
        'other/f'         => 'f',
    },
    http => <<CONF);
    map \$arg_m \$mapped { default none; ~^x(?<rest>.*)\$ "got-\$rest"; }
    upstream app { server $to weight=3; server 127.0.0.1:%port5% backup max_fails=0; server 127.0.0.1:%port6% down; }
    log_format probe 'logged \$uri';
    server {
        listen 127.0.0.1:%port0% default_server;
        server_name one.test www.one.test *.one.test mail.* ~^re(?<digits>\\d+)\\.test\$;
        error_page 404 /404.html;
        error_page 502 =200 \@sorry;
        location = /404.html { internal; return 404 "none\\n"; }
        location \@sorry { return 200 sorry; }
        location / { }
        location = /exact { return 204; }
        location /prefix/ { add_header X-Prefix 1 always; location /prefix/nested/ { add_header X-Nested "a b"; expires 1h; } }
        location ^~ /final/ { return 200 final; }
        location ~ \\.php\$ { deny all; }
        location ~* \\.TXT\$ { default_type text/x; }
        location /alias/ { alias %dir%/other/; }
        location /try/ { try_files \$uri \$uri/ /index.html; }
        location /try-named/ { try_files \$uri \@app; }
        location /try-code/ { try_files \$uri =418; }
        location \@app { proxy_pass http://app; }
        location /rewrite/ {
            rewrite ^/rewrite/never/ /nowhere;
            rewrite ^/rewrite/last/(.*)\$ /\$1 last;
            rewrite ^/rewrite/stay/(.*)\$ /\$1 break;
            rewrite ^/rewrite/away/(.*)\$ http://elsewhere.test/\$1 permanent;
            rewrite ^/rewrite/loop/ /rewrite/loop/ last;
            set \$v "\$mapped-\$arg_a";
            if (\$arg_i = yes) { add_header X-If 1; return 403; }
            return 200 "\$v";
        }
        location /base/ { proxy_pass http://app/other/; proxy_set_header X-Real-IP \$remote_addr; proxy_set_header Host \$host; }
        location /as-is { proxy_pass http://app; proxy_pass_request_headers off; }
        location /variables/ { proxy_pass http://$to/\$arg_path\$is_args; }
        location /refused/ { proxy_pass http://127.0.0.1:%port6%; proxy_method BAD; }
        location /none/ { proxy_pass http://nobody; }
        location /allowed/ { allow 10.0.0.0/8; deny all; return 200 in; }
        location /checked/ { allow 10.0.0.0/8; deny all; proxy_pass http://app; }
        location /any/ { satisfy any; allow 10.0.0.0/8; deny all; auth_request /auth; proxy_pass http://app; }
        location /asked/ { auth_request /auth; mirror /mirror; root %dir%/html; }
        location = /auth { proxy_pass http://app; }
        location = /mirror { proxy_pass http://app; }
        location /methods/ { limit_except GET { deny all; } root %dir%/html; }
        location /dav/ { dav_methods PUT DELETE MKCOL COPY MOVE; root %dir%/html; }
        location /empty { empty_gif; }
        location /status { stub_status; }
        location /inner { internal; }
        location /slash/ { proxy_pass http://app; }
        location /list/ { alias %dir%/html/dir/; autoindex on; }
        location /log/ { access_log %dir%/probe.log probe; return 200 x; }
    }
    upstream nobody { server 127.0.0.1:%port6% down; }
    server {
        listen 127.0.0.1:%port0%;
        server_name two.test;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Real-IP;
        location / { allow 192.0.2.1; deny all; return 200 two; }
    }
    server { listen 127.0.0.1:%port1%; location / { return 200 only; } }
    server { listen 127.0.0.1:%port2% proxy_protocol; return 200 "\$proxy_protocol_addr"; }
    server {
        listen 127.0.0.1:%port3% ssl;
        server_name tls.test;
        ssl_certificate $cert.crt;
        ssl_certificate_key $cert.key;
        ssl_key_log %dir%/keys.log;
        return 200 "\$ssl_protocol \$scheme";
    }
    server { listen 127.0.0.1:%port4%; merge_slashes off; client_max_body_size 1k; location / { proxy_pass http://app; } }
CONF

my $json  = JSON::PP->new->utf8;
my $where = 'running';
my %cases;

# What is said of a request, as the tool's JSON.
sub explain ($request, @words) {
    $request =~ s/:%(\d)/":" . $weir->port($1)/e;
    unshift @words, '-c', $weir->conf if $where eq 'given';
    my ($status, $output) = $weir->ctl('explain', $request, '--json', @words);
    is($status, 0, "$where: $request") or diag($output);
    my $told = eval { $json->decode($output) } // {};
    return $told if %$told;
    diag("no JSON: $output");
    return { steps => [], response => { fields => [] }, origin_request => { fields => [] } };
}

sub field ($head, $name) { (map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $head->{fields} // [] })[0] }

# Lines of the story that fit, with the line of the configuration that they name.
sub told ($story, $what, $pattern = qr/^/) {
    return grep { $_->{what} eq $what && $_->{text} =~ $pattern } @{ $story->{steps} };
}

# The number of the line of the configuration that has this text.
sub line_of ($text) {
    my $n = 0;
    for (split /\n/, $weir->read_file('weir.conf')) {
        $n++;
        return $n if index($_, $text) >= 0;
    }
    die "no line has '$text'";
}

sub check_servers () {
    my $s = explain('GET http://one.test:%0/exact');
    is($s->{server}, 'one.test', 'exact name');
    is((told($s, 'server', qr/exactly/))[0]{line}, line_of('server_name one.test'), 'its line');
    is($s->{location}, 'location = /exact', 'exact location');
    is((told($s, 'location', qr/taken/))[0]{line}, line_of('location = /exact'), 'its line');
    is($s->{response}{line}, 'HTTP/1.1 204 No Content', 'its answer');
    is($s->{status}, 204, 'as a number');

    ok(told(explain('http://x.one.test:%0/exact'), 'server', qr/"\*\.one\.test" fits host "x\.one\.test" as a wildcard/),
        'a leading wildcard');
    ok(told(explain('http://mail.org:%0/exact'), 'server', qr/"mail\.\*" fits .* as a wildcard/), 'one behind');
    ok(told(explain('http://re12.test:%0/exact'), 'server', qr/re.* matches/), 'a regular expression');
    $s = explain('http://unknown.test:%0/exact');
    ok(told($s, 'server', qr/re.* does not match/), 'an unknown host: the pattern was tried');
    is((told($s, 'server', qr/no name fits host "unknown\.test": the default server/))[0]{line},
        line_of('default_server'), 'the line that says default_server');
    is(explain('http://two.test:%0/')->{server}, 'two.test', 'another server');
    is(explain('http://x:%0/', '-H', 'Host: two.test')->{server}, 'two.test', 'Host in a field');
    ok(told(explain('http://x.test:%1/'), 'server', qr/the only server/), 'the only server');
    is(explain('http://127.0.0.1:%0/exact')->{server}, 'one.test', 'an address as host');
}

sub check_locations () {
    my $s = explain('http://one.test:%0/prefix/nested/x');
    is_deeply([(map { $_->{text} =~ /"(.*)"/ } told($s, 'location', qr/^prefix/))[0 .. 2]], ['/', '/prefix/', '/prefix/nested/'],
        'prefixes in order');
    ok(told($s, 'location', qr/^pattern "\\\.php\$" does not match/), 'patterns that were tried');
    is(field($s->{response}, 'X-Nested'), undef, 'a 404 has no field without always');
    $s = explain('http://one.test:%0/final/x.php');
    ok(told($s, 'location', qr/because of "\^~"/), '^~');
    is($s->{location}, 'location ^~ /final/', 'wins over the pattern');
    $s = explain('http://one.test:%0/x.php');
    is($s->{location}, 'location ~ \.php$', 'a pattern wins over a prefix');
    is((told($s, 'phase', qr/the rule fits/))[0]{line}, line_of('location ~ \.php$'), 'the rule');
    is($s->{status}, 403, 'denied');
    is(explain('http://one.test:%0/a.txt')->{location}, 'location ~* \.TXT$', 'without case');
    $s = explain('http://one.test:%0/slash');
    ok(told($s, 'location', qr/lacks the last/), 'the missing slash');
    is($s->{status}, 301, 'is a redirect');
    $s = explain('http://one.test:%0/inner');
    ok(told($s, 'location', qr/clients may not ask/), 'internal');
    is($s->{status}, 404, 'is not found');
    $s = explain('http://one.test:%0/methods/x');
    ok(!told($s, 'location', qr/the method is none/), 'limit_except lets GET pass');
    $s = explain('DELETE http://one.test:%0/methods/x');
    is((told($s, 'location', qr/the method is none/))[0]{line}, line_of('limit_except'), 'and holds for DELETE');
    is($s->{status}, 403, 'which is refused');
}

sub check_files () {
    my $s = explain('http://one.test:%0/');
    ok(told($s, 'redirect', qr{internally to "/index\.html"}), 'index');
    is($s->{file}, $weir->dir . '/html/index.html', 'the file');
    ok($s->{file_exists}, 'is there');
    is($s->{handler}, 'static', 'the handler');
    is(field($s->{response}, 'Content-Length'), 5, 'its length');
    ok((grep { ($_->{directive} // '') eq 'root ' . $weir->dir . '/html' } told($s, 'file')), 'by the line of root');
    $s = explain('http://one.test:%0/nothing');
    ok(!$s->{file_exists}, 'one that is not there');
    is((told($s, 'status', qr{page of 404 is "/404\.html"}))[0]{line}, line_of('error_page 404'), 'its error page');
    is($s->{location}, 'location = /404.html', 'which is answered there');
    is($s->{status}, 404, 'with the status of the error');
    ok(told($s, 'log', qr/\[error\] open\(\) .*nothing" failed/), 'what the log would say');
    $s = explain('http://one.test:%0/alias/f');
    is($s->{file}, $weir->dir . '/other/f', 'alias');
    is((told($s, 'file', qr/^"/))[0]{directive}, 'alias ' . $weir->dir . '/other/', 'and its line');
    $s = explain('http://one.test:%0/try/dir');
    is_deeply([map { $_->{text} } told($s, 'file', qr/^is there/)],
        ['is there a file "/try/dir"?', 'is there a directory "/try/dir"?'], 'try_files tries');
    ok(told($s, 'file', qr/none is there/), 'and falls back');
    ok(told($s, 'redirect', qr{internally to "/index\.html"}), 'to a URI');
    $s = explain('http://one.test:%0/try-named/x');
    ok(told($s, 'redirect', qr/internally to location "\@app"/), 'to a named location');
    is($s->{upstream}, 'app', 'that has an origin');
    is(explain('http://one.test:%0/try-code/x')->{status}, 418, 'to a code');
    is(explain('http://one.test:%0/dir')->{status}, 301, 'a directory is redirected to');
    is(explain('http://one.test:%0/list/')->{handler}, 'autoindex', 'a listing');
    is(explain('http://one.test:%0/empty')->{handler}, 'empty_gif', 'the handler of a location');
    is(explain('http://one.test:%0/status')->{handler}, 'stub_status', 'another one');
    is(explain('http://one.test:%0/a.txt', '-H', 'Range: bytes=0-1')->{status}, 206, 'a range');
    is(explain('HEAD http://one.test:%0/a.txt')->{status}, 200, 'HEAD');
}

sub check_rewriting () {
    my $s = explain('http://one.test:%0/rewrite/last/page.html?q');
    ok(told($s, 'rewrite', qr{does not match "/rewrite/last/page\.html"}), 'a rule that does not match');
    is((told($s, 'rewrite', qr{URI is now "/page\.html\?q"}))[0]{line}, line_of('(.*)$ /$1 last'), 'last');
    is($s->{location}, 'location /', 'another location');
    is($s->{file}, $weir->dir . '/html/page.html', 'its file');
    $s = explain('http://one.test:%0/rewrite/stay/page.html');
    ok(told($s, 'rewrite', qr/stays in this location/), 'break');
    is($s->{location}, 'location /rewrite/', 'the same location');
    $s = explain('http://one.test:%0/rewrite/away/p?x=1');
    is(field($s->{response}, 'Location'), 'http://elsewhere.test/p?x=1', 'permanent');
    is($s->{status}, 301, 'its status');
    $s = explain('http://one.test:%0/rewrite/loop/');
    is($s->{status}, 500, 'a loop ends');
    ok(told($s, 'log', qr/rewrite or internal redirection cycle/), 'and says so');
    $s = explain('http://one.test:%0/rewrite/?m=xyz&a=1');
    is((told($s, 'rewrite', qr/value is "got-yz-1"/))[0]{line}, line_of('set $v'), 'set, with a map');
    is((told($s, 'rewrite', qr/condition is false/))[0]{directive}, 'if ($arg_i = yes)', 'if, false');
    is((told($s, 'rewrite', qr/^answers/))[0]{directive}, 'return 200 "$v"', 'return');
    $s = explain('http://one.test:%0/rewrite/?i=yes');
    ok(told($s, 'rewrite', qr/condition is true/), 'if, true');
    is((told($s, 'rewrite', qr/^answers/))[0]{directive}, 'return 403', 'the return in it');
    ok(told($s, 'header', qr/adds nothing to a 403 without "always"/), 'add_header and a 403');
}

sub check_access () {
    my $s = explain('http://one.test:%0/checked/');
    is((told($s, 'phase', qr/allow_deny answers/)) + 0, 1, 'denied by address');
    is($s->{status}, 403, 'its status');
    $s = explain('http://one.test:%0/checked/', '--client', '10.1.1.1');
    ok(told($s, 'phase', qr/allow_deny allows/), 'another client is allowed');
    is(explain('http://one.test:%0/allowed/')->{status}, 200, 'return comes before access');
    $s = explain('http://one.test:%0/any/', '--client', '10.1.1.1');
    ok(told($s, 'phase', qr/allowed by one, which is enough/), 'satisfy any');
    $s = explain('http://one.test:%0/any/');
    ok(told($s, 'phase', qr/refused with 403, unless another check allows it/), 'satisfy any, refused by one');
    is((told($s, 'phase', qr{"/auth" would be asked}))[0]{line}, line_of('location /any/'), 'and asked of another');
    $s = explain('http://one.test:%0/asked/');
    ok(told($s, 'phase', qr{"/auth" would be asked}), 'auth_request');
    ok(told($s, 'subrequest', qr{"/mirror" would be asked}), 'mirror');
    $s = explain('http://two.test:%0/', '-H', 'X-Real-IP: 192.0.2.1');
    is((told($s, 'client', qr/^192\.0\.2\.1$/))[0]{directive}, 'real_ip_header X-Real-IP', 'the real client');
    ok(told($s, 'rewrite', qr/^answers/), 'and what it gets');
    $s = explain('http://x.test:%2/', '--client', '198.51.100.7');
    is($s->{status}, 200, 'with the PROXY protocol');
}

sub check_origins () {
    my $s = explain('http://one.test:%0/base/a%20b?q=1', '-H', 'X-Mine: "1"', '--client', '10.9.8.7');
    is($s->{origin_request}{line}, 'GET /other/a%20b?q=1 HTTP/1.1', 'the URI of proxy_pass');
    is($s->{origin_url}, "http://$to/other/a%20b?q=1", 'where it would go');
    is(field($s->{origin_request}, 'X-Real-IP'), '10.9.8.7', 'a field with a variable');
    is(field($s->{origin_request}, 'Host'), 'one.test', 'Host');
    is(field($s->{origin_request}, 'X-Mine'), '"1"', "the client's field");
    is($s->{upstream}, 'app', 'the group');
    is($s->{upstream_method}, 'round_robin', 'how it is balanced');
    is($s->{upstream_peer}, $to, 'the peer');
    is_deeply($s->{upstream_peers}, [$to, map { '127.0.0.1:' . $weir->port($_) } 5, 6], 'all peers');
    ok(told($s, 'upstream', qr/ weight=1 backup$/), 'the backup');
    ok(told($s, 'upstream', qr/, down$/), 'the one that is down');
    is((told($s, 'upstream', qr/^"app"/))[0]{line}, line_of('upstream app'), 'its line');
    is($s->{handler}, 'proxy_pass', 'the handler');
    is((told($s, 'phase', qr/^content: proxy_pass answers/))[0]{directive}, 'proxy_pass http://app/other/', 'and its line');
    is($s->{status}, 200, 'an answer is assumed');
    $s = explain('http://one.test:%0/as-is/%41?x', '-H', 'X-Mine: 1');
    is($s->{origin_request}{line}, 'GET /as-is/%41?x HTTP/1.1', 'as sent');
    is(field($s->{origin_request}, 'X-Mine'), undef, 'without the fields of the client');
    $s = explain('http://one.test:%0/variables/?path=p');
    is($s->{origin_request}{line}, 'GET /p? HTTP/1.1', 'with variables');
    $s = explain('http://one.test:%0/none/');
    ok(told($s, 'log', qr/no live upstreams/), 'nobody there');
    is((told($s, 'status', qr/page of 502 is "\@sorry"/))[0]{line}, line_of('error_page 502'), 'the page of the 502');
    is($s->{status}, 200, 'and its status');
    $s = explain('POST http://one.test:%0/base/', '-H', 'Content-Length: 0');
    is($s->{origin_request}{line}, 'POST /other/ HTTP/1.1', 'POST');
    is(field($s->{origin_request}, 'Content-Length'), 0, 'without a body');
    is(explain('http://x.test:%4//a//b')->{origin_request}{line}, 'GET //a//b HTTP/1.1', 'slashes stay');
    $s = explain('POST http://x.test:%4/', '-H', 'Content-Length: 2000');
    is($s->{status}, 413, 'a body that is too long');
}

sub check_fields () {
    my $s = explain('http://one.test:%0/prefix/nested/../nested/index.html');
    is($s->{status}, 404, 'dots are resolved');
    $weir->write_file('html/prefix/nested/f', 'f');
    $s = explain('http://one.test:%0/prefix/nested/f');
    is((told($s, 'header', qr/^adds "X-Nested: a b"$/))[0]{directive}, 'add_header X-Nested "a b"', 'add_header');
    is((told($s, 'header', qr/^sets "Expires: .*max-age=3600"$/))[0]{directive}, 'expires 1h', 'expires');
    is(field($s->{response}, 'X-Prefix'), undef, 'the outer level is not inherited');
    is(field($s->{response}, 'X-Nested'), 'a b', 'the field');
    unlink $weir->dir . '/html/prefix/nested/f';
}

sub check_tls () {
    my $s = explain('https://tls.test:%3/');
    ok(told($s, 'tls', qr/^TLSv1\.3, .*certificate of ".*tls\.test"/), 'the handshake');
    is($s->{status}, 200, 'and the answer');
    $s = explain('http://tls.test:%3/');
    ok(told($s, 'request', qr/refused with 497/), 'plain text');
    is($s->{status}, 400, 'its status');
    $s = explain('https://one.test:%0/');
    ok(told($s, 'tls', qr/handshake fails/), 'TLS where there is none');
}

sub check_bad () {
    my $s = explain("GET http://one.test:%0/a b");
    is($s->{status}, 400, 'a blank in the target');
    $s = explain("GET http://one.test:%0/\x01\x1b[31m");
    is($s->{status}, 400, 'a control byte');
    is(explain('http://one.test:%0/%00')->{status}, 400, 'a NUL');
    is(explain('http://one.test:%0/../../etc/passwd')->{status}, 400, 'above the root');
    is(explain('http://one.test:%0/', '-H', 'Host: a', '-H', 'Host: b')->{status}, 400, 'two hosts');
    is(explain('http://one.test:%0/', '-H', 'no field')->{status}, 400, 'no field');
    is(explain('http://one.test:%0/' . 'x' x 40_000)->{status}, 414, 'a long target');
    is(explain('http://one.test:%0/', '-H', 'X: ' . 'x' x 40_000)->{status}, 400, 'a long field');
    is(explain('GET http://one.test:%0/exact HTTP/3.7')->{status}, 505, 'another version');
    is(explain('GET http://one.test:%0/exact HTTP/1.0')->{status}, 204, 'HTTP/1.0');
    is(explain('TRACE http://one.test:%0/')->{status}, 405, 'TRACE');
    is(explain('http://one.test:%0/a%ff%22')->{status}, 404, 'bytes that are no UTF-8');
    is(explain('http://one.test:%0/', '-H', 'Content-Length: 5', '-H', 'Transfer-Encoding: chunked')->{status}, 400,
        'two framings');
}

# Nothing is written, counted or asked.
sub check_effects () {
    my $s = explain('PUT http://one.test:%0/dav/new', '-H', 'Content-Length: 3');
    is((told($s, 'phase', qr/dav would do the PUT/))[0]{directive}, 'dav_methods PUT DELETE MKCOL COPY MOVE', 'a PUT');
    ok(!-e $weir->dir . '/html/dav/new', 'is not done');
    explain('DELETE http://one.test:%0/dav/a.txt');
    explain('MKCOL http://one.test:%0/dav/new/');
    ok(-e $weir->dir . '/html/a.txt', 'nor a DELETE');
    explain('http://one.test:%0/log/');
    is(-s ($weir->dir . '/probe.log') // 0, 0, 'no line in an access log');
    is($weir->access_log, '', 'nor in the other');
    is(-s ($weir->dir . '/keys.log') // 0, 0, 'nor in that of TLS keys');
    is($origin->connections, 0, 'no connection to an origin');
    my ($status, $output) = $weir->ctl('status');
    like($output, qr/^requests_total: 0$/m,       'no request is counted');
    like($output, qr/^connections_accepted: 0$/m, 'nor a connection');
}

for (qw(running given)) {
    $where = $_;
    check_servers();
    check_locations();
    check_files();
    check_rewriting();
    check_access();
    check_origins();
    check_fields();
    check_tls();
    check_bad();
    check_effects();
}

# What it says is what happens: status and fields of real answers, files with a worker's rights among them.
{
    $where = 'running';
    $weir->write_file('html/secret', 'secret');
    chmod 0600, $weir->dir . '/html/secret';
    $origin->forget;
    for my $target (
        qw(/ /exact /nothing /a.txt /x.php /prefix/nested/x /final/x.php /alias/f /alias/nothing /try/dir /try-code/x /dir
        /list/ /slash /inner /rewrite/last/page.html /rewrite/stay/page.html /rewrite/away/p /rewrite/loop/ /rewrite/?m=xyz
        /rewrite/?i=yes /allowed/ /checked/ /none/ /secret /empty /%00 /%2e%2e/%2e%2e/x /base/a%20b?q=1 /as-is/%41?x
        /variables/?path=p //exact /try-named/x)
      )
    {
        my $s    = explain('http://one.test:%0' . $target);
        my $real = $weir->get($target, host => 'one.test');
        is($s->{status}, $real->status, "$target: the status");
        for my $name (qw(Location Content-Type X-Nested X-Prefix Cache-Control)) {
            next if defined $s->{upstream} && $name eq 'Content-Type';    # the origin says it
            is(field($s->{response}, $name), scalar $real->field($name), "$target: $name");
        }
        next unless defined $s->{upstream_peer};
        my $got = $origin->last_request;
        is($s->{origin_request}{line}, "$got->{method} $got->{target} HTTP/1.1", "$target: the line that the origin got");
        is_deeply([map { "$_->[0]: $_->[1]" } @{ $s->{origin_request}{fields} }],
            [map { "$_->[0]: $_->[1]" } @{ $got->{fields} }], "$target: the fields that the origin got");
    }
}

# As text.
{
    my ($status, $output) = $weir->ctl('explain', 'GET http://one.test:' . $weir->port . '/base/x');
    is($status, 0, 'as text');
    my $conf = $weir->conf;
    like($output, qr{^GET /base/x HTTP/1\.1\n\nlisten     127\.0\.0\.1:\d+  \(\Q$conf\E:\d+: listen }, 'the first lines');
    like($output, qr{^the origin would get:\n    GET /other/x HTTP/1\.1\n    }m, 'what the origin gets');
    like($output, qr{^the client would get:\n    HTTP/1\.1 200 OK\n}m,           'what the client gets');
    ($status, $output) = $weir->ctl('explain', 'http://one.test:' . $weir->port . "/\x1b]0;x\x07\xff", '-H', "X: \x9b\x7f");
    is($status, 0, 'with control bytes');
    unlike($output, qr/[\x00-\x09\x0b-\x1f\x7f-\xff]/, 'none of them comes out');
}

# What cannot be explained.
sub refused ($pattern, $what, $code, @words) {
    my ($status, $output) = $weir->ctl('explain', @words);
    is($status, $code, $what);
    like($output, $pattern, "$what: why");
}
refused(qr/which request/,                             'no request',         2);
refused(qr/a request looks like/,                      'no URL',             2, 'GET /');
refused(qr/a request looks like/,                      'another scheme',     2, 'ftp://x/');
refused(qr/a request looks like/,                      'a bad port',         2, 'http://x:99999/');
refused(qr/a request looks like/,                      'a line end',         2, "http://x/\r\nX: y");
refused(qr/a line end cannot stand in a field/,        'one in a field',     2, 'http://x/', '-H', "A: b\nC: d");
refused(qr/a value is missing behind -H/,              'no field',           2, 'http://x/', '-H');
refused(qr/unexpected --frobnicate/,                   'an unknown option',  2, 'http://x/', '--frobnicate');
refused(qr/no address: nobody/,                        'no client address',  2, 'http://x/', '--client', 'nobody');
refused(qr/no server listens on port 1, but on 127\./, 'a port without one', 1, 'http://x:1/');
refused(qr/open\(\) ".*missing\.conf" failed/,         'a missing file',     1, 'http://x/', '-c', $weir->dir . '/missing.conf');
$weir->write_file('bad.conf', "events { }\nhttp { frobnicate; }\n");
refused(qr/unknown directive "frobnicate"/, 'a bad file', 1, 'http://x/', '-c', $weir->dir . '/bad.conf');

# The file changes: what serves is explained, until a reload.
{
    $where = 'running';
    my $text = $weir->read_file('weir.conf');
    $weir->write_file('weir.conf', $text =~ s/return 200 only/return 418/r);
    is(explain('http://x.test:%1/')->{status}, 200, 'the running configuration');
    $where = 'given';
    is(explain('http://x.test:%1/')->{status}, 418, 'the one on disk');
    $weir->reload;
    $where = 'running';
    is(explain('http://x.test:%1/')->{status}, 418, 'which serves after a reload');
}

# Peers that have failed are known.
{
    my $s = explain('http://one.test:%0/base/');
    is($s->{upstream_peer}, $to, 'the peer');
    $origin->stop;
    $weir->get('/base/', host => 'one.test');
    $s = explain('http://one.test:%0/base/');
    is($s->{upstream_peer}, '127.0.0.1:' . $weir->port(5), 'the backup when the other has failed');
    ok(told($s, 'upstream', qr/^\Q$to\E .*cannot serve now$/), 'which is told');
}

# Clients of the control socket that leave, and many at once.
{
    use Socket;
    my $path = $weir->dir . '/weir.ctl';
    my $ask  = sub ($text) {
        socket(my $fh, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
        connect($fh, pack_sockaddr_un($path)) or die "connect: $!";
        send($fh, "weir/1 explain$text", 0);
        return $fh;
    };
    my $port     = $weir->port;
    my $question = " 1 0 one.test $port 127.0.0.1 GET%20/exact%20HTTP/1.1%0d%0aHost:%20one.test%0d%0a%0d%0a";
    my $held = sub { scalar(() = glob "/proc/${\ $weir->pid}/fd/*") };
    my $before = $held->();
    close $ask->($question) for 1 .. 20;
    my $answer = sub ($fh) {
        my $bits = '';
        vec($bits, fileno $fh, 1) = 1;
        select($bits, undef, undef, 10) or return 'timeout';
        recv($fh, my $got, 65536, 0);
        return $got;
    };
    for my $bad ('', ' ', ' 1', ' 1 0 x 80 nobody y', ' 1 0 x 99999 127.0.0.1 y', ' x' x 1000, " 1 0 x 1 127.0.0.1 %zz") {
        my $got = '';
        # at most some run at once
        wait_for(sub { ($got = $answer->($ask->($bad))) !~ /busy/ }, 'a place');
        like($got, qr/^error explain not understood/, 'garbage: ' . substr($bad, 0, 20));
    }
    my @all = map { $answer->($_) } map { $ask->($question) } 1 .. 30;
    is((grep { $_ eq 'ok' || /^error busy/ } @all) + 0, 30, 'many at once: an answer each');
    cmp_ok((grep { $_ eq 'ok' } @all) + 0, '>=', 1, 'some are explained');
    is($weir->get('/exact', host => 'one.test')->status, 204, 'and it serves');
    wait_for(sub { $held->() == $before }, 'the master to hold as many descriptors as before');
    pass('the master holds nothing of it');
}

# While reloads are under way the tool waits for its turn.
{
    my $pid = fork // die;
    if ($pid == 0) {
        $weir->run($weir->command, 'ctl', 'reload') for 1 .. 8;
        POSIX::_exit(0);
    }
    my ($tries, $failed) = (0, 0);
    until (waitpid($pid, POSIX::WNOHANG()) == $pid) {
        my ($status) = $weir->ctl('explain', 'http://one.test:' . $weir->port . '/exact');
        my ($same)   = $weir->ctl('diff');
        $tries++;
        $failed++ if $status != 0 || $same != 0;
    }
    cmp_ok($tries, '>', 0, 'explained and compared while reloads were under way');
    is($failed, 0, 'each time');
}
