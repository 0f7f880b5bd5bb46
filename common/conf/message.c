/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message.c - what loading has to say: nginx's line, the source line with a caret, a hint.
 *
 * Bytes of the configuration go into messages, so control bytes are written as \xHH: a message is one line and sends
 * nothing to a terminal.
 */
#include <stdio.h>

#include "common/conf/load.h"

enum {
    MESSAGE_MAX = 2000,  /* bytes of the first line, without the place */
    EXCERPT_MAX = 100,   /* bytes shown of a source line */
    EXCERPT_BEFORE = 70, /* of them before the caret, when the line is longer */
};

static const struct conf_file *
file_at(const struct config *c, uint32_t i)
{
    return i < c->files.len ? VEC_AT(&c->files, struct conf_file, i) : NULL;
}

static bool
pos_is_none(struct conf_pos pos)
{
    return pos.line == 0 && pos.column == 0;
}

static bool
is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static void
add_printable(struct text *t, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_control(s.ptr[i])) {
            static const char digits[] = "0123456789ABCDEF";
            unsigned char c = (unsigned char)s.ptr[i];
            char hex[] = { '\\', 'x', digits[c >> 4], digits[c & 15] };

            text_bytes(t, hex, sizeof(hex));
        } else {
            text_char(t, s.ptr[i]);
        }
    }
}

static void
add_formatted(struct text *t, const char *fmt, va_list args)
{
    char buf[MESSAGE_MAX];
    int n = vsnprintf(buf, sizeof(buf), fmt, args);

    if (n < 0)
        return;
    add_printable(t, str_c(buf));
    if ((size_t)n >= sizeof(buf))
        TEXT_LIT(t, "...");
}

static bool
is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The line of the text that holds `pos`, and where in it the place is. False: there is nothing to show. */
static bool
find_line(const struct config *c, struct conf_pos pos, struct load_cursor *cursor, struct str *line,
          size_t *at)
{
    const struct conf_file *f = file_at(c, pos.file);
    struct str rest;
    uint32_t i = 1;

    if (f == NULL || pos_is_none(pos) || pos.column == 0)
        return false;
    rest = f->text;
    if (cursor->line > 0 && cursor->file == pos.file && cursor->line <= pos.line) {
        i = cursor->line;
        rest = str_from(rest, cursor->at);
    }
    for (; i < pos.line && rest.len > 0; i++) {
        size_t end = str_find(rest, '\n');

        rest = str_from(rest, end < rest.len ? end + 1 : end);
    }
    *cursor = (struct load_cursor){ pos.file, pos.line, f->text.len - rest.len };
    *line = str_upto(rest, str_find(rest, '\n'));
    if (line->len > 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    *at = pos.column - 1;
    return str_trim(*line).len > 0 && *at <= line->len;
}

/* Two lines: `    12 |     proxy_passs http://x;` and the caret under the place. */
static void
show_source(const struct config *c, struct conf_pos pos, struct load_cursor *cursor, struct text *t)
{
    struct str line;
    size_t at, start = 0, end;
    int margin;

    if (!find_line(c, pos, cursor, &line, &at))
        return;
    if (line.len > EXCERPT_MAX && at > EXCERPT_BEFORE)
        start = at - EXCERPT_BEFORE;
    while (start > 0 && start < line.len && is_continuation(line.ptr[start]))
        start--;
    end = line.len - start > EXCERPT_MAX ? start + EXCERPT_MAX : line.len;
    while (end < line.len && is_continuation(line.ptr[end]))
        end++;
    margin = pos.line > 0 ? snprintf(NULL, 0, "%6u | ", pos.line) : (int)strlen("    -g | ");
    if (pos.line > 0)
        text_fmt(t, "%6u | ", pos.line);
    else
        TEXT_LIT(t, "    -g | ");
    text_add(t, start > 0 ? S("...") : S(""));
    for (size_t i = start; i < end; i++)
        text_char(t, is_control(line.ptr[i]) && line.ptr[i] != '\t' ? '?' : line.ptr[i]);
    text_add(t, end < line.len ? S("...\n") : S("\n"));
    text_fmt(t, "%*s", margin - 2, "");
    text_add(t, start > 0 ? S("|    ") : S("| "));
    for (size_t i = start; i < at; i++)
        if (!is_continuation(line.ptr[i]))
            text_char(t, line.ptr[i] == '\t' ? '\t' : ' ');
    TEXT_LIT(t, "^\n");
}

void
config_show_source(const struct config *c, struct conf_pos pos, struct text *t)
{
    struct load_cursor cursor = { .line = 0 };

    show_source(c, pos, &cursor, t);
}

static void
add_place(struct conf_load *l, struct text *t, struct conf_pos pos)
{
    const struct conf_file *f = file_at(l->config, pos.file);

    if (pos_is_none(pos) || f == NULL)
        return;
    TEXT_LIT(t, " in ");
    add_printable(t, f->path);
    if (pos.line > 0)
        text_fmt(t, ":%u", pos.line);
}

struct str
message_place(struct conf_load *l, struct conf_pos pos)
{
    const struct conf_file *f = file_at(l->config, pos.file);

    if (pos_is_none(pos) || f == NULL)
        return S("the defaults");
    if (pos.line == 0)
        return S("the command line");
    return arena_fmt(&l->scratch, "%.*s:%u", STR(f->path), pos.line);
}

bool
message_no_memory(struct conf_load *l)
{
    struct conf_message *m;

    if (l->no_memory)
        return false;
    l->no_memory = true;
    l->errors++;
    m = vec_push(l->messages);
    if (m != NULL)
        *m = (struct conf_message){ .level = LOG_LEVEL_EMERG,
                                    .line = S("out of memory"),
                                    .what = S("out of memory") };
    return false;
}

/* A file that is included many times says the same things many times. */
static bool
was_said(struct conf_load *l, struct conf_pos pos, struct str line)
{
    VEC_FOREACH (m, struct conf_message, l->messages)
        if (m->pos.line == pos.line && m->pos.column == pos.column && m->pos.file == pos.file &&
            str_eq(m->line, line))
            return true;
    return false;
}

/*
 * What no directive is to blame for, such as a section that is missing, is said of the main file's end: every error has
 * a file and a line.
 */
static struct conf_pos
place_of_nothing(struct conf_load *l)
{
    struct conf_pos pos = { 0, 0, 0 };

    for (uint32_t i = 0; i < l->config->files.len; i++) {
        struct str text = VEC_AT(&l->config->files, struct conf_file, i)->text;

        if (!str_eq(config_pos_file(l->config, (struct conf_pos){ i, 1, 1 }), l->config->conf_path))
            continue;
        pos = (struct conf_pos){ i, 1, 0 };
        for (size_t at = 0; at + 1 < text.len; at++)
            pos.line += text.ptr[at] == '\n';
    }
    return pos;
}

/* The last word of a load with this many errors. */
static void
say_limit(struct conf_load *l)
{
    struct str line =
        arena_fmt(l->message_arena, "%d errors: the rest of the configuration is not checked",
                  LOAD_ERRORS_MAX);
    struct conf_message *m = line.ptr != NULL ? vec_push(l->messages) : NULL;

    if (m == NULL)
        message_no_memory(l);
    else
        *m = (struct conf_message){
            .level = LOG_LEVEL_EMERG,
            .line = line,
            .what = line,
        };
}

/* `MESSAGE in FILE:LINE`, with the check in front when one found it; its parts into *m. */
static bool
compose(struct conf_load *l, const char *check, struct conf_message *m, const char *fmt,
        va_list args)
{
    const struct conf_file *f = file_at(l->config, m->pos.file);
    struct text what, line;

    text_init(&what, l->message_arena);
    text_init(&line, l->message_arena);
    add_formatted(&what, fmt, args);
    if (check != NULL)
        text_fmt(&line, "%s: ", check);
    text_add(&line, text_str(&what));
    add_place(l, &line, m->pos);
    m->check = str_c(check);
    m->what = text_str(&what);
    m->line = text_str(&line);
    if (f != NULL && !pos_is_none(m->pos))
        m->file = arena_str(l->message_arena, f->path);
    return !what.failed && !line.failed;
}

static bool
add(struct conf_load *l, const char *check, enum log_level level, struct conf_pos pos,
    const char *fmt, va_list args)
{
    bool is_error = level <= LOG_LEVEL_ERROR;
    struct conf_message *to, m = { .level = level, .pos = pos };
    struct text details;

    l->last_message = NULL;
    if (load_gave_up(l))
        return false;
    if (!is_error && ++l->warnings > LOAD_WARNINGS_MAX)
        return false;
    if (is_error && pos_is_none(pos))
        m.pos = place_of_nothing(l);
    if (!compose(l, check, &m, fmt, args))
        return message_no_memory(l);
    if (was_said(l, m.pos, m.line))
        return false;
    text_init(&details, l->message_arena);
    show_source(l->config, m.pos, &l->cursor, &details);
    m.details = text_str(&details);
    to = vec_push(l->messages);
    if (to == NULL || details.failed)
        return message_no_memory(l);
    *to = m;
    l->last_message = to;
    if (is_error && ++l->errors == LOAD_ERRORS_MAX)
        say_limit(l);
    return false;
}

bool
message_add(struct conf_load *l, enum log_level level, struct conf_pos pos, const char *fmt,
            va_list args)
{
    return add(l, NULL, level, pos, fmt, args);
}

struct conf_pos
message_arg(const struct conf_node *n, int arg)
{
    if (arg < 0)
        return n->end;
    return (uint32_t)arg < n->n ? n->arg_pos[arg] : n->pos;
}

void
message_check(struct conf_load *l, const char *check, struct conf_pos pos, const char *fmt,
              va_list args)
{
    add(l, check, LOG_LEVEL_WARN, pos, fmt, args);
}

bool
conf_fail(struct conf_load *l, const struct conf_node *n, int arg, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    message_add(l, LOG_LEVEL_EMERG, message_arg(n, arg), fmt, args);
    va_end(args);
    return false;
}

bool
conf_fail_at(struct conf_load *l, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    message_add(l, LOG_LEVEL_EMERG, pos, fmt, args);
    va_end(args);
    return false;
}

void
conf_warn(struct conf_load *l, const struct conf_node *n, int arg, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    message_add(l, LOG_LEVEL_WARN, message_arg(n, arg), fmt, args);
    va_end(args);
}

void
conf_warn_at(struct conf_load *l, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    message_add(l, LOG_LEVEL_WARN, pos, fmt, args);
    va_end(args);
}

void
conf_hint(struct conf_load *l, const char *fmt, ...)
{
    struct conf_message *m = l->last_message;
    struct text hint, details;
    struct str one;
    va_list args;

    if (m == NULL)
        return;
    text_init(&hint, l->message_arena);
    va_start(args, fmt);
    add_formatted(&hint, fmt, args);
    va_end(args);
    one = text_str(&hint);
    text_init(&details, l->message_arena);
    text_add(&details, m->details);
    TEXT_LIT(&details, "         ");
    text_add(&details, one);
    text_char(&details, '\n');
    if (m->hint.len > 0)
        one = arena_fmt(l->message_arena, "%.*s; %.*s", STR(m->hint), STR(one));
    if (hint.failed || details.failed || one.ptr == NULL) {
        message_no_memory(l);
        return;
    }
    m->details = text_str(&details);
    m->hint = one;
}

/* ---- order ---- */

/* Where the text of `file` was included; false for the main file and -g. */
static bool
included_from(struct conf_load *l, uint32_t file, struct conf_pos *from)
{
    if (file >= l->files.len)
        return false;
    *from = VEC_AT(&l->files, struct load_file, file)->from;
    return !pos_is_none(*from);
}

static unsigned
include_depth(struct conf_load *l, struct conf_pos pos)
{
    unsigned depth = 0;

    while (included_from(l, pos.file, &pos))
        depth++;
    return depth;
}

/* Whether `a` stands after `b` in the text with all includes in their places. */
static bool
is_after(struct conf_load *l, struct conf_pos a, struct conf_pos b)
{
    unsigned depth_a, depth_b;

    if (pos_is_none(a) || pos_is_none(b))
        return pos_is_none(a) && !pos_is_none(b);
    depth_a = include_depth(l, a);
    depth_b = include_depth(l, b);
    for (; depth_a > depth_b; depth_a--)
        included_from(l, a.file, &a);
    for (; depth_b > depth_a; depth_b--)
        included_from(l, b.file, &b);
    while (a.file != b.file && included_from(l, a.file, &a))
        included_from(l, b.file, &b);
    if (a.file != b.file)
        return a.file > b.file;
    return a.line != b.line ? a.line > b.line : a.column > b.column;
}

void
message_sort(struct conf_load *l)
{
    struct conf_message *all;
    uint32_t dropped = l->warnings > LOAD_WARNINGS_MAX ? l->warnings - LOAD_WARNINGS_MAX : 0;

    l->warnings = 0;
    if (dropped > 0)
        conf_warn_at(l, (struct conf_pos){ 0, 0, 0 }, "%u more warnings", dropped);
    all = l->messages->data;
    for (uint32_t i = 1; i < l->messages->len; i++) {
        struct conf_message m = all[i];
        uint32_t at = i;

        for (; at > 0 && is_after(l, all[at - 1].pos, m.pos); at--)
            all[at] = all[at - 1];
        all[at] = m;
    }
}
