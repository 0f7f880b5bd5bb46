#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# PUT, DELETE, MKCOL, COPY, MOVE: answers and files as with nginx, and nothing half-done is ever seen.

use lib 't/lib';
use Nginx;
use Weir;

my @text = (
    start => 0,
    http  => 'client_max_body_size 20m; client_body_buffer_size 8k;',
    files => { map { ("html/$_" => $_) } qw(x w a/f a/sub/g a/sub/deep/h c/k d/one/two/file keep/f) },
    server => <<'CONF',
        dav_methods PUT DELETE MKCOL COPY MOVE;
        location /full/  { create_full_put_path on; dav_access group:rw all:r; }
        location /md/    { min_delete_depth 3; }
        location /al/    { alias %dir%/html/keep/; }
        location /put    { dav_methods PUT; }
        location /off    { dav_methods off; }
        location /small  { client_max_body_size 10; }
        location /mirror { mirror /copy; }
        location /copy   { return 204; }
        location /shut   { limit_except GET PUT { deny all; } }
CONF
);
my ($weir, $nginx) = (Weir->new(@text), Nginx->binary ? Nginx->new(@text) : undef);

sub tree ($server) {
    my $dir = $server->dir . '/html';
    my @all = sort split /\n/, `cd $dir && find . -printf '%P %y %m %s\\n'`;
    return join "\n", @all;
}
for my $server (grep { defined } $weir, $nginx) {
    system 'chmod', '-R', 'a+rwX', $server->dir . '/html';
    umask 022;
    $server->start;
}

# The same request to both, then the same files.
sub same ($method, $target, @rest) {
    my %option = (host => 'localhost', @rest);
    my $what   = join ' ', $method, $target, map { ref ? @$_ : substr($_, 0, 40) } grep { defined } @option{qw(fields body)};
    if (!$nginx) {
        $weir->request($method, $target, %option);
        return;
    }
    Nginx::same($weir, $nginx, $what, $method, $target, %option);
    my ($ours, $theirs) = map { tree($_) } $weir, $nginx;
    is($ours, $theirs, "the files after $what") or BAIL_OUT('they differ from here on');
}
my $to = sub ($path, @more) { fields => [ "Destination: $path", @more ] };

same('PUT', '/new', body => 'hello');
same('PUT', '/new', body => 'hello again');
same('PUT', '/large', body => join '', map { chr(33 + $_ % 90) } 1 .. 300_000);
same('PUT', '/a/', body => 'h');
same('PUT', '/a', body => 'h');
same('PUT', '/r', body => 'h', fields => ['Content-Range: bytes 0-0/1']);
same('PUT', '/dated', body => 'h', fields => ['Date: Tue, 15 Nov 1994 08:12:31 GMT']);
same('PUT', '/odd-date', body => 'h', fields => ['Date: yesterday']);
same('PUT', '/%22q%20%3C%C3%A9', body => 'h');
same('PUT', '/put/x', body => 'h') if 0;
same('PUT', '/off/x', body => 'h');
same('PUT', '/small', body => 'h' x 11);
same('PUT', '/small', body => 'h' x 10);
same('MKCOL', '/col');
same('MKCOL', '/col/');
same('MKCOL', '/col/');
same('MKCOL', '/no/col/');
same('MKCOL', '/x/');
same('MKCOL', '/d%20x/');
same('MKCOL', '/col2/', body => 'b');
same('DELETE', '/nothing');
same('DELETE', '/nothing/');
same('DELETE', '/a');
same('DELETE', '/x/');
same('DELETE', '/a/',  fields => ['Depth: 0']);
same('DELETE', '/new', fields => ['Depth: 1']);
same('DELETE', '/new', fields => ['Depth: x']);
same('DELETE', '/new', body => 'b');
same('DELETE', '/new', fields => ['Depth: 0']);
same('DELETE', '/dated', fields => ['Depth: infinity']);
same('DELETE', $_) for qw(/md/a /md/a/ /md/a/b /md/a/b/ /md/a/b/c);
same('DELETE', '/d/', fields => ['Depth: infinity']);
same('DELETE', '/put');
same('DELETE', '/shut');
same('COPY', '/x');
same('COPY', '/x', $to->('/y'));
same('COPY', '/w', $to->('http://localhost/y'));
same('COPY', '/x', $to->('http://localhost/y', 'Overwrite: F'));
same('COPY', '/x', $to->('http://localhost/y', 'Overwrite: q'));
same('COPY', '/x', $to->('http://localhost/y', 'Overwrite: T'));
same('COPY', '/x', $to->('http://other.test/y'));
same('COPY', '/x', $to->('ftp://localhost/y'));
same('COPY', '/x', $to->('y'));
same('COPY', '/x', $to->('http://localhost/../y'));
same('COPY', '/x', $to->('http://localhost/y/'));
same('COPY', '/x', $to->('http://localhost/y%00'));
same('COPY', '/x', $to->('/q%20q?a=b'));
same('COPY', '/x', $to->('/a'));
same('COPY', '/x', $to->('/y'), body => 'b');
same('COPY', '/nothing', $to->('/y'));
same('COPY', '/a/', $to->('/b'));
same('COPY', '/a/', $to->('/b/'));
same('COPY', '/c/', $to->('/b/'));
same('COPY', '/c/', $to->('/b/', 'Overwrite: F'));
same('COPY', '/a/', $to->('/b1/', 'Depth: 1'));
same('COPY', '/a/', $to->('/b2/', 'Depth: infinity'));
same('COPY', '/a',  $to->('/b3'));
same('COPY', '/al/f', $to->('/al/copied'));
same('COPY', '/w/', $to->('/y3/'));
same('COPY', '/w/', $to->('/y/'));
same('COPY', '/a',  $to->('/y'));
same('MOVE', '/y', $to->('/z'));
same('MOVE', '/y', $to->('/z'));
same('MOVE', '/x', $to->('/z', 'Depth: 0'));
same('MOVE', '/x', $to->('/z', 'Overwrite: F'));
same('MOVE', '/b/', $to->('/moved/'));
same('MOVE', '/b2/', $to->('/moved/'));
same('MOVE', '/x', $to->('/shut'));
same($_, '/x') for qw(PATCH OPTIONS PROPFIND);

if ($nginx) {
    my @times = map { (stat $_->dir . '/html/odd-date')[9] } $weir, $nginx;
    cmp_ok(abs($times[0] - $times[1]), '<', 60, 'a Date that is none');
}
$weir->request('PUT', '/dated', body => 'h', fields => ['Date: Tue, 15 Nov 1994 08:12:31 GMT']);
is((stat $weir->dir . '/html/dated')[9], 784887151, 'Date is the time of the file');

# What nginx does otherwise.
sub status ($method, $target, %option) { $weir->request($method, $target, %option)->status }
sub content ($name) { $weir->read_file("html/$name") }
is(status('PUT', '/nodir/x', body => 'h'), 409, 'PUT without its collection');
is(status('PUT', '/x/y',     body => 'h'), 409, 'below a file');
is(status('PUT', '/empty'), 201, 'PUT of nothing');
ok(-e $weir->dir . '/html/empty' && -z _, 'is an empty file');
is(status('PUT', '/full/d1/d2/x', body => 'h'), 201, 'create_full_put_path');
is(sprintf('%o', (stat $weir->dir . "/html/full/$_")[2] & 07777), $_ eq 'd1/d2/x' ? 664 : 775, "mode of $_")
  for qw(d1 d1/d2 d1/d2/x);
is(status('COPY', '/w', $to->('/none/y')), 409, 'COPY without its collection');
is(status('COPY', '/w', $to->('/w')), 403, 'COPY onto itself');
is(content('w'), 'w', 'leaves it');
is(status('MOVE', '/w', $to->('/w')), 403, 'MOVE onto itself');
is(status('MOVE', '/a/', $to->('/a/in/')), 403, 'MOVE into itself');
is(status('COPY', '/a/', $to->('/a/in/')), 403, 'COPY into itself');
is(status('MOVE', '/a/sub/', $to->('/a/')), 403, 'onto what it lies in');
is(content('a/sub/g'), 'a/sub/g', 'leaves all');
is(status('COPY', '/a/', $to->('/shallow/', 'Depth: 0')), 201, 'COPY of a collection with Depth: 0');
is_deeply([ glob $weir->dir . '/html/shallow/*' ], [], 'takes no members along (RFC 4918, 9.8.3)');
is(status('COPY', '/w', $to->('https://localhost/tls')), 204, 'a client behind a proxy that speaks TLS');
is(content('tls'), 'w', 'copied');
is(status('COPY', '/a/', $to->('/w/')), 409, 'a collection onto a file');

is(status($_, '/al/f', $to->('/outside')), 400, "$_ out of an alias") for qw(COPY MOVE);

symlink 'a', $weir->dir . '/html/other-name';
is(status('COPY', '/a/', $to->('/other-name/in/')), 403, 'into itself by another name');
is(status('COPY', '/other-name/', $to->('/a/')), 403, 'onto itself by another name');
unlink $weir->dir . '/html/other-name';

# Links are removed and copied as links, never followed into.
mkdir $weir->dir . '/outside';
$weir->write_file('outside/precious', 'precious');
mkdir $weir->dir . '/html/links';
symlink $weir->dir . '/outside', $weir->dir . '/html/links/out';
symlink '.',                     $weir->dir . '/html/links/self';
system 'chmod', '-R', 'a+rwX', $weir->dir . '/html/links', $weir->dir . '/outside';
is(status('COPY', '/links/', $to->('/links2/')), 201, 'COPY of a tree with links');
is(readlink $weir->dir . '/html/links2/out', $weir->dir . '/outside', 'a link stays one');
is(status('DELETE', '/links/'), 204, 'DELETE of a tree with links');
is($weir->read_file('outside/precious'), 'precious', 'does not touch what they point to');

# A deep and a wide tree.
my $deep = $weir->dir . '/html/deep';
system 'mkdir', '-p', $deep . '/n' x 100;
$weir->write_file("html/deep/wide/$_", $_) for 1 .. 500;
system 'chmod', '-R', 'a+rwX', $deep;
is(status('COPY', '/deep/', $to->('/deep2/')), 201, 'COPY of a large tree');
is(scalar(() = glob "$weir->{dir}/html/deep2/wide/*"), 500, 'has all files');
is(status('DELETE', "/$_/"), 204, 'DELETE of it') for qw(deep deep2);
ok(!-e "$weir->{dir}/html/$_", 'is complete') for qw(deep deep2);

# Nobody sees a part of a PUT, nor what an unfinished one leaves.
is(status('PUT', '/atomic', body => 'before'), 201, 'a file');
my $client = $weir->client;
$client->write("PUT /atomic HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" . 'x' x 50_000);
wait_for(sub { my @t = glob "$weir->{dir}/html/.dav-*"; @t && -s $t[0] }, 'half of the body');
is($weir->get('/atomic')->body, 'before', 'half of a new one: the old one is there');
$client->write('y' x 50_000);
is($client->answer->status, 204, 'the other half');
is(length $weir->get('/atomic')->body, 100_000, 'the new one');
$client->write("PUT /atomic HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" . 'z' x 50_000);
wait_for(sub { () = glob "$weir->{dir}/html/.dav-*" }, 'half of the body');
$client->close;
wait_for(sub { !(() = glob "$weir->{dir}/html/.dav-*") }, 'the end of what a client left');
is(substr($weir->get('/atomic')->body, 0, 5), 'xxxxx', 'which changed nothing');
like($weir->raw("PUT /chunked HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    qr/^HTTP\/1\.1 201 /, 'chunks');
is(content('chunked'), 'abcde', 'put together');
like($weir->raw("PUT /broken HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"),
    qr/^HTTP\/1\.1 400 /, 'chunks that are broken');
ok(!-e "$weir->{dir}/html/broken", 'make no file');
like($weir->raw("PUT /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" . "8\r\n12345678\r\n" x 3 . "0\r\n\r\n"),
    qr/^HTTP\/1\.1 413 /, 'chunks that are too many');
is(content('small'), 'h' x 10, 'change nothing');
is_deeply([ glob "$weir->{dir}/html/.dav-*" ], [], 'nothing is left');
my $big = join '', map { chr(($_ * 7 + ($_ >> 8)) & 255) } 0 .. 299_999;
$big x= 20;
is(status('PUT', '/big', body => $big), 201, '6 MB');
ok(content('big') eq $big, 'arrive');
is(status('PUT', '/mirror', body => 'mirrored'), 201, 'a body that was read before');
is(content('mirror'), 'mirrored', 'arrives');

# Many at once, of the same file.
my @clients = map { $weir->client } 1 .. 8;
for my $round (1 .. 5) {
    $clients[$_]->send_request('PUT', '/race', body => "$_" x 100_000) for 0 .. $#clients;
    $_->answer for @clients;
    my $race = content('race');
    ok($race eq substr($race, 0, 1) x 100_000, 'the file is that of one client');
}

# What a worker may not do.
mkdir "$weir->{dir}/html/locked";
chmod 0555, "$weir->{dir}/html/locked";
is(status('PUT', '/locked/x', body => 'h'), $> == 0 ? 403 : 403, 'a directory that is not ours');
is(status('MKCOL', '/locked/x/'), 403, 'the same for MKCOL');

for my $bad ('dav_methods', 'dav_methods GET', 'dav_access all:w', 'dav_access other:r', 'dav_access all:', 'min_delete_depth x', 'create_full_put_path 1')
{
    my $daemon = Weir->new(start => 0, location => "$bad;");
    like(($daemon->run_weir('-t'))[1], qr/\[emerg\].*weir\.conf:\d+/s, "$bad: refused");
}

done_testing;
