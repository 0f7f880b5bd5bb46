#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# proxy_cookie_flags: Secure, HttpOnly and SameSite of the origin's cookies, beside nginx.
use lib 't/lib';
use Nginx;
use Weir;

my @cookies = (
    'a=b; path=/', 'A=c; Secure; HttpOnly; SameSite=Lax; Path=/x', 'cc=1;secure;Max-Age=3', 'dd', 'rx1=; httponly',
    'bad=1; samesite', 'none', '=x; secure', 'a; secure', '',
);
my $origin = Origin->new('*' => { body => 'ok', fields => [ map { "Set-Cookie: $_" } @cookies ] });
my %rules = (
    names  => 'proxy_cookie_flags a secure httponly samesite=strict; proxy_cookie_flags cc nosecure;'
      . ' proxy_cookie_flags dd secure; proxy_cookie_flags bad nosamesite;',
    regex  => 'proxy_cookie_flags ~RX httponly secure; proxy_cookie_flags ~^c nosecure;',
    remove => 'proxy_cookie_flags ~. nosecure nohttponly nosamesite;',
    add    => 'proxy_cookie_flags ~. samesite=none httponly secure;',
    first  => 'proxy_cookie_flags a secure; proxy_cookie_flags ~^a httponly;',
    vars   => 'proxy_cookie_flags $arg_c $arg_f;',
    both   => 'proxy_cookie_path / /p/; proxy_cookie_flags ~. samesite=lax;',
    off    => 'proxy_cookie_flags off;',
);
my $server = join "\n", map { "location /$_/ { proxy_pass $origin->{url}; $rules{$_} }" } sort keys %rules;
my %option = (
    http   => 'proxy_cookie_flags ~. secure;',
    server => "$server\nlocation /inherits/ { proxy_pass $origin->{url}; }",
);
my $weir  = Weir->new(%option);
my $nginx = Nginx->binary ? Nginx->new(%option) : undef;

my %want = (
    names  => [ 'a=b; path=/; Secure; HttpOnly; SameSite=Strict', 'A=c; Secure; HttpOnly; SameSite=Strict; Path=/x',
        'cc=1; Max-Age=3', 'dd', 'rx1=; httponly', 'bad=1', @cookies[ 6 .. 9 ] ],
    first  => [ 'a=b; path=/; Secure', 'A=c; Secure; HttpOnly; SameSite=Lax; Path=/x', @cookies[ 2 .. 9 ] ],
    off    => \@cookies,
);
for my $path (sort(keys %rules), 'inherits', 'vars/?c=cc&f=httponly', 'vars/?c=a&f=samesite%3dnone', 'vars/?c=a&f=x') {
    my $target = $path =~ /\?/ ? "/$path" : "/$path/";
    my @got    = $weir->get($target)->field('Set-Cookie');
    is_deeply(\@got, $want{$path}, "$path") if $want{$path};
    is_deeply(\@got, [ $nginx->get($target)->field('Set-Cookie') ], "$target: as nginx") if $nginx;
}
like((Weir->new(server => 'proxy_cookie_flags a sekure;', start => 0)->run_weir('-t'))[1], qr/invalid parameter "sekure" in /, 'a typing error');
done_testing;
