#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# weirctl diff: what a reload would change in the text, in the form and with the exit status of diff(1).

use lib 't/lib';
use Weir;

my $weir = Weir->new(
    args  => ['-g', 'timer_resolution 10ms;'],
    files => { 'conf.d/a.conf' => "# a\nmap \$uri \$a { default a; }\n", 'conf.d/b.conf' => "map \$uri \$b { default b; }\n" },
    http  => 'include conf.d/*.conf;',
    location => 'return 200 one;',
);
my ($dir, $conf) = ($weir->dir, $weir->conf);

sub differs ($status, $what) {
    my ($got, $output) = $weir->ctl('diff');
    is($got, $status, "$what: exit status") or diag($output);
    return $output;
}
is(differs(0, 'nothing has changed'), '', 'and nothing is said');

$weir->write_conf($weir->read_file('weir.conf') =~ s/return 200 one/return 200 two/r);
my $output = differs(1, 'a changed line');
like($output, qr{^--- \Q$conf\E\t\(serving\)\n\+\+\+ \Q$conf\E\t\(on disk\)\n\@\@ -\d+,\d+ \+\d+,\d+ \@\@\n}, 'its head');
like($output, qr{^-return 200 one;\n\+return 200 two;$}m,                                                     'its lines');
unlike($output, qr{a\.conf|command line}, 'nothing else');
is($weir->get('/')->body, 'one', 'and it is only a question');

$weir->write_file('conf.d/c.conf', "map \$uri \$c { default c; }\n");
unlink "$dir/conf.d/b.conf";
$weir->write_file('conf.d/a.conf', "# a\nmap \$uri \$a { default a; }");
$output = differs(1, 'files added and removed');
like($output, qr{^--- \Q$dir\E/conf\.d/b\.conf\t\(serving\)\n\+\+\+ /dev/null\n\@\@ -1 \+0,0 \@\@\n-map }m, 'removed');
like($output, qr{^--- /dev/null\n\+\+\+ \Q$dir\E/conf\.d/c\.conf\t\(on disk\)\n\@\@ -0,0 \+1 \@\@\n\+map }m, 'added');
like($output, qr{^\\ No newline at end of file$}m, 'a last line without its end');

# patch(1) and git apply take it.
{
    my $old = "$dir/old";
    mkdir $old;
    $weir->write_file('old/weir.conf', $weir->read_file('weir.conf') =~ s/return 200 two/return 200 one/r);
    my ($hunks) = $output =~ /^(--- \Q$conf\E.*?)(?=^--- |\z)/ms;
    $weir->write_file('one.diff', $hunks);
  SKIP: {
        skip 'no patch(1)', 1 if system('patch --version >/dev/null 2>&1') != 0;
        system('patch', '-s', "$old/weir.conf", "$dir/one.diff");
        is($weir->read_file('old/weir.conf'), $weir->read_file('weir.conf'), 'patch(1) takes it');
    }
}

$weir->reload;
is(differs(0, 'after the reload'), '', 'the same again');
is($weir->get('/')->body, 'two', 'which serves');

# A broken file: the difference is shown, and what is wrong.
my $good = $weir->read_file('weir.conf');
$weir->write_conf("$good\nhttp {\n");
$output = differs(1, 'a broken file');
like($output, qr/unexpected end of file, expecting "\}"/, 'what is wrong');
like($output, qr/^\+http \{$/m,                           'and the difference');
$weir->write_conf($good =~ s/include conf/include missing.conf; include conf/r);
$output = differs(1, 'a missing file');
like($output, qr/open\(\) "\Q$dir\E\/missing\.conf" failed/, 'is named');
unlink $conf;
$output = differs(2, 'no file at all');
like($output, qr/open\(\) "\Q$conf\E" failed/, 'which is said');
$weir->write_conf($good);
is(differs(0, 'back again'), '', 'nothing');

# Ten thousand lines.
{
    my $many = join '', map { "map \$uri \$many$_ { default $_; }\n" } 1 .. 10_000;
    $weir->write_file('conf.d/many.conf', $many);
    $weir->reload;
    $weir->write_file('conf.d/many.conf', $many =~ s/default (\d*)500;/default changed;/gr);
    $output = differs(1, 'a long file');
    is((() = $output =~ /^\+map /mg) + 0, 10, 'ten lines of it');
    is((() = $output =~ /^\@\@ /mg) + 0,  10, 'in ten hunks');
    $weir->write_file('conf.d/many.conf', $many =~ s/default/ default/gr);
    $output = differs(1, 'all of it');
    is((() = $output =~ /^[-+]map /mg) + 0, 20_000, 'all lines');
}

my ($status) = $weir->ctl('diff', 'x');
is($status, 2, 'it takes no words');
$weir->stop;
$output = differs(2, 'without a master');
like($output, qr/no master answers/, 'which is said');
