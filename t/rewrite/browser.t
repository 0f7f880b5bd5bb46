#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# browser: which values of User-Agent are modern, ancient or Internet Explorer, as in nginx.

use lib 't/lib';
use Weir;
use Nginx;

my @rules = (
    'modern_browser_value M; ancient_browser_value A; modern_browser msie 5.5; modern_browser gecko 1.0.0;
     modern_browser opera 9.0; modern_browser safari 413; modern_browser konqueror 3.0;',
    'modern_browser msie 5.0; modern_browser gecko 0.9.1; modern_browser unlisted; ancient_browser Links Lynx netscape4;',
    'ancient_browser Links Lynx;',
    '',
    'modern_browser unlisted;',
    'modern_browser msie 6; ancient_browser MSIE;',
    'modern_browser gecko 1.8.0.1;',
    'modern_browser msie 7; modern_browser msie 5;',
    'modern_browser konqueror 5; modern_browser unlisted; ancient_browser netscape4;',
    'modern_browser opera 7; modern_browser opera 9; modern_browser safari 400; modern_browser konqueror 1;',
    'modern_browser safari 4000; modern_browser msie 5; modern_browser konqueror 3; modern_browser gecko 1;',
    'modern_browser konqueror 3; modern_browser safari 400; modern_browser gecko 2; modern_browser msie 5;',
);
my ($weir, $nginx) = Nginx->beside(
    server => join '',
    map { "location /$_ { $rules[$_] return 200 \"[\$modern_browser][\$ancient_browser][\$msie]\\n\"; }\n" } 0 .. $#rules
);

my @agents = grep { length } split /\n/, <<'END';
Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)
Mozilla/4.0 (compatible; MSIE 5.5; Windows)
Mozilla/4.0 (compatible; MSIE 5.0; Windows)
Mozilla/4.0 (compatible; MSIE 4.01; Windows)
Mozilla/4.0 (compatible; MSIE 10.0)
Mozilla/4.0 (compatible; MSIE 99999.0)
Mozilla/4.0 (compatible; MSIE 5.49)
Mozilla/4.0 (compatible; MSIE 5.500)
Mozilla/4.0 (compatible; MSIE 5.5.1.2.3.4)
Mozilla/4.0 (compatible; MSIE 5.5b)
Mozilla/4.0 (compatible; MSIE 5.4b)
Mozilla/4.0 (compatible; MSIE x)
Mozilla/4.0 (compatible; MSIE 5
Mozilla/4.0 (compatible; MSIE 5.
Mozilla/4.0 (compatible; MSIE 6.0; Gecko rv:1.0) Safari/500
Mozilla/5.0 (compatible; MSIE 3; Konqueror/4; rv:1) Safari/500
MSIE 6.0
Mozilla/5.0 MSIE 6.0
Mozilla/4.0 (compatible; MSIE 6.0; Windows) Opera 8.51
Mozilla/4.0 (compatible; MSIE 6.0; Windows) Opera 9.0
Opera/9.20 (Windows NT 6.0)
Opera/8.5 (X)
Opera 9.5
Opera/10
Opera/x
Opera/
Opera
x Opera y
Opera/9.0 Safari/500
Mozilla/5.0 (Windows; U; rv:1.8.1) Gecko/20061010 Firefox/2.0
Mozilla/5.0 (Windows; rv:0.9.1) Gecko/2001
Mozilla/5.0 (Windows; rv:0.9) Gecko/2001
Mozilla/5.0 (X; rv:109.0) Gecko/20100101 Firefox/118.0
Mozilla/5.0 (X; rv:1.8.0.1) Gecko/2
Mozilla/5.0 (X; rv:1.8.0.0) Gecko/2
Mozilla/5.0 (X; rv:1.99.99
Mozilla/5.0 (Xrv:3
Mozilla/5.0 rv:3 x
rv:1.8 Gecko
Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko
Mozilla/5.0 (Macintosh) AppleWebKit/413 (KHTML, like Gecko) Safari/413
Mozilla/5.0 (Macintosh) AppleWebKit/412 (KHTML, like Gecko) Safari/412
Mozilla/5.0 (X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36
Mozilla/5.0 (X; rv:2.0) Gecko/2 Safari/100
Mozilla/5.0 (X; rv:0.5) Gecko/2 Safari/500
Safari/500
Mozilla/5.0 (compatible; Konqueror/3.5; Linux)
Mozilla/5.0 (compatible; Konqueror/2.5; Linux)
Mozilla/5.0 (compatible; Konqueror/3.5; Safari/100 rv:0.5)
Mozilla/5.0 (compatible; Konqueror/2; Safari/500 rv:3 MSIE 6)
Konqueror/3.5
Links (2.1)
Lynx/2.8
xLynx
lynx
Mozilla/4.7 x
Mozilla/4.7 xx
Mozilla/4.72 xx
Mozilla/5.72 xx
Mozilla/0.1 xxxxxx
xMozilla/4.72 xx
Mozilla/4 xxxxxxxxx
Mozilla/3.0
curl/8
END

# One test for each rule: the answers to all agents.
for my $n (0 .. $#rules) {
    my @answers;
    for my $server ($weir, $nginx) {
        my $client = $server->client;
        my %seen;
        for my $agent ('', @agents) {
            $client->send_request('GET', "/$n", fields => [ length $agent ? "User-Agent: $agent" : () ]);
            $seen{$agent} = $client->answer->body;
        }
        push @answers, \%seen;
    }
    is_deeply(@answers, $rules[$n] =~ s/\s+/ /gr);
}

for (
    [ 'modern_browser x 5;',      qr/unknown browser name "x" in / ],
    [ 'modern_browser msie x;',   qr/invalid browser version "x" in / ],
    [ 'modern_browser msie;',     qr/invalid number of arguments in "modern_browser" directive in / ],
    [ 'modern_browser unlisted 5;', qr/unknown browser name "unlisted" in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(location => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
