#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Origins that are no good at TLS: plain text, silence, an end in the middle of the handshake or of a body. The next one is
# tried, or the client hears 502 and 504; the log says which origin and what was wrong.

use lib 't/lib';
use Certs;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('a', names => ['a.example']);

my %script = ('*' => { body => 'ok' }, '/until' => { body => 'until', until_close => 1 }, '/part' => { body => 'part', length => 1000, cut => 1 },
    '/chunks' => { chunks => ['part'], cut => 1 }, '/length' => { body => 'whole', close => 1 });
sub origin (%tls) { Origin->new(tls => { cert => "$dir/a.crt", %tls }, %script) }

my $good = origin();
my %bad  = (
    plain   => origin(plain   => 1), silent => origin(silent => 1), closes => origin(hang_up => 'close'),
    resets  => origin(hang_up => 'reset'), old => origin(min => 'TLSv1', max => 'TLSv1.1', ciphers => 'ALL:@SECLEVEL=0'),
);
my $weir = Weir->new(
    http => join("\n", "proxy_connect_timeout 300ms; upstream twice { server $bad{closes}{address}; server $good->{address} backup; }",
        map { "upstream after_$_ { server $bad{$_}{address} max_fails=0; server $good->{address} backup; }" } sort keys %bad),
    server => join("\n", map { <<CONF } sort keys %bad));
    location /$_ { proxy_pass https://$bad{$_}{address}; }
    location /next/$_ { proxy_pass https://after_$_; }
    location /stop/$_ { proxy_next_upstream off; proxy_pass https://after_$_; }
CONF

my %expected = (
    plain  => [ 502, qr/SSL_do_handshake\(\) failed \(SSL: error:0A00010B:SSL routines::wrong version number\)/ ],
    silent => [ 504, qr/upstream timed out \(110: Connection timed out\)/ ],
    closes => [ 502, qr/peer closed connection in SSL handshake/ ],
    resets => [ 502, qr/peer closed connection in SSL handshake \(104: Connection reset by peer\)/ ],
    old    => [ 502, qr/SSL_do_handshake\(\) failed \(SSL: error:.*alert protocol version.*\)/ ],
);
for my $name (sort keys %bad) {
    my ($status, $why) = @{ $expected{$name} };
    is($weir->get("/$name")->status, $status, "$name: $status");
    my $line = $weir->wait_log(qr/^(.*upstream: "https:\/\/\Q$bad{$name}{address}\E\/$name".*)$/m);
    like($line, qr/\[error\] .*$why while SSL handshaking to upstream, client: 127\.0\.0\.1, server: localhost, request: "GET \/$name HTTP\/1\.1"/, "$name: the log says so");
    is($weir->get("/next/$name")->body, 'ok', "$name: the next one answers");
    is($weir->request('POST', "/next/$name", body => 'b')->body, 'ok', "$name: a POST too, nothing of it has been sent");
    is($weir->get("/stop/$name")->status, $status, "$name: not with proxy_next_upstream off");
}

# The client leaves in the middle of a handshake.
wait_for(sub { $bad{silent}->open_now == 0 }, 'connections to end that timed out');
my $slow   = Weir->new(location => "proxy_pass $bad{silent}{url};");
my $client = $slow->client;
$client->send_request('GET', '/');
wait_for(sub { $bad{silent}->open_now == 1 }, 'the handshake to begin');
$client->close;
wait_for(sub { $bad{silent}->open_now == 0 }, 'the connection to the origin to end');
pass('a client that leaves ends the handshake');

# ---- ends without close_notify

my $rude = origin(no_notify => 1);
for my $buffering ('on', 'off') {
    my $w = Weir->new(location => "proxy_buffering $buffering; proxy_pass $rude->{url};");
    my $ask = sub ($path) {
        my $c = $w->client;
        $c->send_request('GET', $path);
        my $a = $c->answer;
        return $a && $a->complete ? $a->body : 'aborted';
    };
    is($ask->('/length'), 'whole',   "buffering $buffering: a body with a length is whole");
    is($ask->('/until'),  'aborted', "buffering $buffering: without one it may have been cut (RFC 9112, 9.8)");
    is($ask->('/part'),   'aborted', "buffering $buffering: a part");
    is($ask->('/chunks'), 'aborted', "buffering $buffering: chunks without their end");
    like($w->error_log, qr/upstream prematurely closed connection, without close_notify, while reading upstream, .*upstream: "https:/, 'and the log says so');
}
for my $path ('/part', '/chunks') {
    my $w = Weir->new(location => "proxy_pass $good->{url};");
    my $c = $w->client;
    $c->send_request('GET', $path);
    my $a = $c->answer;
    ok(!$a || !$a->complete, "$path: close_notify does not make it whole");
}

# A connection that was closed while it was idle is nobody's failure.
my $pool = Weir->new(http => "upstream u { server $good->{address} max_fails=1 fail_timeout=1h; keepalive 4; }", location => 'proxy_pass https://u;');
for my $method ('GET', 'POST') {
    for (1 .. 5) {
        $good->close_idle;
        is($pool->request($method, '/', $method eq 'GET' ? () : (body => 'b'))->body, 'ok', "$method after an idle connection was closed");
    }
}
unlike($pool->error_log, qr/\[error\]/, 'and no log line');

done_testing;
