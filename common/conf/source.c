/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.c - reads configuration files, or takes their texts from a hand-over.
 *
 * A path is read once however often it is included. After a hand-over nothing is read from disk: the texts are what
 * was checked, and patterns match their paths.
 */
#include "common/conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/directive.h"
#include "common/sys/file.h"

enum {
    PIPE_WAIT_MS = 5000, /* how long a pipe or device may keep us waiting for its next bytes */
};

static struct str globals_path = S_INIT("command line");

bool
source_start(struct conf_load *l)
{
    const struct vec *texts = l->options->texts;

    hash_init(&l->files_by_path, &l->scratch);
    hash_init(&l->texts_by_path, &l->scratch);
    vec_init(&l->files, &l->scratch, sizeof(struct load_file));
    for (uint32_t i = 0; texts != NULL && i < texts->len; i++) {
        struct conf_file *f = VEC_AT(texts, struct conf_file, i);

        if (!hash_set(&l->texts_by_path, f->path, f))
            return message_no_memory(l);
    }
    return true;
}

/* A failed system call, at the include or, for the main file, nowhere. */
static bool
fail_sys(struct conf_load *l, const struct conf_node *n, const char *call, struct str path, int err)
{
    if (n != NULL)
        return conf_fail(l, n, 1, "%s() \"%.*s\" failed (%d: %s)", call, STR(path), err,
                         strerror(err));
    return conf_fail_at(l, (struct conf_pos){ 0, 0, 0 }, "%s() \"%.*s\" failed (%d: %s)", call,
                        STR(path), err, strerror(err));
}

static bool
fail_long(struct conf_load *l, const struct conf_node *n, struct str path)
{
    return conf_fail_at(l, n != NULL ? n->pos : (struct conf_pos){ 0, 0, 0 },
                        "\"%.*s\" is too long, a configuration has at most %u megabytes", STR(path),
                        LOAD_BYTES_MAX >> 20);
}

/* All bytes up to the end, for files of any kind; `fd` is non-blocking so that a pipe cannot hold us for ever. */
static bool
read_all(struct conf_load *l, int fd, struct str path, const struct conf_node *n, struct text *t)
{
    for (;;) {
        char *room = text_room(t, 65536);
        ssize_t got;

        if (room == NULL)
            return message_no_memory(l);
        got = read(fd, room, 65536);
        if (got == 0)
            return true;
        if (got > 0) {
            t->len += (size_t)got;
            if (t->len > LOAD_BYTES_MAX)
                return fail_long(l, n, path);
            continue;
        }
        if (errno == EAGAIN) {
            struct pollfd p = { .fd = fd, .events = POLLIN };

            if (poll(&p, 1, PIPE_WAIT_MS) > 0)
                continue;
            errno = ETIMEDOUT;
        }
        if (errno != EINTR)
            return fail_sys(l, n, "read", path, errno);
    }
}

static bool
read_path(struct conf_load *l, struct str path, const struct conf_node *n, struct str *text)
{
    struct text t;
    int fd = open(path.ptr, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool ok;

    if (fd < 0)
        return fail_sys(l, n, "open", path, errno);
    text_init(&t, NULL);
    ok = read_all(l, fd, path, n, &t);
    close(fd);
    if (ok) {
        *text = arena_str(&l->config->arena, str_n(t.ptr, t.len));
        ok = text->ptr != NULL || message_no_memory(l);
    }
    text_free(&t);
    return ok;
}

/* Adds it to the files of the configuration; `from` is where it was named. */
static uint32_t
add_file(struct conf_load *l, struct str path, struct str text, struct conf_pos from)
{
    struct conf_file *f = vec_push(&l->config->files);
    struct load_file *more = f != NULL ? vec_push(&l->files) : NULL;
    uint32_t index = l->files.len - 1;
    uint32_t *found = arena_alloc(&l->scratch, sizeof(*found));

    if (f == NULL || more == NULL || found == NULL) {
        message_no_memory(l);
        return SOURCE_NONE;
    }
    *f = (struct conf_file){ path, text };
    *more = (struct load_file){ .from = from };
    *found = index;
    if (!hash_set(&l->files_by_path, path, found)) {
        message_no_memory(l);
        return SOURCE_NONE;
    }
    return index;
}

/* A NUL byte would end the text for every C function behind us, so it is refused wherever it stands. */
static bool
check_bytes(struct conf_load *l, uint32_t index)
{
    struct str text = VEC_AT(&l->config->files, struct conf_file, index)->text;
    const char *nul = text.len > 0 ? memchr(text.ptr, '\0', text.len) : NULL;
    struct conf_pos pos = { index, 1, 0 };
    const char *line = text.ptr;

    if (nul == NULL)
        return true;
    for (const char *p = text.ptr; p < nul; p++)
        if (*p == '\n') {
            pos.line++;
            line = p + 1;
        }
    pos.column = (uint32_t)(nul - line) + 1;
    conf_fail_at(l, pos, "unexpected NUL byte");
    conf_hint(l, "a configuration is text in UTF-8 or ASCII");
    return false;
}

uint32_t
source_file(struct conf_load *l, struct str path, const struct conf_node *n)
{
    uint32_t *found = hash_get(&l->files_by_path, path), index;
    const struct vec *texts = l->options->texts;
    const struct conf_file *kept = hash_get(&l->texts_by_path, path);
    struct str text = STR_NONE;

    if (found != NULL)
        return *found;
    if (texts == NULL && !read_path(l, path, n, &text))
        return SOURCE_NONE;
    if (texts != NULL && kept == NULL) {
        fail_sys(l, n, "open", path, ENOENT);
        return SOURCE_NONE;
    }
    if (kept != NULL)
        text = arena_str(&l->config->arena, kept->text);
    if (text.ptr == NULL) {
        message_no_memory(l);
        return SOURCE_NONE;
    }
    index = add_file(l, path, text, n != NULL ? n->pos : (struct conf_pos){ 0, 0, 0 });
    return index != SOURCE_NONE && check_bytes(l, index) ? index : SOURCE_NONE;
}

uint32_t
source_globals(struct conf_load *l)
{
    const struct conf_file *kept = hash_get(&l->texts_by_path, globals_path);
    struct str text = kept != NULL ? kept->text : l->options->globals;
    uint32_t index;

    if (text.len == 0)
        return SOURCE_NONE;
    text = arena_str(&l->config->arena, text);
    if (text.ptr == NULL) {
        message_no_memory(l);
        return SOURCE_NONE;
    }
    index = add_file(l, globals_path, text, (struct conf_pos){ 0, 0, 0 });
    return index != SOURCE_NONE && check_bytes(l, index) ? index : SOURCE_NONE;
}

/* As a file of the configuration, by a name that no `include` has. */
static bool
keep_content(struct conf_load *l, struct str name, struct str content)
{
    struct str copy = arena_str(&l->config->arena, content);

    return copy.ptr != NULL && add_file(l, name, copy, (struct conf_pos){ 0, 0, 0 }) != SOURCE_NONE;
}

bool
conf_read_content(struct conf_load *l, struct str path, size_t max, struct str *content,
                  struct error *err)
{
    struct arena *a = &l->config->arena;
    struct str name = arena_fmt(a, CONF_PIPE "%.*s", STR(path));
    const uint32_t *found = name.ptr != NULL ? hash_get(&l->files_by_path, name) : NULL;
    const struct conf_file *kept = name.ptr != NULL ? hash_get(&l->texts_by_path, name) : NULL;
    struct stat st;
    bool ok = name.ptr != NULL;

    if (found != NULL) {
        *content = arena_str(a, VEC_AT(&l->config->files, struct conf_file, *found)->text);
    } else if (kept != NULL) {
        *content = arena_str(a, kept->text);
        ok = keep_content(l, name, kept->text);
    } else if (ok) {
        if (!file_read(a, path.ptr, max, content, err))
            return false;
        if (stat(path.ptr, &st) != 0 || !S_ISREG(st.st_mode))
            ok = keep_content(l, name, *content);
    }
    if (ok && content->ptr != NULL)
        return true;
    error_set(err, "out of memory");
    return false;
}

static bool
add_path(struct conf_load *l, struct vec *paths, const char *path)
{
    struct str copy = arena_str(&l->config->arena, str_c(path));
    struct str *at = copy.ptr != NULL ? vec_push(paths) : NULL;

    if (at == NULL)
        return message_no_memory(l);
    *at = copy;
    return true;
}

static int
compare_paths(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* What glob() would find if just the files of the hand-over existed. */
static bool
glob_texts(struct conf_load *l, struct str pattern, struct vec *paths)
{
    VEC_FOREACH (f, const struct conf_file, l->options->texts) {
        char *path = arena_cstr(&l->scratch, f->path);

        if (path == NULL)
            return message_no_memory(l);
        if (fnmatch(pattern.ptr, path, FNM_PATHNAME | FNM_PERIOD) == 0 && !add_path(l, paths, path))
            return false;
    }
    if (paths->len > 1)
        qsort(paths->data, paths->len, sizeof(struct str), compare_paths);
    return true;
}

bool
source_glob(struct conf_load *l, struct str pattern, const struct conf_node *n, struct vec *paths)
{
    glob_t found;
    bool ok = true;
    int rc;

    if (l->options->texts != NULL)
        return glob_texts(l, pattern, paths);
    errno = 0;
    rc = glob(pattern.ptr, 0, NULL, &found);
    if (rc != 0 && rc != GLOB_NOMATCH)
        return fail_sys(l, n, "glob", pattern, errno != 0 ? errno : ENOMEM);
    for (size_t i = 0; rc == 0 && ok && i < found.gl_pathc; i++)
        ok = add_path(l, paths, found.gl_pathv[i]);
    if (rc == 0)
        globfree(&found);
    return ok;
}
