# The request body: of known length and chunked, small and large, limits and their answers.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'stored' });
my $weir   = Weir->new(
    http   => 'client_body_buffer_size 8k; client_max_body_size 300k;',
    server => <<CONF,
location /        { proxy_pass $origin->{url}; }
location /stream/ { proxy_pass $origin->{url}; proxy_request_buffering off; }
location /tight/  { proxy_pass $origin->{url}; client_max_body_size 10; }
location /page/   { client_max_body_size 10; error_page 413 /too-large; proxy_pass $origin->{url}; }
location /too-large { return 200 "sorry"; }
location /none    { return 200 "none"; }
CONF
);

sub body ($n) { join '', map { chr(33 + ($_ * 7 + $n) % 90) } 1 .. $n }

sub chunked ($text, @sizes) {
    my $out = '';
    while (length $text) {
        my $n = shift @sizes // 4096;
        my $piece = substr $text, 0, $n, '';
        $out .= sprintf "%x\r\n%s\r\n", length $piece, $piece;
        push @sizes, $n if @sizes;
    }
    return "${out}0\r\n\r\n";
}

for my $where ('/', '/stream/') {
    for my $size (0, 1, 100, 8191, 8192, 70_000, 250_000) {
        my $text = body($size);
        my $answer = $weir->post($where, $text);
        is($answer && $answer->status, 200, "$where: $size bytes of known length");
        ok($origin->last_request->{body} eq $text, 'as they were sent');

        my $client = $weir->client;
        $client->write("POST $where HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
              . chunked($text, 1, 2, 3000, 17));
        $answer = $client->answer;
        is($answer && $answer->status, 200, "$where: $size bytes in chunks");
        ok($origin->last_request->{body} eq $text, 'as they were sent');
        $client->send_request('GET', '/none');
        is($client->answer->body, 'none', 'and the connection goes on');
    }
}

subtest 'too large' => sub {
    is($weir->post('/tight/', 'x' x 10)->status, 200, 'just not');
    my $client = $weir->client;
    $client->write("POST /tight/ HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    is($client->answer->status, 413, 'as soon as the length is known');
    $client = $weir->client;
    $client->write("POST /tight/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsixsix\r\n");
    ok($client->is_quiet, 'a chunked one waits');
    $client->write("6\r\nsixsix\r\n");
    my $answer = $client->answer;
    is($answer->status,              413,     'until it is too large');
    is($answer->field('Connection'), 'close', 'then the connection ends');
    ok($client->is_closed, 'and does');
    is($weir->post('/page/', 'x' x 20)->body, 'sorry', 'an error page can answer');
    $weir->wait_log(qr/client intended to send too large body: 11 bytes/);
    $weir->wait_log(qr/client intended to send too large chunked body: 6\+6 bytes/);
};

subtest 'unwanted' => sub {
    my $client = $weir->client;
    $client->write("POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" . 'x' x 100_000);
    is($client->answer->body, 'none', 'is not waited for');
    $client->write('x' x 100_000);
    $client->send_request('GET', '/none');
    is($client->answer->body, 'none', 'is read away, and the connection goes on');
    $client->write("POST /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
    is($client->answer->body, 'none', 'a chunked one');
    $client->write("llo\r\n0\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    is($client->answer->body, 'none', 'what came behind its end is answered') for 1 .. 2;
};

done_testing;
