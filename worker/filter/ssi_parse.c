/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ssi_parse.c - finds the commands of server side includes in a text that comes in parts.
 *
 * Text is given where it lies. The bytes of a command are copied together, and given as text when it does not end.
 */
#include "worker/filter/ssi_parse.h"

static const char opening[] = "<!--#";
enum { OPENING = sizeof(opening) - 1 };

void
ssi_parser_init(struct ssi_parser *p, uint64_t value_max)
{
    *p = (struct ssi_parser){ .place = SSI_IN_TEXT, .value_max = value_max };
    text_init(&p->raw, NULL);
}

void
ssi_parser_free(struct ssi_parser *p)
{
    text_free(&p->raw);
}

/* ---- text ---- */

/* Where "<!--#", or at the end of the bytes a part of it, begins. */
static size_t
find_opening(struct str s)
{
    size_t at = 0;

    for (;;) {
        size_t rest;

        at += str_find(str_from(s, at), '<');
        rest = s.len - at;
        if (rest > 1 && s.ptr[at + 1] != opening[1]) {
            at++;
            continue;
        }
        if (rest == 0 || memcmp(s.ptr + at, opening, rest < OPENING ? rest : OPENING) == 0)
            return at;
        at++;
    }
}

static void
begin_command(struct ssi_parser *p)
{
    p->place = SSI_BEFORE_NAME;
    p->matched = 0;
    p->problem = NULL;
    p->n = 0;
    p->name = p->name_len = p->start = 0;
    p->raw.len = 0;
    text_bytes(&p->raw, opening, OPENING);
}

/* What was held back as a start of "<!--#" goes on otherwise, or as that. */
static bool
go_on_matching(struct ssi_parser *p, struct str *in, struct str *text)
{
    while (in->len > 0 && p->matched < OPENING && in->ptr[0] == opening[p->matched]) {
        *in = str_from(*in, 1);
        p->matched++;
    }
    if (p->matched == OPENING) {
        begin_command(p);
        return false;
    }
    if (in->len == 0)
        return false;
    *text = str_n(opening, p->matched);
    p->matched = 0;
    return true;
}

static enum ssi_event
parse_text(struct ssi_parser *p, struct str *in, struct str *text)
{
    size_t at;

    if (p->matched > 0)
        return go_on_matching(p, in, text) ? SSI_TEXT : SSI_MORE;
    at = find_opening(*in);
    if (at > 0) {
        *text = str_upto(*in, at);
        *in = str_from(*in, at);
        return SSI_TEXT;
    }
    go_on_matching(p, in, text);
    return SSI_MORE;
}

/* ---- commands ---- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The command is wrong from here on; only its end counts. */
static enum ssi_place
broken(struct ssi_parser *p, const char *problem)
{
    if (p->problem == NULL)
        p->problem = problem;
    return SSI_BROKEN;
}

/* The byte last appended to raw begins something. */
static void
mark(struct ssi_parser *p)
{
    p->start = (uint32_t)p->raw.len - 1;
}

static enum ssi_place
param_begin(struct ssi_parser *p)
{
    if (p->n == SSI_PARAMS_MAX)
        return broken(p, "too many parameters");
    mark(p);
    return SSI_IN_PARAM;
}

static void
param_name_end(struct ssi_parser *p)
{
    p->at[p->n].name = p->start;
    p->at[p->n].name_len = (uint32_t)p->raw.len - 1 - p->start;
}

static enum ssi_place
value_end(struct ssi_parser *p)
{
    p->at[p->n].value = p->start;
    p->at[p->n].value_len = (uint32_t)p->raw.len - 1 - p->start;
    p->n++;
    return SSI_AFTER_VALUE;
}

/* The byte is part of the value; `next`: the state when there is room for it. */
static enum ssi_place
value_byte(struct ssi_parser *p, enum ssi_place next)
{
    if (p->raw.len - p->start > p->value_max)
        return broken(p, "too long value of a parameter");
    return next;
}

static enum ssi_place
step_value(struct ssi_parser *p, char c)
{
    if (c == p->quote)
        return value_end(p);
    return value_byte(p, c == '\\' ? SSI_AFTER_BACKSLASH : SSI_IN_VALUE);
}

static enum ssi_place
step_before_value(struct ssi_parser *p, char c)
{
    if (is_blank(c))
        return SSI_BEFORE_VALUE;
    if (c != '"' && c != '\'')
        return broken(p, "a value without quotes");
    p->quote = c;
    p->start = (uint32_t)p->raw.len;
    return SSI_IN_VALUE;
}

static enum ssi_place
step_name(struct ssi_parser *p, char c)
{
    if (c != '-' && !is_blank(c))
        return SSI_IN_NAME;
    p->name = p->start;
    p->name_len = (uint32_t)p->raw.len - 1 - p->start;
    return c == '-' ? SSI_AT_DASH : SSI_BEFORE_PARAM;
}

static enum ssi_place
step_param(struct ssi_parser *p, char c)
{
    if (c == '-')
        return broken(p, "a parameter without a value");
    if (c != '=' && !is_blank(c))
        return SSI_IN_PARAM;
    param_name_end(p);
    return c == '=' ? SSI_BEFORE_VALUE : SSI_AFTER_PARAM;
}

/* The state after byte c, which is the last one of raw. SSI_IN_TEXT: the command is complete. */
static enum ssi_place
step(struct ssi_parser *p, char c)
{
    switch (p->place) {
    case SSI_BEFORE_NAME:
        if (is_blank(c))
            return SSI_BEFORE_NAME;
        if (c == '-')
            return SSI_AT_DASH;
        mark(p);
        return SSI_IN_NAME;
    case SSI_IN_NAME:
        return step_name(p, c);
    case SSI_BEFORE_PARAM:
        if (is_blank(c))
            return SSI_BEFORE_PARAM;
        return c == '-' ? SSI_AT_DASH : param_begin(p);
    case SSI_IN_PARAM:
        return step_param(p, c);
    case SSI_AFTER_PARAM:
        if (is_blank(c))
            return SSI_AFTER_PARAM;
        return c == '=' ? SSI_BEFORE_VALUE : broken(p, "a parameter without a value");
    case SSI_BEFORE_VALUE:
        return step_before_value(p, c);
    case SSI_IN_VALUE:
        return step_value(p, c);
    case SSI_AFTER_BACKSLASH:
        return value_byte(p, SSI_IN_VALUE);
    case SSI_AFTER_VALUE:
        if (is_blank(c))
            return SSI_BEFORE_PARAM;
        return c == '-' ? SSI_AT_DASH : broken(p, "something behind a value");
    case SSI_AT_DASH:
        return c == '-' ? SSI_AT_DASH2 : broken(p, "an unexpected \"-\"");
    case SSI_AT_DASH2:
        if (c == '>')
            return SSI_IN_TEXT;
        broken(p, "an unexpected \"--\"");
        return c == '-' ? SSI_AT_DASH2 : SSI_BROKEN;
    case SSI_BROKEN:
    case SSI_IN_TEXT:
        break;
    }
    return SSI_BROKEN;
}

/* The whole of a broken command ends with the first "-->", wherever it stands. */
static bool
ends_broken(const struct ssi_parser *p)
{
    const char *end = p->raw.ptr + p->raw.len;

    return p->raw.len >= OPENING + 3 && memcmp(end - 3, "-->", 3) == 0;
}

static struct str
slice(const struct ssi_parser *p, size_t at, size_t len)
{
    return str_n(p->raw.ptr + at, len);
}

static void
make_command(const struct ssi_parser *p, struct ssi_command *c)
{
    c->raw = text_str(&p->raw);
    c->name = slice(p, p->name, p->name_len);
    c->n = p->n;
    c->problem = p->problem;
    for (uint32_t i = 0; i < p->n; i++)
        c->params[i] = (struct ssi_param){ .name = slice(p, p->at[i].name, p->at[i].name_len),
                                           .value = slice(p, p->at[i].value, p->at[i].value_len) };
}

/* Takes what begun to be a command for text. */
static enum ssi_event
give_up(struct ssi_parser *p, struct str *text)
{
    p->place = SSI_IN_TEXT;
    *text = text_str(&p->raw);
    return SSI_TEXT;
}

static enum ssi_event
parse_command(struct ssi_parser *p, struct str *in, struct str *text, struct ssi_command *command)
{
    while (in->len > 0) {
        char c = in->ptr[0];

        if (p->raw.len == SSI_COMMAND_MAX)
            return give_up(p, text);
        text_char(&p->raw, c);
        if (p->raw.failed)
            return SSI_FAILED;
        *in = str_from(*in, 1);
        p->place = step(p, c);
        if (p->place == SSI_BROKEN && ends_broken(p))
            p->place = SSI_IN_TEXT;
        if (p->place == SSI_IN_TEXT) {
            make_command(p, command);
            return SSI_COMMAND;
        }
    }
    return SSI_MORE;
}

enum ssi_event
ssi_parse(struct ssi_parser *p, struct str *in, struct str *text, struct ssi_command *command)
{
    while (in->len > 0) {
        enum ssi_event event =
            p->place == SSI_IN_TEXT ? parse_text(p, in, text) : parse_command(p, in, text, command);

        if (event != SSI_MORE)
            return event;
    }
    return SSI_MORE;
}

enum ssi_event
ssi_parse_end(struct ssi_parser *p, struct str *text)
{
    if (p->place != SSI_IN_TEXT)
        return give_up(p, text);
    if (p->matched == 0)
        return SSI_MORE;
    *text = str_n(opening, p->matched);
    p->matched = 0;
    return SSI_TEXT;
}

void
ssi_unescape(struct text *to, struct str value)
{
    while (value.len > 0) {
        size_t n = str_find(value, '\\');

        text_bytes(to, value.ptr, n);
        value = str_from(value, n);
        if (value.len == 0)
            return;
        if (value.len > 1 && memchr("\\'\"$", value.ptr[1], 4) != NULL)
            value = str_from(value, 1);
        text_char(to, value.ptr[0]);
        value = str_from(value, 1);
    }
}
