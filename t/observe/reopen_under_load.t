#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Logs are rotated and reopened while requests come: no line is lost, torn or written twice.

use lib 't/lib';
use Weir;
use IO::Uncompress::Gunzip qw(gunzip);

my $weir = Weir->new(
    workers => 3,
    http    => 'log_format n "$arg_n $uri end"; open_log_file_cache max=10;',
    server  => <<'CONF',
        location / {
            access_log %dir%/logs/plain n;
            access_log %dir%/logs/buffered n buffer=1k flush=100ms;
            access_log %dir%/logs/packed n gzip buffer=1k;
            access_log %dir%/logs/named-$host n;
            return 200;
        }
CONF
    start => 0,
);
chmod 0777, $weir->dir . '/logs';
$weir->start;
my @logs = qw(plain buffered packed named-localhost);

my @clients = map { $weir->client } 1 .. 12;
my ($rounds, $n, $rotations) = (60, 0, 0);
for my $round (1 .. $rounds) {
    for my $client (@clients) {
        $client->write(join '', map { "GET /some/path?n=" . $n++ . " HTTP/1.1\r\nHost: localhost\r\n\r\n" } 1 .. 5);
    }
    if ($round % 6 == 0) {
        $rotations++;
        rename $weir->dir . "/logs/$_", $weir->dir . "/logs/$_.$rotations" for @logs;
        $rotations % 2 ? $weir->signal('USR1') : $weir->ctl('reopen');
    }
    for my $client (@clients) {
        $client->answer for 1 .. 5;
    }
    # Each rotation has to be over before the next one, or it would rename what is not there yet.
    wait_for(sub { -e $weir->dir . '/logs/plain' }, 'the new file') if $round % 6 == 0;
}
$weir->stop('QUIT');

for my $log (@logs) {
    my @files = glob $weir->dir . "/logs/$log*";
    cmp_ok(scalar @files, '>', 1, "$log: several files");
    my $all = '';
    for my $file (@files) {
        my $bytes = $weir->read_file($file);
        if ($log eq 'packed' && length $bytes) {
            ok(gunzip(\$bytes => \my $text, MultiStream => 1), 'a file of whole members');
            $bytes = $text;
        }
        $all .= $bytes;
    }
    my @lines = split /\n/, $all;
    is(scalar(grep { !m{^\d+ /some/path end$} } @lines), 0, "$log: whole lines");
    my %seen;
    $seen{$1}++ while $all =~ /^(\d+) /mg;
    is(scalar(grep { ($seen{$_} // 0) != 1 } 0 .. $n - 1), 0, "$log: each of $n requests once");
}

done_testing;
