/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite.c - changes the path and the arguments of a request by a regular expression, or answers with a redirect.
 *
 * $uri is decoded. Where a capture of it gets into arguments or a Location it is encoded again, if the client's path had
 * anything encoded. What variables bring stays as it is, except for bytes that could end a line.
 *
 * Directives: rewrite, rewrite_log, uninitialized_variable_warn.
 */
#include "worker/rewrite/rewrite.h"

#include "common/base/escape.h"
#include "worker/core/explain.h"
#include "worker/core/template.h"
#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"
#include "worker/http/rewrite.h"

/* A part of a replacement: captures are kept apart because they may have to be encoded. */
struct rewrite_piece {
    unsigned capture; /* 1..9; 0: text */
    struct template text;
};

enum rewrite_after { AFTER_NEXT, AFTER_LAST, AFTER_BREAK };

struct rewrite_rule {
    struct named_regex *regex;
    struct vec path; /* of struct rewrite_piece: up to the first '?' of the replacement */
    struct vec args; /* the same: what is behind it */
    bool has_args;   /* there is a '?' */
    bool keeps_args; /* the request's own arguments follow: the replacement does not end in '?' */
    uint16_t status; /* of a redirect; 0: none */
    enum rewrite_after after;
    struct conf_pos pos;
};

struct rewrite_settings {
    bool log;  /* rewrite_log */
    bool warn; /* uninitialized_variable_warn */
};

extern struct module rewrite_module;

/* ---- for the room ---- */

static const struct rewrite_settings *
settings_of(const struct exchange *x)
{
    return scope_conf(x->scope, &rewrite_module);
}

bool
rewrite_warns(const struct exchange *x)
{
    return settings_of(x)->warn;
}

bool
rewrite_match(struct request *r, const struct named_regex *re, struct str subject)
{
    bool matches = named_regex_match(r, re, subject);

    if (!matches)
        r->captures.n = 0;
    if (settings_of(&r->x)->log)
        xlog(&r->x, LOG_LEVEL_NOTICE, 0, "\"%.*s\" %s \"%.*s\"", STR(regex_pattern(re->regex)),
             matches ? "matches" : "does not match", STR(subject));
    return matches;
}

/* ---- building the new URI ---- */

/* Whether the client's path has percent encoding or a '+', so that what was decoded has to be encoded again. */
static bool
path_was_encoded(const struct request *r)
{
    struct str path = str_upto(r->target, str_find(r->target, '?'));

    return str_find(path, '%') < path.len || str_find(path, '+') < path.len;
}

static void
add_pieces(struct request *r, const struct vec *pieces, bool encode, struct text *t)
{
    VEC_FOREACH (p, struct rewrite_piece, pieces) {
        if (p->capture == 0)
            template_append(&r->x, &p->text, t);
        else if (encode)
            escape_uri(t, template_capture(&r->x, p->capture), ESCAPE_URI_VALUE);
        else
            text_add(t, template_capture(&r->x, p->capture));
    }
}

/*
 * The target of a redirect as nginx gives it: characters that need no encoding are decoded, '?' among them, up to the
 * arguments.
 */
static struct str
location_of(struct request *r, struct str built)
{
    struct text t;
    size_t i = 0;
    char c = '\0';

    text_init(&t, request_arena(r));
    for (; i < built.len && c != '?'; i++) {
        int high, low;

        c = built.ptr[i];
        if (c != '%' || i + 2 >= built.len) {
            escape_uri(&t, str_n(&c, 1), ESCAPE_URI_CONTROLS);
            continue;
        }
        high = hex_digit(built.ptr[i + 1]);
        low = hex_digit(built.ptr[i + 2]);
        if (high < 0 || low < 0 || (high << 4 | low) <= '%' || (high << 4 | low) >= 0x7f) {
            text_char(&t, '%');
            continue;
        }
        c = (char)(high << 4 | low);
        text_char(&t, c);
        i += 2;
    }
    escape_uri(&t, str_from(built, i), ESCAPE_URI_CONTROLS);
    return text_str(&t);
}

static enum phase_result
redirect(struct request *r, const struct rewrite_rule *rule)
{
    bool encode = path_was_encoded(r);
    struct str location;
    struct text t;

    text_init(&t, request_arena(r));
    var_template_begin(&r->x);
    add_pieces(r, &rule->path, encode, &t);
    if (rule->has_args && (rule->keeps_args || rule->args.len > 0))
        text_char(&t, '?');
    add_pieces(r, &rule->args, encode, &t);
    var_template_end(&r->x);
    if (rule->keeps_args && r->args.len > 0) {
        text_char(&t, rule->has_args ? '&' : '?');
        text_add(&t, r->args);
    }
    location = t.failed ? STR_NONE : location_of(r, text_str(&t));
    if (location.ptr == NULL)
        return phase_respond(&r->x, 500);
    if (settings_of(&r->x)->log)
        xlog(&r->x, LOG_LEVEL_NOTICE, 0, "rewritten redirect: \"%.*s\"", STR(location));
    return redirect_external(r, rule->status, location);
}

/* 0, or the status to answer with. */
static int
change_uri(struct request *r, const struct rewrite_rule *rule)
{
    struct text path, args;

    text_init(&path, request_arena(r));
    text_init(&args, request_arena(r));
    var_template_begin(&r->x);
    add_pieces(r, &rule->path, false, &path);
    add_pieces(r, &rule->args, path_was_encoded(r), &args);
    var_template_end(&r->x);
    if (rule->keeps_args && r->args.len > 0) {
        if (rule->has_args)
            text_char(&args, '&');
        text_add(&args, r->args);
    }
    if (path.failed || args.failed)
        return 500;
    if (settings_of(&r->x)->log)
        xlog(&r->x, LOG_LEVEL_NOTICE, 0, "rewritten data: \"%.*s\", args: \"%.*s\"",
             STR(text_str(&path)), STR(text_str(&args)));
    if (path.len == 0) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "the rewritten URI has a zero length");
        return 500;
    }
    return rewrite_set_uri(r, text_str(&path), text_str(&args)) ? 0 : 400;
}

static enum rewrite_step
rewrite_run(struct request *r, const void *data, enum phase_result *result)
{
    const struct rewrite_rule *rule = data;
    int status;

    if (!rewrite_match(r, rule->regex, r->uri)) {
        EXPLAIN("rewrite", rule->pos, "does not match \"%.*s\"", STR(r->uri));
        return REWRITE_NEXT;
    }
    if (rule->status != 0) {
        EXPLAIN("rewrite", rule->pos, "matches: the client is redirected with %u", rule->status);
        *result = redirect(r, rule);
        return REWRITE_STOP;
    }
    status = change_uri(r, rule);
    if (status != 0) {
        *result = phase_respond(&r->x, status);
        return REWRITE_STOP;
    }
    if (rule->after == AFTER_BREAK)
        rewrite_stay(r);
    return rule->after == AFTER_NEXT ? REWRITE_NEXT : REWRITE_BREAK;
}

/* ---- loading ---- */

/* The number of the capture at text[*at] ("$1" or "${1}"), moving *at behind it; 0: there is none. */
static unsigned
take_capture(struct str text, size_t *at)
{
    struct str rest = str_from(text, *at);
    bool bracket = rest.len > 1 && rest.ptr[1] == '{';
    size_t digit = bracket ? 2 : 1;

    if (rest.len <= digit + bracket || rest.ptr[0] != '$' || rest.ptr[digit] < '1' ||
        rest.ptr[digit] > '9' || (bracket && rest.ptr[digit + 1] != '}'))
        return 0;
    *at += digit + 1 + bracket;
    return (unsigned)(rest.ptr[digit] - '0');
}

static bool
add_piece(struct conf_load *l, const struct conf_node *n, struct vec *pieces, unsigned capture,
          struct str text)
{
    struct rewrite_piece *p;

    if (capture == 0 && text.len == 0)
        return true;
    p = VEC_PUSH(pieces, struct rewrite_piece);
    if (p == NULL)
        return conf_fail(l, n, 2, "out of memory");
    p->capture = capture;
    return capture != 0 || template_compile(l, n, 2, text, &p->text);
}

static bool
compile_pieces(struct conf_load *l, const struct conf_node *n, struct str text, struct vec *pieces)
{
    size_t from = 0, at = 0;

    vec_init(pieces, conf_arena(l), sizeof(struct rewrite_piece));
    while (at < text.len) {
        size_t end = at;
        unsigned capture = take_capture(text, &at);

        if (capture == 0) {
            at++;
            continue;
        }
        if (!add_piece(l, n, pieces, 0, str_n(text.ptr + from, end - from)) ||
            !add_piece(l, n, pieces, capture, STR_NONE))
            return false;
        from = at;
    }
    return add_piece(l, n, pieces, 0, str_from(text, from));
}

static bool
parse_flag(struct conf_load *l, const struct conf_node *n, struct rewrite_rule *rule)
{
    struct str flag = n->args[3];

    if (str_eq(flag, S("last")))
        rule->after = AFTER_LAST;
    else if (str_eq(flag, S("break")))
        rule->after = AFTER_BREAK;
    else if (str_eq(flag, S("redirect")))
        rule->status = 302;
    else if (str_eq(flag, S("permanent")))
        rule->status = 301;
    else
        return conf_fail(l, n, 3, "invalid parameter \"%.*s\"", STR(flag));
    return true;
}

static bool
rewrite_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct rewrite_rule *rule = ARENA_NEW(conf_arena(l), struct rewrite_rule);
    struct str text = n->args[2];
    size_t mark;

    (void)d, (void)conf;
    if (rule == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (text.len == 0)
        return conf_fail(l, n, 2, "empty replacement");
    rule->pos = n->pos;
    rule->regex = named_regex_compile(l, n, 1, n->args[1], false);
    if (rule->regex == NULL)
        return false;
    if (str_starts(text, S("http://")) || str_starts(text, S("https://")) ||
        str_starts(text, S("$scheme")))
        rule->status = 302;
    if (n->n == 4 && !parse_flag(l, n, rule))
        return false;
    rule->keeps_args = text.ptr[text.len - 1] != '?';
    if (!rule->keeps_args)
        text.len--;
    mark = str_find(text, '?');
    rule->has_args = mark < text.len;
    if (!compile_pieces(l, n, str_upto(text, mark), &rule->path) ||
        !compile_pieces(l, n, rule->has_args ? str_from(text, mark + 1) : STR_NONE, &rule->args))
        return false;
    return rewrite_append(l, rewrite_run, rule) || conf_fail(l, n, 0, "out of memory");
}

enum {
    IN_BLOCKS = CTX_SRV | CTX_LOC | CTX_SIF | CTX_LIF,
    ANYWHERE = CTX_HTTP | IN_BLOCKS,
};

static const struct directive rewrite_directives[] = {
    D_CALL("rewrite", IN_BLOCKS, ARGS(2, 3), rewrite_set, .repeat = true),
    D_FLAG("rewrite_log", ANYWHERE, struct rewrite_settings, log, DEFAULT(off)),
    D_FLAG("uninitialized_variable_warn", ANYWHERE, struct rewrite_settings, warn, DEFAULT(on)),
    D_END
};

struct module rewrite_module = {
    .name = "rewrite",
    .conf_size = sizeof(struct rewrite_settings),
    .directives = rewrite_directives,
};
