/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * texts.c - keeps two texts of the configuration over reloads, upgrades and the master's death.
 *
 * They may hold secrets: they lie in the master's memory and in sealed memfds of mode 0600, and go to root and the
 * master's own user.
 */
#include "master/texts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "master/handoff.h"

static bool
texts_equal(const struct vec *a, const struct vec *b)
{
    if (a->len != b->len)
        return false;
    for (uint32_t i = 0; i < a->len; i++) {
        const struct conf_file *fa = VEC_AT(a, struct conf_file, i);
        const struct conf_file *fb = VEC_AT(b, struct conf_file, i);

        if (!str_eq(fa->path, fb->path) || !str_eq(fa->text, fb->text))
            return false;
    }
    return true;
}

void
texts_settle(struct master *m)
{
    if (m->good_files.len > 0 && !texts_equal(&m->good_files, &m->config->files))
        m->back_files = m->good_files;
    m->good_files = m->config->files;
    m->rolled_back = m->next_rolled_back;
    m->next_rolled_back = false;
}

/* ---- hand-over -------------------------------------------------------------------------------------------------- */

/* A line for each file, whatever is in it: a program that does not know it skips it. */
void
texts_put(const struct master *m, struct text *t)
{
    VEC_FOREACH (f, struct conf_file, &m->back_files) {
        TEXT_LIT(t, "back");
        lines_put_str(t, f->path);
        lines_put_str(t, f->text);
        text_char(t, '\n');
    }
    text_fmt(t, "rolled %d %d\n", m->rolled_back, m->next_rolled_back);
}

static bool
get_back(struct arena *a, struct vec *files, struct str fields)
{
    struct conf_file f, *to;

    if (!lines_get_str(&fields, a, &f.path) || !lines_get_str(&fields, a, &f.text))
        return false;
    to = VEC_PUSH(files, struct conf_file);
    if (to == NULL)
        return false;
    *to = f;
    return true;
}

bool
texts_get(struct master *m, struct str key, struct str fields)
{
    uint64_t now, next;

    if (str_eq(key, S("back")))
        return get_back(&m->arena, &m->back_files, fields);
    if (!lines_get_num(&fields, &now) || !lines_get_num(&fields, &next))
        return false;
    m->rolled_back = now != 0;
    m->next_rolled_back = next != 0;
    return true;
}

/* ---- what a dead master left ------------------------------------------------------------------------------------ */

/*
 * It comes through a worker, and its text may be loaded with our rights. No other user can make or change a sealed memfd
 * that is ours, and zones, which workers write, have other names.
 */
static bool
is_ours(int fd)
{
    const int sealed = F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
    int seals = fcntl(fd, F_GET_SEALS);
    char link[64], name[64];
    struct stat st;
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, name, sizeof(name));
    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && seals >= 0 &&
           (seals & sealed) == sealed && n > 0 &&
           str_starts(str_n(name, (size_t)n), S("/memfd:weir-state "));
}

/* The state was written before its generation served: "good" is what the one before had. */
static bool
read_state(struct master *m, struct str rest, struct vec *served, struct vec *before)
{
    struct vec back;
    struct str key, fields, tag;

    vec_init(&back, &m->arena, sizeof(struct conf_file));
    while (lines_next(&rest, &key, &fields) && !str_eq(key, S("end"))) {
        struct conf_file f, *to;

        if (str_eq(key, S("back")) && !get_back(&m->arena, &back, fields))
            return false;
        if (!str_eq(key, S("file")))
            continue;
        if (!handoff_get_file(&fields, &rest, &m->arena, &tag, &f))
            return false;
        to = VEC_PUSH(str_eq(tag, S("next")) ? served : before, struct conf_file);
        if (to == NULL)
            return false;
        *to = f;
    }
    if (before->len == 0 || texts_equal(before, served))
        *before = back;
    return served->len > 0;
}

void
texts_adopt(struct master *m, int state_fd)
{
    struct error err = { 0 };
    struct vec served, before;
    struct str text;

    if (state_fd < 0 || !is_ours(state_fd))
        return;
    text = handoff_slurp(state_fd, &m->arena, &err);
    vec_init(&served, &m->arena, sizeof(struct conf_file));
    vec_init(&before, &m->arena, sizeof(struct conf_file));
    if (text.ptr == NULL || !read_state(m, text, &served, &before)) {
        log_warn(0, "the configuration that workers without a master serve is not known");
        return;
    }
    m->good_files = served;
    m->back_files = before;
}

/* ---- for the tool ----------------------------------------------------------------------------------------------- */

int
texts_memfd(const struct master *m, struct error *err)
{
    struct text t;
    int fd = -1;

    if (m->config == NULL || m->serving == 0 || m->good_files.len == 0) {
        error_set(err, "no configuration serves yet");
        return -1;
    }
    text_init(&t, NULL);
    TEXT_LIT(&t, "prefix");
    lines_put_str(&t, m->config->prefix);
    TEXT_LIT(&t, "\nconf");
    lines_put_str(&t, m->config->conf_path);
    text_char(&t, '\n');
    VEC_FOREACH (f, struct conf_file, &m->good_files) {
        if (!conf_file_is_pipe(f))
            handoff_put_file(&t, "now", f);
    }
    if (t.failed)
        error_set(err, "out of memory");
    else
        fd = handoff_memfd(text_str(&t), err);
    text_free(&t);
    return fd;
}
