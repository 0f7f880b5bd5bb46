/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * regex.c - patterns compiled with PCRE2 and its JIT; limits against patterns that explode.
 *
 * A match uses the match data, the limits and the JIT stack of its thread, made at the thread's first match.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "common/base/regex.h"

#include <pcre2.h>

struct regex {
    pcre2_code *code;
    struct str pattern;
    bool jit;
    uint32_t groups;    /* without $0 */
    uint32_t names;     /* rows of name_table */
    uint32_t name_size; /* bytes of a row: two of number, then the name and its NUL */
    const uint8_t *name_table;
};

enum {
    MATCH_LIMIT = 1000000,    /* backtracking points: some ten milliseconds */
    HEAP_LIMIT_KB = 8 * 1024, /* of the interpreter, where there is no JIT */
    JIT_STACK_FIRST = 32 * 1024,
    JIT_STACK_MAX = 512 * 1024,
};

static uint32_t match_options; /* PCRE2_NO_JIT, or nothing */
static __thread pcre2_match_data *match_data;
static __thread pcre2_match_context *match_context;

static bool
thread_init(void)
{
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(REGEX_CAPTURES_MAX, NULL);
    pcre2_jit_stack *stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);

    if (context == NULL || data == NULL) {
        pcre2_match_context_free(context);
        pcre2_match_data_free(data);
        pcre2_jit_stack_free(stack);
        return false;
    }
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT_KB);
    if (stack != NULL) /* without it the JIT uses 32 kB of the machine's */
        pcre2_jit_stack_assign(context, NULL, stack);
    match_data = data;
    match_context = context;
    return true;
}

static void
explain(struct text *err, int code, struct str pattern, size_t at)
{
    char message[256];

    if (pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message)) < 0)
        str_to_c(S("unknown error"), message, sizeof(message));
    text_fmt(err, "pcre2_compile() failed: %s in \"%.*s\"", message, STR(pattern));
    if (at < pattern.len)
        text_fmt(err, " at \"%.*s\"", STR(str_from(pattern, at)));
}

static void
code_free(void *code)
{
    pcre2_code_free(code);
}

void
regex_use_jit(bool on)
{
    match_options = on ? 0 : PCRE2_NO_JIT;
}

struct regex *
regex_compile(struct arena *a, struct str pattern, bool nocase, struct text *err)
{
    struct regex *re = ARENA_NEW(a, struct regex);
    int code = 0;
    size_t at = 0;

    if (re == NULL)
        goto no_memory;
    re->pattern = arena_str(a, pattern);
    if (re->pattern.ptr == NULL)
        goto no_memory;
    re->code = pcre2_compile((PCRE2_SPTR)re->pattern.ptr, pattern.len, nocase ? PCRE2_CASELESS : 0,
                             &code, &at, NULL);
    if (re->code == NULL) {
        explain(err, code, pattern, at);
        return NULL;
    }
    if (!arena_on_free(a, code_free, re->code)) {
        pcre2_code_free(re->code);
        goto no_memory;
    }
    if (match_options == 0) /* without a JIT the interpreter matches */
        re->jit = pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;

    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->groups);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &re->names);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &re->name_size);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &re->name_table);
    if (re->groups >= REGEX_CAPTURES_MAX) {
        text_fmt(err, "more than %d groups in \"%.*s\"", REGEX_CAPTURES_MAX - 1, STR(pattern));
        return NULL;
    }
    return re;

no_memory:
    text_fmt(err, "no memory for \"%.*s\"", STR(pattern));
    return NULL;
}

bool
regex_match(const struct regex *re, struct str subject, struct regex_match *m, bool *failed)
{
    const PCRE2_SIZE *at;
    PCRE2_SPTR text;
    int result;

    m->n = 0;
    if (failed != NULL)
        *failed = false;
    if (UNLIKELY(match_data == NULL) && !thread_init()) {
        if (failed != NULL)
            *failed = true;
        return false;
    }
    text = (PCRE2_SPTR)(subject.ptr != NULL ? subject.ptr : "");
    /* The same without a look at options that are not used. */
    result = re->jit ? pcre2_jit_match(re->code, text, subject.len, 0, 0, match_data, match_context)
                     : pcre2_match(re->code, text, subject.len, 0, match_options, match_data,
                                   match_context);
    if (result < 0) {
        if (failed != NULL)
            *failed = result != PCRE2_ERROR_NOMATCH;
        return false;
    }
    at = pcre2_get_ovector_pointer(match_data);
    m->n = re->groups + 1;
    for (uint32_t i = 0; i < (uint32_t)result * 2; i++)
        m->at[i] = at[i];
    /* Groups behind the last one that took part. */
    for (uint32_t i = (uint32_t)result * 2; i < m->n * 2; i++)
        m->at[i] = SIZE_MAX;
    return true;
}

uint32_t
regex_groups(const struct regex *re)
{
    return re->groups;
}

bool
regex_named(const struct regex *re, uint32_t i, struct str *name, uint32_t *group)
{
    const uint8_t *row;

    if (i >= re->names)
        return false;
    row = re->name_table + (size_t)i * re->name_size;
    *group = (uint32_t)row[0] << 8 | row[1];
    *name = str_c((const char *)row + 2);
    return true;
}

struct str
regex_pattern(const struct regex *re)
{
    return re->pattern;
}
