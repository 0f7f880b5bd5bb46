#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# charset: the maps that come with weir hold what Unicode says, whatever pieces a body comes in and whatever is wrong in it.

use lib 't/lib';
use Cwd qw(abs_path);
use Encode qw(decode encode);
use Weir;

my @html  = (content_type => 'text/html');
my $bytes = join '', map { chr } 0x20 .. 0x7e, 0x80 .. 0xff;
my $text  = "\x{44e} \x{2592} \x{20ac} \x{1F600} \x{416}<p>\n";
my $utf   = encode('UTF-8', $text);
my %bad   = (
    lone      => [ "a\x80b",             'a?b' ],
    cut       => [ "a\xD1<p>",           'a?<p>' ],
    end       => [ "a\xE2\x82",          'a?' ],
    overlong  => [ "a\xC0\xBCscript",    'a??script' ],
    long3     => [ "a\xE0\x80\xBCb",     'a???b' ],
    surrogate => [ "a\xED\xA0\x80b",     'a???b' ],
    beyond    => [ "a\xF4\x90\x80\x80b", 'a????b' ],
    twice     => [ "\xE2\xD1\x8E",       "?\xC0" ],
    ff        => [ "\xFE\xFF",           '??' ],
);
my $rows   = $ENV{WEIR_SANITIZE} ? 20_000 : 200_000;
my $origin = Origin->new(
    '/bytes' => { body => $bytes, @html },
    '/utf'   => { body => $utf, @html },
    '/split' => { chunks => [ split //, $utf ], @html },
    '/huge'  => { body => encode('UTF-8', "\x{20ac}" x 20 . "\n"), repeat => $rows, @html },
    (map { ("/$_" => { body => $bad{$_}[0], @html }, "/split/$_" => { chunks => [ split //, $bad{$_}[0] ], @html }) } keys %bad),
);
my $conf = abs_path('conf.d');
my $weir = Weir->new(
    http   => "include $conf/koi-utf; include $conf/koi-win; include $conf/win-utf;",
    files  => { 'html/u.html' => $utf x 5000 },
    server => <<CONF,
        default_type text/html;
        location /koi-utf/ { proxy_pass $origin->{url}/; source_charset koi8-r; charset utf-8; }
        location /win-utf/ { proxy_pass $origin->{url}/; source_charset windows-1251; charset utf-8; }
        location /koi-win/ { proxy_pass $origin->{url}/; source_charset koi8-r; charset windows-1251; }
        location /win-koi/ { proxy_pass $origin->{url}/; source_charset windows-1251; charset koi8-r; }
        location /utf-koi/ { proxy_pass $origin->{url}/; source_charset utf-8; charset koi8-r; }
        location /utf-win/ { proxy_pass $origin->{url}/; source_charset utf-8; charset windows-1251; }
        location /off/     { proxy_pass $origin->{url}/; source_charset utf-8; charset koi8-r; proxy_buffering off; }
        location /u.html   { source_charset utf-8; charset koi8-r; output_buffers 1 5; }
CONF
);

# What Perl's tables say, with '?' for what is not there.
sub known ($name, $bytes) { join '', map { my $b = $_; eval { decode($name, $b, Encode::FB_CROAK) } // '?' } split //, $bytes }
sub numbered ($name, $text) {
    return join '', map { my $c = $_; eval { encode($name, $c, Encode::FB_CROAK) } // sprintf '&#%d;', ord $_ } split //, $text;
}
sub other ($name, $text) { join '', map { my $c = $_; eval { encode($name, $c, Encode::FB_CROAK) } // '?' } split //, $text }

is($weir->get('/koi-utf/bytes')->body, encode('UTF-8', known('koi8-r', $bytes)), 'KOI8-R to UTF-8');
is($weir->get('/win-utf/bytes')->body, encode('UTF-8', known('cp1251', $bytes)), 'Windows-1251 to UTF-8');
is($weir->get('/koi-win/bytes')->body, other('cp1251', known('koi8-r', $bytes)), 'KOI8-R to Windows-1251');
is($weir->get('/win-koi/bytes')->body, other('koi8-r', known('cp1251', $bytes)), 'Windows-1251 to KOI8-R');
for my $path (qw(utf split)) {
    is($weir->get("/utf-koi/$path")->body, numbered('koi8-r', $text), "UTF-8 to KOI8-R: $path");
    is($weir->get("/utf-win/$path")->body, numbered('cp1251', $text), "UTF-8 to Windows-1251: $path");
}
is($weir->get('/off/split')->body, numbered('koi8-r', $text), 'not buffered');
is($weir->get('/u.html')->body, numbered('koi8-r', $text) x 5000, 'a file');

# What is no UTF-8 is '?', and no byte of ASCII is lost with it.
for my $name (sort keys %bad) {
    is($weir->get("/utf-koi/$_$name")->body, $bad{$name}[1], "$_$name") for '', 'split/';
}

sub resident () {
    my ($status) = map { local (@ARGV, $/) = "/proc/$_/status"; <> } $weir->workers;
    return $status =~ /^VmRSS:\s*(\d+) kB/m ? $1 : die 'no VmRSS';
}
my $before = resident();
is(length $weir->get('/utf-koi/huge')->body, $rows * (20 * length('&#8364;') + 1), 'a large body');
cmp_ok(resident() - $before, '<', 8192, 'in less than 8 MB') unless $ENV{WEIR_SANITIZE} || $ENV{WEIR_VALGRIND};

done_testing;
