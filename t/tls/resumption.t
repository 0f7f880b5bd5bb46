#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Sessions are resumed by ticket and by ID in every worker, after reloads and after a worker's death, but never under
# another server's settings.

use lib 't/lib';
use Certs;
use TlsClient;
use Weir;

my $certs = Certs->new;
$certs->make('a')->make('b')->make('client');
$certs->write('ticket.1', 'x' x 80);
$certs->write('ticket.2', 'y' x 48);
my $dir = $certs->dir;

sub server ($name, $settings, $certificate = 'a') {
    return <<CONF;
    server { listen 127.0.0.1:%port0% ssl reuseport; server_name $name.example; $settings
        ssl_certificate $dir/$certificate.crt; ssl_certificate_key $dir/$certificate.key;
        return 200 "$name \$ssl_session_reused \$pid \$ssl_client_verify"; }
CONF
}
my $shared = 'ssl_session_cache shared:sessions:1m;';
my $keys   = 'ssl_session_ticket_key %s; ssl_session_ticket_key %s;';

sub conf ($reordered = 0) {
    my @keys = map { "$dir/ticket.$_" } $reordered ? (2, 1) : (1, 2);
    my $text = join '',
      server('a', $shared), server('same', $shared), server('b', $shared, 'b'), server('id', "$shared ssl_session_tickets off;"),
      server('off', 'ssl_session_cache off; ssl_session_tickets off;'), server('none', 'ssl_session_tickets off;'),
      server('none-but-tickets', 'ssl_session_cache none;'),
      server('builtin', 'ssl_session_cache builtin:100; ssl_session_tickets off;'),
      server('keys', sprintf $keys, @keys), server('long', "$shared ssl_session_timeout 2h;"),
      server('early', "$shared ssl_early_data on;"), server('early-keys', "ssl_early_data on; " . sprintf $keys, @keys),
      server('strict', "$shared ssl_ciphers ECDHE+AESGCM;"),
      server('verify', "$shared ssl_verify_client on; ssl_client_certificate $dir/ca.crt;"),
      server('optional', "$shared ssl_verify_client optional; ssl_client_certificate $dir/ca.crt;");
    my $first = 1;
    return $text =~ s/ reuseport/$first-- > 0 ? ' reuseport' : ''/ger;
}
my $weir = Weir->new(workers => 3, http => conf());

my @answer;    # words of the last answer
my $ticket;    # the session that was new on the last connection, if there was one

# One request; its session, and in @answer what the server said.
sub visit ($name, $version, %option) {
    my $client = TlsClient->new($weir->port, name => "$name.example", max => $version, %option)
      // die "$name: " . TlsClient->why . "\n";
    $client->send_request('GET', '/', host => $option{host} // "$name.example");
    my $answer = $client->answer // die "$name: no answer: " . $client->problem . "\n";
    @answer = split / /, $answer->body;
    is($client->reused ? 'r' : '.', $answer[1], "$name: both sides agree") if $answer->status == 200;
    my $session = $client->session;
    $client->shutdown;
    $client->is_closed;
    $ticket = $client->new_session;    # what came behind the answer counts
    return $session;
}

sub resumes ($name, $version, $session, $what, %option) {
    visit($name, $version, session => $session, %option);
    is($answer[1], 'r', $what);
}

sub resumes_not ($name, $version, $session, $what, %option) {
    visit($name, $version, session => $session, %option);
    is($answer[1], '.', $what);
}

# All workers understand what one of them has given.
sub resumes_everywhere ($name, $version, $session, $what, %option) {
    my %workers;
    my $reused = 0;
    for (1 .. 400) {    # which worker accepts is the kernel's choice
        my $next = visit($name, $version, session => $session, %option);
        $reused += $answer[1] eq 'r';
        $workers{ $answer[2] }++;
        $session = $next if $version eq 'TLSv1.3';    # a ticket of TLS 1.3 is for one use
        last if $_ >= 10 && keys %workers == 3 && $reused == $_;
    }
    is(keys %workers, 3, "$what: by each worker");
    is($reused, (my $sum = eval join '+', values %workers), "$what: each time");
    return $session;
}

# A client that uses each ticket of TLS 1.3 once, as browsers do (RFC 8446, C.4): each time it resumes it gets the next one.
sub resumes_by_the_next_ticket ($name, $session, $what) {
    my ($got, %workers) = ('');
    for (1 .. 20) {
        visit($name, 'TLSv1.3', $session ? (session => $session) : ());
        $got .= $answer[1];
        $workers{ $answer[2] }++;
        $session = $ticket;
    }
    is($got, 'r' x 20, "$name: $what");
    cmp_ok(keys %workers, '>', 1, 'by several workers');
    return $session;
}

my %single;    # by server: a ticket that has not been used
for my $name (qw(a id none-but-tickets keys early early-keys)) {
    visit($name, 'TLSv1.3');
    $single{$name} = resumes_by_the_next_ticket($name, $ticket, 'each ticket is used once');
}

my %kept;
for my $version ('TLSv1.2', 'TLSv1.3') {
    for my $row ([ 'a', 'ticket' ], [ 'id', 'ID' ], [ 'keys', 'ticket by a key of a file' ]) {
        my ($name, $how) = @$row;
        my $session = visit($name, $version);
        is($answer[1], '.', "$version, $how: a new session");
        $kept{$version}{$name} = resumes_everywhere($name, $version, $session, "$version, $how");
    }
    my $id = visit('a', 'TLSv1.2', tickets => 0);
    resumes('a', 'TLSv1.2', $id, 'a client without tickets resumes by ID', tickets => 0);

    resumes_not($_, $version, visit($_, $version), "$version, cache $_, no tickets") for qw(off none);

    resumes('same', $version, visit('a', $version), "$version: a name with the same settings");
    resumes_not('b',    $version, visit('a', $version), "$version: a name with another certificate");
    resumes_not('strict', $version, visit('a', $version), "$version: a name with other ciphers");
    resumes('long', $version, visit('a', $version), "$version: a name that differs in nothing that matters");
    resumes_not('id',   $version, visit('a', $version), "$version: by ID what was begun with a ticket");

    # Verification.
    my @cert = (cert => "$dir/client.crt");
    my $session = visit('verify', $version, @cert);
    is($answer[3], 'SUCCESS', "$version: a client with a certificate");
    resumes('verify', $version, $session, "$version: resumes");
    is($answer[3], 'SUCCESS', 'with the result of its verification');
    $session = visit('optional', $version);
    resumes_not('verify', $version, $session, "$version: a session without verification is not one with it", @cert);
    resumes_not('verify', $version, visit('a', $version), "$version: nor is one of a name that asks for nothing", @cert);
}

# The builtin cache is one worker's.
{
    my $session = visit('builtin', 'TLSv1.2');
    my $worker  = $answer[2];
    wait_for(sub { visit('builtin', 'TLSv1.2', session => $session); $answer[2] == $worker }, 'the same worker');
    is($answer[1], 'r', 'builtin: resumes in its worker');
}

# The two keys of files change places each time.
for my $round (1 .. ($ENV{WEIR_SANITIZE} ? 8 : 50)) {
    $weir->write_conf(Weir->conf_text(workers => 3, http => conf($round % 2)));
    $weir->reload;
    for my $version ('TLSv1.2', 'TLSv1.3') {
        for my $name (qw(a id keys)) {
            my $next = visit($name, $version, session => $kept{$version}{$name});
            is($answer[1], 'r', "$version, $name: after reload $round");
            $kept{$version}{$name} = $next;
        }
    }
}

$single{$_} = resumes_by_the_next_ticket($_, $single{$_}, 'the next tickets after reloads') for sort keys %single;

my @before = $weir->workers;
$weir->allow(qr/worker process \d+ exited on signal 9/);
$weir->signal('KILL', $_) for @before;
wait_for(sub { my %now = map { $_ => 1 } $weir->workers; keys %now == 3 && !grep { $now{$_} } @before }, 'new workers');
for my $version ('TLSv1.2', 'TLSv1.3') {
    for my $name (qw(a id)) {
        my $resumed = eval { visit($name, $version, session => $kept{$version}{$name}) };
        is($answer[1], 'r', "$version, $name: after the death of all workers");
    }
}
resumes_by_the_next_ticket($_, $single{$_}, 'the next tickets after the death of all workers') for sort keys %single;

done_testing;
