# A binary on disk that is broken is found out by the check: the one that runs goes on serving.
use lib 't/lib';
use Weir;
use File::Copy qw(copy);

package OwnBinary {
    our @ISA = ('Weir');
    our $path;
    sub binary ($class) { $path }
}

my $dir = File::Temp::tempdir(TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $good = Weir->binary;
$OwnBinary::path = "$dir/weir";

# Replaced as a package manager does it: a new file under the old name.
sub install ($content) {
    open my $fh, '>', "$dir/new" or die;
    binmode $fh;
    print $fh $content;
    close $fh;
    chmod 0755, "$dir/new";
    rename "$dir/new", "$dir/weir";
}
open my $fh, '<', $good or die;
binmode $fh;
my $bytes = do { local $/; <$fh> };
install($bytes);

my $weir = OwnBinary->new(location => 'return 200 served;');
$weir->allow(qr/\[emerg\]/);
my $pid = $weir->pid;

# The tool may be any weir: it is not what is checked.
sub reload () {
    my @command = $weir->command;
    splice @command, 0, 1, $good, 'ctl';
    return $weir->run(@command, 'reload');
}
my ($status, $output) = reload();
is($status, 0, 'the binary as it was installed') or diag($output);

my %broken = (
    'an empty file'        => ['',                         qr/cannot execute|exited with code/],
    'half of it'           => [substr($bytes, 0, 60_000),  qr/died on signal|exited with code|cannot execute/],
    'a script'             => ["no program\n",             qr/exited with code/],
    'a library is missing' => [$bytes =~ s/libpcre2-8\.so/libpcre2-X.so/gr, qr/exited with code 127: .*libpcre2-X/],
    'it says nothing'      => [undef,                      qr/cannot check the configuration|died/],
);
for my $name (sort keys %broken) {
    my ($content, $error) = @{ $broken{$name} };
    if (defined $content) { install($content) }
    else                  { copy('/bin/true', "$dir/new"); chmod 0755, "$dir/new"; rename "$dir/new", "$dir/weir" }
    ($status, $output) = reload();
    is($status, 1, "$name: refused");
    like($output, $error, "$name: with the reason");
    is($weir->get('/')->body, 'served', "$name: goes on serving");
}
unlink "$dir/weir";
($status, $output) = reload();
is($status, 1, 'no file: refused');
like($output, qr/No such file/, 'no file: with the reason');

install($bytes);
($status, $output) = reload();
is($status, 0, 'a good one again') or diag($output);
is($weir->get('/')->body, 'served', 'serves');
is($weir->pid, $pid, 'under the same master');
