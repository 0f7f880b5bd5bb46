#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Configurations with TLS as guides print them; only the word `http2` and the place of the certificate are not theirs. Of
# 04 the lines of gzip and of the balancer are taken out too.

use lib 't/lib';
use Certs;
use Netns;
use TlsClient;
use Weir;

Netns->enter(addresses => [ (map { "10.0.1.$_" } 10 .. 12, 101), map { "10.0.3.$_" } 101 .. 103 ]);

my $certs = Certs->new;
$certs->make('site', names => [ 'example.com', 'www.example.com' ]);
my $origin = Origin->new(host => '127.0.0.1', port => 3000, '*' => { echo => 1 });

sub sample ($name) {
    open my $fh, '<', glob("t/samples/$name-*.conf") or die "$name: $!";
    local $/;
    my $text = <$fh>;
    $text =~ s/ ssl http2;/ ssl;/g;
    $text =~ s/^\s*(?:gzip\S*|least_conn)\b[^;]*;\n//gm;
    $text =~ s{/etc/letsencrypt/live/example\.com/fullchain\.pem}{$certs->path('site.crt')}ge;
    $text =~ s{/etc/letsencrypt/live/example\.com/privkey\.pem}{$certs->path('site.key')}ge;
    return $text;
}

sub tls (%option) { TlsClient->new(443, name => 'example.com', %option) }

sub get ($client, $target) {
    $client->send_request('GET', $target, host => 'example.com');
    return $client->answer;
}

sub redirects_to ($location) {
    my $client = Client->new(80);
    $client->send_request('GET', '/a?b', host => 'example.com');
    my $answer = $client->answer;
    is($answer->status . ' ' . $answer->field('Location'), "301 $location", 'plain HTTP is redirected');
}

for my $row ([ '01', '' ], [ '02', "upstream backend_pool { server 127.0.0.1:3000; }\n" ], [ '05', '' ]) {
    my ($name, $more) = @$row;
    subtest "sample $name" => sub {
        my $weir = Weir->new(http => $more . sample($name));
        my $client = tls() // return fail(TlsClient->why);
        is($client->certificate_name, 'example.com', 'the certificate');
        like(get($client, '/x?y')->body, qr{^GET /x\?y HTTP/1\.[01]\r\n(?:.*\r\n)*X-Forwarded-Proto: https\r\n}m,
            'the origin gets the request and its scheme');
        redirects_to('https://example.com/a?b') if $name ne '02';
        if ($name eq '05') {
            is(get($client, '/x')->field('Strict-Transport-Security'), 'max-age=63072000', 'HSTS');
            is(tls(max => 'TLSv1.1', min => 'TLSv1.1'), undef, 'TLS 1.1 is refused');
            is(tls(max => 'TLSv1.2', ciphers => 'ECDHE-ECDSA-AES256-GCM-SHA384'), undef, 'other ciphers are refused');
            is(tls(max => 'TLSv1.2', ciphers => 'ECDHE-ECDSA-AES128-GCM-SHA256')->cipher, 'ECDHE-ECDSA-AES128-GCM-SHA256', 'those named are not');
        }
        $weir->finish;
    };
}

my @pool = map { Origin->new(host => "10.0.1.$_", port => 8080, '*' => { echo => 1 }) } 10 .. 12;
subtest 'sample 04' => sub {
    my $weir = Weir->new(http => sample('04'));
    my $client = tls(max => 'TLSv1.2') // return fail(TlsClient->why);
    is($client->cipher, 'ECDHE-ECDSA-AES128-GCM-SHA256', 'one of the ciphers that are named');
    for (1 .. 8) {
        my $answer = get($client, "/x?$_");
        like($answer->body, qr{^GET /x\?$_ HTTP/1\.1\r\n(?:.*\r\n)*X-Forwarded-Proto: https\r\n}m, 'the origin knows of TLS');
        is($answer->field('Strict-Transport-Security'), 'max-age=31536000; includeSubDomains', 'HSTS');
    }
    is_deeply([ map { scalar $_->requests } @pool ], [ 5, 3, 0 ], 'shared by weights, the backup waits');
    redirects_to('https://example.com/a?b');
    is(tls(max => 'TLSv1.1', min => 'TLSv1.1'), undef, 'TLS 1.1 is refused');
    $weir->finish;
};

subtest 'sample 17' => sub {
    my ($crt, $key) = map { $certs->path("site.$_") } qw(crt key);
    $_->stop for @pool;
    my $weir   = Weir->new(http => "ssl_certificate $crt; ssl_certificate_key $key;\n" . sample('17'));
    my $auth   = Origin->new(host => '10.0.1.101', port => 3001, '*' => { status => 204 });
    my @orders = map { Origin->new(host => "10.0.3.$_", port => 3003, '*' => { echo => 1 }) } 101 .. 103;
    my $client = tls() // return fail(TlsClient->why);
    like(get($client, '/api/orders/7')->body, qr{^GET /7 }, 'an API behind its judge');
    is(scalar $auth->requests, 1, 'who was asked');
    $weir->finish;
};

done_testing;
