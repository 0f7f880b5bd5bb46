/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_command.c - the tool's side of `weirctl explain`: makes a request of what was typed, and has it explained by
 * the master, or, for a configuration that is named, in this process.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/event/signal.h"
#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "master/explain.h"
#include "master/preflight.h"
#include "master/zones.h"

/* What was typed. */
struct command {
    const char *conf; /* -c; NULL: the configuration that runs */
    const char *client;
    const char *request;
    bool json;
    char **fields; /* the words, for the fields among them */
};

/* The request line's parts. */
struct target {
    struct str method, url, version;
    bool tls;
    struct str authority, host, path; /* host: without port and brackets */
    uint16_t port;
};

static int
usage(const char *why, const char *what)
{
    fprintf(stderr, "weirctl: explain: %s%s\n", why, what);
    fprintf(stderr,
            "Usage: weirctl [-p prefix] [-c filename] explain 'METHOD URL' [-H 'Name: value'] ...\n"
            "               [-c filename] [--client address] [--json]\n");
    return EXIT_USAGE;
}

/* ---- the request ------------------------------------------------------------------------------------------------ */

/* Line ends and NUL cannot be part of it; all other bytes are for the server to judge. */
static bool
is_one_line(const char *text)
{
    return strpbrk(text, "\r\n") == NULL;
}

/* "host", "host:80", "[::1]:80"; without a port that of the scheme. */
static bool
split_authority(struct target *t)
{
    struct str a = t->authority, port = STR_NONE;
    size_t bracket = str_find(a, ']'), colon;
    uint32_t n;

    t->port = t->tls ? 443 : 80;
    if (a.len > 0 && a.ptr[0] == '[' && bracket < a.len) {
        t->host = str_n(a.ptr + 1, bracket - 1);
        a = str_from(a, bracket + 1);
    } else {
        colon = str_find(a, ':');
        t->host = str_upto(a, colon);
        a = str_from(a, colon);
    }
    if (a.len > 0 && a.ptr[0] == ':')
        port = str_from(a, 1);
    if (port.len == 0)
        return a.len <= 1;
    if (!num_parse_u32(port, &n) || n > UINT16_MAX)
        return false;
    t->port = (uint16_t)n;
    return true;
}

/* "GET https://host/path", "https://host/path", "GET http://host/path HTTP/1.0". */
static bool
parse_target(struct str text, struct target *t)
{
    size_t blank = str_find(text, ' '), last = str_rfind(text, ' ');
    struct str scheme;

    memset(t, 0, sizeof(*t));
    t->method = S("GET");
    t->version = S("HTTP/1.1");
    if (blank < text.len && str_search(str_upto(text, blank), S("://")) == blank) {
        t->method = str_upto(text, blank);
        text = str_from(text, blank + 1);
        last = str_rfind(text, ' ');
    }
    if (last < text.len && str_starts(str_from(text, last + 1), S("HTTP/"))) {
        t->version = str_from(text, last + 1);
        text = str_upto(text, last);
    }
    t->url = text;
    scheme = str_upto(text, str_search(text, S("://")));
    t->tls = str_eq_nocase(scheme, S("https"));
    if (!t->tls && !str_eq_nocase(scheme, S("http")))
        return false;
    text = str_from(text, scheme.len + 3);
    for (blank = 0; blank < text.len && text.ptr[blank] != '/' && text.ptr[blank] != '?';)
        blank++;
    t->authority = str_upto(text, blank);
    t->path = str_from(text, blank);
    return t->authority.len > 0 && split_authority(t);
}

static bool
is_host(const char *field)
{
    return str_starts_nocase(str_c(field), S("host:"));
}

/* Host as the URL says, unless a field says otherwise. */
static void
put_request(struct text *t, const struct target *target, char **fields)
{
    bool host = false;

    text_add(t, target->method);
    text_char(t, ' ');
    if (target->path.len == 0 || target->path.ptr[0] != '/')
        text_char(t, '/');
    text_add(t, target->path);
    text_char(t, ' ');
    text_add(t, target->version);
    TEXT_LIT(t, "\r\n");
    for (char **f = fields; *f != NULL; f++)
        host |= is_host(*f);
    if (!host) {
        TEXT_LIT(t, "Host: ");
        text_add(t, target->authority);
        TEXT_LIT(t, "\r\n");
    }
    for (char **f = fields; *f != NULL; f++) {
        text_add(t, str_c(*f));
        TEXT_LIT(t, "\r\n");
    }
    TEXT_LIT(t, "\r\n");
}

/* The question as the master and worker_explain want it. */
static bool
put_question(struct text *t, const struct command *c, const struct target *target)
{
    struct text request;
    bool ok;

    text_init(&request, NULL);
    put_request(&request, target, c->fields);
    lines_put_num(t, c->json);
    lines_put_num(t, target->tls);
    lines_put_str(t, target->host);
    lines_put_num(t, target->port);
    lines_put_str(t, str_c(c->client));
    lines_put_str(t, text_str(&request));
    ok = !request.failed && !t->failed;
    text_free(&request);
    return ok;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static int
explain_here(const struct options *o, const struct command *c, struct str question)
{
    struct options own = *o;
    struct error err = { 0 };
    struct config *config;
    struct text answer;
    struct arena a;
    struct report r;
    struct vec none;
    bool ok;

    own.conf = c->conf;
    arena_init(&a, 65536);
    report_init(&r, &a);
    vec_init(&none, &a, sizeof(struct adopted_zone));
    signal_block_all();
    config = preflight_load(&own, NULL, &a, &r);
    if (config == NULL || !zones_open(config, &none, &r) || !loop_init(&err)) {
        report_print(&r, LOG_LEVEL_WARN);
        return EXIT_ERROR;
    }
    text_init(&answer, NULL);
    ok = explain_entry(config, question, &answer);
    if (ok)
        fwrite(answer.ptr, 1, answer.len, stdout);
    else
        fprintf(stderr, "weirctl: %.*s\n", (int)answer.len, answer.ptr);
    return ok && fflush(stdout) == 0 ? 0 : EXIT_ERROR;
}

static int
explain_there(const struct options *o, struct str question)
{
    struct text request;
    struct arena a;
    struct str story;
    int status;

    arena_init(&a, 65536);
    text_init(&request, &a);
    TEXT_LIT(&request, "explain");
    text_add(&request, question);
    status = ctl_fetch(o, text_str(&request), &a, &story);
    if (status != 0)
        return status;
    fwrite(story.ptr, 1, story.len, stdout);
    return fflush(stdout) == 0 ? 0 : EXIT_ERROR;
}

/* The value behind an option; NULL: there is none. */
static const char *
take_value(char ***words)
{
    return (*words)[1] != NULL ? *++*words : NULL;
}

/* Fields are gathered at the front of the words, which are all read by then. 0, or what usage() returned. */
static int
parse_words(struct command *c, char **words)
{
    char **fields = words;

    c->fields = words;
    for (; *words != NULL; words++) {
        const char *word = *words, **to = NULL;
        bool field = strcmp(word, "-H") == 0;

        if (strcmp(word, "--json") == 0) {
            c->json = true;
            continue;
        }
        if (strcmp(word, "-c") == 0)
            to = &c->conf;
        else if (strcmp(word, "--client") == 0)
            to = &c->client;
        else if (!field && (word[0] == '-' || c->request != NULL))
            return usage("unexpected ", word);
        else if (!field)
            c->request = word;
        if (to == NULL && !field)
            continue;
        word = take_value(&words);
        if (word == NULL)
            return usage("a value is missing behind ", *words);
        if (field)
            *fields++ = *words;
        else
            *to = word;
    }
    *fields = NULL;
    return 0;
}

int
explain_command(const struct options *o, char **words)
{
    struct command c = { .client = "127.0.0.1" };
    int status = parse_words(&c, words);
    struct target target;
    struct text question;
    struct addr client;

    if (status != 0)
        return status;
    if (c.request == NULL)
        return usage("which request?", "");
    for (char **f = c.fields; *f != NULL; f++) {
        if (!is_one_line(*f))
            return usage("a line end cannot stand in a field", "");
    }
    if (!is_one_line(c.request) || !parse_target(str_c(c.request), &target))
        return usage("a request looks like 'GET https://example.com/path', not like ", c.request);
    if (!addr_parse(str_c(c.client), 0, &client))
        return usage("no address: ", c.client);
    text_init(&question, NULL);
    if (!put_question(&question, &c, &target)) {
        fprintf(stderr, "weirctl: out of memory\n");
        return EXIT_ERROR;
    }
    status = c.conf != NULL ? explain_here(o, &c, text_str(&question))
                            : explain_there(o, text_str(&question));
    text_free(&question);
    return status;
}
