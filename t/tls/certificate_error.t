#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# A bad certificate is an error of the configuration; with `ssl_certificate_error isolate` only the names that need it
# refuse handshakes, and everybody who asks is told.

use lib 't/lib';
use Certs;
use JSON::PP;
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('good', days => 20)->make('other');
$certs->make('rsa', names => ['good.example'], rsa => 1, days => 90);
$certs->write('garbage.crt', "no certificate\n");

my %bad = (    # server_name => certificate, key, what is wrong
    'missing.example'  => [ "$dir/none.crt",    "$dir/good.key",  qr/cannot load certificate "\S+none.crt": BIO_new_file\(\) failed .*No such file/ ],
    'garbage.example'  => [ "$dir/garbage.crt", "$dir/good.key",  qr/cannot load certificate "\S+garbage.crt": PEM_read_bio_X509_AUX\(\) failed/ ],
    'nokey.example'    => [ "$dir/good.crt",    "$dir/none.key",  qr/cannot load certificate key "\S+none.key": BIO_new_file\(\) failed/ ],
    'mismatch.example' => [ "$dir/good.crt",    "$dir/other.key", qr/SSL_CTX_use_PrivateKey\("\S+other.key"\) failed .*key values mismatch/ ],
);

sub conf ($isolate) {
    return "$isolate\n" . join '', "server { listen 127.0.0.1:%port0% ssl; server_name good.example;
        ssl_certificate $dir/good.crt; ssl_certificate_key $dir/good.key; return 200 good; }\n",
        "server { listen 127.0.0.1:%port0% ssl; server_name half.good.example good.example.;
            ssl_certificate $dir/good.crt; ssl_certificate_key $dir/other.key;
            ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key; return 200 half; }\n",
        map { "server { listen 127.0.0.1:%port0% ssl; server_name $_; ssl_certificate $bad{$_}[0];
            ssl_certificate_key $bad{$_}[1]; return 200 bad; }\n" } sort keys %bad;
}

my $weir = Weir->new(http => conf('ssl_certificate_error isolate;'), workers => 2);

# The strict form does not start, and names them all.
$weir->write_file('strict.conf', $weir->read_file('weir.conf') =~ s/ssl_certificate_error isolate;//r);
my ($status, $output) = $weir->run_weir('-t', '-c', $weir->dir . '/strict.conf');
isnt($status, 0, 'strict by default: refused');
like($output, qr/\[emerg\] $bad{$_}[2]/, "$_: named") for sort keys %bad;

($status, $output) = $weir->run_weir('-t');
is($status, 0, 'isolate: accepted');
like($output, qr/\[warn\] $bad{$_}[2]/, "$_: a warning names it") for sort keys %bad;

for my $version ('TLSv1.2', 'TLSv1.3') {
    for my $name (sort keys %bad) {
        is(TlsClient->new($weir->port, name => $name, max => $version), undef, "$version: $name refuses handshakes");
        like(TlsClient->why, qr/alert internal error/, 'the alert says whose fault it is');
    }
    my $good = TlsClient->new($weir->port, name => 'good.example', max => $version);
    $good->send_request('GET', '/');
    is($good->answer->body, 'good', "$version: the others go on");
}
is(TlsClient->new($weir->port, name => 'half.good.example')->certificate_name, 'good.example', 'who has another certificate uses that');

for my $name (sort keys %bad) {
    my $line = qr/\[error\] .*$bad{$name}[2].*: handshakes that need this certificate are refused/;
    $weir->wait_log($line);
    is(scalar(() = $weir->error_log =~ /$line/g), 1, "$name: said once in the log");
}
$weir->reload;
$weir->wait_log(qr/generation 2 serves/);
is(scalar(() = $weir->error_log =~ /handshakes that need this certificate are refused/g), 4, 'and not again after a reload');

($status, $output) = $weir->ctl('status');
like($output, qr/^certificates: 6, 4 isolated, 0 expired, 1 expire within 30 days$/m, 'status counts them');
like($output, qr/^isolated: $bad{'garbage.example'}[2]/m, 'and names them');

($status, $output) = $weir->ctl('certs');
is($status, 0, 'certs');
like($output, qr/^isolated +- +- +- +missing\.example +- +\Q$dir\E\/none.crt\n +$bad{'missing.example'}[2]/m, 'a line in the table, with the reason');
like($output, qr/^expiring +(?:19|20) +\d{4}-\d\d-\d\d +EC prime256v1 +good\.example +CN=ca +\Q$dir\E\/good.crt$/m, 'a good one');
($status, $output) = $weir->ctl('certs', '--json');
my $list = decode_json($output);
my ($json) = grep { $_->{certificate} eq "$dir/garbage.crt" } @$list;
is($json->{state}, 'isolated', 'JSON: state');
like($json->{error}, $bad{'garbage.example'}[2], 'JSON: why');
is_deeply($json->{servers}, ['garbage.example'], 'JSON: whom it concerns');
is($json->{not_after}, undef, 'JSON: no date');
is(($weir->ctl('certs', 'x'))[0], 2, 'usage');

# Mended: a reload takes it.
$certs->make('garbage');
$certs->write('fixed.crt', $certs->text('garbage.crt'));
$weir->write_conf($weir->read_file('weir.conf') =~ s{\Q$dir\E/garbage.crt;(\s+)ssl_certificate_key \S+;}{$dir/garbage.crt;$1ssl_certificate_key $dir/garbage.key;}r);
$weir->reload;
is(TlsClient->new($weir->port, name => 'garbage.example')->certificate_name, 'garbage.example', 'mended');

# With a watch it comes back by itself.
my $late = Weir->new(workers => 2, http => "ssl_certificate_error isolate; ssl_certificate_watch on;
    server { listen 127.0.0.1:%port0% ssl; server_name good.example; ssl_certificate $dir/good.crt; ssl_certificate_key $dir/good.key; }
    server { listen 127.0.0.1:%port0% ssl; server_name late.example; ssl_certificate $dir/later/late.crt;
        ssl_certificate_key $dir/later/late.key; }");
is(TlsClient->new($late->port, name => 'late.example'), undef, 'not there yet');
$certs->make('late');
mkdir "$dir/later";
rename "$dir/late.$_", "$dir/later/late.$_" for qw(crt key);
my $row = 0;
wait_for(sub { $row = TlsClient->new($late->port, name => 'late.example') ? $row + 1 : 0; $row >= 12 }, 'the certificate that came later');
unlike(($late->ctl('certs'))[1], qr/isolated/, 'and is not isolated any more');

# Without a good one at all the rest of the server runs too.
my $alone = Weir->new(http => "ssl_certificate_error isolate;
    server { listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/none; ssl_certificate_key $dir/none; }
    server { listen 127.0.0.1:%port1%; return 200 plain; }");
my $client = $alone->client(1);
$client->send_request('GET', '/');
is($client->answer->body, 'plain', 'plain HTTP goes on');
is(TlsClient->new($alone->port, name => 'any.example'), undef, 'TLS is refused');

done_testing;
