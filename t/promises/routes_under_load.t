#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Reloads under load lose no request where requests take winding ways: rewritten, mapped, divided, asked for leave,
# mirrored, found by try_files and error_page. What the ways look like changes with each reload; each request is answered
# by one of the two, and stands in the log once.

use lib 't/lib';
use Time::HiRes qw(time);
use Weir;
use Load;

my $reloads = $ENV{WEIR_RELOADS} // ($ENV{WEIR_SANITIZE} ? 25 : 100);
my $seconds = $ENV{WEIR_RELOADS_SECONDS} // 10;
my $bytes   = 200_000;
skip_all('a single process does not reload') if $ENV{WEIR_VALGRIND};

my @origins = map { LoadOrigin->new(bytes => $bytes) } 1 .. 2;

# Two ways to say the same: other steps, other names, other captures, more or fewer copies.
sub ways ($n) {
    my $odd  = $n % 2;
    my $step = "/step$odd";
    my $copy = join '', map { "mirror /copy; " } 0 .. $odd;
    return (
        http => <<CONF,
log_format id '\$arg_id \$status';
access_log %dir%/logs/ids.log id;
upstream one { server $origins[0]{address}; keepalive 8; }
upstream two { server $origins[1]{address}; keepalive 8; }
map \$uri \$name { ~^/(?<what>map)ped\$ @{[ $odd ? 'small' : '$plain' ]}; default none; }
map \$request_method \$plain { default small; }
map \$arg_id \$last { ~(?<digit>.)\$ \$digit; }
split_clients "\$arg_id$n" \$side { 50% one; * two; }
proxy_http_version 1.1;
proxy_set_header Connection "";
CONF
        server => <<CONF,
location = /rewritten { rewrite ^ $step last; }
location $step { rewrite ^$step\$ /small break; proxy_pass http://\$side; }
location = /mapped { proxy_pass http://one/\$name; }
location = /judged { auth_request /judge; auth_request_set \$verdict \$upstream_status; if (\$arg_id = "") { return 500; } proxy_pass http://two/small; }
location = /judge { internal; proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header Connection ""; proxy_pass http://\$side/small; }
location = /mirrored { $copy proxy_pass http://one/small; }
location = /copy { internal; proxy_pass http://two/small; }
location = /tried { try_files /none$n \@named; }
location \@named { rewrite ^ /small break; proxy_pass http://two; }
location = /paged { error_page 404 = \@named; return 404; }
location = /divided { set \$to one; if (\$last ~ [02468]) { set \$to two; } proxy_pass http://\$to/small; }
location = /bigger { auth_request /judge; mirror /copy; proxy_pass http://\$side/big; }
location = /upload { auth_request /judge; $copy rewrite ^ /upload break; proxy_pass http://\$side; }
CONF
    );
}

my @workers = (3, 1, 2);
my $weir = Weir->new(workers => 2, events => 'worker_connections 1024;', ways(0));
my $load = Load->new(
    $weir,
    keepalive => 12,
    fresh     => 6,
    download  => 2,
    upload    => 3,
    bytes     => $bytes,
    pause     => 0.01,
    targets   => { small => '/rewritten,/mapped,/judged,/mirrored,/tried,/paged,/divided', big => '/bigger', upload => '/upload' },
);
$load->wait_requests(200);
my ($n, $failed, $from) = (0, 0, time);
while ($n < $reloads && time - $from < $seconds) {
    $n++;
    $weir->rewrite_conf(workers => $workers[ $n % @workers ], ways($n));
    my ($status, $output) = $weir->ctl('reload');
    $status == 0 or $failed++ < 3 and diag("reload $n: $output");
    $load->wait_requests(10);
}
is($failed, 0, "$n reloads");
my $result = $load->stop;
is($result->{failed}, 0, "no request failed of $result->{requests}")
  or diag(join "\n", map { /\S.*/g } @{ $result->{problems} }[ 0 .. 9 ]);
cmp_ok($result->{by_kind}{$_}, '>', 0, $_) for qw(keepalive fresh download upload);
wait_for(sub { (() = $weir->workers) == $workers[ $n % @workers ] }, 'the end of the workers that drain');
ok($weir->stop('QUIT'), 'the end');

my %seen;
$seen{$_}++ for $weir->read_file('logs/ids.log') =~ /^(\d+) 200$/mg;
is(scalar(grep { ($seen{$_} // 0) != 1 } 1 .. $result->{ids}), 0, "each of $result->{ids} requests is in the log once");
is(scalar(() = $weir->read_file('logs/ids.log') =~ /^(?!\d+ 200$).+$/mg), 0, 'and nothing else is')
  or diag(($weir->read_file('logs/ids.log') =~ /^(?!\d+ 200$)(.+)$/mg)[0]);
diag("missing: @{[ grep { !$seen{$_} } 1 .. $result->{ids} ]}") if grep { !$seen{$_} } 1 .. $result->{ids};
diag("$n reloads, $result->{requests} requests");
$_->stop for @origins;
done_testing;
