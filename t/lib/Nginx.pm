# SPDX-License-Identifier: BSD-2-Clause
# Nginx.pm - the installed nginx behind the interface of Weir.pm, to compare the two with the same texts.
#
#     my ($weir, $nginx) = Nginx->beside(location => '...');    # skips the test when there is no nginx

package Nginx;
use v5.36;
use parent -norequire, 'Weir';
use Weir ();

sub name ($class) { 'nginx' }

sub binary ($class) {
    for my $path (map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin') {
        return $path if -x $path;
    }
    return undef;
}

sub beside ($class, %option) {
    $class->binary // Weir::skip_all('no nginx to compare with');
    return (Weir->new(%option), $class->new(%option));
}

1;
