#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# secure_link: links with a hash are taken when the hash is right and the time has not passed, as in nginx.

use lib 't/lib';
use Weir;
use Nginx;
use Digest::MD5 qw(md5_base64 md5_hex);

my ($weir, $nginx) = Nginx->beside(
    server => <<'CONF',
        location /s/    { secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri secret";
                          return 200 "[$secure_link][$secure_link_expires]\n"; }
        location /n/    { secure_link $arg_md5; secure_link_md5 "$uri secret"; return 200 "[$secure_link]\n"; }
        location /half/ { secure_link $arg_md5; return 200 "[$secure_link]\n"; }
        location /md5/  { secure_link_md5 x; return 200 "[$secure_link]\n"; }
        location /none/ { return 200 "[$secure_link][$secure_link_expires]\n"; }
        location /p/    { secure_link_secret secret; if ($secure_link = "") { return 403; } rewrite ^ /secure/$secure_link; }
        location /if/   { secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri secret";
                          if ($secure_link = "") { return 403; } if ($secure_link = "0") { return 410; } return 200 in; }
        location /secure/ { internal; return 200 "$uri\n"; }
CONF
);

sub url_hash ($text) { md5_base64($text) =~ tr{+/}{-_}r }

my @targets = ('/s/link', '/s/link?md5=abc&expires=2147483647', '/n/link', '/half/?md5=x', '/md5/', '/none/');
for my $expires ('2147483647', '100', '0', 'x', '-1', '', '99999999999999999999999') {
    push @targets, map { "/$_/link?md5=" . url_hash("$expires/$_/link secret") . "&expires=$expires" } qw(s if);
}
my $hash = url_hash('/n/link secret');
push @targets, map { "/n/link?md5=$_" } $hash, "$hash=", "$hash==", "$hash===", "${hash}x", substr($hash, 1), $hash =~ tr{-_}{+/}r;
push @targets, map { '/p/' . md5_hex("${_}secret") . "/$_" } 'link', 'a/b', '', 'a%20b', 'x?y';
push @targets, '/p/' . uc(md5_hex('linksecret')) . '/link', '/p/x/' . md5_hex('linksecret') . '/link',
  '/p/' . md5_hex('linksecret'), '/p/0' . md5_hex('linksecret') . '/link', '/p/', '/p/x', '/p/' . 'g' x 32 . '/link';
Nginx::same($weir, $nginx, $_, 'GET', $_) for @targets;

is($weir->get('/s/link?md5=' . url_hash('2147483647/s/link secret') . '&expires=2147483647')->body, "[1][2147483647]\n", 'right');

for ('secure_link_secret x; secure_link y;', 'secure_link_md5 x; secure_link_secret y;') {
    my $other = Weir->new(location => $_, start => 0);
    like(($other->run_weir('-t'))[1], qr/"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5" in /, $_);
}

done_testing;
