#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Origins over TLS: names, settings, bodies both ways, tunnels, times; which connections and sessions are used again.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('a', names => [ 'a.example', 'b.example', 'localhost' ])->make('good', names => ['client'])
  ->make('locked', names => ['locked']);
$certs->openssl('ec', '-in', 'locked.key', '-aes128', '-passout', 'pass:secret', '-out', 'locked.enc');
$certs->write('passwords', "wrong\nsecret\n");

my %tls    = (cert => "$dir/a.crt", ca => "$dir/ca.crt");
my $script = sub ($text) {
    return '*' => { body => $text }, '/big' => { body => 'x' x 1000, repeat => 1000 },
      '/chunks' => { chunks => [ 'one', 'two' x 10000, 'three' ] }, '/echo' => { echo => 1 },
      '/until'  => { body => 'until', until_close => 1 }, '/slow' => { pieces => [ 'a', 'b' ], pause => 0.2 },
      '/early'  => { early => 1, status => 413, close => 1 }, '/tunnel' => { upgrade => 'echo' },
      '/to'     => { status => 302, location => 'https://b.example/to/there' };
};
my $origin = Origin->new(tls => {%tls}, $script->('tls'));
my $o      = $origin->address;

my $format = q(log_format t '$upstream_addr $upstream_status $upstream_connect_time $upstream_header_time $upstream_response_time $upstream_bytes_sent $upstream_bytes_received $upstream_response_length $proxy_port';);
my $weir   = Weir->new(http => "$format access_log %dir%/upstream.log t; upstream u { server $o; keepalive 4; } upstream b.example { server $o; }",
    server => <<CONF);
    location / { proxy_pass https://$o; }
    location /direct { proxy_buffering off; proxy_request_buffering off; proxy_pass https://$o; }
    location /sni/ { proxy_ssl_server_name on;
        location /sni/address { proxy_pass https://$o; }
        location /sni/host { proxy_pass https://u; }
        location /sni/named { proxy_ssl_name a.example:123; proxy_pass https://u; }
        location /sni/variable { proxy_ssl_name \$arg_name; proxy_pass https://u; }
        location /sni/pass { proxy_pass https://\$arg_to; }
        location /sni/off { proxy_ssl_server_name off; proxy_ssl_name a.example; proxy_pass https://u; } }
    location /cert { proxy_ssl_certificate $dir/good.crt; proxy_ssl_certificate_key $dir/good.key; proxy_pass https://u; }
    location /locked { proxy_ssl_certificate $dir/locked.crt; proxy_ssl_certificate_key $dir/locked.enc;
        proxy_ssl_password_file $dir/passwords; proxy_pass https://u; }
    location /v12 { proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305; proxy_pass https://u; }
    location /v13 { proxy_ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; proxy_pass https://u; }
    location /to { proxy_pass https://b.example/to; proxy_set_header Host b.example; }
    location /tunnel { proxy_pass https://$o; proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 5s; }
    location /keys { proxy_ssl_session_reuse off; proxy_ssl_key_log keys.log; proxy_pass https://$o; }
    location /port { proxy_pass https://\$arg_to; }
CONF

sub seen ($path) {
    my $answer = $weir->get($path);
    return 'status ' . $answer->status if $answer->status != 200;
    my $tls = $origin->last_request->{tls};
    return $tls;
}

# ---- names and settings

is($weir->get('/')->body, 'tls', 'answered');
is($origin->last_request->{tls}{name}, '', 'no SNI by default');
is(seen('/sni/address')->{name},                'none' x 0,  'an address is no name for SNI');
is(seen('/sni/host')->{name},                   'u',         'the host of proxy_pass');
is(seen('/sni/named')->{name},                  'a.example', 'proxy_ssl_name, without the port');
is(seen('/sni/variable?name=b.example')->{name}, 'b.example', 'with variables');
is(seen('/sni/variable?name=c.example')->{name}, 'c.example', 'another one gets a connection of its own');
is(seen('/sni/variable?name=')->{name},         '',          'none');
is(seen('/sni/off')->{name},                    '',          'proxy_ssl_server_name off');
is(seen('/sni/pass?to=b.example')->{name},      'b.example', 'proxy_pass with variables: a group');
is(seen("/sni/pass?to=localhost:$origin->{port}")->{name}, 'localhost', 'and a host');
is(seen('/cert')->{client},   '/CN=client', 'a certificate of ours');
is(seen('/locked')->{client}, '/CN=locked', 'one whose key has a passphrase');
is(seen('/')->{client},       undef,        'none');
is(seen('/v12')->{protocol}, 'TLSv1.2', 'proxy_ssl_protocols');
is(seen('/v12')->{cipher}, 'ECDHE-ECDSA-CHACHA20-POLY1305', 'proxy_ssl_ciphers');
is(seen('/v13')->{cipher}, 'TLS_CHACHA20_POLY1305_SHA256', 'proxy_ssl_conf_command');
like($weir->get('/to')->field('Location'), qr{^http://localhost(?::\d+)?/to/there$}, 'proxy_redirect default knows https');

is(seen('/keys')->{protocol}, 'TLSv1.3', 'proxy_ssl_key_log');
like($weir->wait_log(qr/^(SERVER_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]{64} [0-9a-f]+)$/m, 'keys.log'), qr/^SERVER/, 'has the secrets of its sessions');

# A name that nobody can send is the request's fault, not the origin's.
my $fragile = Weir->new(http => "upstream u { server $o max_fails=1 fail_timeout=1h; server $o max_fails=1 fail_timeout=1h; }",
    location => 'proxy_ssl_server_name on; proxy_ssl_name $arg_name; proxy_pass https://u;');
is($fragile->get('/?name=' . 'a' x 256)->status, 500, 'a name that is too long');
is($fragile->get('/?name=' . 'a' x 255)->body, 'tls', 'one that is not; the origins have not failed');
like($fragile->error_log, qr/\[error\] .*the name for SNI is too long while connecting to upstream/, 'the log has the reason');

# ---- bodies

for my $way ('', '/direct') {
    my $name = $way ? 'unbuffered' : 'buffered';
    my $path = sub ($p) { $way ? "/direct$p" : $p };
    $origin->set($path->('/big') => { body => 'x' x 1000, repeat => 1000 }, $path->('/until') => { body => 'until', until_close => 1 },
        $path->('/chunks') => { chunks => [ 'one', 'two' x 10000, 'three' ] }, $path->('/echo') => { echo => 1 },
        $path->('/slow') => { pieces => [ 'a', 'b' ], pause => 0.2 });
    is(length $weir->get($path->('/big'))->body, 1_000_000, "$name: 1 MB down");
    is($weir->get($path->('/chunks'))->body, 'one' . 'two' x 10000 . 'three', "$name: chunks");
    is($weir->get($path->('/slow'))->body, 'ab', "$name: pieces");
    is($weir->get($path->('/until'))->body, 'until', "$name: up to close_notify");
    my $body = join '', map { chr(33 + $_ % 90) } 1 .. 1_000_000;
    my $back = $weir->request('POST', $path->('/echo'), body => $body)->body;
    ok(substr($back, -1_000_000) eq $body, "$name: 1 MB up and down");
    my $client = $weir->client;
    $client->write("POST " . $path->('/echo') . " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    $client->write(sprintf("%x\r\n", length) . "$_\r\n") for 'some', 'more' x 5000;
    $client->write("0\r\n\r\n");
    like($client->answer->body, qr/some(?:more){5000}\z/, "$name: chunks up") if !$way;
    $client->answer if $way;
}

# ---- a tunnel

my $tunnel = $weir->client;
$tunnel->write("GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhello");
is($tunnel->answer->status, 101, 'switching protocols');
is($tunnel->read_bytes(5), 'hello', 'bytes behind the head');
my $bulk = join '', map { chr($_ % 256) } 1 .. 300_000;
$tunnel->write(substr $bulk, 0, 100_000);
ok($tunnel->read_bytes(100_000) eq substr($bulk, 0, 100_000), 'bytes both ways');
$tunnel->write('bye');
is($tunnel->read_bytes(3), 'bye', 'and on');
undef $tunnel;

# ---- connections that are used again

sub handshakes_for ($w, @paths) {
    my $before = $origin->handshakes;
    $w->get($_)->status == 200 or diag "$_ failed" for @paths;
    return $origin->handshakes - $before;
}
my $pool = Weir->new(http => "upstream u { server $o; keepalive 8; } upstream one { server $o; keepalive 8; }", server => <<CONF);
    location /a { proxy_pass https://u; }
    location /same { proxy_pass https://u; }
    location /plain { proxy_pass http://u; }
    location /cert { proxy_ssl_certificate $dir/good.crt; proxy_ssl_certificate_key $dir/good.key; proxy_pass https://u; }
    location /verify { proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/ca.crt; proxy_ssl_name a.example; proxy_pass https://u; }
    location /verify2 { proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/ca.crt; proxy_ssl_name b.example; proxy_pass https://u; }
    location /name { proxy_ssl_server_name on; proxy_ssl_name \$arg_name; proxy_pass https://u; }
CONF
is(handshakes_for($pool, ('/a') x 10), 1, 'one connection for ten requests');
is(handshakes_for($pool, '/same', '/a', '/same'), 0, 'the same settings elsewhere');
is(handshakes_for($pool, '/cert', '/a', '/cert', '/a'), 1, 'a certificate: a connection of its own');
is(handshakes_for($pool, '/verify', '/a', '/verify'), 1, 'verification: a connection of its own');
is(handshakes_for($pool, '/verify2', '/verify', '/verify2'), 1, 'another name to verify: too');
is(handshakes_for($pool, '/name?name=x', '/name?name=y', '/name?name=x', '/name?name=y'), 2, 'another SNI: too');
my $asked = $origin->handshakes;
isnt($pool->get('/plain')->status, 200, 'no TLS connection serves a plain request');

# ---- sessions

my @cases = (
    [ 'TLSv1.3',          {},                                 '' ],
    [ 'TLSv1.2, tickets', { max => 'TLSv1.2' },               '' ],
    [ 'TLSv1.2, by ID',   { max => 'TLSv1.2', tickets => 0 }, '' ],
);
for my $case (@cases) {
    my ($name, $how) = @$case;
    my $server = Origin->new(tls => { %tls, %$how }, $script->('tls'));
    my $s      = $server->address;
    my $w      = Weir->new(http => "upstream u { server $s; keepalive 0; }", server => <<CONF);
        location /a { proxy_pass https://u; }
        location /off { proxy_ssl_session_reuse off; proxy_pass https://u; }
        location /cert { proxy_ssl_certificate $dir/good.crt; proxy_ssl_certificate_key $dir/good.key; proxy_pass https://u; }
        location /verify { proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/ca.crt; proxy_ssl_name a.example; proxy_pass https://u; }
        location /verify2 { proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/ca.crt; proxy_ssl_name b.example; proxy_pass https://u; }
        location /name { proxy_ssl_server_name on; proxy_ssl_name \$arg_name; proxy_pass https://u; }
CONF
    my $reused = sub ($path) { $w->get($path)->body eq 'tls' ? ($server->handshakes)[-1]{reused} : 'no answer' };
    is($reused->('/a'), 0, "$name: a new session");
    is($reused->('/a'), 1, "$name: used again");
    is($reused->('/a'), 1, "$name: and again");
    is($reused->('/off'), 0, "$name: proxy_ssl_session_reuse off");
    is($reused->('/verify'), 0, "$name: not by those who verify");
    is($reused->('/verify'), 1, "$name: who have their own");
    is($reused->('/verify2'), 0, "$name: for each name");
    is($reused->('/cert'), 0, "$name: nor with a certificate");
    is($reused->('/cert'), 1, "$name: which has its own");
    is($server->last_request->{tls}{client}, '/CN=client', "$name: with the certificate in it");
    is($reused->('/name?name=x'), 0, "$name: nor with another SNI");
    is($reused->('/name?name=x'), 1, "$name: which has its own");
}

# A server that breaks off when its own session is resumed: a full handshake follows, and nobody notices.
for my $max ('TLSv1.2', 'TLSv1.3') {
    my $careless = Origin->new(tls => { %tls, max => $max, no_context => 1 }, $script->('tls'));
    my $c        = $careless->address;
    my $w        = Weir->new(http => "upstream u { server $c max_fails=1 fail_timeout=1h; server $c max_fails=1 fail_timeout=1h; keepalive 0; }",
        location => 'proxy_pass https://u;');
    is($w->get('/')->body, 'tls', "$max: a session that cannot be resumed") for 1 .. 3;
    is($w->request('POST', '/', body => 'b')->body, 'tls', "$max: by a POST too");
    my @handshakes = $careless->handshakes;
    is(scalar(grep { $_->{error} } @handshakes), 1, "$max: it was tried once");
    unlike($w->error_log, qr/\[error\]/, "$max: and is no failure of the origin");
}

# ---- what the log knows

$weir->get('/port?to=' . $o);
my @lines = split /\n/, $weir->read_file('upstream.log');
like($lines[0], qr/^\Q$o\E 200 0\.\d{3} 0\.\d{3} 0\.\d{3} \d+ \d+ 3 $origin->{port}$/, 'times, sizes, port');
my ($sent) = $lines[0] =~ /(\d+) \d+ 3 \d+$/;
is($sent, length $origin->requests('/') ? length +($origin->requests('/'))[0]{head} : 0, 'bytes sent are those of the request');

done_testing;
