/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_origin.c - the origin behind the server that load.c uses: one process, any number of kept connections.
 *
 *     load_origin PORT BYTES [DROP_AFTER]
 *
 * GET of /big...: BYTES bytes, a..z again and again; any other GET: "small". POST: "LENGTH SUM" of the body.
 * Upgrade: 101, then an echo. With DROP_AFTER a connection is closed without a word after so many answers, as an origin
 * does whose patience ends while the next request is under way. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNS_MAX = 8192, IN_MAX = 16384, OUT_MAX = 16384 };

struct conn {
    int fd;
    char in[IN_MAX];
    size_t in_len;
    char out[OUT_MAX];
    size_t out_len, out_sent;
    uint64_t big_at, big_left; /* of the pattern, behind `out` */
    bool body, chunked, last_chunk, tunnel, closing, eof;
    int64_t left; /* of the body, or of the chunk; -1: a size line is awaited */
    uint64_t length, sum;
    unsigned answers;
};

static struct conn *conns[CONNS_MAX];
static struct pollfd fds[CONNS_MAX + 2];
static unsigned n_conns;
static uint64_t big_bytes;
static unsigned drop_after;
static char pattern[26 * 2048];

static bool
has_field(const char *head, const char *name, const char *value)
{
    const char *at = strcasestr(head, name);

    if (at == NULL)
        return false;
    const char *end = strstr(at + 2, "\r\n");
    const char *found = strcasestr(at, value);

    return found != NULL && (end == NULL || found < end);
}

static void
answer_text(struct conn *c, const char *text)
{
    c->out_len += (size_t)snprintf(c->out + c->out_len, sizeof(c->out) - c->out_len,
                                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                   "Content-Length: %zu\r\n%s\r\n%s",
                                   strlen(text), c->closing ? "Connection: close\r\n" : "", text);
    c->answers++;
}

/* The whole body has come. */
static void
answer_post(struct conn *c)
{
    char text[64];

    snprintf(text, sizeof(text), "%llu %016llx", (unsigned long long)c->length,
             (unsigned long long)c->sum);
    c->body = false;
    answer_text(c, text);
}

static void
answer_get(struct conn *c, const char *head)
{
    if (strncmp(head, "GET /big", 8) != 0) {
        answer_text(c, "small");
        return;
    }
    c->out_len +=
        (size_t)snprintf(c->out + c->out_len, sizeof(c->out) - c->out_len,
                         "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n%s\r\n",
                         (unsigned long long)big_bytes, c->closing ? "Connection: close\r\n" : "");
    c->big_at = 0;
    c->big_left = big_bytes;
    c->answers++;
}

static void
begin(struct conn *c, const char *head)
{
    const char *length = strcasestr(head, "\r\nContent-Length:");

    c->closing = has_field(head, "\r\nConnection:", "close");
    if (has_field(head, "\r\nUpgrade:", "websocket")) {
        c->tunnel = true;
        c->out_len += (size_t)snprintf(c->out + c->out_len, sizeof(c->out) - c->out_len,
                                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                       "Connection: upgrade\r\n\r\n");
    } else if (strncmp(head, "POST ", 5) == 0) {
        c->body = true;
        c->chunked = has_field(head, "\r\nTransfer-Encoding:", "chunked");
        c->last_chunk = false;
        c->left = c->chunked ? -1 : length != NULL ? atoll(length + 17) : 0;
        c->length = c->sum = 0;
    } else {
        answer_get(c, head);
    }
}

/* Takes body bytes; the number of them. */
static size_t
take_body(struct conn *c)
{
    size_t at = 0;

    while (c->body) {
        if (c->left > 0) {
            size_t n = c->in_len - at;

            if (n == 0)
                break;
            if ((int64_t)n > c->left)
                n = (size_t)c->left;
            for (size_t i = 0; i < n; i++)
                c->sum = c->sum * 31 + (unsigned char)c->in[at + i];
            c->length += n;
            c->left -= (int64_t)n;
            at += n;
            continue;
        }
        if (!c->chunked) {
            answer_post(c);
            break;
        }
        char *nl = memchr(c->in + at, '\n', c->in_len - at);

        if (nl == NULL)
            break;
        if (c->last_chunk)
            answer_post(c);
        else if (c->left == 0)
            c->left = -1;
        else if ((c->left = strtoll(c->in + at, NULL, 16)) == 0)
            c->last_chunk = true;
        at = (size_t)(nl + 1 - c->in);
    }
    return at;
}

static bool
is_busy(const struct conn *c)
{
    return c->out_sent < c->out_len || c->big_left > 0;
}

static void
advance(struct conn *c)
{
    while (c->in_len > 0 || c->body) {
        size_t taken;

        if (c->tunnel || is_busy(c))
            return;
        if (c->body) {
            taken = take_body(c);
            if (taken == 0 && c->body)
                return;
        } else {
            char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

            if (end == NULL)
                return;
            taken = (size_t)(end + 4 - c->in);
            end[2] = '\0';
            begin(c, c->in);
        }
        c->in_len -= taken;
        memmove(c->in, c->in + taken, c->in_len);
    }
}

static void
echo(struct conn *c)
{
    size_t n = c->in_len;

    if (c->out_sent > 0) {
        c->out_len -= c->out_sent;
        memmove(c->out, c->out + c->out_sent, c->out_len);
        c->out_sent = 0;
    }
    if (n > sizeof(c->out) - c->out_len)
        n = sizeof(c->out) - c->out_len;
    memcpy(c->out + c->out_len, c->in, n);
    c->out_len += n;
    c->in_len -= n;
    memmove(c->in, c->in + n, c->in_len);
}

/* False: the connection is over. */
static bool
write_some(struct conn *c)
{
    while (is_busy(c)) {
        bool own = c->out_sent < c->out_len;
        const char *p = own ? c->out + c->out_sent : pattern + c->big_at % 26;
        size_t len = own ? c->out_len - c->out_sent : sizeof(pattern) - 26;
        ssize_t n;

        if (!own && len > c->big_left)
            len = c->big_left;
        n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (own) {
            c->out_sent += (size_t)n;
            if (c->out_sent == c->out_len)
                c->out_sent = c->out_len = 0;
        } else {
            c->big_at += (uint64_t)n;
            c->big_left -= (uint64_t)n;
        }
    }
    if (c->tunnel)
        return !c->eof;
    return c->body || c->answers == 0 ||
           (!c->closing && (drop_after == 0 || c->answers < drop_after));
}

static bool
step(struct conn *c, short events)
{
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

        if (n == 0)
            c->eof = true;
        if (n == 0 && !(c->tunnel && (is_busy(c) || c->in_len > 0)))
            return false;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n > 0)
            c->in_len += (size_t)n;
    }
    for (;;) {
        if (c->tunnel)
            echo(c);
        else
            advance(c);
        if (!write_some(c))
            return false;
        if (is_busy(c) || c->in_len == 0)
            return true;
        if (!c->tunnel && !c->body && memmem(c->in, c->in_len, "\r\n\r\n", 4) == NULL)
            return true;
        if (c->body)
            return true;
    }
}

static void
accept_all(int listener)
{
    int fd;

    while (n_conns < CONNS_MAX && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *c = calloc(1, sizeof(*c));

        if (c == NULL) {
            close(fd);
            return;
        }
        c->fd = fd;
        conns[n_conns++] = c;
    }
}

static void
run(int listener)
{
    for (;;) {
        unsigned n = n_conns;

        for (unsigned i = 0; i < n; i++) {
            const struct conn *c = conns[i];
            short events = c->in_len < sizeof(c->in) && !c->eof ? POLLIN : 0;

            fds[i] = (struct pollfd){ .fd = c->fd,
                                      .events = (short)(events | (is_busy(c) ? POLLOUT : 0)) };
        }
        fds[n] = (struct pollfd){ .fd = listener, .events = POLLIN };
        fds[n + 1] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
        if (poll(fds, n + 2, -1) < 0)
            continue;
        if (fds[n + 1].revents != 0)
            return;
        for (unsigned i = n; i-- > 0;) {
            if (fds[i].revents == 0 || step(conns[i], fds[i].revents))
                continue;
            close(conns[i]->fd);
            free(conns[i]);
            conns[i] = conns[--n_conns];
        }
        if (fds[n].revents != 0)
            accept_all(listener);
    }
}

int
main(int argc, char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

    if (argc < 3)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    at.sin_port = htons((uint16_t)atoi(argv[1]));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    big_bytes = (uint64_t)atoll(argv[2]);
    drop_after = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (char)('a' + i % 26);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 1024) != 0) {
        perror("load_origin");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    run(listener);
    return 0;
}
