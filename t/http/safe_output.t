#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Quotes, control bytes, percent signs, markup and UTF-8 come out safe wherever names and values of clients, files and
# origins go: heads, redirects, requests to origins, pages, lists, logs.

use lib 't/lib';
use Weir;
use JSON::PP;

# Each decodes to something that ends a line, a string or a tag somewhere, and tries to bring a field along.
my %hostile = (
    'line ends'       => '%0d%0aInjected:%20yes%0d%0a%0d%0a<p>',
    'a line feed'     => 'a%0aInjected:%20yes',
    'a return'        => 'a%0dInjected:%20yes',
    'quotes'          => '%22a%27b%60c%5cd',
    'markup'          => '%3cscript%3ealert(1)%3c/script%3e%26amp;',
    'control bytes'   => '%01%08%09%0b%0c%1b%5b31m%1f%7f',
    'percent signs'   => '%2525%25%250a%25s%25n',
    'UTF-8'           => '%c3%a9%e2%82%ac%f0%9f%98%80%e2%80%a8',
    'no UTF-8'        => '%ff%fe%c0%af%ed%a0%80%c3',
    'blanks'          => '%20a%20%20b%20',
    'syntax of texts' => '$uri$1${x}{}[],;|^',
);
my %raw = (%hostile, 'raw UTF-8' => "\xc3\xa9", 'raw bytes' => "\xff\xfe", 'raw quotes' => "\"'`\\<>&%25");

my $origin = Origin->new('/to' => { status => 302, fields => ["Location: /x?\"<\xc3\xa9>"] }, '*' => { echo => 1 });

my @names = ("quote\"'`.txt", 'tag<script>&amp;', "control\x01\x1b\x0b\x7f", "line\nfeed\rreturn\ttab", 'percent%41%%', "utf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "bad\xff\xfe\xc3",
    'back\\slash', ' blank ', 'a?b#c;d', '{json}[x],', ']]>', '<!--', "\xe2\x80\xa8separator");
my $weir = Weir->new(
    allow => qr/\[crit\].*(?:stat|open)\(/,    # names that no file system takes
    files => { map { ("html/list/$_/f" => 'x') } @names },
    http  => <<'CONF',
log_format mine '$remote_addr "$request" "$uri" "$args" "$arg_a" "$http_x_h" "$cookie_c" "$remote_user" "$sent_http_x_uri" "$sent_http_location"';
log_format own escape=json '{"uri":"$uri","args":"$args","arg":"$arg_a","field":"$http_x_h","user":"$remote_user","location":"$sent_http_location"}';
access_log %dir%/default.log mine;
access_log %dir%/own.log own;
access_log %dir%/json.log json;
error_log %dir%/error.json info format=json;
error_log %dir%/error.log info;
CONF
    server => <<CONF,
        server_name localhost;
        rewrite_log on;
        location /return/   { return 302 \$uri; }
        location /returnarg/ { return 302 /x?a=\$uri; }
        location /host/     { return 302 http://\$host\$uri; }
        location /text/     { default_type text/plain; return 200 "\$uri"; }
        location /rewrite/  { rewrite ^/rewrite/(.*) /to/\$1 redirect; }
        location /args/     { rewrite ^/args/(.*) /to?q=\$1 permanent; }
        location /inner/    { rewrite ^/inner/(.*) /text/\$1?q=\$1 last; }
        location /page/     { error_page 404 =301 http://other.test\$uri; return 404; }
        location /pageuri/  { error_page 404 /list\$uri; return 404; }
        location /field/    { add_header X-Uri \$uri always; add_header X-Arg \$arg_a always; add_header X-Field \$http_x_h always; return 204; }
        location /expires/  { expires \$uri; return 200 x; }
        location /cookie/   { add_header Set-Cookie "a=\$uri"; return 200 x; }
        location /slash     { location /slash/ { proxy_pass $origin->{url}; } }
        location /pass/     { proxy_pass $origin->{url}; }
        location /passuri/  { proxy_pass $origin->{url}/base/; }
        location /passvar/  { proxy_pass $origin->{url}\$uri?q=\$uri; }
        location /passbad/  { proxy_set_header X-Uri \$uri; proxy_pass $origin->{url}; }
        location /back/     { proxy_redirect / /back\$uri/; proxy_pass $origin->{url}/to; }
        location /list/     { alias %dir%/html/list/; autoindex on; }
        location /xml/      { alias %dir%/html/list/; autoindex on; autoindex_format xml; }
        location /json/     { alias %dir%/html/list/; autoindex on; autoindex_format json; }
        location /jsonp/    { alias %dir%/html/list/; autoindex on; autoindex_format jsonp; }
        location /denied/   { deny all; }
        location /missing/  { }
        location /log/      { access_log %dir%/logs/\$arg_a mine; return 200; }
CONF
);
chmod 0777, $weir->dir . '/logs';

# What is wrong with an answer as it came: a head of proper lines and nothing that was brought along.
sub wrong ($raw) {
    my ($head, $rest) = split /\r\n\r\n/, $raw, 2;
    defined $rest or return 'no head';
    my ($first, @lines) = split /\r\n/, $head, -1;
    $first =~ m{^HTTP/1\.1 [2-5]\d\d [ -~]+$} or return "the line $first";
    for my $line (@lines) {
        $line =~ /^[A-Za-z][A-Za-z0-9-]*: [\t \x21-\x7e\x80-\xff]*$/ or return "a line $line";
        $line =~ /^Injected/i and return 'a field more';
    }
    $head =~ /^Content-Length: (\d+)/m && length $rest != $1 and return 'an answer more';
    $head =~ m{^Content-Type: text/html}m && $rest =~ /<script|<p>|alert\(1\)<|\x1b/ and return 'markup of the client in a page';
    return '';
}

my @paths = qw(return returnarg host text rewrite args inner page pageuri field expires cookie pass passuri passvar back list missing denied xml);
for my $path (@paths) {
    my @bad;
    for my $what (sort keys %raw) {
        my $value = $raw{$what};
        for my $target ("/$path/$value", "/$path/x?a=$value", "/$path/$value/?$value") {
            my $raw = $weir->raw("GET $target HTTP/1.1\r\nHost: localhost\r\nX-H: \"\\ \xc3\xa9\xff<p>'%0a\r\nConnection: close\r\n\r\n");
            my $why = wrong($raw // '');
            push @bad, "$what: $target: $why" if $why && $raw;
            push @bad, "$what: $target: no answer" unless $raw;
        }
    }
    is(join("\n", @bad), '', "/$path/: heads and pages");
}

# What an origin gets is one request each, whatever was in it.
my @odd = grep { $_->{head} !~ m{\A[A-Z]+ \S+ HTTP/1\.[01]\r\n(?:[A-Za-z-]+:[\t \x21-\x7e\x80-\xff]*\r\n)*\r\n\z} || $_->{head} =~ /^Injected/m } $origin->requests;
is(scalar @odd, 0, 'requests to the origin are whole') or diag($odd[0]{head});
$origin->forget;
for my $what (sort keys %hostile) {
    my $answer = $weir->get("/passbad/$hostile{$what}");
    my ($got) = $origin->requests;
    ok($answer->status == 500 && !$got || $got->{head} !~ /^Injected/m, "a field for the origin with $what: sent whole or not at all");
    $origin->forget;
}

# Directories of all names are redirected to, and found there again.
for my $name (@names) {
    my $encoded = join '', map { sprintf '%%%02X', ord } split //, $name;
    my $answer  = $weir->get("/list/$encoded");
    is($answer->status, 301, 'a directory: ' . JSON::PP->new->latin1->allow_nonref->encode($name));
    my ($path) = ($answer->field('Location') // '') =~ m{^http://localhost:\d+(/list/[!#-;=?-\[\]-~\x80-\xff]+/)$};
    ok(defined $path, 'its redirect is a clean URI') or diag($answer->field('Location'));
    is($weir->get($path // '/')->status, 200, 'that leads to it');
}
is($weir->get('/slash?' . $hostile{'line ends'})->field('Location'), 'http://localhost:' . $weir->port . '/slash/?' . $hostile{'line ends'},
    'a slash is added to what came');

# Lists.
my $html = $weir->get('/list/')->body;
unlike($html, qr/<script|<!--|[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]/, 'no markup and no control bytes in a page');
my @links = $html =~ m{<a href="([^"]*)">}g;
is(scalar @links, 1 + @names, 'a link for each name');
is(scalar(grep { !m{^(?:\.\./|[A-Za-z0-9%._~!\$&'()*+,:;=\@\[\]{}|^-]+/)$} || /%(?![0-9A-F]{2})/ } @links), 0, 'links are clean')
  or diag(join "\n", @links);
is(scalar(grep { $weir->get("/list/$_")->status != 200 } grep { !/^\.\./ } @links), 0, 'and lead there');
my $xml = $weir->get('/xml/')->body;
my @entries = $xml =~ m{<directory mtime="[^"<&]+">([^<]*)</directory>}g;
is(scalar @entries, scalar @names, 'XML: an entry for each name');
unlike(join('', @entries), qr/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-f]+);)|[\x00-\x08\x0b\x0c\x0e-\x1f]/i, 'nothing in them breaks it');
ok(utf8::decode(my $copy = $xml), 'and it is UTF-8');
for my $format ('json', 'jsonp') {
    my $body = $weir->get("/$format/" . ($format eq 'jsonp' ? '?callback=f' : ''))->body;
    $body =~ s/^.*?\bf\((.*)\);?\s*$/$1/s if $format eq 'jsonp';
    my $list = eval { JSON::PP->new->utf8->decode($body) };
    is(ref $list && scalar @$list, scalar @names, "$format can be parsed and has each name") or diag($@);
    my %seen = map { $_->{name} => 1 } @{ $list // [] };
    is(scalar(grep { my $n = $_; utf8::decode($n); !$seen{$n} } grep { !/bad/ } @names), 0, 'as it is');
}
is($weir->get("/jsonp/?callback=$_")->status, 400, "$_ is no name of a function") for '%3cscript%3e', 'a(b)', 'a%0ab', "\xc3\xa9", 'alert`1`';

# Logs: one line for a request, each whole.
$weir->raw("GET /\x01\"\x7f\xff HTTP/1.1\r\nHost: localhost\r\n\r\n");
$weir->raw("\x16\x03\x01\"\x00<\r\n\r\n");
$weir->raw("GET /missing/ HTTP/1.1\r\nHost: a\"b\r\n\r\n");
$weir->get('/missing/x', fields => [ 'Authorization: Basic Ig1cCiVzOnA=', "Cookie: c=\"\\\xff", "Referer: \"<\x{e9}>\\" ]);
my @escapes = grep { $weir->get("/log/?a=$_"); -e $weir->dir . "/logs/../$_" || -e '/tmp/weir-escaped' } '../escaped', '/tmp/weir-escaped', '..%2fescaped', 'a%00b';
is("@escapes", '', 'no log is written elsewhere');
my (undef, $state) = $weir->ctl('status');
unlike($state, qr/[\x00-\x08\x0b-\x1f\x7f]|Injected/, 'weirctl status: text only');
$weir->stop('QUIT');

my @default = split /\n/, $weir->read_file('default.log'), -1;
pop @default;
is(scalar(grep { !m{^127\.0\.0\.1(?: "(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\x[0-9A-F]{2})*"){9}$} } @default), 0, 'lines of the default escaping: printable, quotes where they belong')
  or diag((grep { !m{^127\.0\.0\.1(?: "(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\x[0-9A-F]{2})*"){9}$} } @default)[0]);
for my $log ('own.log', 'json.log', 'error.json') {
    my @lines = split /\n/, $weir->read_file($log), -1;
    is(pop @lines, '', "$log: ends with a line end");
    cmp_ok(scalar @lines, '>', 300, "$log: has lines");
    my @bad = grep { /[\x00-\x1f]/ || !eval { JSON::PP->new->utf8->decode($_) } } @lines;
    is(scalar @bad, 0, "$log: each line is JSON") or diag($bad[0]);
}
my @errors = split /\n/, $weir->error_log;
is(scalar(grep { !m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: [^\x00-\x1f\x7f]+$} } @errors), 0, 'error log: whole lines without control bytes')
  or diag((grep { !m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: [^\x00-\x1f\x7f]+$} } @errors)[0]);

# A configuration's bytes do not reach the terminal either.
my $odd = Weir->new(start => 0, server => "\x1b[31mbad\x07 x; location /\x1b]0;t\x07 { root; }");
my ($status, $text) = $odd->run_weir('-t');
ok($status != 0, 'a configuration with control bytes is refused');
unlike($text, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'and the message has none of them');

done_testing;
