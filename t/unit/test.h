/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test.h - unit tests that print TAP, the main function included.
 *
 *     TEST(durations)
 *     {
 *         EACH(durations, d) {
 *             CHECK_EQ(num_parse_duration(str_c(d->text), &ms), d->ok, "%s", d->text);
 *         }
 *     }
 *
 * Every TEST is one line of TAP; a CHECK that fails says where and goes on. The text after the values is optional and
 * begins with a literal. Arguments of the program pick tests by name.
 */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/str.h"

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct test *test_first, **test_last = &test_first;
static unsigned test_failures; /* of the test that runs */

#define TEST(nm)                                                 \
    static void test_##nm(void);                                 \
    __attribute__((constructor)) static void test_add_##nm(void) \
    {                                                            \
        static struct test test = { #nm, test_##nm, NULL };      \
        *test_last = &test;                                      \
        test_last = &test.next;                                  \
    }                                                            \
    static void test_##nm(void)

/* Walks an array of known size: `it` points at each element in turn. */
#define EACH(array, it)                                                                           \
    for (__typeof__(&(array)[0]) it = (array); it < (array) + sizeof(array) / sizeof((array)[0]); \
         it++)

#define CHECK(cond, ...) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, #cond, " " __VA_ARGS__))

/* The same, and leaves the test when it fails. */
#define REQUIRE(cond, ...)                                         \
    do {                                                           \
        if (!(cond)) {                                             \
            test_fail(__FILE__, __LINE__, #cond, " " __VA_ARGS__); \
            return;                                                \
        }                                                          \
    } while (0)

/* Integers of any type: what came, what is wanted. */
#define CHECK_EQ(got, want, ...)                                               \
    do {                                                                       \
        long long test_got = (long long)(got), test_want = (long long)(want);  \
        if (test_got != test_want) {                                           \
            test_fail(__FILE__, __LINE__, #got " == " #want, " " __VA_ARGS__); \
            printf("#     got %lld, want %lld\n", test_got, test_want);        \
        }                                                                      \
    } while (0)

/* A struct str and a C string. */
#define CHECK_STR(got, want, ...)                                              \
    do {                                                                       \
        struct str test_got = (got), test_want = str_c(want);                  \
        if (!str_eq(test_got, test_want)) {                                    \
            test_fail(__FILE__, __LINE__, #got " is " #want, " " __VA_ARGS__); \
            test_show("got ", test_got);                                       \
            test_show("want", test_want);                                      \
        }                                                                      \
    } while (0)

/* The statement aborts the process (in a child, whose report is swallowed). */
#define CHECK_DIES(statement, ...)                                                    \
    do {                                                                              \
        fflush(stdout);                                                               \
        pid_t test_pid = fork();                                                      \
        int test_status = 0;                                                          \
        if (test_pid == 0) {                                                          \
            if (freopen("/dev/null", "w", stderr) == NULL)                            \
                _exit(0);                                                             \
            statement;                                                                \
            _exit(0);                                                                 \
        }                                                                             \
        waitpid(test_pid, &test_status, 0);                                           \
        CHECK(!WIFEXITED(test_status) || WEXITSTATUS(test_status) != 0, __VA_ARGS__); \
    } while (0)

static inline __attribute__((format(printf, 4, 5))) void
test_fail(const char *file, int line, const char *what, const char *fmt, ...)
{
    va_list args;

    test_failures++;
    printf("# %s:%d: not so: %s;", file, line, what);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static inline void
test_show(const char *label, struct str s)
{
    printf("#     %s \"", label);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    printf("\"%s\n", s.ptr == NULL ? " (NULL)" : "");
}

static inline bool
test_is_picked(const struct test *t, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], t->name) == 0)
            return true;
    return argc < 2;
}

int
main(int argc, char **argv)
{
    unsigned count = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(120); /* a test that hangs fails */
    for (struct test *t = test_first; t != NULL; t = t->next) {
        if (!test_is_picked(t, argc, argv))
            continue;
        test_failures = 0;
        t->run();
        failed += test_failures != 0;
        printf("%sok %u - %s\n", test_failures != 0 ? "not " : "", ++count, t->name);
    }
    printf("1..%u\n", count);
    return failed != 0;
}

#endif
