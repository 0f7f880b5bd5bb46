# Bodies of all sizes and framings arrive whole: in memory, through a temporary file, unbuffered, spliced; with slow clients.
use lib 't/lib';
use Weir;
use Digest::MD5 qw(md5_hex);

srand 7;
my $random = join '', map { chr int rand 256 } 1 .. 65536;
my @sizes  = (0, 1, 100, 4095, 4096, 15_900, 16_384, 65_535, 65_536, 100_000, 1_000_000, 5_000_000);
my %body   = map { ($_ => substr($random x (1 + $_ / 65536), 0, $_)) } @sizes;
my %script;
for my $size (@sizes) {
    $script{"/length/$size"} = { body => $body{$size} };
    $script{"/close/$size"}  = { body => $body{$size}, until_close => 1 };
    $script{"/chunks/$size"} = { chunks => [ $body{$size} =~ /(.{1,30011})/gs ] };
    $script{"/small/$size"}  = { chunks => [ $body{$size} =~ /(.{1,777})/gs ] } if $size <= 100_000;
}
$script{'/late'} = { pieces => [ 'a' x 20_000, 'b' x 80_000, 'c' x 80_000, 'd' ], pause => 0.05 };
my $origin = Origin->new(%script);
my $u      = $origin->{url};
my $weir   = Weir->new(server => <<CONF);
    location / { proxy_pass $u; }
    location /memory/ { proxy_max_temp_file_size 0; proxy_pass $u/; }
    location /file/ { proxy_buffers 2 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 4k; proxy_pass $u/; }
    location /off/ { proxy_buffering off; proxy_pass $u/; }
    location /fast/ { proxy_limit_rate 400m; proxy_pass $u/; }
CONF

for my $where ('', '/memory', '/file', '/off', '/fast') {
    for my $path (sort grep { $_ ne '/late' } keys %script) {
        my ($size) = $path =~ /(\d+)$/;
        my $c = $weir->client;
        $c->send_request('GET', "$where$path");
        my $a = $c->answer;
        my $ok = $a && $a->status == 200 && $a->complete && md5_hex($a->body) eq md5_hex($body{$size});
        ok($ok, "$where$path") or diag(defined $a ? length($a->body) . ' bytes ' . $c->problem : 'no answer');
    }
}

# A slow client: the origin is done long before it, but for its memory and file.
my %fast = ('' => 1, '/off' => 0, '/memory' => 0);
for my $where (sort keys %fast) {
    my $c = $weir->client(0, rcvbuf => 4096);
    $origin->forget;
    $c->send_request('GET', "$where/length/5000000");
    $c->read_until("\r\n\r\n");
    if ($fast{$where}) {
        my $idle = 0;
        wait_for(sub { $origin->close_idle }, 'the origin to be done with its part');
        pass("'$where': the origin is done while the client has hardly begun");
    }
    my $got = $c->read_bytes(5_000_000);
    is(md5_hex($got), md5_hex($body{5_000_000}), "'$where': a slow client gets it all");
}
is_deeply([ glob $weir->dir . '/proxy_temp/*' ], [], 'no temporary file stays');

# Pieces come through as they are: what is known early is sent early.
for my $where ('', '/off') {
    my $c = $weir->client;
    $c->send_request('GET', "$where/late");
    my $a = $c->answer(head => 1);
    is($c->read_bytes(20_000), 'a' x 20_000, "$where/late: the first piece");
    is(md5_hex($c->read_bytes(160_001)), md5_hex('b' x 80_000 . 'c' x 80_000 . 'd'), 'and all others');
}

# The other way round.
my $echo = Origin->new('*' => { echo => 1 });
my $w    = Weir->new(http => 'client_max_body_size 0;', server => <<CONF);
    location / { proxy_pass $echo->{url}; }
    location /off/ { proxy_request_buffering off; proxy_pass $echo->{url}; }
    location /old/ { proxy_request_buffering off; proxy_http_version 1.0; proxy_pass $echo->{url}; }
CONF
for my $where ('/', '/off/', '/old/') {
    for my $size (@sizes) {
        next if $size > 1_000_000;
        my $a = $w->post($where, $body{$size});
        is(md5_hex($a->body =~ s/.*?\r\n\r\n//sr), md5_hex($body{$size}), "$where: a request body of $size bytes");
        my @chunks = map { sprintf("%x\r\n", length) . "$_\r\n" } $body{$size} =~ /(.{1,9973})/gs;
        $a = $w->post($where, join('', @chunks, "0\r\n\r\n"), fields => ['Transfer-Encoding: chunked']);
        my $got = $echo->last_request->{body};
        is(md5_hex($got), md5_hex($body{$size}), "$where: and in chunks");
    }
}
done_testing;
