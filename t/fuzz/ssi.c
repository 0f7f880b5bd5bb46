/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ssi.c - fuzz target for the commands of server side includes. The first byte says in what parts the page comes. However it
 * comes, texts and commands together are the page, and the same ones are found as when it comes whole.
 */
#include <stdio.h>

#include "common/base/panic.h"
#include "worker/filter/ssi_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUE_MAX = 64 };

static bool
lies_in(struct str part, struct str whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* What was found, as text that can be compared. */
static void
note_command(const struct ssi_command *c, struct text *found, struct arena *a)
{
    ASSERT(c->raw.len >= 8 && c->raw.len <= SSI_COMMAND_MAX);
    ASSERT(str_starts(c->raw, S("<!--#")) && str_ends(c->raw, S("-->")));
    ASSERT(lies_in(c->name, c->raw) && c->n <= SSI_PARAMS_MAX);
    text_fmt(found, "\n%s %.*s\n", c->problem != NULL ? c->problem : "command", STR(c->name));
    for (uint32_t i = 0; i < c->n; i++) {
        const struct ssi_param *p = &c->params[i];
        struct text plain;

        ASSERT(lies_in(p->name, c->raw) && lies_in(p->value, c->raw) && p->name.len > 0);
        ASSERT(p->value.len <= VALUE_MAX);
        text_init(&plain, a);
        ssi_unescape(&plain, p->value);
        ASSERT(plain.len <= p->value.len);
        text_fmt(found, "%.*s=%.*s\n", STR(p->name), STR(p->value));
    }
}

static void
note_text(struct str part, struct text *page, struct text *found)
{
    ASSERT(part.len > 0);
    text_add(page, part);
    text_add(found, part);
}

static void
parse_in_parts(struct str whole, size_t step, struct text *found)
{
    struct ssi_parser p;
    struct ssi_command command;
    struct arena a;
    struct text page;
    struct str part;

    arena_init(&a, 4096);
    text_init(&page, &a);
    ssi_parser_init(&p, VALUE_MAX);
    for (size_t at = 0; at < whole.len; at += step) {
        struct str in = str_n(whole.ptr + at, whole.len - at < step ? whole.len - at : step);
        enum ssi_event event;

        while ((event = ssi_parse(&p, &in, &part, &command)) != SSI_MORE) {
            ASSERT(event != SSI_FAILED);
            if (event == SSI_TEXT) {
                note_text(part, &page, found);
            } else {
                text_add(&page, command.raw);
                note_command(&command, found, &a);
            }
        }
        ASSERT(in.len == 0);
    }
    while (ssi_parse_end(&p, &part) == SSI_TEXT)
        note_text(part, &page, found);
    ASSERT(str_eq(text_str(&page), whole));
    ssi_parser_free(&p);
    arena_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text whole, parts;
    struct str page;

    if (size < 2)
        return 0;
    page = str_n((const char *)data + 1, size - 1);
    text_init(&whole, NULL);
    text_init(&parts, NULL);
    parse_in_parts(page, page.len, &whole);
    parse_in_parts(page, 1 + data[0] % 32, &parts);
    ASSERT(str_eq(text_str(&whole), text_str(&parts)));
    text_free(&whole);
    text_free(&parts);
    return 0;
}
