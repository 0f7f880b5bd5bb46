#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# error_page beyond what nginx is compared for: recursion, cycles, inheritance, statuses in the log.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files => { 'html/404.html' => 'page' },
    http  => 'log_format s "$uri $status"; access_log %dir%/s.log s;',
    server => <<'CONF',
        error_page 404 /404.html;
        location /inherits      { }
        location /replaces      { error_page 403 /x; }
        location /once          { error_page 404 /once2; }
        location /once2         { error_page 404 =200 /404.html; return 404; }
        location /deep          { recursive_error_pages on; error_page 404 /deep2; }
        location /deep2         { recursive_error_pages on; error_page 404 =200 /404.html; return 404; }
        location /cycle         { recursive_error_pages on; error_page 404 500 /cycle; return 404; }
        location /nonamed       { error_page 404 @missing; }
        location /closes        { error_page 404 =444 /close; return 404; }
        location /close         { return 444; }
        location /cookie        { error_page 404 /v?$cookie_a; return 404; }
        location /v             { return 200 "$uri?$args"; }
        location /dots          { error_page 404 /v/../$arg_p; return 404; }
CONF
);

my @table = (
    [ '/inherits', 404, 'page' ],
    [ '/replaces', 404, qr/404 Not Found/ ],
    [ '/once',     404, qr/404 Not Found/ ],
    [ '/deep',     200, 'page' ],
    [ '/cycle',    500, qr/500 Internal/ ],
    [ '/nonamed',  500, qr/500 Internal/ ],
    [ '/dots?p=404.html', 404, 'page' ],
    [ '/dots?p=../../etc/passwd', 404, qr/404 Not Found/ ],
);
for my $row (@table) {
    my ($target, $status, $body) = @$row;
    my $answer = $weir->get($target);
    is($answer->status, $status, "$target: status");
    ref $body ? like($answer->body, $body, "$target: body") : is($answer->body, $body, "$target: body");
}
is($weir->get('/cookie', fields => ['Cookie: a=b'])->body, '/v?b', 'a variable in the target');
is($weir->get('/closes'), undef, 'a page that closes the connection');

my @log = (map({ "$_ 404" } qw(/404.html /replaces)), '/once2 404', '/404.html 200');
for my $line ('/404.html 404', '/once2 404', '/404.html 200', '/cycle 500', '/nonamed 500', '/close 444') {
    ok(wait_for(sub { $weir->read_file('s.log') =~ /^\Q$line\E$/m }, $line), "log: $line");
}
like($weir->error_log, qr/rewrite or internal redirection cycle while internally redirecting to "\/cycle"/, 'the cycle');
like($weir->error_log, qr/could not find named location "\@missing"/, 'the missing name');

done_testing;
