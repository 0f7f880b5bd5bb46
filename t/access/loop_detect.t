#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# loop_detect: a request that comes round again is answered with 508, and the log says why.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'origin' });
my $weir   = Weir->new(server => <<CONF);
    location / { loop_detect here max=3; proxy_set_header CDN-Loop \$proxy_add_cdn_loop; proxy_pass $origin->{url}; }
    location /circle { loop_detect here; proxy_set_header CDN-Loop \$proxy_add_cdn_loop; proxy_pass http://127.0.0.1:%port0%; }
    location /off { loop_detect off; proxy_set_header CDN-Loop \$proxy_add_cdn_loop; proxy_pass $origin->{url}; }
CONF
my $at_origin = sub { Origin::field($origin->last_request, 'CDN-Loop') };
is($weir->get('/')->body, 'origin', 'a request');
is($at_origin->(), 'here', 'gets our name');
is($weir->get('/', fields => [ 'CDN-Loop: there; a=b', 'CDN-Loop: here, HERE;x' ])->body, 'origin', 'twice already');
is($at_origin->(), 'there; a=b, here, HERE;x, here', 'ours behind the others');
is($weir->get('/', fields => ['CDN-Loop: here, x,here ,here; y'])->status, 508, 'three times');
like($weir->error_log, qr/\[error\] .* a loop: the request has passed "here" 3 times, by its field CDN-Loop, client: 127/, 'said');
is($weir->get('/', fields => ['CDN-Loop: nowhere, here2, x=here, ; here'])->body, 'origin', 'other names');
is($weir->get('/off', fields => ['CDN-Loop: here,here,here'])->body, 'origin', 'off');
is($at_origin->(), 'here,here,here', 'as it came');
my $answer = $weir->get('/circle');
is($answer->status, 508, 'a real one ends');
like($answer->body, qr/508 Loop Detected/, 'and says so');
wait_for(sub { (() = $weir->access_log =~ m{"GET /circle }g) >= 6 }, 'the lines of the rounds');
is(scalar(() = $weir->access_log =~ m{"GET /circle }g), 6, 'after five rounds');
for my $bad ('"a b"', 'x max=0', 'x max=y', 'x y', '""') {
    like((Weir->new(server => "loop_detect $bad;", start => 0)->run_weir('-t'))[1], qr/\[emerg\] invalid (?:name|parameter)/, "loop_detect $bad");
}
done_testing;
