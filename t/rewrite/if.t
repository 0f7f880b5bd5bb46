#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# if: conditions, and which settings hold afterwards, surprises included; set and break.

use lib 't/lib';
use Weir;
use Nginx;
use Origin;

my $origin = Origin->new('*' => { body => 'from the origin' });
my %config = (
    main  => 'error_log %dir%/error.log notice;',
    files => { 'html/f.txt' => "file\n", 'html/dir/g.txt' => "g\n", 'html/x' => 'x' },
    http  => 'map $arg_m $mapped { default ""; ~(y)(z) "map $1"; }',
    server => <<"CONF" =~ s/ORIGIN/$origin->{url}/gr,
        if (\$http_mark)  { set \$mark "\$http_mark"; }
        if (\$http_deny)  { return 403 "server\\n"; }
        if (\$http_move)  { rewrite ^ /v/moved; }
        if (\$http_once)  { set \$mark once; break; set \$mark twice; }
        location /test {
            set \$r "";
            if (\$arg_a)              { set \$r "\${r}A"; }
            if (\$arg_a = "x")        { set \$r "\${r}B"; }
            if (\$arg_a != "x")       { set \$r "\${r}C"; }
            if (\$arg_a ~ ^x)         { set \$r "\${r}D"; }
            if (\$arg_a ~* "^x")      { set \$r "\${r}E"; }
            if (\$arg_a !~ ^x)        { set \$r "\${r}F"; }
            if (\$arg_a !~* ^(x))     { set \$r "\${r}G"; }
            if (\$arg_a = \$arg_b)    { set \$r "\${r}H"; }
            if ( \$arg_a )            { set \$r "\${r}I"; }
            if ( \$arg_a = x )        { set \$r "\${r}J"; }
            if (\$arg_a ~ "(.*)b(.*)") { set \$r "\${r}K\$1-\$2"; }
            if (\$arg_a = "")         { set \$r "\${r}L"; }
            if (\$arg_a ~ (y|z))      { set \$r "\${r}M\$1"; }
            if (\$late)               { set \$r "\${r}N"; }
            return 200 "\$r\\n";
            set \$late 1;
        }
        location /file {
            set \$r "";
            if (-f \$document_root\$arg_p)  { set \$r "\${r}f"; }
            if (!-f \$document_root\$arg_p) { set \$r "\${r}F"; }
            if (-d \$document_root\$arg_p)  { set \$r "\${r}d"; }
            if (!-d \$document_root\$arg_p) { set \$r "\${r}D"; }
            if (-e \$document_root\$arg_p)  { set \$r "\${r}e"; }
            if (!-e \$document_root\$arg_p) { set \$r "\${r}E"; }
            if (-x \$document_root\$arg_p)  { set \$r "\${r}x"; }
            if (!-x \$document_root\$arg_p) { set \$r "\${r}X"; }
            if (-f "")                      { set \$r "\${r}0"; }
            return 200 "\$r\\n";
        }
        location /later     { add_header A 1; if (\$arg_a) { add_header B 2; } return 200 "\$mark\\n"; }
        location /two       { add_header A 1; if (\$arg_a) { add_header B 2; } if (\$arg_b) { add_header C 3; } return 200; }
        location /bare      { add_header A 1; if (\$arg_a) { set \$x 1; } return 200; }
        location /root      { add_header A 1; root %dir%; if (\$arg_a) { add_header B 2; root %dir%/html/dir; }
                              rewrite ^ /g.txt break; }
        location /ends      { if (\$arg_a) { add_header B 1; break; } if (\$arg_b) { add_header C 1; }
                              rewrite ^ /f.txt break; }
        location /try       { try_files /f.txt =404; if (\$arg_a) { set \$x 2; } }
        location /flags     { if (\$arg_a) { rewrite ^ /v/7 last; } if (\$arg_b) { rewrite ^ /v/7b; } return 200 none; }
        location /content   { add_header A 1; proxy_pass ORIGIN; if (\$arg_a) { add_header B 1; } if (\$arg_e) { return 402; } }
        location /replaced  { proxy_pass ORIGIN; if (\$arg_a) { set \$x 1; rewrite ^ /v/x break; } }
        location /inner     { if (\$arg_a) { proxy_pass ORIGIN; } return 200 outer; }
        location /expires   { expires 1h; if (\$arg_a) { expires 2h; } if (\$arg_b) { add_header B 1; }
                              rewrite ^ /f.txt break; }
        location /error     { if (\$arg_a) { error_page 404 =200 /v/error; } rewrite ^ /nothing break; }
        location /args      { set \$args "q=\$uri&\$args"; return 200 "\$args|\$arg_q|\$is_args|\$query_string|\$request_uri\\n"; }
        location /noargs    { set \$args ""; return 200 "\$args|\$arg_q|\$is_args|\$query_string|\$request_uri\\n"; }
        location /rate      { set \$limit_rate 10k; return 200 "\$limit_rate\\n"; }
        location /badrate   { set \$limit_rate x; return 200 "\$limit_rate\\n"; }
        location /named     { if (\$uri ~ "^/(.)amed/(?<name>.*)\$") { set \$c \$1; } return 200 "\$c \$name \$1\\n"; }
        location /fields    { set \$http_foo "x\$http_foo"; set \$arg_a "y\$arg_a"; return 200 "\$http_foo \$arg_a\\n"; }
        location /captures  { if (\$uri ~ "/captures/(.*)/(.*)") { set \$a \$1; } if (\$arg_x ~ (z)) { set \$b \$1; }
                              return 200 "\$a-\$b-\$1-\$2\\n"; }
        location /mapped    { set \$a "\$mapped"; return 200 "\$a \$1 \$2\\n"; }
        location /unset     { return 200 "x\$un\\n"; set \$un 1; }
        location /quiet     { uninitialized_variable_warn off; return 200 "x\$un\\n"; }
        location /chain     { set \$a 1; set \$b "\$a\$a"; set \$a "\$b\$a"; return 200 "\$a \$b\\n"; }
        location /v/        { return 200 "\$uri|\$args|\$mark\\n"; }
CONF
);
my ($weir, $nginx) = Nginx->beside(%config);
chmod 0755, "$_->{dir}/html/x" for $weir, $nginx;
symlink '/nowhere', "$_->{dir}/html/dangling" for $weir, $nginx;

my @requests = grep { length } split /\n/, <<'END';
/test
/test?a=0
/test?a=00
/test?a=x&b=x
/test?a=X&b=x
/test?a=abc
/test?a=y
/file?p=/f.txt
/file?p=/x
/file?p=/dir
/file?p=/dir/
/file?p=/nope
/file?p=/f.txt/x
/file?p=/dangling
/later
/later?a=1
/two?a=1
/two?a=1&b=1
/two?b=1
/bare?a=1
/root
/root?a=1
/ends
/ends?a=1
/ends?b=1
/ends?b=1&a=1
/try
/try?a=1
/flags
/flags?a=1
/flags?b=1
/content
/content?a=1
/content?e=1
/replaced
/replaced?a=1
/inner
/inner?a=1
/expires
/expires?a=1
/expires?a=1&b=1
/error
/error?a=1
/args?x=1
/noargs?x=1
/rate
/badrate
/named/foo
/fields?a=1
/captures/1/2
/captures/1/2?x=z
/mapped?m=yz
/unset
/quiet
/chain
END
Nginx::same($weir, $nginx, $_, 'GET', $_) for @requests;
for my $field ('Mark: m', 'Deny: 1', 'Move: 1', 'Once: 1', 'Foo: bar') {
    Nginx::same($weir, $nginx, "/later with $field", 'GET', '/later', fields => [$field]);
    Nginx::same($weir, $nginx, "/fields with $field", 'GET', '/fields', fields => [$field]);
}

sub lines ($server) {
    return [ sort $server->error_log =~ /\[(?:warn|error)\] \S+ \*\d+ (using .*?|invalid .*?), client/g ];
}
is_deeply(lines($weir), lines($nginx), 'warnings of values that were never set');
ok(@{ lines($weir) } > 3, 'there are some');

for (
    [ 'if $uri { }',               qr/invalid condition "\$uri" in / ],
    [ 'if (uri) { }',              qr/invalid condition "uri" in / ],
    [ 'if ($uri = a b) { }',       qr/invalid condition "\$uri" in / ],
    [ 'if ($uri ==) { }',          qr/invalid condition "\$uri" in / ],
    [ 'if ($uri == x) { }',        qr/unexpected "==" in condition in / ],
    [ 'if ($uri && $args) { }',    qr/unexpected "&&" in condition in / ],
    [ 'if ($uri ~ "(") { }',       qr/pcre2_compile\(\) failed: .* in "\(" in / ],
    [ 'if (-f) { }',               qr/invalid condition "-f" in / ],
    [ 'if (-z $uri) { }',          qr/invalid condition "-z" in / ],
    [ 'if () { }',                 qr/invalid condition "/ ],
    [ 'if (!$uri) { }',            qr/invalid condition "!\$uri" in / ],
    [ 'if ($nothing_of) { }',      qr/unknown "nothing_of" variable in / ],
    [ 'if ("$uri" = x) { }',       qr/invalid condition ""\$uri"" in / ],
    [ 'set a b;',                  qr/invalid variable name "a" in / ],
    [ 'set $ b;',                  qr/invalid variable name "\$" in / ],
    [ 'set $uri b;',               qr/the duplicate "uri" variable in / ],
    [ 'break x;',                  qr/invalid number of arguments in "break" directive in / ],
    [ 'if ($uri = x) { root x; }', qr/"root" directive is not allowed here in / ],
    [ 'location / { if ($uri) { if ($args) { } } }', qr/"if" directive is not allowed here in / ],
  )
{
    my ($line, $message) = @$_;
    my $other = Weir->new(server => $line, start => 0);
    like(($other->run_weir('-t'))[1], $message, $line);
}

done_testing;
