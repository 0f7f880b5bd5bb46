#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# With `ssl_certificate_watch on` a renewed certificate is served without a reload, whichever way it was put there; a bad
# one is not; connections and sessions go on.

use lib 't/lib';
use Certs;
use File::Copy qw(copy move);
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
mkdir "$dir/$_" for qw(live archive kube kube/..1 other);

# A certificate of its own for each way, made anew for each renewal.
my $number = 0;

sub fresh (%option) {
    my $name = 'new' . ++$number;
    $certs->make($name, names => ['a.example'], %option);
    return $name;
}

sub put ($name, $to) { copy("$dir/$name.$_", "$to.$_") or die "$to: $!" for qw(crt key) }

put(fresh(), "$dir/$_") for qw(place moved other/apart);
put(fresh(), "$dir/archive/one");
symlink "../archive/one.$_", "$dir/live/tls.$_" for qw(crt key);
put(fresh(), "$dir/kube/..1/tls");
symlink '..1', "$dir/kube/..data";
symlink "..data/tls.$_", "$dir/kube/tls.$_" for qw(crt key);
{
    my $name = fresh();
    $certs->write('joined.pem', $certs->text("$name.crt") . $certs->text("$name.key"));
}
symlink 'other', "$dir/link";
put(fresh(), "$dir/unwatched");

my @way  = qw(place moved live/tls kube/tls link/apart joined unwatched);
my $conf = join '', map {
    my ($n, $file) = ($_, "$dir/$way[$_]");
    my ($crt, $key) = $way[$_] eq 'joined' ? ("$file.pem", "$file.pem") : ("$file.crt", "$file.key");
    my $watch = $way[$_] eq 'unwatched' ? 'off' : 'on';
    "server { listen 127.0.0.1:%port$n% ssl; server_name a.example; ssl_certificate $crt; ssl_certificate_key $key;
        ssl_certificate_watch $watch; ssl_session_cache shared:s:1m; return 200 \"\$ssl_session_reused\"; }\n";
} 0 .. $#way;
my $weir = Weir->new(workers => 2, http => $conf);
my %port = map { $way[$_] => $_ } 0 .. $#way;

sub serial ($way) { return (TlsClient->new($weir->port($port{$way}), name => 'a.example') // return TlsClient->why)->serial }

# Both workers have to have it.
sub served ($way, $name, $what) {
    my $serial = $certs->{serial}{$name};
    wait_for(sub { !grep { serial($way) ne $serial } 1 .. 10 }, "$way: $what");
    pass("$way: $what");
}

my $old     = TlsClient->new($weir->port($port{place}), name => 'a.example', max => 'TLSv1.2');
$old->send_request('GET', '/');
is($old->answer->body, '.', 'a connection from before');
my $session = $old->session;

my $new = fresh();
put($new, "$dir/place");
served('place', $new, 'written in place');
$old->send_request('GET', '/');
is($old->answer->body, '.', 'the connection goes on');
my $again = TlsClient->new($weir->port($port{place}), name => 'a.example', max => 'TLSv1.2', session => $session);
$again->send_request('GET', '/');
is($again->answer->body, 'r', 'the session goes on');

$new = fresh();
put($new, "$dir/beside");
move("$dir/beside.$_", "$dir/moved.$_") for qw(key crt);
served('moved', $new, 'renamed over the old one');

$new = fresh();
put($new, "$dir/archive/two");
for my $part (qw(crt key)) {
    unlink "$dir/live/tls.$part";
    symlink "../archive/two.$part", "$dir/live/tls.$part";
}
served('live/tls', $new, 'links that point elsewhere, as certbot does');
$new = fresh();
put($new, "$dir/archive/two");
served('live/tls', $new, 'written where the link points to now');

$new = fresh();
mkdir "$dir/kube/..2";
put($new, "$dir/kube/..2/tls");
symlink '..2', "$dir/kube/..data_tmp";
rename "$dir/kube/..data_tmp", "$dir/kube/..data";
unlink "$dir/kube/..1/tls.$_" for qw(crt key);
served('kube/tls', $new, 'a link to a directory, as kubernetes does');

$new = fresh();
mkdir "$dir/other2";
put($new, "$dir/other2/apart");
symlink 'other2', "$dir/link2";
rename "$dir/link2", "$dir/link";
served('link/apart', $new, 'a link in the middle of the path');

$new = fresh();
$certs->write('joined.pem', $certs->text("$new.key") . $certs->text("$new.crt"));
served('joined', $new, 'certificate and key in one file');

# Another type of key; the old type is not offered any more.
$new = fresh(rsa => 1);
put($new, "$dir/place");
served('place', $new, 'RSA after EC');
is(TlsClient->new($weir->port($port{place}), name => 'a.example', max => 'TLSv1.2', ciphers => 'ECDHE-ECDSA-AES128-GCM-SHA256'),
    undef, 'the one of the other type is not served any more');
$new = fresh();
put($new, "$dir/place");
served('place', $new, 'EC after RSA');

# The certificate first, the key later.
$new = fresh();
copy("$dir/$new.crt", "$dir/place.crt");
copy("$dir/$new.key", "$dir/place.key");
served('place', $new, 'the key came later');

# What is not better is not used, and the log says why.
$weir->allow(qr/the new one is not used/);
my $before = serial('moved');
for my $row (
    [ sub { put(fresh(days => -1), "$dir/moved") },                      qr/it has expired/ ],
    [ sub { put(fresh(names => ['b.example']), "$dir/moved") },          qr/it is not for "a.example", as the old one is/ ],
    [ sub { $certs->write('moved.crt', "garbage\n") },                   qr/PEM_read_bio_X509_AUX\(\) failed/ ],
    [ sub { copy("$dir/" . fresh() . '.crt', "$dir/moved.crt") },        qr/SSL_CTX_use_PrivateKey\("\S+"\) failed .*key values mismatch/ ],
    [ sub { unlink "$dir/moved.crt" },                                   qr/open\(\) "\S+" failed \(2: No such file/ ],
    )
{
    my ($change, $why) = @$row;
    $change->();
    my $line = qr/\[error\] .*certificate "\Q$dir\E\/moved.crt" has changed, but the new one is not used: .*$why.*; the old one stays/;
    $weir->wait_log($line);
    is(serial('moved'), $before, "the old one stays: $why");
}
$new = fresh();
put($new, "$dir/moved");
served('moved', $new, 'good again');

# A worker that starts later, and a reload.
my ($victim) = $weir->workers;
kill 'KILL', $victim;
$weir->allow(qr/exited on signal 9/);
wait_for(sub { my @w = $weir->workers; @w == 2 && !grep { $_ == $victim } @w }, 'another worker');
served('moved', $new, 'a worker that is forked later has it');
$weir->reload;
served('moved', $new, 'after a reload');
$new = fresh();
put($new, "$dir/moved");
served('moved', $new, 'renewed after a reload');

my $unwatched = serial('unwatched');
put(fresh(), "$dir/unwatched");
$new = fresh();
put($new, "$dir/place");
served('place', $new, 'once more');
is(serial('unwatched'), $unwatched, 'what is not watched stays');
unlike($weir->error_log, qr/PRIVATE KEY/, 'no key in the log');

done_testing;
