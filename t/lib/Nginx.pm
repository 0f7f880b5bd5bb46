# SPDX-License-Identifier: BSD-2-Clause
# Nginx.pm - the installed nginx behind the interface of Weir.pm, to compare the two with the same texts.
#
#     my ($weir, $nginx) = Nginx->beside(location => '...');    # skips the test when there is no nginx
#     Nginx::same($weir, $nginx, 'a file', 'GET', '/a.txt');    # one test: both answer alike
#
# What may differ is taken out before the comparison: ports, directories, dates, names and versions of the servers.

package Nginx;
use v5.36;
use parent -norequire, 'Weir';
use version ();
use Weir ();

sub name ($class)      { 'nginx' }
sub temporary ($class) { qw(client_body proxy fastcgi uwsgi scgi) }

sub binary ($class) {
    for my $path (map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin') {
        return $path if -x $path;
    }
    return undef;
}

# Whether the installed nginx is of this version or a later one.
sub is_at_least ($class, $wanted) {
    state $installed = `@{[$class->binary]} -v 2>&1` =~ m{nginx/([\d.]+)} ? version->parse("v$1") : die "nginx -v tells no version\n";
    return $installed >= version->parse("v$wanted");
}

sub beside ($class, %option) {
    # A file that compares is skipped as a whole.
    Test::More->builder->current_test == 0 or die "Nginx->beside goes before all tests\n";
    $class->binary // Weir::skip_all('no nginx to compare with');
    my @both = (Weir->new(%option, start => 0), $class->new(%option, start => 0));
    # ETag and Last-Modified come from the times of files.
    for my $server (@both) {
        utime 1700000000, 1700000000, map { "$server->{dir}/$_" } keys %{ $option{files} // {} };
        $server->start;
    }
    return @both;
}

# A text without the directory and the ports of the server.
sub mask ($server, $text) {
    $text =~ s/\Q$server->{dir}\E/DIR/g;
    for my $n (0 .. $#{ $server->{ports} }) {
        my $port = $server->{ports}[$n] // next;
        $text =~ s/\b$port\b/PORT$n/g;
    }
    $text =~ s{boundary=\d{20}}{boundary=BOUNDARY}g;
    return $text;
}

# An answer as text, without what is a server's own.
sub plain ($server, $answer) {
    return 'no answer' unless defined $answer;
    my @interim = map { plain($server, $_) } @{ $answer->interim };
    # Fields of one name keep their order.
    my @fields = map { "$_->[0]: $_->[1]" } sort { $a->[0] cmp $b->[0] } grep { $_->[0] ne 'Date' } @{ $answer->fields };
    my $text   = join "\n", @interim, 'HTTP/' . $answer->version . ' ' . $answer->status . ' ' . $answer->reason, @fields, '',
      $answer->body, @{ $answer->trailers }, $answer->complete ? () : '(cut)';
    $text = mask($server, $text);
    # A page with the server's name in it is as long as that name makes it.
    $text =~ s{^Content-Length: \d+$}{Content-Length: PAGE}m
      if $text =~ s{\b(?:nginx|weir)(?:/[\d.]+)?(?=</center>)}{SERVER}g;
    $text =~ s{^Server: \K(?:nginx|weir)(/\d[\d.]*)?$}{'SERVER' . ($1 ? '/VERSION' : '')}mge;
    $text =~ s{^--\d+}{BOUNDARY}mg;
    $text =~ s{^(Expires): .*GMT}{$1: DATE}mg;
    return $text;
}

# The same request to both; options as for `request`. `raw` sends these bytes instead.
sub same ($weir, $nginx, $what, $method, $target, %option) {
    my @texts;
    for my $server ($weir, $nginx) {
        my $answer = do {
            my $client = $server->client($option{port} // 0);
            if (defined $option{raw}) {
                $client->write($server->expand($option{raw}));
            }
            else {
                $client->send_request($method, $target, %option, close => !$option{keep});
            }
            $client->answer;
        };
        push @texts, plain($server, $answer);
        # The page that is not sent with HEAD is as long as the server's name makes it, too.
        $texts[-1] =~ s{^Content-Length: \d+$}{Content-Length: PAGE}m if $method eq 'HEAD' && $texts[-1] =~ m{^\S+ [45]};
    }
    my $same = $texts[0] eq $texts[1];
    Test::More::ok($same, $what) or Test::More::diag("weir:\n$texts[0]\nnginx:\n$texts[1]");
    return $same;
}

1;
