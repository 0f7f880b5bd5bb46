/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c - the JSON writer. */
#include "common/base/json.h"

#include "common/base/escape.h"

void
json_begin(struct json *j, struct text *to)
{
    *j = (struct json){ .to = to };
}

/* In front of each value and key. */
static void
begin_value(struct json *j)
{
    if (j->comma)
        text_char(j->to, ',');
    j->comma = true;
}

static void
open(struct json *j, char bracket)
{
    begin_value(j);
    text_char(j->to, bracket);
    j->depth++;
    j->comma = false;
}

static void
close(struct json *j, char bracket)
{
    ASSERT(j->depth > 0);
    text_char(j->to, bracket);
    j->depth--;
    j->comma = true;
}

void
json_object(struct json *j)
{
    open(j, '{');
}

void
json_object_end(struct json *j)
{
    close(j, '}');
}

void
json_array(struct json *j)
{
    open(j, '[');
}

void
json_array_end(struct json *j)
{
    close(j, ']');
}

static void
add_quoted(struct json *j, struct str s)
{
    text_char(j->to, '"');
    escape_json(j->to, s);
    text_char(j->to, '"');
}

void
json_key(struct json *j, struct str key)
{
    begin_value(j);
    add_quoted(j, key);
    text_char(j->to, ':');
    j->comma = false;
}

void
json_str(struct json *j, struct str s)
{
    begin_value(j);
    add_quoted(j, s);
}

void
json_u64(struct json *j, uint64_t n)
{
    begin_value(j);
    text_unum(j->to, n);
}

void
json_i64(struct json *j, int64_t n)
{
    begin_value(j);
    text_num(j->to, n);
}

void
json_bool(struct json *j, bool b)
{
    begin_value(j);
    text_add(j->to, b ? S("true") : S("false"));
}

void
json_null(struct json *j)
{
    begin_value(j);
    TEXT_LIT(j->to, "null");
}
