/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_conn.c - both sides of TLS in one process: handshakes, verification, resumption, bulk data, ends. */
#include "worker/tls/tls_conn.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/base/num.h"
#include "test.h"

#include "t/unit/worker/fixture.h"

extern struct module ssl_module;

/* ---- a configuration with a context for each side ---- */

struct sides {
    const struct tls_context *client, *careful; /* the second one verifies */
};
static struct sides sides;
static char trusted_path[] = "/tmp/weir-unit-tls-XXXXXX";

static bool
sides_loaded(struct conf_load *l)
{
    struct tls_shared *shared = tls_shared_new(conf_arena(l), S("/w/"));
    struct tls_settings s = { .client = true,
                              .protocols = TLS_V1_2 | TLS_V1_3,
                              .ciphers = S_INIT("DEFAULT"),
                              .curves = S_INIT("auto") };

    sides.client = tls_context_get(l, shared, &s);
    s.verify = TLS_VERIFY_ON;
    s.verify_depth = 1;
    s.trusted_ca.path = str_c(trusted_path);
    sides.careful = tls_context_get(l, shared, &s);
    return sides.client != NULL && sides.careful != NULL;
}

static struct module sides_module = { .name = "sides", .loaded = sides_loaded };

static struct module *const all_modules[] = { &log_module,       &events_module,
                                              &fixture_module,   &resolver_module,
                                              &ssl_module,       &sides_module,
                                              &variables_module, NULL };

/* A key, and a certificate for "a.example" that it signs itself; appended as PEM. */
static void
make_pair(char *certificate, char *key, size_t size)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_EXTENSION *names;
    BIO *bio = BIO_new(BIO_s_mem());

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -1000);
    X509_gmtime_adj(X509_getm_notAfter(x), 100000);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"a.example", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, k);
    names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:a.example,IP:127.0.0.1");
    X509_add_ext(x, names, -1);
    X509_sign(x, k, EVP_sha256());
    PEM_write_bio_X509(bio, x);
    certificate[BIO_read(bio, certificate, (int)size - 1)] = '\0';
    PEM_write_bio_PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL);
    key[BIO_read(bio, key, (int)size - 1)] = '\0';
    X509_EXTENSION_free(names);
    BIO_free(bio);
    X509_free(x);
    EVP_PKEY_free(k);
}

static struct fixture fixture;
static struct scope *server_scope;

static void
load(void)
{
    struct conf_options o = { .prefix = S_INIT("/w"), .conf_path = S_INIT("/w/w.conf") };
    static char certificate[4096], key[4096], text[16384];
    struct conf_file *file;
    int fd;

    fixture_loop();
    make_pair(certificate, key, sizeof(key));
    strcpy(trusted_path + strlen(trusted_path) - 6, "XXXXXX");
    fd = mkstemp(trusted_path);
    ASSERT(fd != -1 && write(fd, certificate, strlen(certificate)) > 0);
    close(fd);
    snprintf(text, sizeof(text),
             "events { worker_connections 20; } http { server { ssl_certificate \"data:%s\"; "
             "ssl_certificate_key \"data:%s\"; ssl_session_tickets off; ssl_session_cache builtin; "
             "} }",
             certificate, key);
    modules_number(all_modules);
    arena_init(&fixture.arena, 4096);
    vec_init(&fixture.texts, &fixture.arena, sizeof(struct conf_file));
    vec_init(&fixture.messages, &fixture.arena, sizeof(struct conf_message));
    file = vec_push(&fixture.texts);
    *file = (struct conf_file){ S("/w/w.conf"), str_c(text) };
    o.texts = &fixture.texts;
    fixture.config = config_load(&o, &fixture.arena, &fixture.messages);
    if (fixture.config == NULL)
        printf("# %.*s\n", STR(fixture_message(&fixture)));
    ASSERT(fixture.config != NULL);
    worker_config = fixture.config;
    server_scope = fixture_find(fixture.config, SCOPE_SERVER);
    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
}

static void
unload(void)
{
    fixture_settle();
    unlink(trusted_path);
    fixture_end(&fixture);
}

/* ---- a connection, both ends ---- */

static struct conn *client, *server;
static bool server_ready, server_plain, client_done;
static char client_why[256], asked_name[256];

static const struct tls_context *
choose(struct conn *c UNUSED, struct str name, const void **owner)
{
    *owner = "me";
    (void)str_to_c(name, asked_name, sizeof(asked_name));
    return str_eq(name, S("refused")) ? NULL : tls_context_of(server_scope);
}

static struct str
protocols(struct conn *c UNUSED)
{
    return S("\x02h9\x08http/1.1");
}

static void
ready(struct conn *c UNUSED)
{
    server_ready = true;
}

static void
plain(struct conn *c UNUSED)
{
    server_plain = true;
}

static const struct tls_server_ops server_ops = {
    .choose = choose, .protocols = protocols, .ready = ready, .plain = plain
};

static void
done(struct conn *c UNUSED, const char *why)
{
    client_done = true;
    (void)str_to_c(why != NULL ? str_c(why) : S(""), client_why, sizeof(client_why));
}

static void
open_both(void)
{
    int fds[2];

    ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    client = conn_open(fds[0], true);
    server = conn_open(fds[1], false);
    server_ready = server_plain = client_done = false;
    client_why[0] = asked_name[0] = '\0';
    client->bits |= CONN_WRITABLE;
}

/* True: both sides are content. */
static bool
handshake(const struct tls_context *context, struct str name, struct str verify, bool resume)
{
    struct tls_client o = { .context = context,
                            .name = name,
                            .verify_name = verify,
                            .protocols = S_INIT("\x08http/1.1"),
                            .resume = resume,
                            .done = done };

    open_both();
    tls_accept(server, &server_ops, 5000);
    tls_connect(client, &o);
    for (int i = 0; i < 50 && !(client_done && server_ready); i++)
        loop_turn(0);
    return client_done && client_why[0] == '\0' && server_ready;
}

static void
close_both(void)
{
    if (!client->closed)
        conn_close(client);
    if (!server->closed)
        conn_close(server);
    fixture_settle();
}

static const struct str a_example = S_INIT("a.example");

TEST(a_handshake_agrees_on_names)
{
    load();
    CHECK(handshake(sides.client, S("A.Example"), STR_NONE, false), "%s", client_why);
    CHECK_EQ(strcmp(asked_name, "a.example"), 0, "%s", asked_name);
    CHECK(str_eq(tls_alpn(server), S("http/1.1")));
    CHECK(str_eq(tls_alpn(client), S("http/1.1")));
    CHECK(conn_is_tls(server) && strcmp(tls_server_of(server), "me") == 0);
    close_both();
    CHECK(handshake(sides.client, S("127.0.0.1"), STR_NONE, false), "%s", client_why);
    CHECK_EQ(asked_name[0], '\0', "an address is no SNI: %s", asked_name);
    close_both();
    CHECK(!handshake(sides.client, S("refused"), STR_NONE, false));
    CHECK(strstr(client_why, "unrecognized name") != NULL, "%s", client_why);
    close_both();
    unload();
}

TEST(the_server_is_verified)
{
    load();
    CHECK(handshake(sides.careful, a_example, a_example, false), "%s", client_why);
    close_both();
    CHECK(handshake(sides.careful, STR_NONE, S("127.0.0.1"), false), "%s", client_why);
    close_both();
    CHECK(!handshake(sides.careful, a_example, S("b.example"), false));
    CHECK_EQ(strcmp(client_why, "upstream SSL certificate does not match \"b.example\", it is for "
                                "\"a.example 127.0.0.1\""),
             0, "%s", client_why);
    close_both();
    CHECK(!handshake(sides.careful, a_example, S("127.0.0.2"), false));
    CHECK(strstr(client_why, "does not match \"127.0.0.2\"") != NULL, "%s", client_why);
    close_both();
    CHECK(!handshake(sides.careful, a_example, S(""), false));
    close_both();
    unload();
}

TEST(an_unknown_certificate_is_refused)
{
    const struct tls_context *before;

    load();
    before = sides.careful;
    /* Another configuration has another certificate; the old one's trust does not know it. */
    {
        struct fixture old = fixture;
        char old_path[sizeof(trusted_path)];

        strcpy(old_path, trusted_path);
        load();
        CHECK(!handshake(before, a_example, a_example, false));
        CHECK(strstr(client_why, "upstream SSL certificate verify error: (18:self") != NULL, "%s",
              client_why);
        close_both();
        unload();
        unlink(old_path);
        worker_config = old.config;
        fixture_end(&old);
    }
}

/* The ticket comes behind the handshake; it is nothing that an idle connection should not get. */
static void
take_tickets(void)
{
    for (int i = 0; i < 20; i++) {
        loop_turn(0);
        CHECK(tls_is_quiet(client));
    }
}

TEST(sessions_are_resumed)
{
    load();
    CHECK(handshake(sides.careful, a_example, a_example, true), "%s", client_why);
    CHECK(!SSL_session_reused(tls_of(client)->ssl));
    take_tickets();
    close_both();
    CHECK(handshake(sides.careful, a_example, a_example, true), "%s", client_why);
    CHECK(SSL_session_reused(tls_of(client)->ssl));
    CHECK(SSL_session_reused(tls_of(server)->ssl));
    take_tickets();
    close_both();
    CHECK(handshake(sides.careful, a_example, a_example, false), "%s", client_why);
    CHECK(!SSL_session_reused(tls_of(client)->ssl), "nobody asked for it");
    close_both();
    CHECK(handshake(sides.careful, a_example, S("127.0.0.1"), true), "%s", client_why);
    CHECK(!SSL_session_reused(tls_of(client)->ssl), "another name to be verified");
    close_both();
    CHECK(handshake(sides.client, a_example, a_example, true), "%s", client_why);
    CHECK(!SSL_session_reused(tls_of(client)->ssl), "other settings");
    close_both();
    CHECK(handshake(sides.careful, a_example, a_example, true), "%s", client_why);
    CHECK(SSL_session_reused(tls_of(client)->ssl), "still there");
    close_both();
    unload();
}

TEST(connections_serve_those_who_want_the_same)
{
    struct tls_client o;

    load();
    CHECK(handshake(sides.careful, a_example, a_example, false), "%s", client_why);
    o = (struct tls_client){ .context = sides.careful,
                             .name = a_example,
                             .verify_name = a_example,
                             .protocols = S_INIT("\x08http/1.1") };
    CHECK(tls_serves(client, &o));
    CHECK(!tls_serves(client, NULL), "a plain one is wanted");
    o.name = S("");
    CHECK(!tls_serves(client, &o), "another SNI");
    o.name = a_example;
    o.verify_name = S("127.0.0.1");
    CHECK(!tls_serves(client, &o), "another name to be verified");
    o.verify_name = a_example;
    o.protocols = S("\x02h2");
    CHECK(!tls_serves(client, &o), "another protocol");
    o.protocols = S("\x08http/1.1");
    o.context = sides.client;
    CHECK(!tls_serves(client, &o), "other settings");
    close_both();
    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    o.verify_name = S("whatever");
    CHECK(tls_serves(client, &o), "nobody verifies");
    close_both();

    open_both();
    CHECK(tls_serves(client, NULL), "a plain one");
    CHECK(!tls_serves(client, &o));
    close_both();
    unload();
}

/* ---- bytes ---- */

enum { BULK = 3 << 20 };

static unsigned char
byte_at(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 24);
}

/* BULK bytes from one end to the other, in pieces of odd sizes; how many came out right. */
static size_t
pump(struct conn *from, struct conn *to, bool slow)
{
    static unsigned char block[70000];
    size_t sent = 0, got = 0, right = 0;

    for (int turn = 0; turn < 200000 && got < BULK; turn++) {
        size_t n = BULK - sent < sizeof(block) ? BULK - sent : sizeof(block), taken = 0, part;
        struct iovec iov[3] = { { block, n / 3 },
                                { block + n / 3, 7 < n - n / 3 ? 7 : 0 },
                                { NULL, 0 } };

        iov[2].iov_base = (char *)iov[1].iov_base + iov[1].iov_len;
        iov[2].iov_len = n - iov[0].iov_len - iov[1].iov_len;
        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(sent + i);
        if (n > 0 && (from->bits & CONN_WRITABLE)) {
            enum io io = conn_write(from, iov, 3, false, &taken);

            CHECK(io == IO_OK || io == IO_AGAIN);
            CHECK(io != IO_OK || taken == n);
            CHECK(io != IO_AGAIN || !(from->bits & CONN_WRITABLE));
            sent += taken;
        }
        loop_turn(0);
        if (slow && turn % 50 != 0)
            continue;
        while (conn_read_buf(to, block, 1 + turn % sizeof(block), &part) == IO_OK) {
            for (size_t i = 0; i < part; i++)
                right += block[i] == byte_at(got + i);
            got += part;
            if (slow)
                break;
        }
    }
    CHECK_EQ(got, BULK);
    return right;
}

TEST(bytes_arrive_in_both_directions)
{
    load();
    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    CHECK_EQ(pump(client, server, false), BULK);
    CHECK_EQ(pump(server, client, false), BULK);
    CHECK_EQ(pump(server, client, true), BULK);
    CHECK(server->ops->flush(server) == IO_OK && tls_of(server)->out == NULL, "no buffer is left");
    close_both();
    unload();
}

/* Bytes that the socket has for `c`. */
static int
unread(const struct conn *c)
{
    int n = 0;

    return ioctl(c->watch.fd, FIONREAD, &n) == 0 ? n : -1;
}

TEST(records_without_data_do_not_hold_others_up)
{
    enum { UPDATES = 5000 };
    struct iovec iov = { "data", 4 };
    struct tls *t;
    unsigned pauses = 0;
    enum io io = IO_AGAIN;
    char bytes[10];
    size_t n, got = 0;

    load();
    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    loop_turn(0);
    t = tls_of(client);
    for (unsigned i = 0; i < UPDATES; i++)
        CHECK(SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
              SSL_do_handshake(t->ssl) == 1);
    CHECK_EQ(conn_write(client, &iov, 1, false, &n), IO_OK);
    CHECK_EQ(client->ops->flush(client), IO_OK);
    for (int turn = 0; turn < 1000 && io == IO_AGAIN; turn++) {
        int before, taken;

        loop_turn(0);
        before = unread(server);
        io = conn_read_buf(server, bytes, sizeof(bytes), &got);
        taken = before - unread(server);
        CHECK(taken <= 80 * 1024, "%d bytes in one call", taken);
        pauses += io == IO_AGAIN && taken > 0;
    }
    CHECK_EQ(io, IO_OK, "though nothing new came");
    CHECK(got == 4 && memcmp(bytes, "data", 4) == 0);
    CHECK(pauses > 0);
    close_both();
    unload();
}

TEST(files_arrive)
{
    static unsigned char block[100000];
    char path[] = "/tmp/weir-unit-tls-file-XXXXXX";
    size_t sent = 0, got = 0, right = 0, part;
    uint64_t largest = 0;
    int fd = mkstemp(path);

    load();
    unlink(path);
    for (size_t at = 0; at < BULK; at += sizeof(block)) {
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] = byte_at(at + i);
        ASSERT(write(fd, block, sizeof(block)) == sizeof(block));
    }
    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    for (int turn = 0; turn < 100000 && got < BULK; turn++) {
        size_t taken = 0;

        if (sent < BULK && (server->bits & CONN_WRITABLE)) {
            enum io io = server->ops->write_file(server, fd, sent, BULK - sent, false, &taken);

            CHECK(io == IO_OK || io == IO_AGAIN);
            sent += taken;
            largest = num_max(largest, tls_of(server)->out_size);
        }
        loop_turn(0);
        while (conn_read_buf(client, block, sizeof(block), &part) == IO_OK) {
            for (size_t i = 0; i < part; i++)
                right += block[i] == byte_at(got + i);
            got += part;
        }
    }
    CHECK_EQ(right, BULK);
    /* A file that has become shorter. */
    CHECK_EQ(server->ops->write_file(server, fd, lseek(fd, 0, SEEK_END), 10, false, &part),
             IO_ERROR);
    CHECK_EQ(server->error, EIO);
    close(fd);
    CHECK(largest >= 64 * 1024, "many records leave in one send");
    close_both();
    unload();
}

/* ---- ends ---- */

static enum io
read_end(struct conn *c)
{
    enum io io = IO_AGAIN;

    for (int i = 0; i < 20 && io == IO_AGAIN; i++) {
        char bytes[100];
        size_t got;

        loop_turn(0);
        io = conn_read_buf(c, bytes, sizeof(bytes), &got);
    }
    return io;
}

TEST(a_proper_end_and_a_cut)
{
    load();
    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    conn_close(server);
    CHECK_EQ(read_end(client), IO_EOF);
    CHECK_EQ(read_end(client), IO_EOF, "again");
    CHECK(!tls_was_cut(client));
    close_both();

    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    shutdown(server->watch.fd, SHUT_RDWR); /* as if somebody had forged a FIN */
    CHECK_EQ(read_end(client), IO_EOF);
    CHECK(tls_was_cut(client));
    CHECK_EQ(read_end(client), IO_EOF, "again");
    close_both();

    /* A client that leaves so is no news to a server. */
    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    shutdown(client->watch.fd, SHUT_RDWR);
    CHECK_EQ(read_end(server), IO_EOF);
    CHECK_EQ(read_end(server), IO_EOF, "again");
    close_both();
    unload();
}

TEST(the_end_leaves_with_the_last_bytes)
{
    struct iovec iov = { "last", 4 };
    size_t taken, got;
    char bytes[10];

    load();
    CHECK(handshake(sides.client, a_example, STR_NONE, NULL), "%s", client_why);
    CHECK_EQ(conn_write(server, &iov, 1, false, &taken), IO_OK);
    server->ops->ending(server);
    CHECK_EQ(server->ops->flush(server), IO_OK);
    loop_turn(0);
    CHECK_EQ(conn_read_buf(client, bytes, sizeof(bytes), &got), IO_OK);
    CHECK_EQ(got, 4);
    CHECK_EQ(read_end(client), IO_EOF, "though the server has not closed");
    CHECK(!tls_was_cut(client));
    close_both();
    unload();
}

TEST(half_of_a_connection_can_end)
{
    struct iovec iov = { "late", 4 };
    size_t taken, got;
    char bytes[10];

    load();
    CHECK(handshake(sides.client, a_example, STR_NONE, false), "%s", client_why);
    client->ops->shutdown(client);
    CHECK_EQ(read_end(server), IO_EOF);
    CHECK_EQ(conn_write(server, &iov, 1, false, &taken), IO_OK);
    loop_turn(0);
    loop_turn(0);
    CHECK_EQ(conn_read_buf(client, bytes, sizeof(bytes), &got), IO_OK);
    CHECK_EQ(got, 4);
    close_both();
    unload();
}

TEST(garbage_ends_a_handshake)
{
    struct tls_client o = { .done = done };

    load();
    o.context = sides.client;
    open_both();
    tls_connect(client, &o);
    CHECK(write(server->watch.fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28);
    fixture_settle();
    CHECK(client_done);
    CHECK(strstr(client_why, "SSL_do_handshake() failed (SSL: error:") != NULL, "%s", client_why);
    close_both();

    open_both();
    tls_connect(client, &o);
    conn_close(server);
    fixture_settle();
    CHECK(client_done && strncmp(client_why, "peer closed connection in SSL handshake", 39) == 0,
          "%s", client_why);
    close_both();
    unload();
}

TEST(plain_text_is_handed_on)
{
    char bytes[10];
    size_t got;

    load();
    open_both();
    tls_accept(server, &server_ops, 5000);
    CHECK(write(client->watch.fd, "GET", 3) == 3);
    fixture_settle();
    CHECK(server_plain && !conn_is_tls(server));
    CHECK_EQ(conn_read_buf(server, bytes, sizeof(bytes), &got), IO_OK);
    CHECK(got == 3 && memcmp(bytes, "GET", 3) == 0);
    CHECK(write(client->watch.fd, "...", 3) == 3);
    fixture_settle();
    CHECK_EQ(conn_read_buf(server, bytes, sizeof(bytes), &got), IO_OK, "and reads on");
    close_both();
    unload();
}

/* What came with something before (PROXY protocol) is the beginning of the handshake. */
TEST(bytes_read_ahead_are_the_hello)
{
    struct tls_client o = { .name = a_example, .done = done };
    char bytes[4000];
    ssize_t n;

    load();
    o.context = sides.client;
    open_both();
    tls_connect(client, &o);
    n = read(server->watch.fd, bytes, sizeof(bytes));
    ASSERT(n > 100);
    CHECK(conn_unread(server, str_n(bytes + 50, (size_t)n - 50)) &&
          conn_unread(server, str_n(bytes, 50)));
    tls_accept(server, &server_ops, 5000);
    for (int i = 0; i < 50 && !(client_done && server_ready); i++)
        loop_turn(0);
    CHECK(server_ready && client_done && client_why[0] == '\0', "%s", client_why);
    close_both();
    unload();
}
