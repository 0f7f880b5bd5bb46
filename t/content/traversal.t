#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Nothing leads out of the directories that the configuration names, in no encoding.

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    files => {
        'html/in.txt'        => 'inside',
        'html/sub/in.txt'    => 'inside sub',
        'data/in.txt'        => 'data',
        'secret.txt'         => 'SECRET',
        'data2/secret.txt'   => 'SECRET',
    },
    server => <<'CONF',
        location /alias/          { alias %dir%/data/; }
        location /careless        { alias %dir%/data/; }
        location ~ ^/regex(.*)$   { alias %dir%/data$1; }
        location /arg/            { root %dir%/html/$arg_d; }
        location /try             { try_files /$arg_f /$arg_f/ =418; }
        location /index/          { index $arg_f; }
        location /page            { error_page 404 /$arg_f; return 404; }
CONF
);

my @up = ('..', '%2e%2e', '.%2e', '%2E.', '..%00', '%c0%ae%c0%ae', '..%c0%af', "..%5c", '%252e%252e', '..;');
my @targets;
for my $up (@up) {
    for my $slash ('/', '%2f', '%2F', '//', '/./', '%5c') {
        push @targets, "/$up${slash}secret.txt", "/sub${slash}$up${slash}$up${slash}secret.txt",
          "/alias/$up${slash}secret.txt", "/careless$up${slash}secret.txt", "/regex/$up${slash}secret.txt",
          "/regex$up${slash}secret.txt", "/regex2${slash}secret.txt", "/regex${slash}$up${slash}secret.txt";
    }
    push @targets, "/arg/secret.txt?d=$up", "/try?f=$up/secret.txt", "/index/?f=$up/secret.txt", "/page?f=$up/secret.txt",
      "/try?f=$up/$up/secret.txt", "/page?f=x/$up/$up/secret.txt", "/index/?f=/$up/secret.txt";
}
push @targets, '/' . '../' x 20 . 'etc/passwd', '/' . 'a/../' x 200 . '../secret.txt', "/\\..\\secret.txt",
  '/....//secret.txt', '/..../secret.txt', '/%2e%2e%2f%2e%2e%2fsecret.txt', '/.%00./secret.txt', '..', '../secret.txt';

my %seen;
my $bad = 0;
for my $target (grep { !$seen{$_}++ } @targets) {
    my $answer = $weir->get($target);
    # A prefix alias without a last slash names data2 on purpose: "regex2" is data2 by the configuration's own text.
    next if $target =~ m{^/regex2};
    if (!$answer || $answer->body =~ /SECRET|root:/ || $answer->status !~ /^(?:4\d\d|301)$/) {
        diag($target, ' -> ', $answer ? $answer->status . ' ' . $answer->body : 'no answer');
        $bad++;
    }
}
is($bad, 0, scalar(keys %seen) . ' targets');

is($weir->get('/sub/../in.txt')->body,      'inside',     'dots within the root');
is($weir->get('/sub/%2e%2e/in.txt')->body,  'inside',     'encoded ones too');
is($weir->get('/alias/in.txt')->body,       'data',       'alias');
is($weir->get('/arg/in.txt?d=sub')->status, 404,          'a variable in root');

# A directory that the configuration writes with dots is meant.
my $dots = Weir->new(files => { 'html/a/x' => '', 'up/in.txt' => 'up' }, server => 'root %dir%/html/../up;');
is($dots->get('/in.txt')->body, 'up', 'dots of the configuration');

done_testing;
