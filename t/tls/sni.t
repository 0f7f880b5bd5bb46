#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# The name in the ClientHello chooses server, certificate and protocols; unknown names get the default server, or are
# refused.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a')->make('b')->make('wild', names => ['*.wild.example'])->make('old');
my $dir = $certs->dir;

my $weir = Weir->new(http => <<CONF);
    server { listen 127.0.0.1:%port0% ssl; server_name a.example;
        ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key; return 200 "a \$ssl_server_name"; }
    server { listen 127.0.0.1:%port0% ssl; server_name b.example www.b.example;
        ssl_certificate $dir/b.crt; ssl_certificate_key $dir/b.key; return 200 "b \$ssl_server_name"; }
    server { listen 127.0.0.1:%port0% ssl; server_name *.wild.example;
        ssl_certificate $dir/wild.crt; ssl_certificate_key $dir/wild.key; return 200 "wild \$ssl_server_name"; }
    server { listen 127.0.0.1:%port0% ssl; server_name ~^(?<who>\\w+)\\.re\\.example\$;
        ssl_certificate $dir/wild.crt; ssl_certificate_key $dir/wild.key; return 200 "re \$who"; }
    server { listen 127.0.0.1:%port0% ssl; server_name none.example; return 200 "none \$ssl_server_name"; }
    server { listen 127.0.0.1:%port0% ssl; server_name old.example; ssl_protocols TLSv1.2;
        ssl_certificate $dir/old.crt; ssl_certificate_key $dir/old.key; return 200 old; }

    # Unknown names are refused here.
    server { listen 127.0.0.1:%port1% ssl default_server; ssl_reject_handshake on; }
    server { listen 127.0.0.1:%port1% ssl; server_name b.example;
        ssl_certificate $dir/b.crt; ssl_certificate_key $dir/b.key; return 200 "b"; }
    # A single server takes every name.
    server { listen 127.0.0.1:%port2% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
        return 200 "only \$ssl_server_name"; }
CONF

my @table = (    # name, certificate, body for a Host of that name
    [ 'a.example',       'a.example',      'a a.example' ],
    [ 'A.Example',       'a.example',      'a a.example' ],
    [ 'b.example',       'b.example',      'b b.example' ],
    [ 'www.b.example',   'b.example',      'b www.b.example' ],
    [ 'x.wild.example',  '*.wild.example', 'wild x.wild.example' ],
    [ 'you.re.example',  '*.wild.example', 're you' ],
    [ 'none.example',    'a.example',      'none none.example' ],
    [ 'unknown.example', 'a.example',      'a unknown.example' ],
    [ 'B.example.:8443', 'b.example',      'b b.example' ],          # a port, which some clients send too
    [ 'b.example:x',     'a.example',      undef ],
);
for my $row (@table) {
    my ($name, $certificate, $body) = @$row;
    for my $version ('TLSv1.2', 'TLSv1.3') {
        my $client = TlsClient->new($weir->port, name => $name, max => $version);
        is($client->certificate_name, $certificate, "$version: certificate for $name");
        $client->send_request('GET', '/', host => $name);
        is($client->answer->body, $body, "$version: server for $name") if defined $body;
    }
}
my $nameless = TlsClient->new($weir->port);
is($nameless->certificate_name, 'a.example', 'without a name: the default server');
$nameless->send_request('GET', '/', host => 'b.example');
is($nameless->answer->body, 'b ', 'Host chooses the server of each request');

is(TlsClient->new($weir->port, name => 'old.example')->protocol, 'TLSv1.2', 'protocols are those of the name');
is(TlsClient->new($weir->port, name => 'old.example', min => 'TLSv1.3'), undef, 'TLS 1.3 is not for that name');

for my $name ('unknown.example', undef) {
    is(TlsClient->new($weir->port(1), defined $name ? (name => $name) : ()), undef, 'refused: ' . ($name // 'no name'));
    like(TlsClient->why, qr/unrecognized name/, 'the alert says so');
    $weir->wait_log(qr/\[info\] \S+ \*\d+ handshake rejected while SSL handshaking, client: 127/);
}
my $known = TlsClient->new($weir->port(1), name => 'b.example');
$known->send_request('GET', '/', host => 'b.example');
is($known->answer->body, 'b', 'a known name is served');

my $any = TlsClient->new($weir->port(2), name => 'whoever.example');
$any->send_request('GET', '/');
is($any->answer->body, 'only whoever.example', 'one server for all names');

done_testing;
