#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# disable_symlinks: which symbolic links are followed is what nginx follows.

use lib 't/lib';
use Nginx;
use Weir;

my ($weir, $nginx) = Nginx->beside(
    files  => { 'html/real/a.txt' => 'real', 'other/b.txt' => 'other' },
    server => <<'CONF',
        location /on/    { alias %dir%/html/; disable_symlinks on from=%dir%/html/; }
        location /all/   { alias %dir%/html/; disable_symlinks on; }
        location /owner/ { alias %dir%/html/; disable_symlinks if_not_owner from=%dir%/html; }
        location /off/   { alias %dir%/html/; disable_symlinks off; }
        location /var/   { alias %dir%/html/; disable_symlinks on from=$document_root; }
        location /cache/ { alias %dir%/html/; open_file_cache max=10; disable_symlinks on from=%dir%/html; }
CONF
);
for my $server ($weir, $nginx) {
    my $html = $server->dir . '/html';
    symlink 'real',               "$html/dir"     or die;
    symlink 'real/a.txt',         "$html/a.txt"   or die;
    symlink '../other/b.txt',     "$html/out.txt" or die;
    symlink 'a.txt',              "$html/twice"   or die;
    symlink 'nowhere',            "$html/dead"    or die;
    symlink 'loop',               "$html/loop"    or die;
    symlink '/etc/hostname',      "$html/etc"     or die;
    if ($> == 0) {
        symlink 'real/a.txt', "$html/foreign" or die;
        system('chown', '-h', '12345', "$html/foreign");
    }
}
for my $location (qw(on all owner off var cache)) {
    for my $name (qw(real/a.txt dir/a.txt dir a.txt out.txt twice dead loop), $> == 0 ? 'foreign' : ()) {
        Nginx::same($weir, $nginx, "$location: $name", 'GET', "/$location/$name");
    }
}

done_testing;
