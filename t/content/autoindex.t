#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# autoindex: lists of directories as nginx makes them, and names that are safe in each format.

use lib 't/lib';
use Weir;
use Nginx;
use Encode qw(decode FB_CROAK);
use JSON::PP;

my @plain = (
    'B', 'a', 'a b', 'plain.txt', 'pct%20x', 'semi;x', 'q?x', 'h#x', 'co:lon', 'x:', 'plus+x', 'at@x', 'am&p', 'eq=x',
    'ti~lde', 'bs\\x', 'br[x]', 'cu{x}', 'pi|x', 'gr`x', 'ca^x', 'do$x', 'com,x', 'exc!x', 'st*ar', 'par(x)', "quo'te",
    'a<b>&"c', map { 'z' x $_ } 47 .. 52, 255
);
my %files = (
    (map { ("html/d/$_" => 'x' x length) } @plain),
    'html/d/.hidden'     => 'secret',
    'html/with/index.html' => 'an index',
    'html/only/f'        => '',
);
my $utf8  = "\xc3\xbcn\xc3\xafc\xc3\xb6d\xc3\xa9.txt";
my $long  = "\xc3\xa9" x 60;
my @nasty = ("new\nline", "tab\tx", "ctl\x01x", "del\x7fx", "bad\xff\xfeutf8", "\xff" x 55, $utf8, $long, "]]>", "\xef\xbf\xbfx",
    '<script>alert(1)</script>' =~ s{/}{:}gr, '&lt;', '"></a>' =~ s{/}{:}r, "';x");
my %nasty = map { ("html/nasty/$_" => 'n') } @nasty;

my @text = (
    files  => { %files, %nasty },
    server => <<'CONF',
        autoindex on;
        location /rough/  { alias %dir%/html/sizes/; autoindex_exact_size off; autoindex_localtime on; }
        location /xml/    { alias %dir%/html/d/; autoindex_format xml; }
        location /json/   { alias %dir%/html/d/; autoindex_format json; }
        location /jsonp/  { alias %dir%/html/d/; autoindex_format jsonp; }
        location /json0/  { alias %dir%/html/empty/; autoindex_format json; }
        location /xml0/   { alias %dir%/html/empty/; autoindex_format xml; }
        location /off/    { alias %dir%/html/d/; autoindex off; }
        location /nowhere/ { alias %dir%/nowhere/; }
        location /file/   { alias %dir%/html/d/a/; }
        location /nasty.xml/ { alias %dir%/html/nasty/; autoindex_format xml; }
        location /nasty.json/ { alias %dir%/html/nasty/; autoindex_format json; }
CONF
);
my ($weir, $nginx) = Nginx->beside(@text);
for my $server ($weir, $nginx) {
    my $html = $server->dir . '/html';
    $server->write_file("html/$_/x", 'x') for 'd/sub', 'd/Zdir', 'd/' . 'q' x 48, 'd/' . 'q' x 49, 'd/' . 'q' x 50, 'd/' . 'q' x 51;
    mkdir "$html/empty";
    symlink 'nowhere', "$html/d/broken";
    symlink 'sub',     "$html/d/linkdir";
    symlink 'a',       "$html/d/linkfile";
    symlink 'loop',    "$html/d/loop";
    POSIX::mkfifo("$html/d/fifo", 0644);
    mkdir "$html/sizes";
    mkdir "$html/sizes/dir";
    for my $size (0, 1, 1023, 1024, 1535, 9999, 10_000, 10_239, 10_752, 1_048_575, 1_048_576, 1_572_863, 1_572_864, 1_073_741_823,
        1_073_741_824, 99_999_999_999)
    {
        $server->write_file("html/sizes/s$size", '');
        truncate "$html/sizes/s$size", $size or die "truncate: $!";
    }
    utime 1700000000, 1700000000, grep { !-l } glob "$html/*/* $html/*";
    system 'touch', '-h', '-d', '@1700000000', map { "$html/d/$_" } qw(broken loop linkdir linkfile);
    system 'touch', '-d', '@1700000000', grep { !-l } map { glob "$html/$_/*" } qw(d sizes);
}

for my $path (qw(/d/ /sizes/ /rough/ /xml/ /json/ /jsonp/ /jsonp/?callback= /jsonp/?callback=foo /jsonp/?a=1&callback=a.b_1 /json0/ /xml0/
    /empty/ /with/ /d /off/ /nowhere/ /file/ /jsonp/?callback=a(b) /jsonp/?callback=a%20b /jsonp/?callback=a-b /missing/),
    '/jsonp/?callback=' . 'a' x 128, '/jsonp/?callback=' . 'a' x 129)
{
    Nginx::same($weir, $nginx, "GET $path", 'GET', $path);
}
is($weir->head($_)->body, '', "HEAD $_") for qw(/d/ /json/ /xml/);
Nginx::same($weir, $nginx, "$_ of a directory", $_, '/d/', body => '') for qw(POST PUT DELETE);
Nginx::same($weir, $nginx, 'HTTP/1.0', 'GET', '/d/', version => '1.0');

# Each link of a list leads to its file.
my $page  = $weir->get('/nasty/')->body;
my @links = $page =~ /<a href="([^"]*)">/g;
is(shift @links, '../', 'the way up');
is(scalar @links, scalar @nasty, 'a link for each name');
is($weir->get("/nasty/$_")->body, 'n', "the link $_ leads to a file") for @links;
unlike($page =~ s/<a href="[^"<>&]*">|<\/a>|&(?:amp|lt|gt|quot);|<\/?(?:html|head|title|body|h1|hr|pre)>//gr, qr/[<>&"]/,
    'no other markup in the list');
unlike($page, qr/[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]/, 'no control bytes');
like($page, qr{>\Q$utf8\E</a> {40}\d\d-}, 'columns of UTF-8 names are characters');
like($page, qr{>(?:\xc3\xa9){47}\.\.&gt;</a> \d\d-}, 'which are not cut in two');

my $list = $weir->get('/nasty.json/');
is($list->field('Content-Type'), 'application/json', 'JSON');
my $entries = eval { JSON::PP->new->utf8->decode($list->body) };
ok($entries, 'is well-formed') or diag($@);
my %names = map { $_->{name} => 1 } @{ $entries // [] };
for my $name (@nasty) {
    my $text = eval { decode('utf8', my $copy = $name, FB_CROAK) } // $name;    # bytes that are no UTF-8: by number
    ok($names{$text}, 'has ' . join ' ', map { sprintf '%x', ord } split //, substr $text, 0, 12);
}

$page = $weir->get('/nasty.xml/')->body;
ok(eval { decode('UTF-8', my $copy = $page, FB_CROAK); 1 }, 'XML is UTF-8 with all names');
unlike($page, qr/[\x00-\x09\x0b\x0c\x0e-\x1f]/, 'without control bytes');
is(scalar(() = $page =~ m{<file mtime="[-0-9T:Z]+" size="1">[^<>"]*</file>\r\n}g), scalar @nasty, 'and with text in each');
unlike($page, qr/&(?!(?:amp|lt|gt|quot|#\d+);)/, 'each ampersand begins a reference');

# The path of the request is in the list too.
my $top = Weir->new(server => 'location ~ ^/any { alias %dir%/html/d/; autoindex on; }', files => { 'html/d/f' => '' });
$page = $top->get('/any/%3Cscript%3E%22%0d%0a/')->body;
like($page, qr{<h1>Index of /any/&lt;script&gt;&quot;\?\?/</h1>}, 'the path is escaped');

for my $bad ('autoindex maybe', 'autoindex_format yaml', 'autoindex on; autoindex off', 'autoindex_exact_size', 'autoindex_localtime 1') {
    my $daemon = Weir->new(start => 0, location => "$bad;");
    like(($daemon->run_weir('-t'))[1], qr/\[emerg\].*weir\.conf:\d+/s, "$bad: refused");
}

done_testing;
