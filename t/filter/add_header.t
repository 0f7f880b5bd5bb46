#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# add_header: statuses, always, inheritance, empty values, fields with a place of their own; line breaks in values.

use lib 't/lib';
use Nginx;
use Weir;

my @statuses = (200, 201, 202, 206, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 500, 503);
my $codes = join "\n", map { "location /codes/$_ { return $_; }" } @statuses;
my ($weir, $nginx) = Nginx->beside(
    files => { 'html/a.html' => 'a page' },
    http  => 'types { text/html html; } add_header X-Http h;',
    server => <<"CONF" . <<'REST',
        location /codes  { add_header X-Usual u; add_header X-Always a always;
        $codes
        }
CONF
        location /inherits { return 200 x; }
        location /own      { add_header X-Own o; return 200 x; location /own/in { return 200 y; } }
        location /twice    { add_header X-A 1; add_header X-A 2; return 200 x; }
        location /if       { add_header X-Loc l; if ($arg_a) { add_header X-If i; } if ($arg_b) { expires 1h; } return 200 x; }
        location /args     { add_header X-Arg "<$arg_a>"; add_header X-Empty "$arg_b"; add_header X-Two "$uri $status"; return 200 x; }
        location /mod/     { alias %dir%/html/; add_header Last-Modified "Mon, 01 Jan 2001 00:00:00 GMT"; }
        location /nomod/   { alias %dir%/html/; add_header Last-Modified ""; }
        location /badmod/  { alias %dir%/html/; add_header Last-Modified soon; }
        location /tag/     { alias %dir%/html/; add_header ETag '"mine"'; }
        location /notag/   { alias %dir%/html/; add_header ETag ""; }
        location /cc/      { alias %dir%/html/; expires 1h; add_header Cache-Control public; add_header Cache-Control ""; }
        location /link     { add_header Link "</a>"; add_header Link "</b>"; return 200 x; }
        location /type     { add_header Content-Language en; return 200 x; }
        location /error    { add_header X-Error e; add_header X-Always a always; error_page 404 /page; return 404; }
        location /page     { add_header X-Page p; add_header X-Page-Always a always; return 200 page; }
        location /redirect { add_header X-Redirect r; return 302 /x; }
REST
);

Nginx::same($weir, $nginx, "status $_", 'GET', "/codes/$_") for @statuses;
Nginx::same($weir, $nginx, $_, 'GET', $_)
  for qw(/inherits /own /own/in /twice /if /if?a=1 /if?b=1 /if?a=1&b=1 /args /args?a=1&b=2 /mod/a.html /nomod/a.html /badmod/a.html
  /tag/a.html /notag/a.html /link /type /error /redirect /missing);
Nginx::same($weir, $nginx, "HEAD $_", 'HEAD', $_) for qw(/inherits /twice /mod/a.html);
Nginx::same($weir, $nginx, 'expires and Cache-Control', 'GET', '/cc/a.html');

# A value with a line break would be a field of the client's own.
$weir = Weir->new(
    files  => { 'html/a.html' => 'a page' },
    server => <<'CONF',
        location ~ (?s)^/u/(.*)$ { add_header X-U $1; add_header Last-Modified $1; add_header ETag $1; add_header X-Good g; return 200 x; }
        location /n          { add_header X-Uri $uri; add_header X-Good g; return 200 x; }
        location ~ (?s)^/t/(.*)$ { add_trailer X-T $1; add_trailer X-Good g; return 200 x; }
CONF
);
for my $bad ('%0d%0aX-Evil:%20yes', '%0aX-Evil:%20yes', '%0dX-Evil:%20yes', '%00X-Evil', 'x%0d%0a%0d%0aevil') {
    for my $path ("/u/$bad", "/n$bad") {
        my $answer = $weir->get($path);
        next if $answer->status == 400;
        unlike($answer->head, qr/evil/i, "$path leaves no trace");
        is($answer->field('X-Good'), 'g', "$path: the next line is added");
        is($answer->body,            'x', "$path: the body is its own");
    }
}
like($weir->error_log, qr/invalid value of field "X-U" was not added/, 'and it is logged');
my $answer = $weir->get('/t/%0d%0aX-Evil:%20yes');
is_deeply($answer->trailers, ['X-Good: g'], 'the same holds for trailers');

# add_header_inherit: off, merge.
$weir = Weir->new(
    http   => 'add_header X-A http;',
    server => <<'CONF',
        add_header X-B server;
        add_header_inherit merge;
        location /none  { return 200 x; }
        location /more  { add_header X-C loc; return 200 x; location /more/in { add_header X-D in; return 200 x; }
                                                               location /more/if { if ($arg_a) { add_header X-D if; } return 200 x; } }
        location /on    { add_header_inherit on; add_header X-C loc; return 200 x; }
        location /off   { add_header_inherit off; return 200 x;
            location /off/own   { add_header X-C loc; return 200 x; }
            location /off/merge { add_header_inherit merge; add_header X-C loc; return 200 x; }
        }
        location /mixed { add_header_inherit off; add_header X-C loc; return 200 x;
            location /mixed/in { return 200 x; }
        }
        location /status { add_header X-E e always; return 404; }
CONF
);
my %want = (
    '/none'        => 'A=http B=server',
    '/more'        => 'A=http B=server C=loc',
    '/more/in'     => 'A=http B=server C=loc D=in',
    '/more/if'     => 'A=http B=server C=loc',
    '/more/if?a=1' => 'A=http B=server C=loc D=if',
    '/on'          => 'C=loc',
    '/off'         => '',
    '/off/own'     => 'C=loc',
    '/off/merge'   => 'C=loc',
    '/mixed'       => 'C=loc',
    '/mixed/in'    => '',
    '/status'      => 'E=e',
);
for my $path (sort keys %want) {
    my @added = map { $_->[0] =~ /^X-(.)$/ ? "$1=$_->[1]" : () } @{ $weir->get($path)->fields };
    is("@added", $want{$path}, "add_header_inherit: $path");
}

# What is no field is refused at load.
for my $line ('add_header "a b" c', 'add_header "" c', "add_header 'a:' c", 'add_header a b c', 'add_trailer a b c',
    'add_header a', 'add_header_inherit some') {
    my (undef, $text) = Weir->new(start => 0, location => "$line;")->run_weir('-t');
    like($text, qr/\[emerg\].*weir\.conf:\d+/s, "$line: refused");
}

# A response has one type; what frames it is not for the configuration to say.
$weir = Weir->new(
    http   => 'types { text/html html; } default_type application/octet-stream;',
    files  => { 'html/a.html' => 'a page' },
    server => <<'CONF',
        add_header X-Outer o;
        location /type  { charset utf-8; add_header Content-Type text/x-mine; add_header X-Type $sent_http_content_type; return 200 x; }
        location /html/ { add_header content-type "text/plain; charset=latin1"; alias %dir%/html/; }
        location /none  { add_header Content-Type ""; return 200 x; }
        location /error { add_header Content-Type text/x-mine; return 404; }
        location /frame { add_header Content-Length 99; add_header Connection keep-alive; add_header Transfer-Encoding chunked; return 200 x$sent_http_content_length; }
CONF
);
is_deeply([ grep { $_->[0] eq 'Content-Type' } @{ $weir->get($_->[0])->fields } ], [ [ 'Content-Type', $_->[1] ] ], "one type: $_->[0]")
  for [ '/type', 'text/x-mine' ], [ '/html/a.html', 'text/plain; charset=latin1' ], [ '/none', 'application/octet-stream' ], [ '/error', 'text/html' ];
$answer = $weir->get('/frame');
is($answer->body, 'x', 'a length is not added');
is_deeply([ map { $_->[1] } grep { $_->[0] =~ /^(?:Content-Length|Connection|Transfer-Encoding|X-Outer)$/i } @{ $answer->fields } ], [ 1, 'close' ], 'the response is framed as it is, and outer fields are not inherited');
my (undef, $said) = $weir->run_weir('-t');
like($said, qr/\[warn\] "$_" is not added: it follows from the connection and the body in .*weir\.conf:\d+/, "$_: a warning") for qw(Content-Length Connection Transfer-Encoding);

done_testing;
