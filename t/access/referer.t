#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# valid_referers: which values of Referer are valid, as in nginx.

use lib 't/lib';
use Weir;
use Nginx;

my ($weir, $nginx) = Nginx->beside(
    server => <<'CONF',
        server_name localhost own.org *.wild.org ~^re(\d)\.org$ "";
        location /all    { valid_referers none blocked server_names *.example.com example.* www.ex.org/galleries/
                                          ~\.google\. Big.ORG .dot.net;
                           return 200 "$invalid_referer\n"; }
        location /unset  { return 200 "$invalid_referer\n"; }
        location /path   { valid_referers www.ex.org/galleries/ *.m.org/pre; return 200 "$invalid_referer\n"; }
        location /regex  { valid_referers ~x/(y)$ ~^abc; return 200 "$invalid_referer\n"; }
        location /names  { valid_referers server_names; return 200 "$invalid_referer\n"; }
        location /lines  { valid_referers a.org; valid_referers b.org none; return 200 "$invalid_referer\n"; }
        location /outer/ { valid_referers one.org;
            location /outer/same  { return 200 "$invalid_referer\n"; }
            location /outer/other { valid_referers none two.org; return 200 "$invalid_referer\n"; } }
        location /if     { valid_referers one.org; if ($invalid_referer) { return 403; } return 200 "come in\n"; }
CONF
);
my @referers = (
    '', '-', 'http://', 'http:/own.org', 'httpx', 'big.org', 'ftp://own.org',
    ( map { "http://$_" }
          qw(own.org own.org/ OWN.org/x own.org:80 own.org:80/x own.org. own.org?x u:p@own.org/ a.wild.org wild.org/ re1.org/
             rex.org a.example.com example.com example.net www.ex.org/ www.ex.org/galleries/x www.ex.org/Galleries/
             www.google.de google.de/ BIG.org dot.net a.dot.net/ evil.org/?http://own.org q.m.org/prefix q.m.org/ m.org/pre
             example.org/x/y abc.org a.org b.org one.org two.org x/y),
        'a' x 255, 'a' x 300 ),
    'https://own.org', 'HTTPS://own.org', 'Http://own.org/',
);
for my $location (qw(all unset path regex names lines outer/same outer/other if)) {
    Nginx::same($weir, $nginx, "/$location without a referer", 'GET', "/$location");
    Nginx::same($weir, $nginx, "/$location from $_", 'GET', "/$location", fields => ["Referer: $_"]) for @referers;
}

for (
    [ 'valid_referers *.a *.a;',       qr/conflicting parameter "\*\.a" in / ],
    [ 'valid_referers a/x a/y;',       qr/conflicting parameter "a" in / ],
    [ 'valid_referers *a;',            qr/invalid hostname or wildcard "\*a" in / ],
    [ 'valid_referers ~(;',            qr/pcre2_compile\(\) failed: .* in / ],
    [ 'valid_referers ~;',             qr/empty regex in "~" in / ],
    [ 'valid_referers "";',            qr/invalid referer "" in / ],
    [ 'valid_referers none blocked;',
        qr/the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer/ ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(location => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
