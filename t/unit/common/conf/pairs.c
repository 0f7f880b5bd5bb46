/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.c - each t/conf/pairs/NAME.conf loads with the messages of NAME.out.
 *
 * The same pairs are run through the program by t/conf/pairs.t; here they need no more than the loader. With
 * WEIR_WRITE_PAIRS set, what comes is written to the .out files instead, to be read before it is committed.
 */
#include "common/conf/config.h"

#include <glob.h>

#include "test.h"

#include "common/conf/fake.h"

static struct str
read_text(struct arena *a, const char *path)
{
    struct text t;
    FILE *f = fopen(path, "r");

    text_init(&t, a);
    for (int c; f != NULL && (c = fgetc(f)) != EOF;)
        text_char(&t, (char)c);
    if (f != NULL)
        fclose(f);
    return t.len > 0 ? text_str(&t) : S("");
}

/* What was said, with the directory of the file as DIR. */
static struct str
messages(struct fake_load *f, struct str dir)
{
    struct str rest = fake_messages(f);
    struct text t;

    text_init(&t, &f->arena);
    while (rest.len > 0) {
        size_t at = str_search(rest, dir);

        text_add(&t, str_upto(rest, at));
        rest = str_from(rest, at);
        if (rest.len == 0)
            break;
        TEXT_LIT(&t, "DIR");
        rest = str_from(rest, dir.len);
    }
    text_add(&t, f->config != NULL ? S("ok\n") : S("failed\n"));
    return text_str(&t);
}

static void
check_pair(const char *conf, const char *cwd)
{
    struct fake_load f;
    struct str dir, got, want, out;

    fake_start(&f);
    dir = arena_fmt(&f.arena, "%s/t/conf/pairs", cwd);
    out = arena_fmt(&f.arena, "%.*sout", (int)strlen(conf) - 4, conf);
    f.options.texts = NULL;
    f.options.conf_path = arena_fmt(&f.arena, "%s/%s", cwd, conf);
    fake_run(&f);
    got = messages(&f, dir);
    if (getenv("WEIR_WRITE_PAIRS") != NULL) {
        FILE *to = fopen(out.ptr, "w");

        REQUIRE(to != NULL);
        fwrite(got.ptr, 1, got.len, to);
        fclose(to);
    }
    want = read_text(&f.arena, out.ptr);
    CHECK(str_eq(got, want), "%s says\n%.*s", conf, STR(got));
    fake_end(&f);
}

TEST(pairs)
{
    char *cwd = getcwd(NULL, 0);
    glob_t found;

    REQUIRE(cwd != NULL);
    REQUIRE(glob("t/conf/pairs/*.conf", 0, NULL, &found) == 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_pair(found.gl_pathv[i], cwd);
    globfree(&found);
    free(cwd);
}
