/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diff_command.c - asks the master for the texts that serve, reads the files as a reload would, and shows the difference.
 *
 * The files are read for their text alone: what is wrong with it is said, and does not keep the difference from being
 * shown.
 */
#include "master/diff_command.h"

#include <stdio.h>

#include "common/base/diff.h"
#include "common/base/hash.h"
#include "common/ipc/lines.h"
#include "master/handoff.h"
#include "master/report.h"

enum { EXIT_SAME = 0, EXIT_DIFFERS = 1, EXIT_TROUBLE = 2 };

/* What serves. */
struct running {
    struct str prefix, conf_path, globals;
    struct vec files; /* of struct conf_file */
};

/* The text of -g is no file; a reload has it again. */
static bool
is_globals(const struct conf_file *f)
{
    return str_eq(f->path, S("command line"));
}

static bool
running_parse(struct str rest, struct arena *a, struct running *r)
{
    struct str key, fields, tag;

    vec_init(&r->files, a, sizeof(struct conf_file));
    while (lines_next(&rest, &key, &fields)) {
        struct conf_file f, *to;

        if (str_eq(key, S("prefix")) && !lines_get_str(&fields, a, &r->prefix))
            return false;
        if (str_eq(key, S("conf")) && !lines_get_str(&fields, a, &r->conf_path))
            return false;
        if (!str_eq(key, S("file")))
            continue;
        if (!handoff_get_file(&fields, &rest, a, &tag, &f))
            return false;
        if (is_globals(&f)) {
            r->globals = f.text;
            continue;
        }
        to = VEC_PUSH(&r->files, struct conf_file);
        if (to == NULL)
            return false;
        *to = f;
    }
    return r->prefix.len > 0 && r->conf_path.len > 0;
}

static const struct conf_file *
find(const struct vec *files, struct str path)
{
    VEC_FOREACH (f, struct conf_file, files) {
        if (str_eq(f->path, path))
            return f;
    }
    return NULL;
}

/* One file; NULL where there is none. */
static bool
put_file(struct text *out, const struct conf_file *old, const struct conf_file *new)
{
    struct str path = old != NULL ? old->path : new->path;
    struct text hunks;
    bool ok;

    text_init(&hunks, NULL);
    ok = diff_unified(&hunks, old != NULL ? old->text : S(""), new != NULL ? new->text : S(""));
    if (hunks.len > 0 || old == NULL || new == NULL) {
        text_fmt(out, "--- %.*s%s\n", STR(old != NULL ? path : S("/dev/null")),
                 old != NULL ? "\t(serving)" : "");
        text_fmt(out, "+++ %.*s%s\n", STR(new != NULL ? path : S("/dev/null")),
                 new != NULL ? "\t(on disk)" : "");
        text_add(out, text_str(&hunks));
    }
    text_free(&hunks);
    return ok && !out->failed;
}

/* In the order in which they serve; then what is new. */
static bool
put_files(struct text *out, const struct vec *old, const struct vec *new)
{
    bool ok = true;

    VEC_FOREACH (f, struct conf_file, old)
        ok = put_file(out, f, find(new, f->path)) && ok;
    VEC_FOREACH (f, struct conf_file, new) {
        if (!is_globals(f) && find(old, f->path) == NULL)
            ok = put_file(out, NULL, f) && ok;
    }
    return ok;
}

static int
compare(const struct running *r, struct arena *a)
{
    struct conf_options o = { .prefix = r->prefix,
                              .conf_path = r->conf_path,
                              .globals = r->globals };
    const struct config *disk;
    struct report report;
    struct arena nodes;
    struct text out;
    bool ok;

    report_init(&report, a);
    disk = config_read(&o, a, &report.messages, &nodes);
    report_print(&report, LOG_LEVEL_ERROR);
    if (disk == NULL || find(&disk->files, r->conf_path) == NULL)
        return EXIT_TROUBLE;
    text_init(&out, NULL);
    ok = put_files(&out, &r->files, &disk->files);
    if (ok && out.len > 0)
        fwrite(out.ptr, 1, out.len, stdout);
    if (!ok)
        fprintf(stderr, "weirctl: out of memory\n");
    if (!ok || fflush(stdout) != 0)
        return EXIT_TROUBLE;
    return out.len > 0 ? EXIT_DIFFERS : EXIT_SAME;
}

int
diff_command(const struct options *o, char **words)
{
    struct running r = { .globals = STR_NONE };
    struct arena a;
    struct str text;

    if (words[0] != NULL) {
        fprintf(stderr, "weirctl: diff: unexpected \"%s\"\n", words[0]);
        return EXIT_TROUBLE;
    }
    arena_init(&a, 65536);
    if (ctl_fetch(o, S("texts"), &a, &text) != 0)
        return EXIT_TROUBLE;
    if (!running_parse(text, &a, &r)) {
        fprintf(stderr, "weirctl: the master's answer is not understood\n");
        return EXIT_TROUBLE;
    }
    return compare(&r, &a);
}
