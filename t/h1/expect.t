# 100-continue (RFC 9110, 10.1.1): told when somebody wants the body, and only then.
use lib 't/lib';
use Weir;

my $origin = Origin->new('*' => { body => 'stored' });
my $weir   = Weir->new(server => <<CONF);
location /take   { proxy_pass $origin->{url}; }
location /stream { proxy_pass $origin->{url}; proxy_request_buffering off; }
location /small  { proxy_pass $origin->{url}; client_max_body_size 1; }
location /other  { return 200 "other"; }
CONF

sub ask ($target, %option) {
    my $client = $weir->client;
    $client->write("PUT $target HTTP/" . ($option{version} // '1.1') . "\r\nHost: a\r\nExpect: "
          . ($option{expect} // '100-continue') . "\r\nContent-Length: 5\r\n\r\n" . ($option{body} // ''));
    return $client;
}

for my $target ('/take', '/stream') {
    my $client = ask($target);
    is($client->read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n", "$target: the client may go on");
    $client->write('hello');
    is($client->answer->body,         'stored', 'the answer');
    is($origin->last_request->{body}, 'hello',  'the origin has the body');
}

my $client = ask('/other');
my $answer = $client->answer;
is(scalar @{ $answer->interim }, 0, 'nobody wants it: no 100');
is($answer->body, 'other', 'but the answer');
is($answer->field('Connection'), 'close', 'and the end, as where the next request begins is not known');

$client = ask('/small');
$answer = $client->answer;
is($answer->status, 413, 'too large: refused before it is sent');
is(scalar @{ $answer->interim }, 0, 'without a 100');

$client = ask('/take', version => '1.0', body => 'hello');
$answer = $client->answer;
is(scalar @{ $answer->interim }, 0, 'HTTP/1.0 knows no 100');
is($answer->status, 200, 'and is served');

$client = ask('/take', expect => 'something', body => 'hello');
is($client->answer->status, 200, 'other expectations are ignored, as nginx does');

done_testing;
