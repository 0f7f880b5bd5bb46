#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# The tool and -s find the master by the text of the configuration alone: what the text names is not read, and may be
# missing or wrong.

use lib 't/lib';
use Weir;

$ENV{WEIR_TEST_PID} = 'of_env.pid';
my $server = "events {} http { server { listen 127.0.0.1:%port0%; return 200 here; } }";
my %files  = ('part/pid.conf' => "pid included.pid;\n");

# Where the pid path stands: options of the command line, the text, and the file below the prefix.
for my $row (
    [ 'relative',    'pid some.pid;',          'some.pid' ],
    [ 'absolute',    'pid %dir%/there.pid;',   'there.pid' ],
    [ 'quoted',      'pid "two words.pid";',   'two words.pid' ],
    [ 'included',    'include part/*.conf;',   'included.pid' ],
    [ 'by env()',    'pid env(WEIR_TEST_PID);', 'of_env.pid' ],
    [ 'behind http', "$server pid last.pid;",  'last.pid' ],
    )
{
    my ($what, $line, $file) = @$row;
    my $weir = Weir->new(conf => $line =~ /http/ ? $line : "$line $server", files => \%files, start => 0);
    $weir->{own_pid}  = 1;
    $weir->{pid_file} = $weir->dir . "/$file";
    $weir->start;
    like(($weir->ctl('status'))[1], qr/^generation 1/m, "$what: status");
    is(($weir->run_weir('-s', 'reopen'))[0], 0, "$what: -s");
    is(($weir->ctl('stop'))[0], 0, "$what: stop");
    is($weir->_wait_gone($weir->pid), 1, "$what: it ends");
    delete $weir->{pid};
}

# What would keep a configuration from being loaded.
my @broken = (
    'server { listen 127.0.0.1:%port1% ssl; ssl_certificate none.crt; ssl_certificate_key none.key; }',
    'unknown_directive on;',
    'server { listen 127.0.0.1:%port1%; root a b c; }',
);
for my $end ([ 'weirctl', 'stop' ], [ 'weirctl', 'quit' ], [ '-s', 'stop' ], [ '-s', 'quit' ]) {
    my $weir = Weir->new(http => 'server { listen 127.0.0.1:%port1%; }', allow => qr/\[emerg\].* in \S+weir\.conf:\d+$/);
    for my $line (@broken) {
        $weir->write_conf(Weir->conf_text(http => $line));
        my ($status, $output) = $weir->ctl('status');
        is($status, 0, "status: $line");
        unlike($output, qr/emerg/, 'nothing is said of the text');
        isnt(($weir->ctl('reload'))[0], 0, 'a reload is refused');
    }
    my ($how, $word) = @$end;
    is(($how eq '-s' ? $weir->run_weir('-s', $word) : $weir->ctl($word))[0], 0, "$how $word");
    is($weir->_wait_gone($weir->pid), 1, 'it ends');
    delete $weir->{pid};
    my ($status, $output) = $weir->ctl('reload');
    is($status, 3, 'nobody there');
    like($output, qr/^weirctl: no master answers on \S+weir\.ctl/, 'is what it says');
}

# A text that cannot be read is said where nobody answers: the path may be another one.
my $weir = Weir->new(conf => "events {} http { server { listen 127.0.0.1:%port0%;\n", start => 0);
for my $run ([ $weir->ctl('status') ], [ $weir->run_weir('-s', 'stop') ]) {
    my ($status, $output) = @$run;
    isnt($status, 0, 'an unclosed block: no success');
    like($output, qr/\[emerg\] unexpected end of file, expecting "\}"/, 'and why');
}

done_testing;
