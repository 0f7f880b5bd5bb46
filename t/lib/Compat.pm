# SPDX-License-Identifier: BSD-2-Clause
# Compat.pm - many configurations, many requests: weir and the installed nginx answer and log alike.
#
#     use Compat;                                    # brings all of Weir along; skips the test when there is no nginx
#     compare 'return' => { server => 'location /a { return 200 "a"; }' }, <<'REQUESTS';
#     GET /a
#     GET /a?x | X-Field: value | host=example.org
#     POST /a  | body=text\r\n\x00
#     raw=GET / HTTP/1.0\r\n\r\n
#     REQUESTS
#     done_testing;
#
# The second word of `compare` are texts and files for Weir->new. Both servers are started once with them, each line is
# sent to both, and both are stopped. One test per line: status, reason, interim responses, fields (sorted by name;
# those of one name keep their order), body, trailers, and the line of the access log, which has the variables of @logged.
# What is masked is in Nginx.pm; times in the log are too.
#
# A line is a method, a target, and after bars fields or options: body=, version=, host= (nohost: none), keep, port=N,
# raw= (these bytes and nothing else; all answers until the end). \r \n \t \\ \xNN are bytes, \{TEXT*N} is TEXT N times.
# Lines that begin with # are skipped. With own_log => 1 the configuration writes %dir%/compat.log itself, in a format
# that begins with $realip_remote_port:$server_port; with own_proxy => 1 it says itself how origins are asked.
#
# differs => [ qr/line/ => reason, ... ] in the second word names lines where the two differ, and why: 'manual: WORDS'
# with words of the list in weir.conf(5), or 'nginx VERSION: WORDS' for what nginx does as weir since that version, with words
# of its CHANGES or documentation: with VERSION or a later one installed, such a row does not count. The first row that fits a
# line does, and the line fails when the two do not differ.

package Compat;
use v5.36;
use File::Find ();
use Weir ();
use Nginx;

our @logged = qw(
  status request uri args host http_host server_name server_port scheme server_protocol request_method request_uri
  body_bytes_sent bytes_sent request_length content_length content_type remote_user request_completion request_filename
  document_root is_args pipe connection_requests sent_http_content_length sent_http_location
  sent_http_transfer_encoding sent_http_content_type http_user_agent http_cookie upstream_addr upstream_status
  upstream_response_time request_time
);

my $binary = Weir->binary;

sub import ($class, @) {
    my $caller = caller;
    eval "package $caller; Weir->import; 1" or die $@;
    Weir->import;
    strict->import;
    warnings->import;
    feature->import(':5.36');
    no strict 'refs';
    *{"${caller}::compare"} = \&compare;
    Nginx->binary // Weir::skip_all('no nginx to compare with');
}

# weir under the name of nginx: the same length of its own name wherever it stands, that of its directory too.
package Compat::Weir;
use parent -norequire, 'Weir';
sub name ($class)   { 'weir_' }
sub binary ($class) { $Compat::link //= Compat::link_to($binary) }

# What nginx complains of is its own affair.
package Compat::Nginx;
use parent -norequire, 'Nginx';
sub bad_lines ($self) { () }

package Compat;

our $link;
my $link_dir;

sub link_to ($path) {
    $link_dir = File::Temp->newdir('compat-XXXXXX', TMPDIR => 1);
    symlink $path, "$link_dir/nginx" or die "symlink: $!";
    return "$link_dir/nginx";
}

sub log_format () {
    return join ' ', '$realip_remote_port:$server_port', map { "$_=[\$$_]" } @logged;
}

sub compare ($name, $option, $lines) {
    my @cases   = map { parse($_) } grep { !/^\s*(?:#|$)/ } split /\n/, $lines;
    my @differs = differs(@{ $option->{differs} // [] });
    # To origins both say HTTP/1.1 and keep connections, which has been nginx's default since 1.29.7 only.
    my $log  = "log_format compat '@{[log_format()]}';\n" . ($option->{own_log} ? '' : "access_log %dir%/compat.log compat;\n");
    my $http = $log
      . ($option->{own_proxy} ? '' : "proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n") . ($option->{http} // '');
    my %option  = (%$option, http => $http);
    my @servers = map { $_->new(%option, start => 0) } 'Compat::Weir', 'Compat::Nginx';
    for my $server (@servers) {
        $option->{prepare}->($server) if $option->{prepare};
        File::Find::find({ no_chdir => 1, wanted => sub { utime 1700000000, 1700000000, $_ unless -l } }, "$server->{dir}/html");
        $server->start;
    }
    my @results = map { [ run($_, @cases) ] } @servers;
    my @ports = map { [ map { $_->{port} } @$_ ] } @results;
    settle($servers[$_], @{ $ports[$_] }) for 0, 1;
    my @logs = map { logged($_) } @servers;
    for my $n (0 .. $#cases) {
        my $line = $cases[$n]{line};
        my @texts = map { $results[$_][$n]{text} . "\nlog: " . ($logs[$_]{ $results[$_][$n]{port} // 0 } // '') } 0, 1;
        my ($row) = grep { $line =~ $_->{lines} } @differs;
        if ($row) {
            Test::More::ok($texts[0] ne $texts[1], "$name: $line: they differ ($row->{reason})");
        }
        else {
            Test::More::ok($texts[0] eq $texts[1], "$name: $line") or Test::More::diag(difference(@texts));
        }
    }
    $_->finish for @servers;
}

# Until each connection has its line. Some get none; what is written then comes at once.
sub settle ($server, @ports) {
    for (1 .. 50) {
        my %seen = map { $_ => 1 } $server->read_file('compat.log') =~ /^(\d+:\d+) /mg;
        return unless grep { !$seen{$_} } @ports;
        select undef, undef, undef, 0.002;
    }
}

# What was read of a request that is refused before it is routed stands in the log as far as each of them had come.
my %of_refused = map { $_ => 1 } qw(status request body_bytes_sent bytes_sent upstream_addr);

sub of_refused ($line) {
    return $line unless $line =~ /^status=\[(?:400|405|409|413|414|501|505)\] /;
    return join ' ', grep { /^(\w+)=/ && $of_refused{$1} } split /(?<=\]) (?=\w+=\[)/, $line;
}

# Only the lines that are not the same.
sub difference ($ours, $theirs) {
    my @lines = map { /^(HTTP\S+ \d+)/ ? $1 : '' } $ours, $theirs;
    s/^log: .*//ms for $lines[0] ne $lines[1] ? ($ours, $theirs) : ();
    my @ours   = split /\n|(?<=\]) (?=\w+=\[)/, $ours;
    my @theirs = split /\n|(?<=\]) (?=\w+=\[)/, $theirs;
    my (%ours, %theirs);
    $ours{$_}++   for @ours;
    $theirs{$_}++ for @theirs;
    return join "\n", (map { "weir:  $_" } grep { !$theirs{$_} } @ours), (map { "nginx: $_" } grep { !$ours{$_} } @theirs);
}

# The rows that count with the installed nginx.
sub differs (@pairs) {
    my @rows;
    while (my ($lines, $reason) = splice @pairs, 0, 2) {
        my ($since) = $reason =~ /^nginx (1\.\d+\.\d+): \S/;
        next if defined $since && Nginx->is_at_least($since);
        push @rows, { lines => $lines, reason => $reason };
        defined $since || in_manual($reason) or Test::More::fail("a reason for a difference: $reason");
    }
    return @rows;
}

# A reason must be one that users can read up.
sub in_manual ($reason) {
    state $list = do {
        open my $fh, '<', 'man/weir.conf.5' or die "man/weir.conf.5: $!";
        local $/;
        my ($text) = <$fh> =~ /^\.Sh DIFFERENCES FROM NGINX\n(.*?)^\.Sh /ms;
        $text =~ s/^\.(?:Dq|Ic|Ql|Va|Pq Ic) |^\.\w+$//mgr =~ s/\s+/ /gr;
    };
    my ($words) = $reason =~ /^manual: (.+)/ or return 0;
    return index($list, $words) >= 0;
}

sub unescape ($text) {
    $text =~ s/\\\{(.+?)\*(\d+)\}/$1 x $2/ge;
    $text =~ s/\\(?:x([0-9a-fA-F]{2})|([rnt\\]))/defined $1 ? chr hex $1 : { r => "\r", n => "\n", t => "\t", '\\' => '\\' }->{$2}/ge;
    return $text;
}

sub parse ($line) {
    $line =~ s/^\s+|\s+$//g;
    my ($first, @more) = split / +\| +/, $line;
    my %case = (line => length $line > 150 ? substr($line, 0, 150) . '...' : $line, fields => []);
    if ($first =~ /^raw=(.*)/) {
        $case{raw} = unescape($1);
    }
    else {
        ($case{method}, $case{target}) = map { unescape($_) } $first =~ /^(\S+) (.*)$/ or die "a request: $line\n";
    }
    for (map { unescape($_) } @more) {
        if    (/^(body|version|host|port)=(.*)/s) { $case{$1}   = $2 }
        elsif (/^(keep|closing)$/)                { $case{$1}   = 1 }
        elsif (/^nohost$/)                        { $case{host} = undef }
        else                                      { push @{ $case{fields} }, $_ }
    }
    return \%case;
}

sub run ($server, @cases) {
    my @results;
    for my $case (@cases) {
        my $client = $server->client($case->{port} // 0) // die "no connection for $case->{line}\n";
        my @answers;
        if (defined $case->{raw}) {
            $client->write($server->expand($case->{raw}));
            while (my $answer = $client->answer) {
                push @answers, $answer;
            }
        }
        else {
            $client->send_request($case->{method}, $server->expand($case->{target}), %$case, close => !$case->{keep});
            push @answers, $client->answer;
        }
        my $text = join "\n----\n", map { Nginx::plain($server, $_) } @answers;
        # Files that the requests have made are as old as they are.
        $text =~ s{^(?:ETag: (?:W/)?"(?!6553f100)[0-9a-f]{8}-|Last-Modified: .*\b(?!2023)\d{4} .* GMT$)}{NOW }mg;
        $text .= "\n(rest: " . $client->pending . ')' if length $client->pending;
        # One port of ours may serve for connections to several of theirs.
        push @results, { text => $text, port => $client->port . ':' . $server->port($case->{port} // 0) };
        $client->close;
    }
    return @results;
}

# The lines of the access log by the client's port.
sub logged ($server) {
    my %lines;
    for my $line (split /\n/, $server->read_file('compat.log')) {
        $line =~ s/^(\d+:\d+) // or next;
        my $port = $1;
        $line = Nginx::mask($server, $line);
        # How a body is cut into chunks is each one's own affair.
        $line =~ s/\bbytes_sent=\[\K\d+/N/g, $line =~ s/\bbody_bytes_sent=\[\K\d+/N/g if $line =~ /transfer_encoding=\[chunked\]/;
        $line =~ s/_time=\[\K[^\]]*/$& =~ s{\d+\.\d+}{T}gr/ge;
        $lines{$port} .= (defined $lines{$port} ? "\n" : '') . of_refused($line);
    }
    return \%lines;
}

1;
