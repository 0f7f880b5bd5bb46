#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# empty_gif answers with a picture of one transparent pixel.

use lib 't/lib';
use Weir;

my $weir = Weir->new(server => 'location = /pixel.gif { empty_gif; location /pixel.gif/x { } }', start => 0);
like(($weir->run_weir('-t'))[1], qr/cannot be inside the exact location/, 'an exact location has no nested ones');

$weir = Weir->new(server => 'location /pixel { empty_gif; location /pixel/nested { } }');
my $answer = $weir->get('/pixel');
is($answer->status,                 200,         'status');
is($answer->field('Content-Type'),  'image/gif', 'type');
is($answer->field('Last-Modified'), 'Mon, 28 Sep 1970 06:00:00 GMT', 'time');
is(length $answer->body,            43,          'length');
is(unpack('H*', $answer->body),
    '474946383961' . '01000100' . '800100' . '000000ffffff' . '21f90401000001' . '00' . '2c00000000010001' . '0000'
      . '02024c01' . '003b', 'bytes');
is($weir->head('/pixel')->body,            '',  'no body for HEAD');
is($weir->post('/pixel', 'x')->status,     405, 'POST');
is($weir->get('/pixel/nested')->status,    404, 'nested locations do not inherit it');
is($weir->get('/pixel', fields => ['If-Modified-Since: Mon, 28 Sep 1970 06:00:00 GMT'])->status, 304, 'not modified');

done_testing;
