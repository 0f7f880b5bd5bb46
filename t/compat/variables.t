#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# The core variables have nginx's values, in texts and in the access log with each kind of escaping.

use lib 't/lib';
use Weir;
use Nginx;

my @names = qw(
  request request_method request_uri scheme server_protocol https host uri document_uri args query_string is_args
  content_length content_type remote_user remote_addr server_addr server_port server_name connection_requests
  arg_a arg_B arg_missing http_host http_x_one http_x_two http_user_agent
  http_cookie http_missing cookie_c cookie_D cookie_missing limit_rate pipe proxy_protocol_addr proxy_protocol_port
  sent_http_x sent_http_content_type request_body request_completion status body_bytes_sent request_length
  sent_http_content_length sent_http_connection sent_http_location sent_http_etag sent_http_last_modified
  sent_http_accept_ranges sent_http_transfer_encoding
);
# Known only when the answer is complete, or different from request to request.
my @late = qw(status body_bytes_sent request_completion);
my %late = map { $_ => 1 } @late;
my $text = join ' ', map { "$_=[\$$_]" } grep { !$late{$_} && !/^sent_/ } @names;
my $line = join ' ', map { "$_=[\$$_]" } @names;

my ($weir, $nginx) = Nginx->beside(
    files => { 'html/f.txt' => "file\n", 'html/d/index.html' => "index\n" },
    http  => <<CONF,
        log_format all     '$line';
        log_format json    escape=json '{"agent":"\$http_user_agent","user":"\$remote_user","uri":"\$uri"}';
        log_format none    escape=none '\$http_user_agent|\$remote_user|\${uri}x\$status';
        access_log %dir%/all.log all;
        access_log %dir%/json.log json;
        access_log %dir%/none.log none;
        access_log %dir%/some.log combined if=\$arg_log;
CONF
    server => <<CONF,
        location /text   { return 200 '$text'; }
        location /quiet  { access_log off; return 204; }
        location /moved  { return 301 /x; }
        location /err    { error_page 404 /text?err; }
        location /errown { error_page 404 = /text?err; }
CONF
);

my $long = 'x' x 300;
my @cases = (
    [ 'plain',        'GET',  '/text' ],
    [ 'arguments',    'GET',  '/text?a=1&b=2&a=3' ],
    [ 'a lone ?',     'GET',  '/text?' ],
    [ 'encoded',      'GET',  '/text/%41%20b?a=%41' ],
    [ 'capitals',     'GET',  '/text?A=x&B=y', host => 'EXAMPLE.Org:8080' ],
    [ 'fields',       'GET',  '/text', fields => [ 'X-One: 1', 'X-Two: a', 'User-Agent: t' ] ],
    [ 'cookies',      'GET',  '/text', fields => ['Cookie: c=1; d=2; c=3'] ],
    [ 'a user',       'GET',  '/text', fields => ['Authorization: Basic dXNlcjpwYXNz'] ],
    [ 'odd bytes',    'GET',  '/text', fields => [ "User-Agent: a\"b\\c\td\xc3\xa9", 'Authorization: Basic YSJi' ] ],
    [ 'odd user',     'GET',  '/text', fields => ['Authorization: Basic dQ1zCmVyOnA='] ],
    [ 'a body',       'POST', '/text', body => 'body', fields => ['Content-Type: text/x'] ],
    [ 'a file',       'GET',  '/f.txt' ],
    [ 'a head',       'HEAD', '/f.txt' ],
    [ 'an index',     'GET',  '/d/' ],
    [ 'a directory',  'GET',  '/d' ],
    [ 'missing',      'GET',  "/$long" ],
    [ 'a redirect',   'GET',  '/moved?x' ],
    [ 'an error',     'GET',  '/err?a=1' ],
    [ 'its own',      'GET',  '/errown?a=1' ],
    [ 'unlogged',     'GET',  '/quiet' ],
    [ 'logged',       'GET',  '/text?log=1' ],
    [ 'not logged',   'GET',  '/text?log=0' ],
);

for my $case (@cases) {
    my ($what, $method, $target, %option) = @$case;
    Nginx::same($weir, $nginx, $what, $method, $target, %option);
}

sub lines ($server, $file) {
    my $count = $file eq 'some.log' ? 1 : @cases - 1;
    wait_for(sub { ($server->read_file($file) =~ tr/\n//) >= $count }, "lines in $file");
    my $text = $server->read_file($file);
    $text =~ s/\Q$server->{dir}\E/DIR/g;
    $text =~ s/\b$server->{ports}[0]\b/PORT/g;
    $text =~ s/\[\d+\/\w+\/\d+:[^\]]*\]/[TIME]/g;
    # Pages with the server's name are shorter; ours says less in the head.
    $text =~ s/(?:body_bytes_sent|sent_http_content_length)=\[1[0-9][0-9]\]/LENGTH/g;
    return $text;
}
is(lines($weir, $_), lines($nginx, $_), $_) for qw(all.log json.log none.log some.log);

done_testing;
