# Large responses arrive whole: to fast and slow readers, from files and origins, whole and in parts, within a rate.
use lib 't/lib';
use Weir;
use Time::HiRes qw(time);

my $size    = 6_000_000;
my $content = join '', map { pack 'N', $_ } 1 .. $size / 4;
my $origin  = Origin->new('/o' => { body => $content }, '/c' => { chunks => [ map { substr $content, $_ * 60_000, 60_000 } 0 .. 99 ] });
my $weir    = Weir->new(
    files  => { 'html/f' => $content, 'html/s' => substr($content, 0, 60_000) },
    server => <<CONF,
location /sendfile/ { alias %dir%/html/; sendfile on; }
location /read/     { alias %dir%/html/; sendfile off; }
location /nopush/   { alias %dir%/html/; sendfile on; tcp_nopush on; }
location /steps/    { alias %dir%/html/; sendfile on; sendfile_max_chunk 10k; }
location /p/        { proxy_pass $origin->{url}/; }
location /direct/   { proxy_pass $origin->{url}/; proxy_buffering off; }
location /rate/     { alias %dir%/html/; limit_rate 60k; limit_rate_after 10k; }
CONF
);

for my $target (qw(/sendfile/f /read/f /nopush/f /steps/f /p/o /p/c /direct/o /direct/c)) {
    for my $slow (0, 1) {
        my $client = $weir->client(0, $slow ? (rcvbuf => 8192) : ());
        $client->send_request('GET', $target);
        my $answer = $client->answer;
        ok($answer && $answer->complete && $answer->body eq $content, "$target" . ($slow ? ' with little room' : ''));
        $client->send_request('GET', '/sendfile/s');
        ok($client->answer->body eq substr($content, 0, 60_000), 'and the connection goes on');
    }
}

my $part = $weir->get('/sendfile/f', fields => ['Range: bytes=1000000-4999999']);
is($part->status, 206, 'a part');
ok($part->body eq substr($content, 1_000_000, 4_000_000), 'of the file');

my $started = time;
my $answer  = $weir->get('/rate/s');
my $took    = time - $started;
ok($answer->body eq substr($content, 0, 60_000), 'within a rate');
cmp_ok($took, '>', 0.4, 'it takes its time');
cmp_ok($took, '<', 5,   'and no more');

done_testing;
