/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certs_command.c - `weirctl certs`: asks for the certificates page by page (worker/tls/tls_report.c makes them) and
 * shows them as a table, or in JSON.
 */
#include "master/certs_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/num.h"

enum { NAMES_WIDTH = 40, DAY_S = 86400 };

/* The fields of a row, in order. */
enum field {
    STATE,
    NOT_BEFORE,
    NOT_AFTER,
    KEY_TYPE,
    SERIAL,
    FINGERPRINT,
    SUBJECT,
    ISSUER,
    NAMES,
    CERTIFICATE,
    KEY,
    SERVERS,
    WATCHED,
    WHY,
    FIELDS
};

struct show {
    bool json, colour;
    struct text out;
    struct json j;
    unsigned rows;
};

static const struct {
    enum field field;
    const char *name;
} texts[] = {
    { CERTIFICATE, "certificate" },
    { KEY, "key" },
    { KEY_TYPE, "key_type" },
    { SERIAL, "serial" },
    { FINGERPRINT, "fingerprint_sha256" },
    { SUBJECT, "subject" },
    { ISSUER, "issuer" },
    { WHY, "error" },
};

/* Whole days until then, negative once it is past. */
static int64_t
days_until(int64_t then_s)
{
    int64_t left = then_s - (int64_t)time(NULL);

    return left < 0 ? -((-left + DAY_S - 1) / DAY_S) : left / DAY_S;
}

static void
date_of(int64_t s, const char *format, char *to, size_t size)
{
    time_t t = (time_t)s;
    struct tm tm;

    to[0] = '\0';
    if (gmtime_r(&t, &tm) != NULL)
        (void)strftime(to, size, format, &tm);
}

/* ---- JSON ---- */

static void
json_words(struct json *j, const char *key, struct str words)
{
    struct str word;

    json_key(j, str_c(key));
    json_array(j);
    while (words.len > 0 && str_split(&words, ' ', &word))
        json_str(j, word);
    json_array_end(j);
}

static void
json_date(struct json *j, const char *key, struct str seconds)
{
    char date[40];
    int64_t s;

    json_key(j, str_c(key));
    if (!num_parse_i64(seconds, &s)) {
        json_null(j);
        return;
    }
    date_of(s, "%Y-%m-%dT%H:%M:%SZ", date, sizeof(date));
    json_str(j, str_c(date));
}

static void
show_json(struct show *s, const struct str f[FIELDS])
{
    int64_t end;

    json_object(&s->j);
    json_key(&s->j, S("state"));
    json_str(&s->j, f[STATE]);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_key(&s->j, str_c(texts[i].name));
        if (f[texts[i].field].len > 0)
            json_str(&s->j, f[texts[i].field]);
        else
            json_null(&s->j);
    }
    json_words(&s->j, "names", f[NAMES]);
    json_words(&s->j, "servers", f[SERVERS]);
    json_date(&s->j, "not_before", f[NOT_BEFORE]);
    json_date(&s->j, "not_after", f[NOT_AFTER]);
    json_key(&s->j, S("days_left"));
    if (num_parse_i64(f[NOT_AFTER], &end))
        json_i64(&s->j, days_until(end));
    else
        json_null(&s->j);
    json_key(&s->j, S("watched"));
    json_bool(&s->j, str_eq(f[WATCHED], S("1")));
    json_object_end(&s->j);
}

/* ---- the table ---- */

static const char *
colour_of(struct str state)
{
    if (str_eq(state, S("ok")) || str_eq(state, S("by connection")))
        return "";
    return str_eq(state, S("expiring")) ? "\033[33m" : "\033[31m";
}

static void
show_row(struct show *s, const struct str f[FIELDS])
{
    const char *colour = s->colour ? colour_of(f[STATE]) : "";
    struct str names = f[NAMES].len > 0 ? f[NAMES] : f[SERVERS];
    char date[40] = "-", days[24] = "-";
    int64_t end;

    if (num_parse_i64(f[NOT_AFTER], &end)) {
        date_of(end, "%Y-%m-%d", date, sizeof(date));
        snprintf(days, sizeof(days), "%" PRId64, days_until(end));
    }
    if (s->rows == 0)
        text_fmt(&s->out, "%-13s %5s  %-10s  %-14s  %-*s  %-24s  %s\n", "STATE", "DAYS", "EXPIRES",
                 "KEY", NAMES_WIDTH, "NAMES", "ISSUER", "FILE");
    text_fmt(&s->out, "%s%-13.*s%s %5s  %-10s  %-14.*s  %-*.*s  %-24.*s  %.*s\n", colour,
             STR(f[STATE]), *colour != '\0' ? "\033[0m" : "", days, date,
             STR(f[KEY_TYPE].len > 0 ? f[KEY_TYPE] : S("-")), NAMES_WIDTH,
             (int)num_min(names.len, NAMES_WIDTH), names.len > 0 ? names.ptr : "",
             STR(f[ISSUER].len > 0 ? f[ISSUER] : S("-")), STR(f[CERTIFICATE]));
    if (f[WHY].len > 0)
        text_fmt(&s->out, "%s    %.*s%s\n", colour, STR(f[WHY]), *colour != '\0' ? "\033[0m" : "");
}

/* ---- pages ---- */

static void
flush(struct show *s)
{
    fwrite(s->out.ptr, 1, s->out.len, stdout);
    s->out.len = 0;
}

/* "TOTAL NEXT", then the rows. False: not understood. */
static bool
show_page(struct show *s, struct str page, uint32_t *total, uint32_t *next)
{
    struct str line, word;

    if (!str_split(&page, '\n', &line) || !str_split(&line, ' ', &word) ||
        !num_parse_u32(word, total) || !num_parse_u32(line, next))
        return false;
    while (page.len > 0 && str_split(&page, '\n', &line)) {
        struct str f[FIELDS] = { { 0 } };

        for (unsigned i = 0; i < FIELDS; i++) {
            if (!str_split(&line, '\t', &f[i]))
                f[i] = S("");
        }
        if (s->json)
            show_json(s, f);
        else
            show_row(s, f);
        s->rows++;
    }
    return true;
}

bool
certs_show(struct str (*ask)(void *data, const char *command), void *data, bool json)
{
    struct show s = { .json = json, .colour = isatty(STDOUT_FILENO) };
    uint32_t total = 1, next = 0;
    bool good = true;

    text_init(&s.out, NULL);
    json_begin(&s.j, &s.out);
    if (json)
        json_array(&s.j);
    while (good && next < total) {
        uint32_t from = next;
        char command[32];
        struct str page;

        snprintf(command, sizeof(command), "certs %u", from);
        page = ask(data, command);
        good = page.ptr != NULL;
        if (good && (!show_page(&s, page, &total, &next) || (next <= from && next < total))) {
            fprintf(stderr, "weirctl: no worker answers\n");
            good = false;
        }
        if (!json)
            flush(&s);
    }
    if (json && good) {
        json_array_end(&s.j);
        text_char(&s.out, '\n');
        flush(&s);
    }
    text_free(&s.out);
    return good;
}
