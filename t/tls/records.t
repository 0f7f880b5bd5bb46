#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Records that weir sends: each cipher, sizes at the borders of records, keys that change while a connection lives, and
# clients that take small ones only.

use lib 't/lib';
use Certs;
use IPC::Open3 ();
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a')->make('rsa', rsa => 1);
my $dir = $certs->dir;

sub content ($length) { substr(join('', map { chr(33 + ($_ * 7 + ($_ >> 8)) % 90) } 0 .. 9999) x ($length / 10000 + 1), 0, $length) }

my @lengths = (0, 1, 4095, 4096, 4097, 16383, 16384, 16385, 20000, 65535, 65536, 65537, 300_000, 1_048_576, 1_100_000);
my %files   = map { ("html/$_" => content($_)) } @lengths;

my $ports = 0;
sub tls_server ($more = '') { "server { listen 127.0.0.1:%port@{[ $ports++ ]}% ssl; $more }" }
my $weir = Weir->new(
    files => { %files, 'html/after' => content(200_000) . 'end of it' },
    http  => join "\n", "ssl_certificate $dir/a.crt; ssl_certificate_key $dir/a.key;",
    "ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key; ssl_ciphers ALL:\@SECLEVEL=0; ssl_early_data on;",
    tls_server(), tls_server('open_file_cache max=100;'), tls_server('ssl_conf_command Options -KTLS;'),
    tls_server('sendfile on; ssl_buffer_size 2k;'),
);

# Answers for each length, one after the other, are what the files are.
sub all_lengths ($name, %option) {
    my $client = TlsClient->new($weir->port($option{port} // 0), %option);
    return fail("$name: " . TlsClient->why) if !$client;
    my @wrong;
    for my $length (@lengths) {
        $client->send_request('GET', "/$length");
        my $answer = $client->answer;
        push @wrong, $length if !$answer || !$answer->complete || $answer->body ne $files{"html/$length"};
    }
    return is("@wrong", '', $name);
}

# ---- ciphers: those that weir seals itself, and those that it leaves to the library

all_lengths("TLS 1.3, $_", min => 'TLSv1.3', ciphersuites => $_)
  for qw(TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256);
all_lengths("TLS 1.2, $_", max => 'TLSv1.2', ciphers => "$_:\@SECLEVEL=0")
  for qw(ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 AES256-GCM-SHA384
    ECDHE-ECDSA-AES128-CCM ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES128-SHA256 AES128-SHA);

# ---- where the bytes come from, and who seals

for my $max ('TLSv1.2', 'TLSv1.3') {
    all_lengths("$max: files that are read again and again", port => 1, max => $max) for 1 .. 3;
    all_lengths("$max: by the library", port => 2, max => $max);
    all_lengths("$max: small records", port => 3, max => $max);
}

# ---- a client of openssl: what it says, and what came

package Talk {
    use Time::HiRes qw(time);

    sub new ($class, @words) {
        my $self = bless { in => '' }, $class;
        open $self->{err}, '+>>', undef or die "a temporary file: $!";
        $self->{pid} = IPC::Open3::open3($self->{to}, $self->{from}, '>&' . fileno $self->{err},
            qw(openssl s_client -connect), '127.0.0.1:' . $weir->port, @words);
        $self->{from}->blocking(0);
        return $self->until(qr/^---\n\z|Verify return code[^\n]*\n(?:.*---\n)?/ms) ? $self : undef;
    }

    sub until ($self, $what) {
        my $deadline = time + $Client::patience;
        until ($self->{in} =~ $what) {
            vec(my $bits = '', fileno $self->{from}, 1) = 1;
            my $left = $deadline - time;
            return 0 if $left <= 0 || !select($bits, undef, undef, $left);
            my $n = sysread $self->{from}, $self->{in}, 65536, length $self->{in};
            return 0 if defined $n && $n == 0;
        }
        return 1;
    }

    sub say ($self, $text) { syswrite $self->{to}, $text }

    # What it told about itself.
    sub notes ($self) {
        seek $self->{err}, 0, 0;
        local $/;
        return readline $self->{err};
    }

    # The body of /after, whole.
    sub gets_all ($self) {
        $self->{in} = '';
        $self->say("GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
        return $self->until(qr/end of it/) && index($self->{in}, $::expected) >= 0;
    }

    sub DESTROY ($self) {
        close $self->{to};
        kill 'TERM', $self->{pid};
        waitpid $self->{pid}, 0;
    }
}
our $expected = content(200_000);

# ---- keys that change (RFC 8446, 4.6.3)

my $talk = Talk->new('-tls1_3') // die 'no s_client';
ok($talk->gets_all, 'before');
my $updates = 0;
for my $round (1 .. 3) {
    for my $word (qw(K k)) {    # K: the server is to have new ones too
        $talk->say("$word\n");
        $updates++;
        wait_for(sub { (() = $talk->notes =~ /KEYUPDATE/g) == $updates }, 'the client has sent it');
        ok($talk->gets_all, $word eq 'K' ? "both sides have new keys ($round)" : "the client has new keys ($round)");
    }
}

# Who is asked for new keys says so before anything else. A single question: more of them may have one answer.
my $shown = $certs->dir . '/messages';
for my $port (0, 2) {
    my $asking = Talk->new('-tls1_3', '-msg', '-msgfile', $shown, '-connect', '127.0.0.1:' . $weir->port($port)) // die 'no s_client';
    $asking->say("K\n");
    wait_for(sub { $asking->notes =~ /KEYUPDATE/ }, 'the client has sent it');
    ok($asking->gets_all, 'asked once for new keys');
    my @answers = grep /^<<< .* KeyUpdate/, split /\n/, do { open my $fh, '<', $shown or die; local $/; readline $fh };
    is(scalar @answers, 1, 'the server has them, and told so');
}

# ---- a client that takes small records only (RFC 6066, 4)

for my $length (512, 1024, 4096) {
    for my $version ('-tls1_2', '-tls1_3') {
        my $small = Talk->new($version, '-maxfraglen', $length) // die 'no s_client';
        ok($small->gets_all, "records of at most $length bytes, $version");
    }
}

done_testing;
