#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# certbot's plugin for nginx puts a certificate into the configuration, has it tested and reloads, as it would with nginx;
# a renewed certificate and a redirect follow.

use lib 't/lib';
use Certs;
use File::Path qw(make_path);
use Netns;
use TlsClient;
use Weir;

my ($certbot) = grep { -x } map { "$_/certbot" } split /:/, $ENV{PATH};
skip_all('no certbot') if !$certbot || `certbot plugins 2>/dev/null` !~ /^\* nginx$/m;
Netns->enter;

my $certs = Certs->new;
$certs->make('site', names => [ 'site.example', 'www.site.example' ], rsa => 1);
my $dir  = $certs->dir;
my $weir = Weir->new(
    files => { 'html/index.html' => 'the site' },
    http  => <<CONF);
    server {
        listen 80;
        server_name site.example www.site.example;
        root html;
        location / { index index.html; }
    }
    server { listen 80; server_name other.example; return 200 other; }
CONF

# What it looks for: a program that calls itself nginx, and nginx.conf.
my $root = $weir->dir;
mkdir "$dir/$_" for qw(sbin work logs);
symlink $weir->binary, "$dir/sbin/nginx" or die $!;
$certs->write('nginx-ctl', "#!/bin/sh\nexec $dir/sbin/nginx -p $root \"\$\@\"\n");
chmod 0755, "$dir/nginx-ctl";
symlink 'weir.conf', "$root/nginx.conf" or die $!;

# A certificate that certbot knows.
my ($live, $archive) = map { "$dir/etc/$_/site.example" } qw(live archive);
make_path($live, $archive, "$dir/etc/renewal");
my %part = (cert => $certs->text('site.crt'), privkey => $certs->text('site.key'), chain => $certs->text('ca.crt'));
$part{fullchain} = $part{cert} . $part{chain};
for my $name (sort keys %part) {
    $certs->write("etc/archive/site.example/${name}1.pem", $part{$name});
    symlink "../../archive/site.example/${name}1.pem", "$live/$name.pem" or die $!;
}
$certs->write('etc/renewal/site.example.conf', join "\n", 'version = 2.1.0', "archive_dir = $archive",
    (map { "$_ = $live/$_.pem" } sort keys %part), '[renewalparams]', 'authenticator = nginx', 'installer = nginx',
    'server = https://acme.invalid/directory', 'account = 0', '');

sub certbot (@words) {
    my ($status, $output) = $weir->run($certbot, @words, '--nginx', '--non-interactive', '--config-dir', "$dir/etc", '--work-dir', "$dir/work",
        '--logs-dir', "$dir/logs", '--nginx-server-root', $root, '--nginx-ctl', "$dir/nginx-ctl", '--nginx-sleep-seconds', 0,
        '--cert-name', 'site.example');
    return $status == 0 ? 1 : (Test::More::diag($output), 0)[1];
}

sub tls_body ($name) {
    my $client = TlsClient->new(443, name => $name) // return TlsClient->why;
    $client->send_request('GET', '/', host => $name);
    return $client->certificate_name . ': ' . $client->answer->body;
}

sub get ($target, $host) {
    my $client = Client->new(80);
    $client->send_request('GET', $target, host => $host);
    return $client->answer;
}

is(get('/', 'site.example')->body, 'the site', 'plain HTTP before');
ok(certbot('install'), 'certbot install --nginx');
like($weir->read_file('weir.conf'), qr/listen 443 ssl; # managed by Certbot\s+ssl_certificate \Q$live\E\/fullchain.pem; # managed by Certbot/, 'it edited the configuration');
is(tls_body($_), 'site.example: the site', "$_ is served over TLS, at once") for qw(site.example www.site.example);
is(get('/', 'other.example')->body, 'other', 'the other server is as it was');
like($weir->error_log, qr/generation 2 serves/, 'by one reload');

# The same again changes nothing and does no harm.
ok(certbot('install'), 'once more');
is(tls_body('site.example'), 'site.example: the site', 'still served');

ok(certbot('enhance', '--redirect', '--hsts'), 'certbot enhance --nginx --redirect --hsts');
my $answer = get('/x?y', 'site.example');
is($answer->status, 301, 'plain HTTP is redirected');
is($answer->field('Location'), 'https://site.example/x?y', 'to the same place');
my $client = TlsClient->new(443, name => 'site.example');
$client->send_request('GET', '/', host => 'site.example');
is($client->answer->field('Strict-Transport-Security'), 'max-age=31536000', 'HSTS');

# A configuration that is broken is not put into effect, and certbot takes its changes back.
$weir->write_conf($weir->read_file('weir.conf') =~ s/return 200 other;/retrun 200 other;/r);
ok(!certbot_quiet('install'), 'a broken configuration');
is(tls_body('site.example'), 'site.example: the site', 'is not put into effect');

sub certbot_quiet (@words) {
    no warnings 'redefine';
    local *Test::More::diag = sub { };
    return certbot(@words);
}

done_testing;
