/* SPDX-License-Identifier: BSD-2-Clause */
/* explain_show.c - a story for people, one step in a line with its place in the text, and for tools. */
#include "worker/explain_show.h"

#include "common/base/escape.h"
#include "common/base/json.h"
#include "common/base/num.h"
#include "worker/core/explain.h"

enum { LINE_SHOWN_MAX = 160 /* bytes of a directive */ };

/* Facts that are heads of messages. */
static const struct {
    const char *name, *title;
} heads[] = {
    { "origin_request", "the origin would get" },
    { "response", "the client would get" },
};

static bool
is_head(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        if (strcmp(heads[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The next line of a head, without its end. False: there is none. */
static bool
head_line(struct str *rest, struct str *line)
{
    if (rest->len == 0 || !str_split(rest, '\n', line))
        return false;
    if (str_ends(*line, S("\r")))
        line->len--;
    return line->len > 0;
}

/* ---- for people ---- */

static void
text_place(const struct config *c, struct conf_pos pos, struct text *to)
{
    struct str line = explain_line(pos);

    if (pos.line == 0)
        return;
    TEXT_LIT(to, "  (");
    escape_line(to, config_pos_file(c, pos));
    text_fmt(to, ":%u", pos.line);
    if (line.len > 0) {
        TEXT_LIT(to, ": ");
        escape_line(to, str_upto(line, num_min(line.len, LINE_SHOWN_MAX)));
        if (line.len > LINE_SHOWN_MAX)
            TEXT_LIT(to, "...");
    }
    text_char(to, ')');
}

static void
text_head(const char *title, struct str head, struct text *to)
{
    struct str line;

    text_fmt(to, "\n%s:\n", title);
    while (head_line(&head, &line)) {
        TEXT_LIT(to, "    ");
        escape_line(to, line);
        text_char(to, '\n');
    }
}

void
explain_show_text(const struct config *c, struct str request, struct text *to)
{
    escape_line(to, request);
    TEXT_LIT(to, "\n\n");
    VEC_FOREACH (e, struct explain_entry, explain_steps()) {
        text_fmt(to, "%-10s ", e->what);
        escape_line(to, e->text);
        text_place(c, e->pos, to);
        text_char(to, '\n');
    }
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        VEC_FOREACH (e, struct explain_entry, explain_facts()) {
            if (strcmp(e->what, heads[i].name) == 0)
                text_head(heads[i].title, e->text, to);
        }
    }
}

/* ---- for tools ---- */

static void
json_member(struct json *j, struct str key, struct str value)
{
    json_key(j, key);
    json_str(j, value);
}

/* The first line, and name and value of each field. */
static void
json_head(struct json *j, struct str head)
{
    struct str line = STR_NONE;

    json_object(j);
    head_line(&head, &line);
    json_member(j, S("line"), line);
    json_key(j, S("fields"));
    json_array(j);
    while (head_line(&head, &line)) {
        size_t colon = str_find(line, ':');

        json_array(j);
        json_str(j, str_upto(line, colon));
        json_str(j, str_trim(str_from(line, num_min(colon + 1, line.len))));
        json_array_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

static void
json_words(struct json *j, struct str words)
{
    struct str word;

    json_array(j);
    while (words.len > 0 && str_split(&words, ' ', &word))
        json_str(j, word);
    json_array_end(j);
}

static void
json_fact(struct json *j, const struct explain_entry *e)
{
    uint64_t status;

    json_key(j, str_c(e->what));
    if (is_head(e->what))
        json_head(j, e->text);
    else if (strcmp(e->what, "upstream_peers") == 0)
        json_words(j, e->text);
    else if (strcmp(e->what, "file_exists") == 0)
        json_bool(j, str_eq(e->text, S("true")));
    else if (strcmp(e->what, "status") == 0 && num_parse_u64(e->text, &status))
        json_u64(j, status);
    else
        json_str(j, e->text);
}

static void
json_step(const struct config *c, struct json *j, const struct explain_entry *e)
{
    json_object(j);
    json_member(j, S("what"), str_c(e->what));
    json_member(j, S("text"), e->text);
    if (e->pos.line != 0) {
        json_member(j, S("file"), config_pos_file(c, e->pos));
        json_key(j, S("line"));
        json_u64(j, e->pos.line);
        json_member(j, S("directive"), explain_line(e->pos));
    }
    json_object_end(j);
}

void
explain_show_json(const struct config *c, struct str request, struct text *to)
{
    struct json j;

    json_begin(&j, to);
    json_object(&j);
    json_member(&j, S("request"), request);
    VEC_FOREACH (e, struct explain_entry, explain_facts())
        json_fact(&j, e);
    json_key(&j, S("steps"));
    json_array(&j);
    VEC_FOREACH (e, struct explain_entry, explain_steps())
        json_step(c, &j, e);
    json_array_end(&j);
    json_object_end(&j);
    text_char(to, '\n');
}
