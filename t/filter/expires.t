#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# expires: ages, signs, modified, times of the day, epoch, max, off, variables; which statuses have it.

use lib 't/lib';
use Nginx;
use Weir;
use POSIX qw(strftime);

my @times = ('0', '1', '+10', '1h', '+24h', '30d', '1y', '-1', '-1h', 'epoch', 'max', 'off', 'modified 0', 'modified +24h',
    'modified -1h', 'modified 30y', 'modified 1s');
my @values = ('off', '1h', '-1', 'max', 'epoch', '@1h', '', 'soon', '2h30m', '+5', '0', '@25h', '1h30');
my $n = 0;
my $locations = join "\n", map { $n++; "location /$n/ { alias %dir%/html/; expires $_; } location /text$n { expires $_; return 200 x; }" } @times;
my $own = '{ add_header Cache-Control own; add_header Expires mine; ';
my $origin = Origin->new('*' => { body => 'x', fields => [ 'Cache-Control: private', 'Cache-Control: no-store', 'Expires: never' ] });
my ($weir, $nginx) = Nginx->beside(
    files => { 'html/a.html' => 'a page' },
    http  => <<'CONF',
        types { text/html html; }
        expires 7d;
CONF
    server => <<"CONF",
        $locations
        location /var  { expires \$arg_e; return 200 x; }
        location /mvar { alias %dir%/html/; expires modified \$arg_e; }
        location /in   { expires 1h; return 200 x; location /in/off { expires off; return 200 x; } location /in/more { return 200 x; } }
        location /if   { expires 1h; if (\$arg_a) { expires 2h; } return 200 x; }
        location /404  { return 404; }
        location /302  { return 302 /; }
        location /403  { return 403; }
        location /own  { expires 1h; add_header Cache-Control public; return 200 x; }
        location /origin { proxy_pass $origin->{url}; }
CONF
);

# Both servers answer within moments: dates may differ by a few seconds.
sub seconds ($date) {
    my %month;
    @month{qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)} = 0 .. 11;
    my ($d, $m, $y, $h, $min, $s) = ($date // '') =~ /^\w+, (\d+) (\w+) (\d+) (\d+):(\d+):(\d+) GMT$/ or return undef;
    local $ENV{TZ} = 'UTC';
    POSIX::tzset();
    my $time = POSIX::mktime($s, $min, $h, $d, $month{$m}, $y - 1900);
    return $time;
}

sub same ($what, $target) {
    my ($ours, $its) = map { $_->get($target) } $weir, $nginx;
    my @cc = map { join '|', map { $_->[0] =~ /^Cache-Control$/i ? $_->[1] : () } @{ $_->fields } } $ours, $its;
    my ($age, $wanted) = map { /max-age=(\d+)/ ? $1 : undef } @cc;
    if (defined $age && defined $wanted && abs($age - $wanted) <= 2) {
        s/max-age=\d+/max-age/ for @cc;
    }
    is($cc[0], $cc[1], "$what: Cache-Control");
    my ($at, $should) = map { scalar $_->field('Expires') } $ours, $its;
    if (defined seconds($at) && defined seconds($should)) {
        cmp_ok(abs(seconds($at) - seconds($should)), '<=', 2, "$what: Expires");
    }
    else {
        is($at, $should, "$what: Expires");
    }
}

for my $i (1 .. @times) {
    same("expires $times[$i - 1], a file", "/$i/a.html");
    same("expires $times[$i - 1], a text", "/text$i");
}
same("variable $_", "/var?e=$_") for @values;
same("modified and variable $_", "/mvar/a.html?e=$_") for @values;
same($_, $_) for qw(/in /in/off /in/more /if /if?a=1 /404 /302 /403 /own /origin /a.html);

my $max = $weir->get('/11/a.html');
is($max->field('Expires'),       'Thu, 31 Dec 2037 23:55:55 GMT', 'max: a date of its own');
is($max->field('Cache-Control'), 'max-age=315360000',             'and ten years');
my $epoch = $weir->get('/10/a.html');
is($epoch->field('Expires'), 'Thu, 01 Jan 1970 00:00:01 GMT', 'epoch: a date of its own');

# A time of the day is the next one, by the local clock.
for my $zone ('UTC', 'Asia/Kolkata', 'America/New_York') {
    my $daily = Weir->new(env => { TZ => $zone }, location => 'expires @15h30m; return 200 x;')->get('/');
    my $at    = seconds($daily->field('Expires'));
    local $ENV{TZ} = $zone;
    POSIX::tzset();
    is(strftime('%H:%M:%S', localtime $at), '15:30:00', "\@15h30m in $zone");
    my $left = $at - time;
    ok($left > -2 && $left < 90_001, 'and it is the next one');
    my ($age) = $daily->field('Cache-Control') =~ /^max-age=(\d+)$/;
    cmp_ok(abs($age - $left), '<=', 2, 'with its age');
}

for my $bad ('soon', '@25h', '@', '-', '', 'modified @1h', 'modified max', 'modified epoch', 'changed 1h', '@-1h', '99999999999999y') {
    my $daemon = Weir->new(start => 0, location => $bad eq '' ? 'expires "";' : "expires $bad;");
    like(($daemon->run_weir('-t'))[1],
        qr/\[emerg\].*weir\.conf:\d+/s, "expires $bad: refused");
}
is((Weir->new(start => 0, location => 'expires @24h;')->run_weir('-t'))[0], 0, '@24h is good');

done_testing;
