#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# split_clients: every text falls on the side on which nginx has it.

use lib 't/lib';
use Weir;
use Nginx;

my ($weir, $nginx) = Nginx->beside(
    http => <<'CONF',
        split_clients $arg_a $few        { 0.5% one; 2.0% two; 50% half; * rest; }
        split_clients "${arg_a}AAA" $all { 33.33% a; 33.33% b; 33.34% c; }
        split_clients $arg_a $canary     { 90% stable; * canary; }
        split_clients $arg_a $literal    { 10% "x$uri"; * ""; }
        split_clients $arg_a $open       { 0.01% x; 1% y; }
CONF
    location => 'return 200 "$few|$all|$canary|$literal|$open";',
);

# The answers to many texts, over one connection each.
sub answers ($server, @texts) {
    my $client = $server->client;
    my @bodies;
    for my $text (@texts) {
        $client->send_request('GET', "/?a=$text");
        push @bodies, "$text: " . $client->answer->body;
    }
    return \@bodies;
}
my @texts = ('', map { 'x' x $_ } 1 .. 20);
push @texts, map { my $i = $_; "10.0.$_." . $i * 7 % 256, "k$_" } 0 .. 249;
push @texts, "\xc3\xa9", "\xff\xfe\xfd\xfc\xfb";
is_deeply(answers($weir, @texts), answers($nginx, @texts), scalar(@texts) . ' texts');

my $canary = grep { /canary/ } @{ answers($weir, map { '10.' . ($_ >> 4) . '.7.' . ($_ & 15) } 0 .. 599) };
ok($canary > 30 && $canary < 90, "about one in ten: $canary of 600");

for (
    [ 'split_clients $uri $x { 50% a; 60% b; }', qr/percent total is greater than 100% in / ],
    [ 'split_clients $uri $x { 100.01% a; }',    qr/percent total is greater than 100% in / ],
    ( map { [ "split_clients \$uri \$x { $_ a; }", qr/invalid percent value "\Q$_\E" in / ] }
          qw(50 50.555% 0% 0.00% a -5% % 1x%) ),
    [ 'split_clients $uri x { }',          qr/invalid variable name "x" in / ],
    [ 'split_clients $nothing_of $x { }',  qr/unknown "nothing_of" variable in / ],
    [ 'split_clients $uri $x { 5% a { } }', qr/unexpected "\{" in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(http => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
