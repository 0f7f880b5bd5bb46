#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# userid: identifiers that are given, taken, marked and reset, with the fields that nginx sends.

use lib 't/lib';
use Weir;
use Nginx;
use MIME::Base64 qw(decode_base64);

my $fields = 'add_header Got "[$uid_got]"; add_header Set "[$uid_set]";';
my ($weir, $nginx) = Nginx->beside(
    main   => 'error_log %dir%/error.log notice;',
    http   => q{userid_p3p 'policyref="/w3c/p3p.xml", CP="CUR ADM"';},
    server => <<"CONF",
        location /on      { userid on; userid_expires 1h; userid_domain example.org; $fields return 200 x; }
        location /max     { userid on; userid_expires max; userid_p3p none; userid_path /x; $fields return 200 x; }
        location /off     { userid off; $fields return 200 x; }
        location /log     { userid log; $fields return 200 x; }
        location /v1      { userid v1; $fields return 200 x; }
        location /service { userid on; userid_service 7; userid_name nm; $fields return 200 x; }
        location /number1 { userid v1; userid_service 7; $fields return 200 x; }
        location /flags   { userid on; userid_flags secure httponly samesite=strict; return 200 x; }
        location /lax     { userid on; userid_flags samesite=lax; return 200 x; }
        location /mark    { userid on; userid_mark A; userid_expires 1d; $fields return 200 x; }
        location /reset   { userid on; set \$uid_reset \$arg_r; $fields return 200 x; }
        location /404     { userid on; return 404; }
        location /page    { userid on; error_page 404 /on; return 404; }
        location /body    { userid on; return 200 "[\$uid_got][\$uid_set]"; }
CONF
);

# What differs from one identifier to the next: the time, the worker, and of what was made by both the counters' low part.
sub plain ($server, $answer) {
    my $text = Nginx::plain($server, $answer);
    $text =~ s/((?:uid|nm)=)([\w+\/]{22})(?=[\w=]=)/$1 . shape(unpack 'H*', decode_base64("$2=="))/ge;
    $text =~ s/(uid|nm)=([0-9A-F]{32})/"$1=" . shape(join '', map { unpack 'H8', pack 'V', hex } $2 =~ m{.{8}}g)/ge;
    $text =~ s/expires=.*?GMT/expires=DATE/g if $text !~ /2037|-37/;
    return $text;
}

my $known = '7f00000165d5fe39334d38c303030402';
sub shape ($hex) { $hex eq $known ? $hex : substr($hex, 0, 8) . '-' . substr($hex, 26) }

my $cookie = 'fwAAAWXV/jkzTTjDAwMEAg';
my @requests = map { ["/$_"], [ "/$_", "uid=$cookie==" ] }
  qw(on max off log v1 service number1 flags lax mark 404 page body), map { "reset?r=$_" } '', 0, 1, 'log';
push @requests, map { [ '/on', $_ ] } "uid=$cookie", 'uid=short', "uid=$cookie==; a=b", "a=b; uid=$cookie==", 'uid=',
  'uid=%66wAAAWXV/jkzTTjDAwMEAg==', "nm=$cookie==";
push @requests, [ '/service', "nm=$cookie==" ], map { [ '/mark', "uid=$cookie$_" ] } 'A=', 'B=', '', 'A';
for my $row (@requests) {
    my ($target, $sent) = @$row;
    my @texts = map {
        my $client = $_->client;
        $client->send_request('GET', $target, close => 1, fields => [ $sent ? "Cookie: $sent" : () ]);
        plain($_, $client->answer);
    } $weir, $nginx;
    is($texts[0], $texts[1], join ' with ', @$row);
}

sub lines ($server) { return [ sort $server->error_log =~ /\[(?:notice|error)\] \S+ \*\d+ (.*?userid cookie.*?), client/g ] }
is_deeply(lines($weir), lines($nginx), 'the log lines');

my %seen;
$seen{ $weir->get('/on')->field('Set-Cookie') =~ s/;.*//r }++ for 1 .. 50;
is(scalar keys %seen, 50, 'each client has its own');
like((values %seen)[0], qr/^1$/, 'once');
my ($date) = $weir->get('/on')->field('Set-Cookie') =~ /expires=(.*?);/;
like($date, qr/^[A-Z][a-z]{2}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/, 'the date');

for (
    [ 'userid x;',              qr/invalid value "x" in / ],
    [ 'userid_expires x;',      qr/"userid_expires" directive invalid value in / ],
    [ 'userid_mark AB;',        qr/"userid_mark" directive value must be "off" or a single letter, digit or "=" in / ],
    [ 'userid_mark -;',         qr/"userid_mark" directive value must be "off" or a single letter, digit or "=" in / ],
    [ 'userid_service x;',      qr/"userid_service" directive invalid number in / ],
    [ 'userid_flags samesite;', qr/invalid value "samesite" in / ],
    [ 'userid_path "a\nb";',    qr/invalid value "a/ ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(location => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line =~ s/\n/ /r);
}

done_testing;
