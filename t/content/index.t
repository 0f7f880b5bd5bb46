#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# index: the first file that exists, names with variables, an absolute last one.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files => {
        'html/one/index.html' => 'one',
        'html/two/second.htm' => 'two',
        'html/three/x'        => 'three',
        'html/var/en.html'    => 'english',
        'html/sub/deep/index.html' => 'deep',
        'html/abs.html'       => 'absolute',
        'html/php/index.php'  => 'source',
    },
    server => <<'CONF',
        location /two/   { index first.htm second.htm; }
        location /var/   { index $arg_lang.html; }
        location /three/ { index nothing /abs.html; }
        location /php/   { index index.php; }
        location ~ \.php$ { return 200 "run $uri $args"; }
        location /none/  { index nothing; }
CONF
);

is($weir->get('/one/')->body,         'one',      'index.html by default');
is($weir->get('/two/')->body,         'two',      'the second name');
is($weir->get('/var/?lang=en')->body, 'english',  'a variable');
is($weir->get('/var/?lang=de')->status, 403,      'a variable that names nothing');
is($weir->get('/three/')->body,       'absolute', 'an absolute last name');
is($weir->get('/php/?a=b')->body,     'run /php/index.php a=b', 'the location is looked for again');
is($weir->get('/sub/')->status,       403,        'no index');
is($weir->get('/none/')->status,      404,        'no directory');
$weir->wait_log(qr{directory index of "[^"]*/html/sub/" is forbidden, client});
$weir->wait_log(qr{"[^"]*/html/none/nothing" is not found \(2: No such file or directory\), client});

done_testing;
