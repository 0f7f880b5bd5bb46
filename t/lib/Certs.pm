# SPDX-License-Identifier: BSD-2-Clause
# Certs.pm - certificates for a test, made by openssl when they are asked for.
#
#     my $certs = Certs->new;
#     $certs->make('a', names => ['a.example']);               # a.crt, a.key: signed by the authority, EC unless rsa => 1
#     $certs->make('old', days => -1, ca => 'other');          # expired; signed by an authority of that name
#     $certs->path('a.crt'), $certs->text('a.crt'), $certs->dir
#     $certs->make('b', ocsp => $url, usage => 'OCSPSigning', authority => 1);   # further extensions
#     $certs->revoke('a'); $certs->crl;                        # ca.crl
#
# An authority NAME is made at its first mention: NAME.crt, NAME.key; "ca" by default.

package Certs;
use v5.36;
use File::Path qw(remove_tree);
use File::Temp ();
use POSIX ();

my $serial = 1000;

sub new ($class) {
    my $dir = File::Temp::tempdir('weir-certs-XXXXXX', TMPDIR => 1, CLEANUP => 0);
    chmod 0755, $dir;
    return bless { dir => $dir, owner => $$, revoked => {} }, $class;
}

sub DESTROY ($self) {
    local ($?, $@, $!);
    remove_tree($self->{dir}, { safe => 0 }) if $self->{owner} == $$ && !$ENV{KEEP};
}

sub dir ($self)         { $self->{dir} }
sub path ($self, $name) { "$self->{dir}/$name" }

sub text ($self, $name) {
    open my $fh, '<', $self->path($name) or die "$name: $!";
    local $/;
    return <$fh>;
}

sub write ($self, $name, $content) {
    open my $fh, '>', $self->path($name) or die "$name: $!";
    binmode $fh;
    print $fh $content;
    close $fh or die "$name: $!";
    return $self->path($name);
}

sub openssl ($self, @words) {
    my $out = $self->path('openssl.out');
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        chdir $self->{dir};
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>',  $out;
        open STDERR, '>&', \*STDOUT;
        exec 'openssl', @words or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    $? == 0 or die "openssl @words: " . $self->text('openssl.out');
}

sub key ($self, $name, $rsa = 0) {
    my $path = $self->path("$name.key");
    return $path if -e $path;
    $self->openssl('genpkey', '-out', $path, $rsa ? ('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048')
        : ('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime256v1'));
    chmod 0600, $path;
    return $path;
}

sub authority ($self, $name) {
    return if -e $self->path("$name.crt");
    $self->key($name);
    $self->openssl('req', '-new', '-x509', '-key', "$name.key", '-out', "$name.crt", '-days', 30, '-subj', "/CN=$name",
        '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
}

sub make ($self, $name, %option) {
    my $ca    = $option{ca} // 'ca';
    my @names = @{ $option{names} // ["$name.example"] };
    my $days  = $option{days} // 30;
    $self->authority($ca);
    $self->key($name, $option{rsa});
    $self->openssl('req', '-new', '-key', "$name.key", '-out', "$name.csr", '-subj', $option{subject} // "/CN=$names[0]");
    $self->write("$name.ext", 'subjectAltName=' . join(',', map { "DNS:$_" } @names)
          . "\nbasicConstraints=CA:" . ($option{authority} ? "TRUE" : "FALSE") . "\n"
          . ($option{ocsp} ? "authorityInfoAccess=OCSP;URI:$option{ocsp}\n" : '')
          . ($option{usage} ? "extendedKeyUsage=$option{usage}\n" : ''));
    $self->{serial}{$name} = sprintf '%X', $serial++;
    if ($days < 0) {
        $self->_sign_expired($name, $ca);
    }
    else {
        $self->openssl('x509', '-req', '-in', "$name.csr", '-CA', "$ca.crt", '-CAkey', "$ca.key", '-set_serial',
            "0x$self->{serial}{$name}", '-extfile', "$name.ext", '-out', "$name.crt", '-days', $days);
    }
    return $self;
}

# `openssl x509` of 3.0 knows no dates in the past; `openssl ca` does.
sub _database ($self, $ca) {
    return if -e $self->path("$ca.cnf");
    $self->write("$ca.index", '');
    $self->write("$ca.crlnumber", "01\n");
    $self->write("$ca.cnf", <<CONF);
[ca]
default_ca = this
[this]
database = $self->{dir}/$ca.index
new_certs_dir = $self->{dir}
certificate = $self->{dir}/$ca.crt
private_key = $self->{dir}/$ca.key
serial = $self->{dir}/$ca.serial
crlnumber = $self->{dir}/$ca.crlnumber
default_md = sha256
default_crl_days = 30
unique_subject = no
policy = any
[any]
commonName = supplied
CONF
}

sub _sign_expired ($self, $name, $ca) {
    $self->_database($ca);
    $self->write("$ca.serial", "0$self->{serial}{$name}\n" =~ s/^0(?=(?:..)+$)//r);
    $self->openssl('ca', '-batch', '-config', "$ca.cnf", '-in', "$name.csr", '-out', "$name.crt", '-startdate',
        '20200101000000Z', '-enddate', '20200201000000Z', '-notext');
}

# Revokes a certificate of the authority; the list is ca.crl after that.
sub revoke ($self, $name, $ca = 'ca') {
    $self->_database($ca);
    $self->openssl('ca', '-config', "$ca.cnf", '-revoke', "$name.crt");
    return $self->crl($ca);
}

sub crl ($self, $ca = 'ca') {
    $self->authority($ca);
    $self->_database($ca);
    $self->openssl('ca', '-config', "$ca.cnf", '-gencrl', '-out', "$ca.crl");
    return $self;
}

1;
