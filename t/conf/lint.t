#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# lint.t - what the checks of weir -t find in lint/NAME.conf is what lint/NAME.out has, and nothing else; how -q, -W and
# --json show it; that only a test runs them.

use lib 't/lib';
use Weir;
use Netns;
use Cwd qw(abs_path);
use JSON::PP;

Netns->enter;
my $weir = Weir->new(start => 0);
my $dir  = abs_path('t/conf/lint');

# Exit status, standard error and standard output of a test.
sub check ($conf, @options) {
    return output($weir->binary, '-t', @options, '-p', $weir->dir, '-e', $weir->dir . '/error.log', '-c', $conf);
}

sub output (@command) {
    my @files = map { $weir->dir . "/said.$_" } 'err', 'out';
    my $pid   = fork // die "fork: $!";
    if ($pid == 0) {
        $ENV{ASAN_OPTIONS} .= ':detect_leaks=0' if $ENV{ASAN_OPTIONS};
        open STDERR, '>', $files[0] or die;
        open STDOUT, '>', $files[1] or die;
        exec @command or die;
    }
    waitpid $pid, 0;
    return ($? >> 8, map { slurp($_) } @files);
}

sub slurp ($path) {
    open my $fh, '<', $path or die "$path: $!";
    local $/;
    return <$fh> // '';
}

sub put ($name, $text) {
    my $path = $weir->dir . "/$name";
    open my $fh, '>', $path or die "$path: $!";
    print $fh $text;
    close $fh;
    return $path;
}

for my $conf (glob "$dir/*.conf") {
    my ($name) = $conf =~ m{([^/]+)\.conf$};
    my ($status, $said) = check($conf);
    $said =~ s/^weir: (?:the )?configuration file .*\n//mg;
    $said =~ s/^weir: //mg;
    $said =~ s/\Q$dir/DIR/g;
    is($said . ($status == 0 ? "ok\n" : "failed\n"), slurp("$dir/$name.out"), $name);
}

# What guides print, and what is installed: nothing is said that is not so.
subtest 'samples' => sub {
    my $around = "upstream backend { server 127.0.0.1:1; }\nupstream admin_backend { server 127.0.0.1:1; }\n"
      . "upstream service_a_backend { server 127.0.0.1:1; }\n";
    for my $path (sort glob 't/samples/*.conf') {
        my $text = slurp($path);
        next if $text =~ /^\s*ssl_certificate /m;
        $text =~ s/ ssl http2//g;
        $text = "server { $text }" if $text =~ /^location/m;
        $text =~ s/^/$around/ unless $text =~ /^upstream/m;
        my $conf = put('sample.conf', "events {}\nhttp {\naccess_log off;\n$text\n}\n");
        my ($status, $said) = check($conf);
        is($status, 0, $path) or diag $said;
        unlike($said, qr/\[warn\] [\w-]+: /, "$path: nothing to say");
    }
    my ($status, $said) = check(abs_path('conf.d/weir.conf'), '-g', 'pid weir.pid;');
    unlike($said, qr/\[warn\]/, 'conf.d/weir.conf');
};

subtest 'options' => sub {
    my ($status, $said) = check("$dir/alias_slash.conf", '-q');
    is("$status $said", '0 ', '-q is silent');
    ($status, $said) = check("$dir/alias_slash.conf", '-W');
    is($status, 1, '-W fails');
    like($said, qr/^weir: \[warn\] alias-slash: /m,                        'and says why');
    like($said, qr/^weir: configuration file \S+ test failed\n\z/m,        'the last line is that of a failure');
    ($status, $said) = check("$dir/alias_slash.conf", '-qW');
    is($status, 1, '-q -W fails');
    like($said, qr/^weir: \[warn\] alias-slash: /m, 'and says why, too');
    my $good = put('good.conf', "events {}\nhttp { access_log off; server { listen 8080; root /x; } }\n");
    ($status, $said) = check($good, '-W');
    is($status, 0, '-W has nothing against a good one');
};

# What a tool reads.
subtest 'JSON' => sub {
    my ($status, $said, $json) = check("$dir/alias_slash.conf", '--json');
    is("$status $said", '0 ', 'nothing beside it');
    my $report = decode_json($json);
    is($report->{file}, "$dir/alias_slash.conf", 'file');
    ok($report->{ok}, 'ok');
    is("$report->{errors} $report->{warnings}", '0 2', 'counts');
    my $message = $report->{messages}[1];
    is_deeply(
        $message,
        {
            file       => "$dir/alias_slash.conf",
            line       => 8,
            column     => 32,
            severity   => 'warning',
            id         => 'alias-slash',
            message    => 'location "/doc/" has a "/" at its end and its alias "/data/doc" has none: '
              . '"/doc/x" is looked for as "/data/docx"',
            suggestion => 'write "alias /data/doc/"',
        },
        'a warning'
    );
    ($status, $said, $json) = check("$dir/alias_slash.conf", '--json', '-W');
    is($status, 1, 'with -W it fails');
    ok(!decode_json($json)->{ok}, 'and says so');

    my $bad = put('bad.conf', "events {}\nhttp {\n  sendfil on;\n  add_header \"\x01\xff\xc3\xa9\" x;\n}\n");
    ($status, $said, $json) = check($bad, '--json');
    is("$status $said", '1 ', 'errors');
    $report = decode_json($json);
    is($report->{errors}, 2, 'both');
    is_deeply(
        [ @{ $report->{messages}[0] }{qw(line column severity id message suggestion)} ],
        [ 3, 3, 'error', 'error', 'unknown directive "sendfil"', 'did you mean "sendfile"?' ],
        'the first'
    );
    ($status, $said, $json) = check($weir->dir . '/none.conf', '--json');
    is($status, 1, 'a file that is missing');
    $report = decode_json($json);
    is($report->{messages}[0]{line}, undef, 'has no line');
};

subtest 'temporary files in memory' => sub {
    plan(skip_all => 'no tmpfs at /dev/shm') unless `stat -f -c %T /dev/shm 2>/dev/null` =~ /^tmpfs$/;
    my $memory = "/dev/shm/weir-lint-$$";
    my $conf   = put('memory.conf', <<CONF);
events {}
http {
    access_log off;
    client_body_temp_path $memory/body;
    proxy_temp_path $memory/proxy 1 2;
    server { listen 8080; root /x; }
}
CONF
    mkdir $memory or die "$memory: $!";
    my ($status, $said) = check($conf);
    rmdir for "$memory/body", "$memory/proxy", $memory;
    is($status, 0, 'is allowed');
    is(() = $said =~ /\[warn\] temp-path-in-memory: /g, 2, 'and warned of') or diag $said;
};

# weirctl asks the master, or checks by itself when there is none.
subtest 'weirctl test' => sub {
    my $text = "worker_processes 1;\nevents {}\nhttp {\n  access_log off;\n  server {\n    listen 8080;\n"
      . "    location /i { alias /x/; }\n  }\n}\n";
    my $conf = put('weir.conf', "daemon on; pid weir.pid; error_log master.log;\n$text");
    my @ctl  = ($weir->binary, 'ctl', '-p', $weir->dir, '-c', $conf);
    my ($status, $said, $json) = output(@ctl, 'test', '--json');
    is($status,                                 0,             'without a master');
    is(decode_json($json)->{messages}[0]{id},   'alias-slash', 'the checks run');
    ($status, $said) = output($weir->binary, '-p', $weir->dir, '-c', $conf);
    is("$status $said", '0 ', 'a start says nothing of it');
    ($status, $said, $json) = output(@ctl, 'test', '--json');
    is("$status $said", '0 ', 'with a master');
    is_deeply(
        [ @{ decode_json($json)->{messages}[0] }{qw(file line column severity id suggestion)} ],
        [ $conf, 8, 25, 'warning', 'alias-slash', 'write "location /i/" (weir answers such a request with 404, nginx with the file)' ],
        'the same'
    );
    ($status, $said) = output(@ctl, 'test', '-W');
    is($status, 1, '-W fails');
    like($said, qr/^weir: \[warn\] alias-slash: location "\/i" .* in \Q$conf\E:8\n +8 \|.*\n +\|.*\^\n +write /, 'and says why');
    ($status, $said) = output(@ctl, '-q', 'test');
    is("$status $said", '0 ', '-q is silent');
    ($status, $said) = output(@ctl, 'reload');
    is("$status $said", '0 ', 'so is a reload');
    put('weir.conf', "daemon on; pid weir.pid; error_log master.log;\n$text bad 1; bad 2;\n");
    ($status, $said, $json) = output(@ctl, 'test', '--json');
    is($status, 1, 'errors fail');
    is(decode_json($json)->{errors}, 2, 'all of them are told');
    put('weir.conf', "daemon on; pid weir.pid; error_log master.log;\n$text" . join('', map { "bad$_;\n" } 1 .. 300));
    ($status, $said, $json) = output(@ctl, 'test', '--json');
    is(decode_json($json)->{messages}[-1]{message}, '100 errors: the rest of the configuration is not checked',
        'up to a limit');
    put('weir.conf', "daemon on; pid weir.pid; error_log master.log;\n$text");
    ($status, $said) = output(@ctl, 'stop');
    is($status, 0, 'stop');
    unlike(slurp($weir->dir . '/master.log'), qr/alias-slash/, 'nothing of it is logged');
};

kill 'KILL', $weir->processes;    # none, unless `stop` has failed
done_testing();
