#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Whom an origin's certificate has to be for, and by whom signed; mutual TLS at both ends; what is wrong with a configuration.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
my $dir   = $certs->dir;
$certs->make('a', names => [ 'a.example', '*.wild.example' ])->make('old', names => ['a.example'], days => -1)
  ->make('foreign', names => ['a.example'], ca => 'other')->make('bad', names => ['a.example'])
  ->make('good', names => ['client'])->make('goner', names => ['goner'], days => -1)
  ->make('revoked', names => ['revoked'])->revoke('bad')->revoke('revoked');

sub origin (%tls) { Origin->new(tls => { cert => "$dir/a.crt", %tls }, '*' => { body => 'ok' }) }

# ---- the origin's certificate

my %origin = map { $_ => origin(cert => "$dir/$_.crt") } qw(a old foreign bad);
my $trust  = "proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/ca.crt;";
my $weir   = Weir->new(
    http   => 'proxy_ssl_name a.example;',
    server => join "\n", map { <<CONF } sort keys %origin);
    location /$_/off { proxy_pass $origin{$_}{url}; }
    location /$_/on { $trust proxy_pass $origin{$_}{url}; }
    location /$_/crl { $trust proxy_ssl_crl $dir/ca.crl; proxy_pass $origin{$_}{url}; }
    location /$_/name { $trust proxy_ssl_name \$arg_name; proxy_pass $origin{$_}{url}; }
    location /$_/host { $trust proxy_ssl_name \$proxy_host; proxy_pass $origin{$_}{url}; }
CONF
my $said = 0;
sub outcome ($target) {
    my $status = $weir->get($target)->status;
    my $log    = substr $weir->error_log, $said;
    $said += length $log;
    my ($why) = $log =~ /(upstream SSL certificate .*?) while SSL handshaking to upstream, client: 127\.0\.0\.1, .*upstream: "https:\/\/127/;
    return $status . ($why ? " $why" : '');
}
for my $name (sort keys %origin) {
    is(outcome("/$name/off"), 200, "$name: nobody verifies");
}
my $unknown = '502 upstream SSL certificate verify error: (20:unable to get local issuer certificate)';
my $expired = '502 upstream SSL certificate verify error: (10:certificate has expired)';
my $revoked = '502 upstream SSL certificate verify error: (23:certificate revoked)';
my $wrong   = sub ($name) { qq(502 upstream SSL certificate does not match "$name", it is for "a.example *.wild.example") };
for my $again ('', ', again') {    # sessions that began without verification must not help
    is(outcome('/a/on'),        200,      "good$again");
    is(outcome('/old/on'),      $expired, "expired$again");
    like(outcome('/foreign/on'), qr/^502 upstream SSL certificate verify error: \((?:20|21):/, "foreign$again");
    is(outcome('/bad/on'),      200,      "revoked, without proxy_ssl_crl$again");
    is(outcome('/bad/crl'),     $revoked, "revoked, with it$again");
    is(outcome('/a/crl'),       200,      "good, with it$again");
}
is(outcome('/a/name?name=b.example'),      $wrong->('b.example'), 'another name: both are in the log');
is(outcome('/a/name?name=x.wild.example'), 200,                   'a wildcard');
is(outcome('/a/name?name=wild.example'),   $wrong->('wild.example'), 'which is not for its parent');
is(outcome('/a/name?name='),               $wrong->(''),          'no name');
is(outcome('/a/host'),                     $wrong->('127.0.0.1'), 'an address that is not in it');

# ---- ours

my %client = (good => '/CN=client', goner => undef, revoked => undef, foreign => undef, none => undef);
for my $max ('TLSv1.2', 'TLSv1.3') {
    my $strict = origin(ca => "$dir/ca.crt", required => 1, crl => "$dir/ca.crl", max => $max);
    my $mutual = Weir->new(server => join "\n", map { <<CONF } sort keys %client);
    location /$_ { @{[ $_ eq 'none' ? '' : "proxy_ssl_certificate $dir/$_.crt; proxy_ssl_certificate_key $dir/$_.key;" ]}
        proxy_pass $strict->{url}; }
CONF
    is($mutual->get('/good')->status, 200, "$max: the origin knows our certificate");
    is($strict->last_request->{tls}{client}, '/CN=client', "$max: and sees whose it is");
    for my $name (qw(goner revoked foreign none)) {
        is($mutual->get("/$name")->status, 502, "$max, $name: refused by the origin");
    }
    like($mutual->error_log, qr/\(SSL: error:.*alert certificate expired.*\) while (?:SSL handshaking to|reading response header from) upstream/, "$max: what its alert says is in the log");
    like($mutual->error_log, qr/\(SSL: error:.*alert certificate revoked/, "$max: and of others");
}

# ---- both ends at once

my $strict = origin(ca => "$dir/ca.crt", required => 1);
my $both   = Weir->new(http => <<CONF);
    server { listen 127.0.0.1:%port0% ssl; ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;
        ssl_verify_client on; ssl_client_certificate $dir/ca.crt;
        location / { $trust proxy_ssl_name a.example; proxy_ssl_server_name on; proxy_set_header X-Client \$ssl_client_s_dn;
            proxy_ssl_certificate $dir/good.crt; proxy_ssl_certificate_key $dir/good.key; proxy_pass $strict->{url}; } }
CONF
for my $cert ('good', 'foreign', '') {
    my $client = TlsClient->new($both->port, $cert ? (cert => "$dir/$cert.crt") : ());
    $client->send_request('POST', '/', body => 'b' x 300_000);
    is($client->answer->status, $cert eq 'good' ? 200 : 400, 'both ends: client with ' . ($cert || 'nothing'));
}
my $request = $strict->last_request;
is(Origin::field($request, 'X-Client'), 'CN=client', 'the client, as the origin hears of it');
is(length $request->{body}, 300_000, 'and its body');
is($request->{tls}{client}, '/CN=client', 'and we, by our certificate');

# ---- what is wrong is said

my @wrong = (
    [ 'proxy_ssl_verify on;' => qr/no proxy_ssl_trusted_certificate for proxy_ssl_verify/ ],
    [ "proxy_ssl_certificate $dir/a.crt;" => qr{no "proxy_ssl_certificate_key" is defined for certificate "\Q$dir\E/a.crt"} ],
    [ "proxy_ssl_certificate $dir/nope.crt; proxy_ssl_certificate_key $dir/a.key;" => qr{cannot load certificate "\Q$dir\E/nope.crt"} ],
    [ "proxy_ssl_certificate $dir/good.crt; proxy_ssl_certificate_key $dir/a.key;" => qr/key values mismatch/ ],
    [ 'proxy_ssl_ciphers nonsense;' => qr/SSL_CTX_set_cipher_list\("nonsense"\) failed/ ],
    [ 'proxy_ssl_conf_command Foo bar;' => qr/SSL_CONF_cmd\("Foo", "bar"\) failed/ ],
    [ 'proxy_ssl_protocols TLSv1.4;' => qr/invalid value "TLSv1.4"/ ],
    [ "proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/nope.crt;" => qr{"\Q$dir\E/nope.crt"} ],
    [ "proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/ca.crt; proxy_ssl_crl $dir/nope.crl;" => qr{"\Q$dir\E/nope.crl"} ],
);
for my $case (@wrong) {
    my ($text, $error) = @$case;
    for my $pass ('https://127.0.0.1:1', 'https://$host', '$scheme://$host') {
        my $w = Weir->new(start => 0, location => "$text proxy_pass $pass;");
        like(($w->run_weir('-t'))[1], $error, "$text proxy_pass $pass");
    }
}
my $unused = Weir->new(start => 0, location => "proxy_ssl_verify on; proxy_ssl_certificate $dir/nope.crt; proxy_pass http://127.0.0.1:1;");
like(($unused->run_weir('-t'))[1], qr/test is successful/, 'what nobody uses is not looked at');

done_testing;
