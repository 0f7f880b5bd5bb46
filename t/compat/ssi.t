#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Server side includes: pages with commands, right and wrong, come out as nginx has them.

use lib 't/lib';
use Nginx;
use Weir;

# Pages are below, one after the other; what stands behind "=>" is what weir makes of one where it differs on purpose.
my (@pages, %differs);
for my $text (split /^%%\n/m, join '', <DATA>) {
    my ($page, $ours) = split /^=> ?/m, $text, 2;
    chomp $page;
    push @pages, $page;
    $differs{$page} = $ours =~ s/\n\z//r if defined $ours;
}
my %files = (
    'html/inc.html'  => '[inc]', 'html/sub/x.html' => '[x]', 'html/inc.txt' => '[txt]', 'html/none.html' => '', 'html/plain.css' => '<!--# echo var="uri" -->',
    'html/loop.html' => 'L<!--# include virtual="/loop.html" -->M', 'html/err.html' => '<!--# foo -->', 'html/raw.html' => '<!--# echo var="uri" -->',
    'html/set.html'  => '<!--# set var="inner" value="I" -->[outer=<!--# echo var="outer" -->]',
    'html/q.html'    => '[<!--# echo var="query_string" -->|<!--# echo var="uri" -->|<!--# echo var="request_uri" -->|<!--# echo var="request_method" -->]',
    'html/set1.html' => '<!--# if expr="$arg_m = /(x)/" -->S<!--# endif -->', 'html/empty.html' => '<!--# include virtual="" -->|<!--# include file="" -->', 'html/date.html' => '<!--# echo var="date_gmt" -->',
    'html/stubs.html' => '<!--# block name="c" -->C<!--# endblock -->(<!--# include virtual="/page404" stub="b" -->)',
    'html/big.html'   => join('', map { sprintf "%06d <b>text</b> <!--# echo var=\"arg_a\" --><!-- no command -->\n", $_ } 1 .. 4000) . '<!--# include virtual="/inc.html" -->',
    'html/many.html'  => join('', map { qq(<!--# include virtual="/inc.html" -->$_<!--# include virtual="/o/ok" -->\n) } 1 .. 150),
);
$files{"html/page$_.html"} = $pages[$_] for 0 .. $#pages;
my @html   = (content_type => 'text/html');
my $paged  = qq(a<!--# echo var="uri" -->b<!--# include virtual="/inc.html" -->c<!-- x --><!- <!--# if expr="\$arg_a" -->d<!--# else -->e<!--# endif -->);
my $origin = Origin->new(
    '/o/ok' => { body => '[ok]' }, '/o/500' => { status => 500, body => 'five' }, '/o/empty' => { body => '' }, '/o/drop' => { drop => 1 },
    '/o/cut' => { body => 'cut', length => 100, cut => 1 }, '/o/ssi' => { body => '<!--# echo var="uri" -->', @html },
    '/o/302' => { status => 302, body => 'moved', fields => ['Location: /x'] }, '/o/slow' => { pieces => [ 'sl', 'ow' ], pause => 0.1 },
    '/o/page' => { body => $paged, @html }, '/o/bytes' => { chunks => [ split //, $paged ], @html }, '/o/xhtml' => { body => $paged, content_type => 'application/xhtml+xml' },
    '/o/tagged' => { body => $paged, @html, fields => [ 'ETag: "x"', 'Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT', 'Accept-Ranges: bytes' ] },
    '/o/gzip' => { body => $paged, @html, fields => ['Content-Encoding: gzip'] }, '/o/404p' => { status => 404, body => $paged, @html },
    '*' => { status => 404, body => 'o404' },
);
my ($weir, $nginx) = Nginx->beside(
    files  => \%files,
    http   => 'types { text/html html; text/plain txt; text/css css; } map $arg_m $m { default "map:$arg_m"; }',
    server => <<CONF,
        ssi on;
        set \$conf "C<&>\\"'";
        location / { }
        location /sub/ { }
        location = /page404 { return 404; }
        location = /ret { default_type text/html; return 200 "ret <!--# echo var='uri' -->"; }
        location = /int { internal; return 200 "internal"; }
        location = /302 { return 302 /x; }
        location = /204 { return 204; }
        location = /post { default_type text/html; return 200 "<!--# include virtual='/q.html' -->"; }
        location /o/ { proxy_pass $origin->{url}; }
        location /stream/ { proxy_pass $origin->{url}/o/; proxy_buffering off; }
        location /silent/ { ssi_silent_errors on; alias %dir%/html/; }
        location /short/ { ssi_value_length 8; alias %dir%/html/; }
        location /off/ { ssi off; alias %dir%/html/; }
        location /css/ { ssi_types text/css; alias %dir%/html/; }
        location /any/ { ssi_types *; alias %dir%/html/; }
        location /modified/ { ssi_last_modified on; alias %dir%/html/; location /modified/o/ { proxy_pass $origin->{url}/o/; } }
        location /if/ { ssi off; if (\$arg_on) { ssi on; } alias %dir%/html/; }
        location /error/ { error_page 404 /raw.html; }
        location /sub-filter/ { alias %dir%/html/; sub_filter uri request_method; sub_filter inc off; sub_filter_once off; }
CONF
    allow => qr/SSI|upstream|unsafe URI|subrequests cycle|stub|invalid|regex|pcre2|"if" command|encoding|inclusion|closed|parameter/,
);

# The words of a page without those of the server.
sub body ($server, $path) {
    my $answer = $server->get($path) // return 'no answer';
    return $answer->body =~ s/\r//gr =~ s/<hr><center>.*?<\/center>//gr . ($answer->complete ? '' : '(cut)');
}
# Asked first: with more pages in its memory, nginx 1.22 may take this for an error instead.
is(body($weir, '/empty.html'), body($nginx, '/empty.html'), 'no text at all is the directory of the page');
for my $n (0 .. $#pages) {
    my ($page, $path) = ($pages[$n], "/page$n.html?a=1&m=x&e=");
    my $what = $page =~ s/\n/\\n/gr;
    if (exists $differs{$page}) {
        is(body($weir, $path), $differs{$page}, "weir differs: $what");
        next;
    }
    my ($ours, $its) = (body($weir, $path), body($nginx, $path));
    $ours = body($weir, $path) if $ours ne $its && $page =~ /date/;    # a second has passed between them
    is($ours, $its, $what);
}
for my $prefix ('/silent', '/short') {
    is(body($weir, "$prefix/page$_.html?a=1"), body($nginx, "$prefix/page$_.html?a=1"), "$prefix: $pages[$_]")
      for grep { $pages[$_] =~ /foo|var="x"|errmsg="ERR"/ && !exists $differs{ $pages[$_] } } 0 .. $#pages;
}
Nginx::same($weir, $nginx, $_, 'GET', $_)
  for qw(/inc.html /none.html /inc.txt /plain.css /css/plain.css /css/inc.html /any/plain.css /any/inc.txt /modified/inc.html /modified/o/tagged /if/raw.html
  /if/raw.html?on=1 /error/x /missing /302 /204 /ret /big.html?a=1 /sub-filter/raw.html /sub-filter/page1.html),
  map { ("/o/$_?a=1", "/stream/$_") } qw(page bytes xhtml tagged gzip 404p 302 empty cut);
is(body($weir, '/many.html'), body($nginx, '/many.html'), 'many includes');
for my $path ('/raw.html', '/modified/raw.html', '/inc.txt', '/o/tagged') {
    my ($ours, $its) = map { $_->head($path) } $weir, $nginx;
    is($ours->field($_), $its->field($_), "HEAD $path: $_") for qw(Content-Length Content-Type ETag Last-Modified Accept-Ranges);
}
Nginx::same($weir, $nginx, 'a range', 'GET', '/raw.html', fields => ['Range: bytes=0-3']);
Nginx::same($weir, $nginx, "If-Modified-Since, $_", 'GET', $_, fields => ['If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT']) for qw(/inc.html /modified/inc.html);
Nginx::same($weir, $nginx, "If-None-Match, $_", 'GET', $_, fields => ['If-None-Match: "6553f100-5"']) for qw(/inc.html /modified/inc.html);
Nginx::same($weir, $nginx, 'HTTP/1.0', 'GET', '/raw.html', version => '1.0');
Nginx::same($weir, $nginx, 'POST', 'POST', '/post?a=b', body => 'c=d');

done_testing;
__DATA__
a<!--#echo var="a" -->b
%%
<!--# echo var="arg_a" -->
%%
<!--# echo var="nothing" -->
%%
<!--# echo var="nothing" default="" -->
%%
<!--# echo var="nothing" default="D" -->|<!--# echo default="<D>" var="nothing" -->
%%
<!--# echo var="arg_e" default="D" -->|
%%
<!--# echo var="arg_zz" default="D" -->|
%%
<!--# echo var="conf" -->|<!--# echo var="conf" encoding="none" -->|<!--# echo var="conf" encoding="url" -->|<!--# echo var="conf" encoding="entity" -->|<!--# echo encoding="none" var="conf" -->|<!--# echo var="conf" encoding="foo" -->|
=> C&lt;&amp;&gt;&quot;&#39;|C<&>"'|C%3C&%3E%22%27|C&lt;&amp;&gt;&quot;&#39;|C<&>"'|C&lt;&amp;&gt;&quot;&#39;|
%%
<!--# ECHO VAR="arg_a" -->
%%
<!--# echo VAR="arg_a" -->
%%
<!--# echo var="ARG_A" -->
%%
<!--# echo var=arg_a -->x
%%
<!--# echo var='arg_a' -->x
%%
<!--# echo var="arg_a"-->x
%%
<!--#echo  var = "arg_a"  -->x
%%
<!--# echo var ="arg_a" -->x
%%
<!--# echo var="arg_a" foo="b" -->x
%%
<!--# echo -->x
%%
<!--# foo bar="x" -->x
%%
<!--# -->x
=> [an error occurred while processing the directive]x
%%
<!--#-->x
=> [an error occurred while processing the directive]x
%%
<!--#echo var="arg_a" x
=> <!--#echo var="arg_a" x
%%
<!--#echo var="arg_a
=> <!--#echo var="arg_a
%%
<!--#ec
=> <!--#ec
%%
<!-
=> <!-
%%
<!--
=> <!--
%%
<!-- comment --> <!--x# echo -->
%%
<<!--# echo var="arg_a" --><!<!--# echo var="arg_a" --><!-<!--# echo var="arg_a" --><!--<!--# echo var="arg_a" -->
%%
<!--# echo var="arg_a" --
=> <!--# echo var="arg_a" --
%%
<!--# echo var="arg_a" -- >x
=> <!--# echo var="arg_a" -- >x
%%
<!--# echo var="arg_a" ->x<!--# echo var="arg_a" -->
%%
<!--# echo var="arg_a" --->x
=> [an error occurred while processing the directive]x
%%
<!--# echo var="nothing" default="a-->b" -->x
%%
<!--# echo var="nothing" default="a\"b" -->x
%%
<!--# echo var="nothing" default="a\\b\n\$c$d" -->x
%%
<!--# echo var="nothing" default="$arg_a ${arg_m}x" -->x
%%
<!--# set var="x" value="1" --><!--# echo var="x" -->
%%
<!--# set var="x" value="$arg_a-${arg_m}-$nothing" --><!--# echo var="x" -->
%%
<!--# set var="x" value="a\$b\"c'd" --><!--# echo var="x" encoding="none" -->
%%
<!--# set var="X" value="1" --><!--# echo var="x" --><!--# echo var="X" -->
%%
<!--# set value="1" var="x" --><!--# echo var="x" -->
%%
<!--# set var="x" -->y<!--# set value="x" -->z
%%
<!--# set var="x" value="" -->[<!--# echo var="x" default="D" -->]
%%
<!--# set var="uri" value="mine" --><!--# echo var="uri" -->
%%
<!--# set var="arg_a" value="mine" --><!--# echo var="arg_a" -->
%%
<!--# set var="conf" value="mine" --><!--# echo var="conf" -->
%%
<!--# set var="x" value="$(y" --><!--# echo var="x" -->
%%
<!--# set var="x" value="${arg_a" --><!--# echo var="x" -->
%%
<!--# set var="x" value="$" --><!--# echo var="x" -->
%%
<!--# set var="x" value="a$" --><!--# echo var="x" -->
%%
<!--# set var="x" value="$-y" --><!--# echo var="x" -->
%%
<!--# set var="x" value="${}y" --><!--# echo var="x" -->
%%
<!--# echo var="arg_a" var="arg_m" -->
%%
<!--# echo var="" -->x
%%
<!--# config errmsg="ERR" --><!--# foo -->
%%
<!--# config errmsg="" -->[<!--# foo -->]
=> []
%%
<!--# config foo="ERR" -->x
%%
<!--# config -->x
%%
<!--# config timefmt="%Y" --><!--# echo var="date_gmt" -->|<!--# echo var="date_local" -->|<!--# echo var="DATE_GMT" -->
%%
<!--# config timefmt="" -->[<!--# echo var="date_gmt" -->]
=> [(none)]
%%
<!--# config timefmt="%%%q%" -->[<!--# echo var="date_gmt" -->]
%%
<!--# echo var="0" --><!--# echo var="1" -->
%%
x<!--#
 echo
	var="arg_a"
-->y
%%
x<!--# echo var="arg_a" --><!--# echo var="arg_m" -->y
%%
<!--# echovar="arg_a" -->y
%%
<!--# echo var="arg_a"default="x" -->y
%%
<!--# ec-ho var="arg_a" -->y
%%
<!--# echo v@r="arg_a" -->y
%%
<!--# echo <b>var="arg_a" -->y
%%
<!--# verylongcommandnamethatgoeson var="x" -->y
%%
<!--# echo verylongparameternamethatgoeson="x" -->y
%%
<!--# echo var="verylongvariablenamethatgoeson" -->y
%%
<!--# echo var="conf" encoding="none" -->|<!--# echo var="conf" -->|<!--# echo var="conf" encoding="url" -->|<!--# echo var="conf" -->
=> C<&>"'|C&lt;&amp;&gt;&quot;&#39;|C%3C&%3E%22%27|C&lt;&amp;&gt;&quot;&#39;
%%
<!--# include file="inc.html" -->|<!--# include virtual="/inc.html" -->|<!--# include virtual="inc.html" -->
%%
<!--# include file="sub/x.html" -->|<!--# include file="/sub/x.html" -->|<!--# include file="./inc.html" -->|<!--# include file="sub/../inc.html" -->|<!--# include file="../inc.html" -->
%%
<!--# include virtual="sub/../inc.html" -->|<!--# include virtual="../inc.html" -->|<!--# include virtual="/../inc.html" -->
%%
<!--# include virtual="/q.html" -->|<!--# include virtual="/q.html?x=y&z" -->|<!--# include file="q.html?x=y" -->|<!--# include virtual="q.html?x=$arg_a" -->
%%
<!--# include virtual="/%71.html" -->|<!--# include virtual="/q%2ehtml?%41" -->|<!--# include virtual="/q%00" -->
%%
<!--# include -->|<!--# include file="$nothing" -->|<!--# include virtual="$nothing" -->|<!--# include virtual="$arg_e" -->|<!--# include virtual="/inc.html" file="inc.html" -->
%%
<!--# include virtual="/missing.html" -->|x
%%
<!--# include virtual="/page404" -->|<!--# include virtual="/302" -->|<!--# include virtual="/204" -->|<!--# include virtual="/int" -->
%%
<!--# include virtual="/o/ok" -->|<!--# include virtual="/o/500" -->|<!--# include virtual="/o/empty" -->|<!--# include virtual="/o/drop" -->|<!--# include virtual="/o/302" -->|<!--# include virtual="/o/404" -->|
%%
<!--# include virtual="/o/cut" -->|x
%%
<!--# include virtual="/o/ssi" -->|<!--# include virtual="/ret" -->|<!--# include virtual="/inc.txt" -->
%%
<!--# include virtual="/none.html" -->|<!--# include virtual="/$arg_m.html" -->|<!--# include virtual="/${nothing}inc.html" -->
%%
<!--# include virtual="/loop.html" -->
%%
<!--# block name="b" -->[B <!--# echo var="uri" -->]<!--# endblock -->1<!--# include virtual="/none.html" stub="b" -->2<!--# include virtual="/missing.html" stub="b" -->3<!--# include virtual="/inc.html" stub="b" -->4<!--# include virtual="/none.html" stub="c" -->5
=> 1[B /none.html]2[B /missing.html]3[inc]4[an error occurred while processing the directive]5
%%
<!--# block name="b" -->[B]<!--# endblock --><!--# include virtual="/o/500" stub="b" -->|<!--# include virtual="/o/empty" stub="b" -->|<!--# include virtual="/o/drop" stub="b" -->|<!--# include virtual="/page404" stub="b" -->|<!--# include virtual="/204" stub="b" -->
=> five|[B]|[B]|[B]|[B]
%%
<!--# block -->x<!--# endblock -->y
%%
<!--# block name="b" -->x
%%
x<!--# endblock -->y
%%
<!--# block name="a" -->A<!--# block name="b" -->B<!--# endblock -->C<!--# endblock --><!--# include virtual="/none.html" stub="a" -->|<!--# include virtual="/none.html" stub="b" -->
=> CA|[an error occurred while processing the directive]
%%
<!--# block name="a" -->A<!--# if expr="$arg_a" -->yes<!--# else -->no<!--# endif -->C<!--# endblock --><!--# include virtual="/none.html" stub="a" -->
=> AnoC
%%
<!--# block name="a" -->A<!--# include virtual="/inc.html" -->C<!--# endblock --><!--# include virtual="/none.html" stub="a" -->
=> A[inc]C
%%
<!--# block name="a" -->A<!--# set var="v" value="V" --><!--# echo var="v" -->C<!--# endblock -->[<!--# echo var="v" -->]<!--# include virtual="/none.html" stub="a" -->[<!--# echo var="v" -->]
=> [(none)]AVC[(none)]
%%
<!--# block name="a" -->A<!--# endblock --><!--# block name="a" -->B<!--# endblock --><!--# include virtual="/none.html" stub="a" -->
%%
<!--# include virtual="/none.html" stub="a" --><!--# block name="a" -->B<!--# endblock -->
%%
<!--# set var="outer" value="O" --><!--# include virtual="/set.html" wait="yes" -->[<!--# echo var="inner" -->]
%%
<!--# set var="outer" value="O" --><!--# include virtual="/set.html" -->[<!--# echo var="inner" -->]
%%
<!--# include virtual="/inc.html" wait="no" -->|<!--# include virtual="/inc.html" wait="maybe" -->|
%%
<!--# include virtual="/o/ok" set="v" -->[<!--# echo var="v" -->]<!--# include virtual="/inc.html" set="w" -->[<!--# echo var="w" -->]
%%
<!--# include virtual="/o/500" set="v" -->[<!--# echo var="v" -->]<!--# include virtual="/missing.html" set="w" -->[<!--# echo var="w" -->]<!--# include virtual="/o/drop" set="u" -->[<!--# echo var="u" -->]<!--# include virtual="/o/ssi" set="u" -->[<!--# echo var="u" encoding="none" -->]<!--# include virtual="/o/empty" set="u" -->[<!--# echo var="u" default="D" -->]
%%
<!--# block name="a" -->A<!--# endblock --><!--# include virtual="/o/ok" set="v" stub="a" -->[<!--# echo var="v" -->]<!--# include virtual="/o/empty" set="w" stub="a" -->[<!--# echo var="w" -->]
%%
<!--# include virtual="/o/ok" set="v" wait="yes" -->[<!--# echo var="v" -->]
%%
<!--# include virtual="/o/slow" --><!--# include virtual="/inc.html" -->x<!--# include virtual="/o/slow" -->
%%
<!--# include virtual="http://x/inc.html" -->|<!--# include virtual="//inc.html" -->|<!--# include virtual="?x" -->
%%
<!--# if expr="$arg_a" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_e" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$nothing" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_a=1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a = 1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a != 1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a!=2" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_m = $arg_m" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = '$arg_m'" -->Y<!--# else -->N<!--# endif -->|<!--# if expr='$arg_m = "x"' -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = x " -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m =  x" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_m = a b" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$nothing = " -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$nothing =" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m =" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_m = /X/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = /^x$/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m != /y/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = /(/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = /x" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = //" -->Y<!--# else -->N<!--# endif -->
%%
<!--# set var="e" value="me@example.org" --><!--# if expr="$e = /(.+)@(?P<domain>.+)/" -->0=<!--# echo var="0" --> 1=<!--# echo var="1" --> 2=<!--# echo var="2" --> d=<!--# echo var="domain" --> 3=<!--# echo var="3" --><!--# endif --> <!--# echo var="1" --><!--# set var="z" value="$1-$domain" --><!--# echo var="z" -->
%%
<!--# if expr="text" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="text = text" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="" -->Y<!--# else -->N<!--# endif -->|<!--# if -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr=" $arg_a" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a " -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a x" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a < 2" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="!$arg_a" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="${arg_a}" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="${arg_a} = 1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$ = 1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$ARG_A = 1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a == 1" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$no" -->1<!--# elif expr="$arg_a = 2" -->2<!--# elif expr="$arg_a = 1" -->3<!--# elif expr="$arg_a" -->4<!--# else -->5<!--# endif -->
%%
<!--# if expr="$no" -->1<!--# elif -->2<!--# else -->3<!--# endif -->
%%
<!--# if expr="$arg_a" -->1<!--# else -->2<!--# elif expr="$arg_a" -->3<!--# endif -->4
%%
<!--# if expr="$no" -->1<!--# else -->2<!--# elif expr="$arg_a" -->3<!--# endif -->4
%%
<!--# if expr="$no" -->1<!--# else -->2<!--# else -->3<!--# endif -->4
%%
a<!--# else -->b<!--# endif -->c<!--# elif expr="$arg_a" -->d<!--# endif foo="x" -->
%%
<!--# if expr="$arg_a" -->1<!--# if expr="$no" -->2<!--# else -->3<!--# endif -->4<!--# endif -->5
%%
<!--# if expr="$no" -->1<!--# if expr="$arg_a" -->2<!--# else -->3<!--# endif -->4<!--# endif -->5
%%
<!--# if expr="$no" -->1<!--# if expr="$arg_a" -->2<!--# endif -->3<!--# else -->4<!--# endif -->5
%%
<!--# if expr="$no" --><!--# set var="x" value="1" --><!--# include virtual="/inc.html" --><!--# foo --><!--# echo --><!--# config errmsg="X" --><!--# block name="b" -->B<!--# endblock --><!--# endif -->[<!--# echo var="x" -->]<!--# foo --><!--# include virtual="/none.html" stub="b" -->
%%
<!--# if expr="$no" -->x <!--# unterminated if <!--# endif -->y
%%
<!--# if expr="$arg_a" -->open
%%
<!--# if expr="$no" -->open
%%
<!--# if expr="$arg_a = 1" -->Y<!--# endif x -->z
%%
<!--# if expr="$arg_m = /(?P<uri>x)/" --><!--# echo var="uri" --><!--# endif -->
%%
<!--# block name="b" --><!--# if expr="$no" -->no<!--# endblock -->after
%%
<!--# if expr="$no" --><!--# block name="b" -->B<!--# endif -->c<!--# endblock -->d
%%
<!--# if expr="$arg_a"expr="b" -->x<!--# endif -->
%%
<!--# if expr="$arg_a = \"1\"" -->Y<!--# else -->N<!--# endif -->|<!--# if expr='$arg_a = \'1\'' -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a = \1" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_m = /\w/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = /\//" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$uri = /\/t\d+\.html/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$uri = /^/t/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$uri = /^\/t/i" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_a=1" -->A<!--# endif --><!--# if expr="$arg_a=2" -->B<!--# endif --><!--# if expr="$arg_a=1" -->C<!--# endif -->
%%
<!--# set var="v" value="aaa" --><!--# if expr="$v = /$arg_a/" -->Y<!--# else -->N<!--# endif -->|<!--# set var="re" value="a+" --><!--# if expr="$v = /$re/" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_a = 1" --><!--# include virtual="/inc.html" --><!--# else --><!--# include virtual="/q.html" --><!--# endif -->
%%
<!--# set var="x" value="a\\b\nc\'d\"e\x\$f$" --><!--# echo var="x" encoding="none" -->
%%
<!--# set var="x" value="a\\b|\n|\'|\"|\x|\$|\\\$|\" --><!--# echo var="x" encoding="none" -->
%%
<!--# set var="x" value='a\'b"c' --><!--# echo var="x" encoding="none" -->
%%
<!--# if expr="text = other" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="text=text" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="1 = $arg_a" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="a b" -->Y<!--# else -->N<!--# endif -->|<!--# if expr=" text" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="= " -->Y<!--# else -->N<!--# endif -->|<!--# if expr="!= x" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="x$arg_a = x1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a$arg_m = 1x" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a.x = 1.x" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="a!b" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a!1" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_a	= 1" -->Y<!--# else -->N<!--# endif -->
%%
<!--# if expr="$arg_m = \$arg_m" -->Y<!--# else -->N<!--# endif -->|<!--# set var="d" value="\$" --><!--# if expr="$d = \$" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = /^x\$/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$d = /\\\$/" -->Y<!--# else -->N<!--# endif -->|<!--# if expr="$arg_m = /^\x78/" -->Y<!--# else -->N<!--# endif -->
%%
[<!--# include virtual="/set1.html" --><!--# echo var="1" -->]
%%
<!--# echo var="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" -->|<!--# set var="x" value="bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" -->
%%
<!--# set var="x" value="1" --><!--# include virtual="/inc.html" --><!--# set var="x" value="2" -->[<!--# echo var="x" -->]
%%
<!--# config timefmt="%H %Z" errmsg="E" --><!--# echo var="date_local" --> <!--# echo --> <!--# include virtual="/err.html" -->
%%
<!--# block name="b" foo="c" -->x<!--# endblock -->y
%%
<!--# block name="b" -->x<!--# foo bar -->y<!--# endblock -->z<!--# include virtual="/page404" stub="b" -->
%%
<!--# block name="b" -->x<!--# endblock foo="x" -->y<!--# endblock -->z<!--# include virtual="/page404" stub="b" -->
%%
<!--# block name="$arg_a" -->x<!--# endblock --><!--# include virtual="/page404" stub="1" -->|<!--# include virtual="/page404" stub="$arg_a" -->
%%
<!--# block name="b" -->x<!--# endblock --><!--# include virtual="/stubs.html" --><!--# include virtual="/page404" stub="c" -->
%%
<!--# set var="y" value="u" --><!--# echo var="$y" -->|<!--# set var="$y" value="V" --><!--# echo var="u" -->
%%
<!--# include virtual="/off/raw.html" -->
%%
<!--# include virtual="/inc.html" set="$arg_m" --><!--# echo var="x" -->|<!--# echo var="arg_m" -->
%%
<!--# config timefmt="%Y" --><!--# include virtual="/date.html" -->
