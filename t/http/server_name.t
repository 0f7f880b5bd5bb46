#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# The server is chosen by address, then by name: exact, leading wildcard, ending wildcard, pattern, default.

use lib 't/lib';
use Weir;

my $weir = Weir->new(http => <<'CONF');
    server { listen 127.0.0.1:%port0%; server_name first;                     return 200 first; }
    server { listen 127.0.0.1:%port0%; server_name example.org www.example.org; return 200 exact; }
    server { listen 127.0.0.1:%port0%; server_name *.example.org;             return 200 leading; }
    server { listen 127.0.0.1:%port0%; server_name mail.*;                    return 200 ending; }
    server { listen 127.0.0.1:%port0%; server_name .dot.net;                  return 200 dot; }
    server { listen 127.0.0.1:%port0%; server_name ~^(?<who>\w+)\.re\.net$;   return 200 "re $who $1 $server_name"; }
    server { listen 127.0.0.1:%port0%; server_name "";                        return 200 nameless; }
    server { listen 127.0.0.1:%port1%; server_name example.org;               return 200 other; }
    server { listen 127.0.0.1:%port1% default_server; server_name x y;        return 200 "default $server_name"; }
    # The wildcard's socket serves 127.0.0.1 of its port as well.
    server { listen %port2%;                                                  return 200 "any $server_addr"; }
    server { listen 127.0.0.1:%port2%;                                        return 200 "own $server_addr"; }
    server { listen unix:%dir%/socket;                                        return 200 "unix $server_addr $remote_addr."; }
    server { listen [::1]:%port3%;                                            return 200 "six $server_addr $remote_addr"; }
CONF

my @table = (
    [ 0, 'first',               'first' ],
    [ 0, 'unknown',             'first' ],
    [ 0, 'example.org',         'exact' ],
    [ 0, 'EXAMPLE.ORG',         'exact' ],
    [ 0, 'example.org:8080',    'exact' ],
    [ 0, 'example.org.',        'exact' ],
    [ 0, 'www.example.org',     'exact' ],
    [ 0, 'a.b.example.org',     'leading' ],
    [ 0, 'mail.example.org',    'leading' ],
    [ 0, 'mail.net',            'ending' ],
    [ 0, 'dot.net',             'dot' ],
    [ 0, 'a.dot.net',           'dot' ],
    [ 0, 'you.re.net',          're you you ~^(?<who>\w+)\.re\.net$' ],
    [ 1, 'example.org',         'other' ],
    [ 1, 'unknown',             'default x' ],
    [ 2, 'a',                   'own 127.0.0.1' ],
);
for my $row (@table) {
    my ($port, $host, $body) = @$row;
    is($weir->get('/', port => $port, host => $host)->body, $body, "port$port, Host \"$host\"");
}

sub ask ($to) {
    my $client = Client->new($to) // return 'refused';
    $client->send_request('GET', '/', close => 1);
    my $answer = $client->answer;
    return $answer ? $answer->body : $client->problem;
}
is(ask([ '127.0.0.2', $weir->port(2) ]), 'any 127.0.0.2', 'another address of the wildcard');
is(ask($weir->dir . '/socket'),          'unix unix:' . $weir->dir . '/socket unix:.', 'a unix socket');

my $client = $weir->client;
$client->write("GET / HTTP/1.0\r\n\r\n");
is($client->answer->body, 'nameless', 'HTTP/1.0 without Host');
like($weir->error_log, qr/^(?!.*conflicting)/s, 'no warnings');

done_testing;
