#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Certificates with variables in their names are chosen in the handshake, by the worker; a cache keeps them as long as it
# was told to.

use lib 't/lib';
use Certs;
use JSON::PP ();
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make("$_.example", names => ["$_.example"]) for qw(a b cap mapped rsa ec);
unlink "$dir/rsa.example.key";
$certs->make('rsa.example', names => ['rsa.example'], rsa => 1);
$certs->openssl('pkey', '-in', 'b.example.key', '-aes128', '-passout', 'pass:open', '-out', 'locked.example.key');
$certs->make('garbage');
$certs->write('garbage.example.crt', 'no certificate');
$certs->write('garbage.example.key', 'no key');
$certs->openssl('x509', '-in', 'a.example.crt', '-out', 'mixed.example.crt');
$certs->openssl('pkey', '-in', 'b.example.key', '-out', 'mixed.example.key');
$certs->write('secret', "wrong\nopen\n");
chmod 0644, glob "$dir/*.key";    # the worker reads them

my $weir = Weir->new(workers => 1, http => <<CONF);
    map \$ssl_server_name \$of_map { mapped.example $dir/mapped.example; default $dir/none; }
    map \$ssl_ciphers \$kind { ~RSA rsa; default ec; }
    map \$ssl_server_name \$content { default "data:${\ $certs->text('a.example.crt')}"; }

    # 0: read for each handshake
    server { listen 127.0.0.1:%port0% ssl;
        ssl_certificate $dir/\$ssl_server_name.crt; ssl_certificate_key $dir/\$ssl_server_name.key;
        ssl_session_cache shared:s:1m;
        return 200 "\$ssl_server_name \$ssl_session_reused"; }
    server { listen 127.0.0.1:%port0% ssl; server_name ~^(?<who>\\w+)\\.pattern\\.example\$;
        ssl_certificate $dir/\$who.example.crt; ssl_certificate_key $dir/\$who.example.key; return 200 "\$who"; }
    server { listen 127.0.0.1:%port0% ssl; server_name mapped.example;
        ssl_certificate \$of_map.crt; ssl_certificate_key \$of_map.key; return 200 mapped; }
    server { listen 127.0.0.1:%port0% ssl; server_name data.example;
        ssl_certificate \$content; ssl_certificate_key $dir/a.example.key; return 200 data; }
    server { listen 127.0.0.1:%port0% ssl; server_name locked.example; ssl_password_file $dir/secret;
        ssl_certificate $dir/b.example.crt; ssl_certificate_key $dir/\$ssl_server_name.key; return 200 locked; }
    # one of them constant
    server { listen 127.0.0.1:%port0% ssl; server_name both.example;
        ssl_certificate $dir/ec.example.crt; ssl_certificate_key $dir/ec.example.key;
        ssl_certificate $dir/rsa\$ssl_alpn_protocol.example.crt; ssl_certificate_key $dir/rsa.example.key; return 200 both; }
    # 1: cached for long
    server { listen 127.0.0.1:%port1% ssl; ssl_certificate_cache max=2 inactive=1h valid=1h;
        ssl_certificate $dir/\$ssl_server_name.crt; ssl_certificate_key $dir/\$ssl_server_name.key; return 200 cached; }
    # 2: looked at again each time
    server { listen 127.0.0.1:%port2% ssl; ssl_certificate_cache max=2 valid=0s;
        ssl_certificate $dir/\$ssl_server_name.crt; ssl_certificate_key $dir/\$ssl_server_name.key; return 200 checked; }
CONF

sub name_of ($port, $name, %option) {
    my $client = TlsClient->new($weir->port($port), name => $name, %option) // return undef;
    return $client->certificate_name;
}

for my $version ('TLSv1.2', 'TLSv1.3') {
    is(name_of(0, 'a.example',            max => $version), 'a.example',      "$version: the name in the path");
    is(name_of(0, 'b.example',            max => $version), 'b.example',      "$version: another one");
    is(name_of(0, 'cap.pattern.example',  max => $version), 'cap.example',    "$version: a group of server_name");
    is(name_of(0, 'mapped.example',       max => $version), 'mapped.example', "$version: a map");
    is(name_of(0, 'data.example',         max => $version), 'a.example',      "$version: the content itself");
    is(name_of(0, 'locked.example',       max => $version), 'b.example',      "$version: a key with a passphrase");
}
is(name_of(0, 'both.example', max => 'TLSv1.2', ciphers => 'ECDHE-RSA-AES128-GCM-SHA256'), 'rsa.example', 'an RSA certificate beside');
is(name_of(0, 'both.example', max => 'TLSv1.2', ciphers => 'ECDHE-ECDSA-AES128-GCM-SHA256'), 'ec.example', 'a constant one');

# What is missing or bad ends this handshake alone.
$weir->allow(qr/\[error\].*(cannot load certificate|SSL_CTX_use_PrivateKey)/);
for my $row (
    [ 'missing.example', qr/\[error\] \d+#\d+: \*\d+ cannot load certificate "\Q$dir\E\/missing.example.crt": BIO_new_file\(\) failed .*No such file.* while SSL handshaking, client: 127.0.0.1/ ],
    [ undef,             qr/cannot load certificate "\Q$dir\E\/\.crt"/ ],
    [ '../x/a.example',  qr/cannot load certificate "\Q$dir\E\/\.crt"/ ],
    [ 'garbage.example', qr/cannot load certificate "\Q$dir\E\/garbage.example.crt": PEM_read_bio_X509_AUX/ ],
    [ 'mixed.example',   qr/SSL_CTX_use_PrivateKey\("\Q$dir\E\/mixed.example.key"\) failed .*key values mismatch/ ],
    )
{
    my ($name, $line) = @$row;
    is(TlsClient->new($weir->port, defined $name ? (name => $name) : ()), undef, 'refused: ' . ($name // 'no name'));
    $weir->wait_log($line);
    like($weir->error_log, $line, 'the log says why');
}
unlike($weir->error_log, qr/BEGIN/, 'no content in the log');
is(name_of(0, 'a.example'), 'a.example', 'others go on');

# Many at once.
my @clients = map { TlsClient->new($weir->port, name => $_ % 2 ? 'a.example' : 'b.example', handshake => 0) } 1 .. 20;
is(scalar(grep { $_->handshake } @clients), 20, '20 handshakes at once');

# A client that leaves while its certificate is read.
for (1 .. 20) {
    my $client = TlsClient->new($weir->port, name => 'a.example', handshake => 0);
    Net::SSLeay::do_handshake($client->{ssl});
    close $client->{fh};
}
is(name_of(0, 'a.example'), 'a.example', 'clients that leave midway do no harm');

# Resumption needs no certificate.
my $first = TlsClient->new($weir->port, name => 'a.example', max => 'TLSv1.2');
$first->send_request('GET', '/');
is($first->answer->body, 'a.example .', 'a new session');
my $session = $first->session;
my $again = TlsClient->new($weir->port, name => 'a.example', max => 'TLSv1.2', session => $session);
$again->send_request('GET', '/');
is($again->answer->body, 'a.example r', 'resumed');

# The cache.
sub serial_of ($port, $name) {
    my $client = TlsClient->new($weir->port($port), name => $name) // return TlsClient->why;
    return $client->serial;
}
my %old = map { $_ => serial_of(1, $_) } qw(a.example b.example);
is(serial_of(2, 'a.example'), $old{'a.example'}, 'the same certificate');
$certs->make('a.example', names => ['a.example']);
chmod 0644, "$dir/a.example.key";
isnt(serial_of(0, 'a.example'), $old{'a.example'}, 'without a cache: the new one at once');
isnt(serial_of(2, 'a.example'), $old{'a.example'}, 'valid=0: the new one at once');
is(serial_of(1, 'a.example'), $old{'a.example'}, 'valid=1h: the old one');
unlink "$dir/a.example.crt";
is(serial_of(1, 'a.example'), $old{'a.example'}, 'even when the file has gone');
is(TlsClient->new($weir->port(2), name => 'a.example'), undef, 'valid=0: it is missed');
serial_of(1, 'cap.example');
serial_of(1, 'b.example');
is(TlsClient->new($weir->port(1), name => 'a.example'), undef, 'what was used longest ago has made room');

# The list of certificates has a line for each pair with variables, and none for those without a name.
my ($status, $output) = $weir->ctl('certs');
is($status, 0, 'certs');
like($output, qr/^\w+ +\d+ .* ec\.example +CN=ca +\Q$dir\E\/ec\.example\.crt$/m, 'a constant one');
like($output, qr/^by connection +- +- +- +mapped\.example +- +\$of_map\.crt$/m, 'one with variables, as it is written');
like($output, qr/^by connection +- +- +- +locked\.example +- +\Q$dir\E\/b\.example\.crt$/m, 'one whose key has variables');
is(scalar(() = $output =~ /^by connection.*\Q$dir\E\/\$ssl_server_name\.crt$/mg), 1, 'several servers have it in common');
($status, $output) = $weir->ctl('certs', '--json');
my ($row) = grep { $_->{certificate} eq '$of_map.crt' } @{ JSON::PP::decode_json($output) };
is_deeply([ @$row{qw(state key servers not_after days_left watched error)} ],
    [ 'by connection', '$of_map.key', ['mapped.example'], undef, undef, JSON::PP::false(), undef ], 'JSON');
like(($weir->ctl('status'))[1], qr/^certificates by connection: 6 lines with variables$/m, 'status');

done_testing;
