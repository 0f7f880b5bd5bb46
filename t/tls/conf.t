#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# What is wrong with TLS settings is said when they are loaded, in nginx's words and with file and line.

use lib 't/lib';
use Certs;
use Weir;

my $certs = Certs->new;
$certs->make('a')->make('b')->make('rsa', rsa => 1);
$certs->openssl('ec', '-in', 'a.key', '-aes128', '-passout', 'pass:secret', '-out', 'locked.key');
$certs->write('passwords', "wrong\n\nsecret\n");
$certs->write('wrong',     "wrong\n");
$certs->write('garbage',   "no PEM\n");
$certs->write('ticket',    'x' x 47);
$certs->openssl('req', '-x509', '-newkey', 'rsa:1024', '-nodes', '-keyout', 'weak.key', '-out', 'weak.crt', '-subj', '/CN=weak');
my $dir  = $certs->dir;
my $pair = "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;";
my $weir = Weir->new(start => 0, http => 'server { listen 127.0.0.1:%port0%; }');

sub check ($server) {
    $weir->write_conf($weir->conf_text(http => "server {\nlisten 127.0.0.1:%port0% ssl;\n$server\n}"));
    my ($status, $output) = $weir->run_weir('-t');
    return ($status, $output);
}

my $no_file = qr/BIO_new_file\(\) failed \(SSL: error:80000002:system library::No such file or directory:calling fopen\(\S+, r\) error:10000080:BIO routines::no such file\)/;
my @bad     = (
    [ '', qr/no "ssl_certificate" is defined for the "listen \.\.\. ssl" directive/ ],
    [ "ssl_certificate $dir/a.crt;", qr/no "ssl_certificate_key" is defined for certificate "\Q$dir\E\/a\.crt"/ ],
    [ "ssl_certificate $dir/none; ssl_certificate_key $dir/a.key;", qr/cannot load certificate "\Q$dir\E\/none": $no_file/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/none;", qr/cannot load certificate key "\Q$dir\E\/none": $no_file/ ],
    [ "ssl_certificate $dir/garbage; ssl_certificate_key $dir/a.key;", qr/cannot load certificate "\S+": PEM_read_bio_X509_AUX\(\) failed \(SSL: error:0480006C:PEM routines::no start line/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/garbage;", qr/cannot load certificate key "\S+": PEM_read_bio_PrivateKey\(\) failed/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/b.key;", qr/SSL_CTX_use_PrivateKey\("\Q$dir\E\/b\.key"\) failed \(SSL: .*key values mismatch\).*\n(?:.*\n)*.*does not belong to the certificate "\Q$dir\E\/a\.crt"/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/rsa.key;", qr/SSL_CTX_use_PrivateKey\("\Q$dir\E\/rsa\.key"\) failed/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/locked.key;", qr/cannot load certificate key "\S+": PEM_read_bio_PrivateKey\(\) failed.*\n(?:.*\n)*.*the key is encrypted: "ssl_password_file" names/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/locked.key; ssl_password_file $dir/wrong;", qr/cannot load certificate key "\S+": PEM_read_bio_PrivateKey\(\) failed.*\n(?:.*\n)*.*none of the passphrases of "ssl_password_file" opens the key/ ],
    [ "ssl_certificate $dir/weak.crt; ssl_certificate_key $dir/weak.key;", qr/SSL_CTX_use_certificate\("\Q$dir\E\/weak\.crt"\) failed \(SSL: .*key too small/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/locked.key; ssl_password_file $dir/none;", qr/open\(\) "\Q$dir\E\/none" failed \(2: No such file or directory\)/ ],
    [ 'ssl on;',           qr/"ssl" is not supported/ ],
    [ 'ssl_ech_file /x;', qr/"ssl_ech_file" is not supported/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key engine:x:y;", qr/cannot load certificate key "engine:x:y": engines are not supported/ ],
    [ "ssl_certificate \$no_such.crt; ssl_certificate_key $dir/a.key;", qr/unknown "no_such" variable/ ],
    [ "ssl_certificate $dir/a.crt; ssl_certificate_key store:file:$dir/none.key;", qr/cannot load certificate key "store:file:\S+": OSSL_STORE_load\(\) failed/ ],
    [ "$pair ssl_certificate_error maybe;",          qr/invalid value "maybe"/ ],
    [ "$pair ssl_certificate_watch maybe;",          qr/invalid value "maybe"/ ],
    [ "$pair ssl_certificate_compression maybe;",    qr/invalid value "maybe"|"ssl_certificate_compression" is not supported by OpenSSL 3\.[01]\./ ],
    [ "$pair ssl_certificate_cache on;",             qr/invalid parameter "on"/ ],
    [ "$pair ssl_certificate_cache inactive=1s;",    qr/"ssl_certificate_cache" must have the "max" parameter/ ],
    [ "$pair ssl_certificate_cache max=0;",          qr/invalid parameter "max=0"/ ],
    [ "$pair ssl_certificate_cache max=1 valid=x;",  qr/invalid parameter "valid=x"/ ],
    [ "$pair ssl_ciphers nonsense;",        qr/SSL_CTX_set_cipher_list\("nonsense"\) failed \(SSL: error:0A0000B9:SSL routines::no cipher match\)/ ],
    [ "$pair ssl_ecdh_curve nonsense;",     qr/SSL_CTX_set1_curves_list\("nonsense"\) failed/ ],
    [ "$pair ssl_dhparam $dir/none;",       qr/BIO_new_file\("\S+"\) failed/ ],
    [ "$pair ssl_dhparam $dir/garbage;",    qr/PEM_read_bio_DHparams\("\S+"\) failed/ ],
    [ "$pair ssl_conf_command Foo bar;",    qr/SSL_CONF_cmd\("Foo", "bar"\) failed \(SSL: .*unknown cmd name/ ],
    [ "$pair ssl_conf_command Options bar;", qr/SSL_CONF_cmd\("Options", "bar"\) failed \(SSL: .*bad value/ ],
    [ "$pair ssl_protocols TLSv9;",         qr/invalid value "TLSv9"/ ],
    [ "$pair ssl_verify_client on;",        qr/no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client/ ],
    [ "$pair ssl_verify_client maybe;",     qr/invalid value "maybe"/ ],
    [ "$pair ssl_client_certificate $dir/none;",    qr/SSL_CTX_load_verify_locations\("\S+"\) failed/ ],
    [ "$pair ssl_client_certificate $dir/garbage;", qr/SSL_CTX_load_verify_locations\("\S+"\) failed/ ],
    [ "$pair ssl_trusted_certificate $dir/none;",   qr/SSL_CTX_load_verify_locations\("\S+"\) failed/ ],
    [ "$pair ssl_crl $dir/none;",                   qr/X509_LOOKUP_load_file\("\S+"\) failed/ ],
    [ "$pair ssl_session_cache foo;",        qr/invalid session cache "foo"/ ],
    [ "$pair ssl_session_cache shared:a;",   qr/invalid session cache "shared:a"/ ],
    [ "$pair ssl_session_cache shared::1m;", qr/invalid session cache "shared::1m"/ ],
    [ "$pair ssl_session_cache shared:a:1k;", qr/session cache "shared:a:1k" is too small/ ],
    [ "$pair ssl_session_cache builtin:x;",  qr/invalid session cache "builtin:x"/ ],
    [ "$pair ssl_session_ticket_key $dir/none;",   qr/open\(\) "\S+" failed \(2: No such file or directory\)/ ],
    [ "$pair ssl_session_ticket_key $dir/ticket;", qr/"\S+" must be 48 or 80 bytes/ ],
);
for my $row (@bad) {
    my ($text, $message) = @$row;
    my ($status, $output) = check($text);
    my $name = length $text ? $text =~ s/\Q$pair\E //r : 'no certificate';
    is($status, 1, "refused: $name");
    like($output, qr/^weir: \[emerg\] $message/m, 'in the right words');
    like($output, qr/ in \S+\/weir\.conf:\d+$/m, 'with the place');
}

my @good = (
    $pair,
    "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/locked.key; ssl_password_file $dir/passwords;",
    "$pair ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key;",
    "ssl_certificate $dir/a.crt; ssl_certificate_key store:file:$dir/a.key;",
    "ssl_certificate $dir/a.crt; ssl_certificate_key store:file:$dir/locked.key; ssl_password_file $dir/passwords;",
    "$pair ssl_certificate_cache max=10 inactive=1m valid=1s; ssl_certificate_error isolate; ssl_certificate_watch on;",
    "$pair ssl_session_cache builtin:1000 shared:SSL:10m;",
    "$pair ssl_session_cache shared:SSL:32k; ssl_session_timeout 1d; ssl_session_tickets off;",
    "$pair ssl_protocols SSLv3 TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ECDHE+AESGCM:!aNULL; ssl_prefer_server_ciphers on;",
    "$pair ssl_ecdh_curve prime256v1:secp384r1; ssl_buffer_size 4k; ssl_early_data on;",
    "$pair ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; ssl_conf_command Options PrioritizeChaCha;",
    "$pair ssl_verify_client optional_no_ca; ssl_verify_depth 3;",
    "ssl_certificate $dir/weak.crt; ssl_certificate_key $dir/weak.key; ssl_ciphers ALL:\@SECLEVEL=0;",
    'ssl_reject_handshake on;',
    'ssl_certificate "data:' . $certs->text('a.crt') . '"; ssl_certificate_key "data:' . $certs->text('a.key') . '";',
);
for my $text (@good) {
    my ($status, $output) = check($text);
    is($status, 0, 'accepted: ' . substr $text =~ s/\Q$pair\E //r, 0, 100) or diag $output;
}

# The place is that of the line that is wrong.
for my $name (qw(ssl_ciphers ssl_ecdh_curve)) {
    my ($status, $output) = check("$pair\n\n  $name nonsense;");
    like($output, qr/^ +\d+ \|   $name nonsense;\n +\|   \^$/m, "$name: the line itself is shown");
}

# What http {} says counts for the servers that say nothing else.
sub check_http ($text) {
    $weir->write_conf($weir->conf_text(http => $text));
    return $weir->run_weir('-t');
}
my ($status, $output) = check_http(<<CONF);
ssl_certificate $dir/none; ssl_certificate_key $dir/none; ssl_verify_client on;
server { listen 127.0.0.1:%port0% ssl; $pair ssl_client_certificate $dir/ca.crt; }
CONF
is($status, 0, 'settings that every server replaces are not looked at') or diag $output;
($status, $output) = check_http("ssl_certificate $dir/b.crt;\nserver { listen 127.0.0.1:%port0% ssl; ssl_certificate_key $dir/b.key; }");
is($status, 0, 'a certificate of http {} and a key of the server') or diag $output;
($status, $output) = check_http(<<CONF);
ssl_certificate $dir/none; ssl_certificate_key $dir/a.key;
server { listen 127.0.0.1:%port0% ssl; $pair }
server { listen 127.0.0.1:%port0% ssl; server_name other; }
CONF
is($status, 1, 'settings that one server has');
like($output, qr/cannot load certificate "\Q$dir\E\/none"/, 'are looked at');

# Of the main context.
for my $row ([ 'ssl_engine pkcs11;', 1, qr/\[emerg\] "ssl_engine" is not supported in \S+:\d+$/m ], [ 'ssl_object_cache_inheritable off;', 0, qr/successful/ ]) {
    my ($line, $expected, $message) = @$row;
    $weir->write_conf("$line\nevents {}\nhttp {}\n");
    my ($status, $output) = $weir->run_weir('-t');
    is($status, $expected, $line);
    like($output, $message, 'in the right words');
}

my (undef, $build) = $weir->run($weir->binary, '-V');
like($build, qr/^TLS SNI support enabled$/m, '-V says so');
like($build, qr/--with-http_ssl_module/,     'as nginx does');

done_testing;
