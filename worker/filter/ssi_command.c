/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ssi_command.c - what the commands of server side includes do: include, echo, set, config, if, elif, else, endif, block,
 * endblock.
 */
#include "common/base/escape.h"
#include "common/base/num.h"
#include "worker/core/var.h"
#include "worker/filter/ssi.h"

enum { BLOCKS_MAX = 1024 * 1024 /* bytes of all blocks of a request */ };

/* ---- the table ---- */

enum { WANTED = 1 };

/* A parameter by its place in the row. */
struct param_row {
    const char *name;
    bool wanted;
};

struct command_row {
    const char *name;
    /* Values by the row's order; ptr NULL: not given. False: it went wrong, and the log has it. */
    bool (*run)(struct ssi_page *p, const struct str *values);
    bool condition; /* elif, else, endif: also in a branch that is not taken */
    struct param_row params[5];
};

static bool run_include(struct ssi_page *p, const struct str *values);
static bool run_echo(struct ssi_page *p, const struct str *values);
static bool run_set(struct ssi_page *p, const struct str *values);
static bool run_config(struct ssi_page *p, const struct str *values);
static bool run_if(struct ssi_page *p, const struct str *values);
static bool run_elif(struct ssi_page *p, const struct str *values);
static bool run_else(struct ssi_page *p, const struct str *values);
static bool run_endif(struct ssi_page *p, const struct str *values);
static bool run_block(struct ssi_page *p, const struct str *values);
static bool run_endblock(struct ssi_page *p, const struct str *values);

enum { INCLUDE_VIRTUAL, INCLUDE_FILE, INCLUDE_WAIT, INCLUDE_SET, INCLUDE_STUB };
enum { ECHO_VAR, ECHO_ENCODING, ECHO_DEFAULT };
enum { SET_VAR, SET_VALUE };
enum { CONFIG_ERRMSG, CONFIG_TIMEFMT };

static const struct command_row commands[] = {
    { "include",
      run_include,
      false,
      { { "virtual", 0 }, { "file", 0 }, { "wait", 0 }, { "set", 0 }, { "stub", 0 } } },
    { "echo", run_echo, false, { { "var", WANTED }, { "encoding", 0 }, { "default", 0 } } },
    { "set", run_set, false, { { "var", WANTED }, { "value", WANTED } } },
    { "config", run_config, false, { { "errmsg", 0 }, { "timefmt", 0 } } },
    { "if", run_if, false, { { "expr", WANTED } } },
    { "elif", run_elif, true, { { "expr", WANTED } } },
    { "else", run_else, true, { { NULL, 0 } } },
    { "endif", run_endif, true, { { NULL, 0 } } },
    { "block", run_block, false, { { "name", WANTED } } },
    { "endblock", run_endblock, false, { { NULL, 0 } } },
};
enum { PARAMS = ARRAY_LEN(commands[0].params) };

#define page_log(p, ...) xlog((p)->source.x, LOG_LEVEL_ERROR, 0, __VA_ARGS__)

static const struct command_row *
command_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_eq(name, str_c(commands[i].name)))
            return &commands[i];
    return NULL;
}

static int
param_find(const struct command_row *row, struct str name)
{
    for (int i = 0; i < PARAMS && row->params[i].name != NULL; i++)
        if (str_eq(name, str_c(row->params[i].name)))
            return i;
    return -1;
}

/* Sorts the parameters by the row. */
static bool
sort_params(struct ssi_page *p, const struct command_row *row, const struct ssi_command *c,
            struct str values[PARAMS])
{
    for (uint32_t i = 0; i < c->n; i++) {
        int at = param_find(row, c->params[i].name);

        if (at < 0) {
            page_log(p, "invalid parameter name: \"%.*s\" in \"%s\" SSI command",
                     LOG_STR(c->params[i].name), row->name);
            return false;
        }
        if (values[at].ptr != NULL) {
            page_log(p, "duplicate \"%s\" parameter in \"%s\" SSI command", row->params[at].name,
                     row->name);
            return false;
        }
        values[at] = c->params[i].value;
    }
    for (int i = 0; i < PARAMS; i++)
        if (row->params[i].wanted && values[i].ptr == NULL) {
            page_log(p, "mandatory \"%s\" parameter is absent in \"%s\" SSI command",
                     row->params[i].name, row->name);
            return false;
        }
    return true;
}

/* ---- variables ---- */

static struct str
lower_name(struct text *to, struct str name)
{
    to->len = 0;
    text_lower(to, name);
    return text_str(to);
}

bool
ssi_set(struct exchange *x, struct ssi_shared *shared, struct str name, struct str value)
{
    struct arena *a = &x->mem->arena;
    struct str *slot;
    struct text lower;

    text_init(&lower, a);
    text_lower(&lower, name);
    slot = hash_get(&shared->vars, text_str(&lower));
    if (slot == NULL) {
        slot = ARENA_NEW(a, struct str);
        if (slot == NULL || lower.failed || !hash_set(&shared->vars, text_str(&lower), slot))
            return false;
    }
    *slot = arena_str(a, value);
    return slot->ptr != NULL;
}

static struct var_value
capture_value(const struct ssi_shared *shared, uint64_t group)
{
    const size_t *at = &shared->captures.at[2 * group];

    if (group >= shared->captures.n || at[0] == SIZE_MAX)
        return (struct var_value){ .text = S("") };
    return (struct var_value){ .text = str_n(shared->subject.ptr + at[0], at[1] - at[0]),
                               .found = true };
}

/* A variable of the pages, a capture by its number, or a variable of the configuration. */
static struct var_value
find_value(struct ssi_page *p, struct str name)
{
    char mem[256];
    struct text lower;
    const struct str *own;
    uint64_t group;

    text_init_fixed(&lower, mem, sizeof(mem));
    name = lower_name(&lower, name);
    own = name.len > 0 ? hash_get(&p->shared->vars, name) : NULL;
    if (own != NULL)
        return (struct var_value){ .text = *own, .found = true };
    if (num_parse_u64(name, &group))
        return capture_value(p->shared, group);
    return name.len > 0 ? var_get_named(p->source.x, name) : (struct var_value){ .text = S("") };
}

static bool
is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (char_lower(c) >= 'a' && char_lower(c) <= 'z') || c == '_';
}

/* Takes "$name" or "${name}" off the front. False: it is neither. */
static bool
take_name(struct str *s, struct str *name)
{
    bool bracket = s->len > 1 && s->ptr[1] == '{';
    size_t from = 1 + (size_t)bracket, n = 0;

    while (from + n < s->len && is_name_char(s->ptr[from + n]))
        n++;
    *name = str_n(s->ptr + from, n);
    if (n == 0 || (bracket && (from + n == s->len || s->ptr[from + n] != '}')))
        return false;
    *s = str_from(*s, from + n + (size_t)bracket);
    return true;
}

/* A value with its variables, into `to`. False: what stands behind a '$' is no name (logged), or memory. */
static bool
evaluate(struct ssi_page *p, struct str value, struct text *to)
{
    struct str rest = value, name;

    to->len = 0;
    while (rest.len > 0) {
        size_t n = 0;

        while (n < rest.len && rest.ptr[n] != '$')
            n += rest.ptr[n] == '\\' && n + 1 < rest.len ? 2 : 1;
        ssi_unescape(to, str_upto(rest, n));
        rest = str_from(rest, n);
        if (rest.len == 0)
            break;
        if (!take_name(&rest, &name)) {
            page_log(p, "invalid variable name in \"%.*s\"", LOG_STR(value));
            return false;
        }
        text_add(to, find_value(p, name).text);
    }
    return !to->failed;
}

/* ---- set, echo, config ---- */

static bool
run_set(struct ssi_page *p, const struct str *values)
{
    struct text *value = &p->scratch[0];

    return evaluate(p, values[SET_VALUE], value) &&
           ssi_set(p->source.x, p->shared, values[SET_VAR], text_str(value));
}

static bool
run_echo(struct ssi_page *p, const struct str *values)
{
    struct var_value v = find_value(p, values[ECHO_VAR]);
    struct str encoding = values[ECHO_ENCODING], text = v.text;
    struct text *out = &p->scratch[0];

    if (!v.found)
        text = values[ECHO_DEFAULT].ptr != NULL ? values[ECHO_DEFAULT] : S("(none)");
    if (str_eq(encoding, S("none"))) {
        ssi_put(p, text);
        return true;
    }
    out->len = 0;
    if (str_eq(encoding, S("url"))) {
        escape_uri(out, text, ESCAPE_URI_HTML);
    } else {
        if (encoding.ptr != NULL && !str_eq(encoding, S("entity")))
            page_log(p, "unknown encoding \"%.*s\" in the \"echo\" command", LOG_STR(encoding));
        escape_html(out, text);
    }
    ssi_put(p, text_str(out));
    return !out->failed;
}

static bool
run_config(struct ssi_page *p, const struct str *values)
{
    struct arena *a = &p->source.x->mem->arena;

    if (values[CONFIG_TIMEFMT].ptr != NULL)
        p->state->time_format = arena_str(a, values[CONFIG_TIMEFMT]);
    if (values[CONFIG_ERRMSG].ptr != NULL)
        p->error_text = arena_str(a, values[CONFIG_ERRMSG]);
    return true;
}

/* ---- conditions ---- */

enum truth { IS_FALSE, IS_TRUE, IS_WRONG };

/* The captures of a match stay until the next one, for $1 and for `echo`. Named ones are variables. */
static bool
keep_captures(struct ssi_page *p, const struct regex *re, struct str subject,
              const struct regex_match *m)
{
    struct ssi_shared *shared = p->shared;
    struct str name;
    uint32_t group;

    shared->subject.len = 0;
    text_add(&shared->subject, subject);
    shared->captures = *m;
    if (shared->subject.failed) {
        shared->captures.n = 0;
        return false;
    }
    for (uint32_t i = 0; regex_named(re, i, &name, &group); i++)
        if (!ssi_set(p->source.x, shared, name, capture_value(shared, group).text))
            return false;
    return true;
}

static enum truth
matches(struct ssi_page *p, struct str subject, struct str pattern)
{
    struct arena a;
    struct text problem;
    struct regex *re;
    struct regex_match m;
    enum truth truth = IS_FALSE;

    arena_init(&a, 1024);
    text_init(&problem, &a);
    re = regex_compile(&a, pattern, false, &problem);
    if (re == NULL) {
        page_log(p, "%.*s", STR(text_str(&problem)));
        truth = IS_WRONG;
    } else if (regex_match(re, subject, &m, NULL)) {
        truth = keep_captures(p, re, subject, &m) ? IS_TRUE : IS_WRONG;
    }
    arena_free(&a);
    return truth;
}

/* The name, number or variables in front of an operator. */
static size_t
left_side(struct str s)
{
    size_t n = 0;

    while (n < s.len && (is_name_char(s.ptr[n]) || strchr("${}", s.ptr[n]) != NULL) &&
           s.ptr[n] != '\0')
        n++;
    return n;
}

static struct str
skip_spaces(struct str s)
{
    while (s.len > 0 && s.ptr[0] == ' ')
        s = str_from(s, 1);
    return s;
}

/* "$a", "$a = text", "$a != text", "$a = /pattern/". */
static enum truth
truth_of(struct ssi_page *p, struct str expr)
{
    struct text *left = &p->scratch[0], *right = &p->scratch[1];
    size_t n = left_side(expr);
    struct str rest = skip_spaces(str_from(expr, n)), value;
    enum truth truth;
    bool negative;

    if (!evaluate(p, str_upto(expr, n), left))
        return IS_WRONG;
    if (rest.len == 0)
        return left->len > 0 ? IS_TRUE : IS_FALSE;
    negative = str_starts(rest, S("!="));
    if (!negative && rest.ptr[0] != '=')
        goto wrong;
    rest = skip_spaces(str_from(rest, 1 + (size_t)negative));
    if (!evaluate(p, rest, right))
        return IS_WRONG;
    value = text_str(right);
    if (rest.len == 0 || rest.ptr[0] != '/') {
        truth = str_eq(text_str(left), value) ? IS_TRUE : IS_FALSE;
    } else {
        if (value.len < 2 || value.ptr[value.len - 1] != '/')
            goto wrong;
        truth = matches(p, text_str(left), str_n(value.ptr + 1, value.len - 2));
    }
    if (truth == IS_WRONG || !negative)
        return truth;
    return truth == IS_TRUE ? IS_FALSE : IS_TRUE;

wrong:
    page_log(p, "invalid expression in \"%.*s\"", LOG_STR(expr));
    return IS_WRONG;
}

static bool
choose(struct ssi_page *p, enum truth truth)
{
    p->chosen = truth == IS_TRUE;
    p->silent = !p->chosen;
    return truth != IS_WRONG;
}

static bool
run_if(struct ssi_page *p, const struct str *values)
{
    enum truth truth;

    if (p->condition != SSI_NO_CONDITION) {
        page_log(p, "the \"if\" command inside the \"if\" command");
        return false;
    }
    truth = truth_of(p, values[0]);
    if (truth ==
        IS_WRONG) /* as nginx: what follows is given, and its `else` and `endif` are errors */
        return false;
    p->condition = SSI_IN_IF;
    return choose(p, truth);
}

/* Whether a command may stand here. */
static bool
in_condition(struct ssi_page *p, const char *name, enum ssi_condition last)
{
    if (p->condition != SSI_NO_CONDITION && p->condition <= last)
        return true;
    page_log(p, "invalid context of SSI command: \"%s\"", name);
    return false;
}

static bool
run_elif(struct ssi_page *p, const struct str *values)
{
    if (!in_condition(p, "elif", SSI_IN_IF))
        return false;
    p->silent = true;
    return p->chosen || choose(p, truth_of(p, values[0]));
}

static bool
run_else(struct ssi_page *p, const struct str *values UNUSED)
{
    if (!in_condition(p, "else", SSI_IN_IF))
        return false;
    p->condition = SSI_IN_ELSE;
    p->silent = p->chosen;
    return true;
}

static bool
run_endif(struct ssi_page *p, const struct str *values UNUSED)
{
    if (!in_condition(p, "endif", SSI_IN_ELSE))
        return false;
    p->condition = SSI_NO_CONDITION;
    p->silent = false;
    return true;
}

/* ---- blocks ---- */

static bool
run_block(struct ssi_page *p, const struct str *values)
{
    struct arena *a = &p->source.x->mem->arena;
    struct text *block = ARENA_NEW(a, struct text);
    struct str name = arena_str(a, values[0]);

    if (block == NULL || name.ptr == NULL)
        return false;
    text_init(block, a);
    /* a block of that name stays; this one is recorded for nobody */
    if (hash_get(&p->shared->blocks, name) == NULL && !hash_set(&p->shared->blocks, name, block))
        return false;
    p->block = block;
    return true;
}

static bool
run_endblock(struct ssi_page *p, const struct str *values UNUSED)
{
    p->block = NULL;
    return true;
}

void
ssi_record(struct ssi_page *p, struct str bytes)
{
    if (p->shared->blocks_size + bytes.len > BLOCKS_MAX) {
        page_log(p, "too large SSI blocks");
        p->block = NULL;
        ssi_put_error(p);
        return;
    }
    p->shared->blocks_size += bytes.len;
    text_add(p->block, bytes);
}

/* ---- include ---- */

/* Whether a segment of a path is "..", encoded or not: nginx refuses it as unsafe. */
static bool
leads_up(struct text *scratch, struct str path)
{
    struct str rest, segment;

    scratch->len = 0;
    unescape_uri(scratch, str_upto(path, str_find(path, '?')));
    rest = text_str(scratch);
    while (str_split(&rest, '/', &segment))
        if (str_eq(segment, S("..")))
            return true;
    return false;
}

/*
 * What is included, from the root; relative to the page's directory when it has no slash in front. As with nginx, no text at
 * all is that directory, but variables that come to nothing are an error.
 */
static bool
include_uri(struct ssi_page *p, struct str value, struct str *uri)
{
    struct exchange *x = p->source.x;
    struct text *path = &p->scratch[0];
    struct str page = request_of(x)->uri;
    struct text whole;

    if (!evaluate(p, value, path))
        return false;
    if ((path->len == 0 && value.len > 0) || leads_up(&p->scratch[1], text_str(path))) {
        page_log(p, "unsafe URI \"%.*s\" was detected", LOG_STR(text_str(path)));
        return false;
    }
    text_init(&whole, &x->mem->arena);
    if (path->len == 0 || path->ptr[0] != '/')
        escape_uri(&whole, str_upto(page, str_rfind(page, '/') + 1), ESCAPE_URI_PATH);
    text_add(&whole, text_str(path));
    *uri = text_str(&whole);
    return !whole.failed;
}

static bool
find_stub(struct ssi_page *p, struct str name, const struct text **stub)
{
    *stub = NULL;
    if (name.ptr == NULL)
        return true;
    *stub = hash_get(&p->shared->blocks, name);
    if (*stub == NULL)
        page_log(p, "\"stub\"=\"%.*s\" for \"include\" not found", LOG_STR(name));
    return *stub != NULL;
}

static bool
include_params(struct ssi_page *p, const struct str *values)
{
    struct str wait = values[INCLUDE_WAIT];

    if ((values[INCLUDE_VIRTUAL].ptr != NULL) == (values[INCLUDE_FILE].ptr != NULL)) {
        page_log(p, "inclusion may be either virtual=\"...\" or file=\"...\"");
        return false;
    }
    if (values[INCLUDE_SET].ptr != NULL && values[INCLUDE_STUB].ptr != NULL) {
        page_log(p, "\"set\" and \"stub\" cannot be used together in \"include\" SSI command");
        return false;
    }
    if (wait.ptr != NULL && !str_eq(wait, S("yes")) && !str_eq(wait, S("no"))) {
        page_log(p, "invalid value \"%.*s\" in the \"wait\" parameter", LOG_STR(wait));
        return false;
    }
    return true;
}

static bool
run_include(struct ssi_page *p, const struct str *values)
{
    bool is_file = values[INCLUDE_FILE].ptr != NULL;
    const struct text *stub;
    struct str uri;

    if (!include_params(p, values) || !find_stub(p, values[INCLUDE_STUB], &stub) ||
        !include_uri(p, values[is_file ? INCLUDE_FILE : INCLUDE_VIRTUAL], &uri))
        return false;
    if (values[INCLUDE_SET].ptr != NULL)
        return ssi_include_into(p, uri, values[INCLUDE_SET]);
    if (!ssi_include(p, uri, stub))
        return false;
    if (str_eq(values[INCLUDE_WAIT], S("yes")))
        p->wait = SSI_WAIT_TURN;
    return true;
}

/* ---- any command ---- */

static bool
run(struct ssi_page *p, const struct command_row *row, const struct ssi_command *c)
{
    struct str values[PARAMS] = { STR_NONE };

    if (row == NULL) {
        page_log(p, "invalid SSI command: \"%.*s\"", LOG_STR(c->name));
        return false;
    }
    return sort_params(p, row, c, values) && row->run(p, values);
}

void
ssi_command_run(struct ssi_page *p, const struct ssi_command *c)
{
    const struct command_row *row = command_find(c->name);

    if (c->problem != NULL) {
        page_log(p, "%s in \"%.*s\" SSI command", c->problem, LOG_STR(c->name));
        ssi_put_error(p);
        return;
    }
    if (p->block != NULL && (row == NULL || row->run != run_endblock)) {
        ssi_record(p, c->raw); /* it is run where the block is used */
        return;
    }
    if (p->silent && (row == NULL || !row->condition))
        return;
    if (!run(p, row, c))
        ssi_put_error(p);
}
