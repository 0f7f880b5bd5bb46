#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# proxy_ssl_certificate with variables: which one is shown, whose connections and sessions are whose, what is kept, and what
# happens when a file is no good.

use lib 't/lib';
use Certs;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('a')->make($_, names => [$_]) for qw(one two locked);
$certs->openssl('ec', '-in', 'locked.key', '-aes128', '-passout', 'pass:secret', '-out', 'locked.enc');
rename "$dir/locked.enc", "$dir/locked.key";
$certs->write('passwords', "secret\n");
$certs->write('broken.crt', "no certificate\n");
$certs->write('broken.key', $certs->text('one.key'));
$certs->write('mixed.crt', $certs->text('one.crt'));
$certs->write('mixed.key', $certs->text('two.key'));

chmod 0644, glob "$dir/*.key";    # workers read them

my $origin = Origin->new(tls => { cert => "$dir/a.crt", ca => "$dir/ca.crt" }, '*' => { body => 'ok' });
my $weir   = Weir->new(
    http   => "upstream u { server $origin->{address}; keepalive 8; } upstream once { server $origin->{address}; keepalive 0; }",
    server => join "\n", map { <<CONF } 'off', 'max=10 valid=1h', 'max=1');
    location "/$_/" { proxy_ssl_certificate $dir/\$arg_c.crt; proxy_ssl_certificate_key $dir/\$arg_c.key;
        proxy_ssl_password_file $dir/passwords; proxy_ssl_certificate_cache $_;
        location "/$_/u" { proxy_pass https://u; }
        location "/$_/once" { proxy_pass https://once; }
        location "/$_/whole" { proxy_ssl_certificate \$arg_c; proxy_ssl_certificate_key \$arg_k; proxy_pass https://u; }
        location "/$_/content" { proxy_ssl_certificate data:\$http_x_cert; proxy_ssl_certificate_key data:\$http_x_key; proxy_pass https://u; }
        location "/$_/pass" { proxy_pass https://\$arg_to; } }
CONF

for my $cache ('off', 'max=10 valid=1h', 'max=1') {
    my $at   = "/$cache" =~ s/ /%20/r;
    my $seen = sub ($target, @more) {
        my $answer = $weir->get("$at$target", @more);
        return $answer->status == 200 ? $origin->last_request->{tls}{client} : $answer->status;
    };
    for my $round (1, 2) {
        is($seen->("/u?c=one"),    '/CN=one',    "$cache: one");
        is($seen->("/u?c=two"),    '/CN=two',    "$cache: two");
        is($seen->("/once?c=two"), '/CN=two',    "$cache: on a new connection");
        is($seen->("/once?c=one"), '/CN=one',    "$cache: a session is not another certificate's");
        is($seen->("/u?c=locked"), '/CN=locked', "$cache: a key with a passphrase");
        is($seen->("/pass?c=one&to=u"), '/CN=one', "$cache: with variables in proxy_pass");
        is($seen->("/whole?c=$dir/one.crt&k=$dir/one.key"), '/CN=one', "$cache: the whole name");
        is($seen->("/whole?c="), undef, "$cache: an empty name is none");
        is($seen->("/u?c=none"),   500, "$cache: no such file");
        is($seen->("/u?c=broken"), 500, "$cache: no certificate");
        is($seen->("/u?c=mixed"),  500, "$cache: a key of another");
    }
}
my $log = $weir->error_log;
like($log, qr{\[error\].*cannot load certificate "\Q$dir\E/none\.crt": .* while connecting to upstream, client: 127\.0\.0\.1, .*request: "GET /off/u\?c=none HTTP/1\.1"}, 'the log says which file is missing');
like($log, qr{\[error\].*cannot load certificate "\Q$dir\E/broken\.crt": }, 'and which is no certificate');

# A file that changes: seen at once without a cache, and with one when it is looked at again.
$weir->get('/max=10%20valid=1h/once?c=one');
$certs->make('new', names => ['renewed']);
chmod 0644, "$dir/new.key";
rename "$dir/new.$_", "$dir/one.$_" for qw(key crt);
$weir->get('/off/once?c=one');
is($origin->last_request->{tls}{client}, '/CN=renewed', 'a renewed one is shown');
$weir->get('/max=10%20valid=1h/once?c=one');
is($origin->last_request->{tls}{client}, '/CN=one', 'but not before it is looked at again');

# Many at once, and clients that do not wait.
my @clients = map { $weir->client } 1 .. 40;
$clients[$_]->send_request('GET', '/off/once?c=' . ($_ % 2 ? 'one' : 'two')) for 0 .. $#clients;
$_->close for @clients[ 0 .. 9 ];
is($clients[$_]->answer->status, 200, "client $_") for 10 .. $#clients;
is($weir->get('/off/u?c=two')->status, 200, 'and on');

my $bad = Weir->new(start => 0, location => "proxy_ssl_certificate $dir/\$host.crt; proxy_pass https://127.0.0.1:1;");
like(($bad->run_weir('-t'))[1], qr/no "proxy_ssl_certificate_key" is defined for certificate/, 'a certificate without a key');
$bad = Weir->new(start => 0, location => 'proxy_ssl_certificate_cache valid=1s; proxy_pass https://127.0.0.1:1;');
like(($bad->run_weir('-t'))[1], qr/"proxy_ssl_certificate_cache" must have the "max" parameter/, 'a cache without a size');

done_testing;
