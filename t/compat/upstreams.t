#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Origins that fail, say nonsense or take too long: clients and logs see what they see with nginx.

use lib 't/lib';
use Compat;

my $head = "HTTP/1.1 200 OK\r\n";
my %raw = (
    nothing      => '',
    text         => "just text\r\n\r\n",
    partial      => "HTTP/1.1 20",
    halfhead     => "${head}Content-Type: text/plain\r\n",
    badstatus    => "HTTP/1.1 abc OK\r\n\r\n",
    shortstatus  => "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    badversion   => "HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
    lowercase    => "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    badfield     => "${head}No-Colon\r\nContent-Length: 2\r\n\r\nok",
    blankname    => "${head}Bad Name: x\r\nContent-Length: 2\r\n\r\nok",
    nulvalue     => "${head}X-N: a\0b\r\nContent-Length: 2\r\n\r\nok",
    folded       => "${head}X-F: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    badlength    => "${head}Content-Length: x\r\n\r\nok",
    negative     => "${head}Content-Length: -1\r\n\r\nok",
    twolengths   => "${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    samelengths  => "${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    both         => "${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    longer       => "${head}Content-Length: 2\r\n\r\nok and more",
    shorter      => "${head}Content-Length: 10\r\n\r\nok",
    badchunk     => "${head}Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    cutchunk     => "${head}Transfer-Encoding: chunked\r\n\r\n5\r\nok",
    nolast       => "${head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    unknownte    => "${head}Transfer-Encoding: gzip\r\n\r\nok",
    lf           => "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    upgrade      => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    nocontent    => "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
    notmodified  => "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    bighead      => $head . 'X-Big: ' . 'x' x 9000 . "\r\nContent-Length: 2\r\n\r\nok",
    manyfields   => $head . "X-A: b\r\n" x 100 . "Content-Length: 2\r\n\r\nok",
    lengthblank  => "${head}Content-Length:  2 \r\n\r\nok",
    emptyfield   => "${head}X-Empty:\r\nContent-Length: 2\r\n\r\nok",
    latin        => "${head}X-L: \xe9\r\nContent-Length: 2\r\n\r\nok",
);
my @names = sort keys %raw;
my $wild   = Origin->new((map { ("/$_" => { raw => $raw{$_} }) } @names), '*' => { body => 'fine' });
my $silent = Origin->new('*' => { body => 'late' });
$silent->hold('*');

compare 'nonsense' => {
    differs => [
        qr{/(?:badlength|negative|\w*lengths|both|unknownte)$} => 'nginx 1.23.0: more than one "Content-Length" or "Transfer-Encoding", both, or one that is not understood: 502',
        qr{/(?:bad(?!length)\w*|lowercase|shortstatus|text|upgrade)$} => 'manual: What an origin sends must be HTTP. Anything else is 502',
        qr{/(?:nocontent|notmodified)$} => 'manual: A response 204 or 304, or of a code below 200, has no Content-Length',
        qr{/shorter$} => 'manual: a body that ends early is an aborted response to the client and never a clean end',
    ],
    files  => { 'html/50x.html' => "50x\n" },
    server => <<CONF,
        location / { proxy_pass $wild->{url}; }
        location /page/ { error_page 502 =503 /50x.html; proxy_pass $wild->{url}/; }
        location /unbuffered/ { proxy_buffering off; proxy_pass $wild->{url}/; }
CONF
}, join "\n", (map { "GET /$_" } @names), (map { "GET /page/$_" } 'text', 'nothing', 'badlength'), (map { "GET /unbuffered/$_" } 'shorter', 'longer', 'badchunk', 'cutchunk', 'nothing', 'text');

my @one = map { Origin->new('/busy' => { status => 503, body => 'busy' }, '/gone' => { status => 404, body => 'gone' }, '/denied' => { status => 403, body => 'denied' }, '/late' => { status => 504, body => 'late' }, '/many' => { status => 429, body => 'many' }, '/drop' => { drop => 1 }, '*' => { echo => 1 }) } 1;
my $good = Origin->new('*' => { body => 'good' });

compare 'the next one' => {
    files  => { 'html/50x.html' => "50x \n" },
    # Each request begins with the first server: the second is a backup.
    http   => "upstream two { server $one[0]{address} max_fails=0; server $good->{address} backup; } upstream dead { server 127.0.0.1:%port8% max_fails=0; server $good->{address} backup; }\n"
      . "upstream alldead { server 127.0.0.1:%port8% max_fails=0; server 127.0.0.1:%port9% max_fails=0; } upstream down { server 127.0.0.1:%port8% down; } upstream single { server 127.0.0.1:%port8%; }",
    server => <<CONF,
        location /two/ { proxy_pass http://two/; }
        location /http503/ { proxy_next_upstream error timeout http_503; proxy_pass http://two/; }
        location /http404/ { proxy_next_upstream http_404 http_403; proxy_pass http://two/; }
        location /http429/ { proxy_next_upstream http_429 http_504; proxy_pass http://two/; }
        location /off/ { proxy_next_upstream off; proxy_pass http://two/; }
        location /invalid/ { proxy_next_upstream invalid_header; proxy_pass http://two/; }
        location /nonidempotent/ { proxy_next_upstream error http_503 non_idempotent; proxy_pass http://two/; }
        location /once/ { proxy_next_upstream error http_503; proxy_next_upstream_tries 1; proxy_pass http://two/; }
        location /dead/ { proxy_pass http://dead/; }
        location /deadoff/ { proxy_next_upstream off; proxy_pass http://dead/; }
        location /alldead/ { proxy_pass http://alldead/; }
        location /down/ { proxy_pass http://down/; }
        location /single/ { proxy_pass http://single/; }
        location /refused/ { proxy_pass http://127.0.0.1:%port8%/; }
        location /page/ { error_page 502 504 = /50x.html; proxy_pass http://127.0.0.1:%port8%/; }
        location /named/ { error_page 502 = \@fallback; proxy_pass http://127.0.0.1:%port8%/; }
        location \@fallback { proxy_pass http://$good->{address}; }
        location /timeout/ { proxy_read_timeout 100ms; proxy_pass $silent->{url}/; }
        location /timeoutpage/ { proxy_read_timeout 100ms; error_page 504 /50x.html; proxy_pass $silent->{url}/; }
        location /vars/ { add_header X-Up "\$upstream_addr|\$upstream_status" always; proxy_next_upstream http_503; proxy_pass http://two/; }
        location /intercept/ { proxy_next_upstream off; proxy_intercept_errors on; error_page 503 = \@fallback; proxy_pass http://two/; }
        location /unix/ { proxy_pass http://unix:%dir%/none.sock:/; }
CONF
}, join "\n", (map { my $path = $_; map { ("GET /$path/$_", "POST /$path/$_ | body=abc") } qw(busy gone denied late many drop fine) } qw(two http503 http404 http429 off invalid nonidempotent once vars)),
  (map { ("GET /$_/x", "POST /$_/x | body=abc") } qw(dead deadoff alldead down single refused page named unix)), 'GET /timeout/x', 'GET /timeoutpage/x', 'GET /intercept/busy', 'HEAD /refused/x', 'GET /refused/x | version=1.0';

done_testing;
