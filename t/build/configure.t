# configure: nginx's option names, paths against the prefix, errors that name what is wrong.
use v5.36;
use File::Temp;
use Test::More;

my $dir = File::Temp::tempdir(CLEANUP => 1);

sub configure (@options) {
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        delete @ENV{qw(MAKEFLAGS MAKELEVEL)};
        exec './configure', "--builddir=$dir/b", @options or exit 127;
    }
    local $/;
    my $text = <$pipe>;
    close $pipe;
    return ($? >> 8, $text);
}

sub macros () {
    open my $fh, '<', "$dir/b/config.h" or die "$dir/b/config.h: $!";
    return map { /^#define (WEIR_\w+)\s+"(.*)"/ ? ($1, $2) : () } <$fh>;
}

my ($status, $text) = configure('--prefix=/opt/w', '--conf-path=etc/w.conf', '--http-log-path=/var/log/a.log',
    '--user=www', '--with-threads', '--http-proxy-temp-path=cache/proxy', '--without-http_charset_module');
is($status, 0, 'accepted') or diag($text);
my %macro = macros();
is($macro{WEIR_PREFIX},          '/opt/w',             'prefix');
is($macro{WEIR_CONF_PATH},       '/opt/w/etc/w.conf',  'a relative path is below the prefix');
is($macro{WEIR_HTTP_LOG_PATH},   '/var/log/a.log',     'an absolute one is not');
is($macro{WEIR_PROXY_TEMP_PATH}, '/opt/w/cache/proxy', 'temporary files');
is($macro{WEIR_PID_PATH},        '/opt/w/logs/weir.pid', 'a default');
is($macro{WEIR_GROUP},           'www',                'the group follows the user');
like($macro{WEIR_CONFIGURE_ARGS}, qr/--user=www/, 'the arguments are kept');
unlike($macro{WEIR_CONFIGURE_ARGS}, qr/_module/, 'modules tell for themselves');

for my $option ('--frobnicate', '--with-http_frobnicate_module', '--without-http_nothing_module', '--http-x-temp-path=a') {
    ($status, $text) = configure($option);
    is($status, 1, "$option is refused");
    like($text, qr/\Q$option\E/, 'and named');
}

($status, $text) = configure('--with-cc=/nonexistent/cc');
is($status, 1, 'no compiler');
like($text, qr/Debian: .*Fedora: /, 'and how to get one');

($status, $text) = configure('--with-cc-opt=-include /dev/null -DBrotliEncoderVersion=brotli_is_missing');
is($status, 1, 'a library is missing');
like($text, qr/brotli is missing: install libbrotli-dev .*or brotli-devel/, 'and its packages are named');

done_testing;
