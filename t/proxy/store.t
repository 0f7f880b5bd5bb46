#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# proxy_store: responses that are kept as files, whole or not at all.
use lib 't/lib';
use File::Temp ();
use Weir;

my $big    = join '', map { sprintf "%07d\n", $_ } 0 .. 99_999;    # 800 kB
my $then   = 'Sun, 06 Nov 1994 08:49:37 GMT';
my $origin = Origin->new(
    '/small'   => { body => 'small', fields => ["Last-Modified: $then"] },
    '/big'     => { body => $big },
    '/chunks'  => { chunks => [ 'one ', 'two' ], pause => 0.02 },
    '/empty'   => { body => '' },
    '/cut'     => { body => 'short', length => 100, cut => 1 },
    '/404'     => { status => 404, body => 'none' },
    '/x/y/z'   => { body => 'deep' },
    '/pieces'  => { pieces => [ 'a' x 1000, 'b' x 100_000, 'c' x 1000 ], pause => 0.05 },
    '/post'    => { body => 'posted' },
);
my $other = -d '/dev/shm' && -w '/dev/shm' ? File::Temp->newdir('weir-store-XXXXXX', DIR => '/dev/shm') : undef;
chmod 0777, "$other" if $other;
my $elsewhere = $other ? "location /elsewhere/ { proxy_pass $origin->{url}/; proxy_store $other\$uri; }" : '';
my $weir = Weir->new(main => 'user root;', server => <<CONF);
    location / { proxy_pass $origin->{url}; proxy_store on; proxy_store_access group:rw all:r; root %dir%/kept; }
    location /off/ { proxy_pass $origin->{url}/; root %dir%/kept; }
    location /direct/ { proxy_pass $origin->{url}/; proxy_buffering off; proxy_store %dir%/direct\$uri; }
    location /named/ { set \$where %dir%/named\$arg_to; proxy_pass $origin->{url}/; proxy_store \$where; }
    location /mirror/ { root %dir%/mirror; error_page 404 = \@fetch; log_not_found off; }
    location \@fetch { rewrite ^/mirror(.*) \$1 break; proxy_pass $origin->{url}; proxy_store %dir%/mirror\$request_uri; }
    location /denied/ { proxy_pass $origin->{url}/; proxy_store /proc/none\$uri; }
    $elsewhere
CONF
my $dir = $weir->dir;
sub kept ($path) { -e "$dir/$path" ? $weir->read_file($path) : undef }

for my $case ([ small => 'small' ], [ big => $big ], [ chunks => 'one two' ], [ empty => '' ], [ 'x/y/z' => 'deep' ]) {
    my ($path, $body) = @$case;
    ok($weir->get("/$path")->body eq $body, "$path: given to the client");
    wait_for(sub { -e "$dir/kept/$path" }, "$path as a file");
    ok(kept("kept/$path") eq $body, 'and kept');
}
my @stat = stat "$dir/kept/small";
is($stat[9], 784111777, 'Last-Modified is the time of the file');
is($stat[2] & 0777, 0664, 'proxy_store_access');
is((stat "$dir/kept/x/y")[2] & 0777, 0775, 'directories are made, and may be searched by who may read');

$origin->set('/small' => { body => 'new' });
is($weir->get('/small')->body, 'new', 'asked again');
wait_for(sub { kept('kept/small') eq 'new' }, 'the new file');
pass('takes the place of the old one');

$weir->get("/$_") for qw(404);
my $client = $weir->client;
$client->send_request('GET', '/cut');
$client->is_closed;
$weir->post('/post', 'x');
$weir->head('/chunks2');
$weir->get('/off/small');
is(kept("kept/$_"), undef, "$_: not kept") for qw(404 cut post chunks2 off/small);

$weir->get('/direct/chunks');
wait_for(sub { -e "$dir/direct/direct/chunks" }, 'without buffering');
is(kept('direct/direct/chunks'), 'one two', 'kept without proxy_buffering, too');
is($weir->get('/named/x/y/z?to=/a/b')->body, 'deep', 'a path of variables');
is(kept('named/a/b'), 'deep', 'kept there');
is($weir->get('/named/x/y/z?to=/../../evil')->body, 'deep', 'a path that leads away');
ok(!-e "$dir/../evil" && !-e "$dir/evil", 'is not followed');
like($weir->error_log, qr/is no path to store a response at/, 'said');

is($weir->get('/mirror/x/y/z')->body, 'deep', 'a mirror: fetched at first');
my $n = $origin->requests('/x/y/z');
is($weir->get('/mirror/x/y/z')->body, 'deep', 'then a file');
is(scalar $origin->requests('/x/y/z'), $n, 'that nobody is asked for');

# The client leaves in the middle: the rest is read and kept.
$client = $weir->client;
$client->send_request('GET', '/pieces');
$client->read_until(qr/\r\n\r\na/);
$client->reset;
wait_for(sub { -e "$dir/kept/pieces" }, 'the file');
is(length kept('kept/pieces'), 102_000, 'a client that leaves does not stop it');

$weir->allow(qr/storing a response as/);
is($weir->get('/denied/small')->body, 'new', 'what cannot be stored is given');
like($weir->error_log, qr{storing a response as "/proc/none/denied/small" failed}, 'said');

if ($other) {
    ok($weir->get('/elsewhere/big')->body eq $big, 'another file system');
    wait_for(sub { -e "$other/elsewhere/big" }, 'the copy');
    ok($weir->read_file("$other/elsewhere/big") eq $big, 'is written to, too');
}
is(scalar(grep { !/\.(?:html)$/ } glob "$dir/proxy_temp/*"), 0, 'no temporary file stays');
is(scalar(grep { /\.[0-9a-f]{8}$/ } glob("$dir/kept/*"), $other ? glob "$other/elsewhere/*" : ()), 0, 'nor a name');
done_testing;
