# Proxied parts of a page (addition): large ones too, in order, whichever is ready first.
use lib 't/lib';
use Weir;
use Digest::MD5 qw(md5_hex);

my %part = (before => 'b' x 700_000, page => "the page\n" x 40_000, after => 'a' x 900_000);
my $origin = Origin->new(map { ("/$_" => { body => $part{$_}, fields => ['Content-Type: text/html'] }) } keys %part);
my $weir = Weir->new(server => <<CONF);
    location / { proxy_pass $origin->{url}; }
    location = /page { add_before_body /before; add_after_body /after; proxy_pass $origin->{url}; }
    location = /memory { proxy_max_temp_file_size 0; add_before_body /before; add_after_body /after; proxy_pass $origin->{url}/page; }
    location = /unbuffered { proxy_buffering off; add_before_body /before; add_after_body /after; proxy_pass $origin->{url}/page; }
CONF
my $whole = $part{before} . $part{page} . $part{after};
for my $path ('/page', '/memory', '/unbuffered') {
    my $a = $weir->get($path);
    is(length $a->body, length $whole, "$path: all of it");
    is(md5_hex($a->body), md5_hex($whole), 'in order');
}
$origin->hold('/before');
my $c = $weir->client;
$c->send_request('GET', '/page');
wait_for(sub { $origin->requests('/before') >= 4 && $origin->requests('/page') >= 4 }, 'both to be asked for');
$origin->release('/before');
is(md5_hex($c->answer->body), md5_hex($whole), 'the first part last');
done_testing;
