/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handoff.c - encodes and decodes the master's state, and executes the next image.
 *
 * Descriptors are CLOEXEC all the time but for the moment of fexecve, and only those that the text names survive it.
 * Arguments and environment go the ordinary way, as those of the new image.
 */
#include "master/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "common/shm/zone.h"
#include "common/sys/clock.h"
#include "common/sys/core_dump.h"
#include "common/sys/fd.h"
#include "master/control.h"
#include "master/supervise.h"
#include "master/texts.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

enum { TEXT_MAX = 1 << 30 };

/* ---- memfds ----------------------------------------------------------------------------------------------------- */

int
handoff_memfd(struct str text, struct error *err)
{
    int fd = memfd_create("weir-state", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("weir-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && fchmod(fd, 0600) == 0 && fd_write_all(fd, text.ptr, text.len) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return fd;
    error_sys(err, "memfd_create() of %zu bytes failed", text.len);
    fd_close(&fd);
    return -1;
}

struct str
handoff_slurp(int fd, struct arena *a, struct error *err)
{
    struct stat st;
    char *text;
    off_t at = 0;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > TEXT_MAX ||
        (text = arena_alloc(a, (size_t)st.st_size + 1)) == NULL) {
        error_sys(err, "cannot read the text that was handed over");
        return STR_NONE;
    }
    while (at < st.st_size) {
        ssize_t n = pread(fd, text + at, (size_t)(st.st_size - at), at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_sys(err, "cannot read the text that was handed over");
            return STR_NONE;
        }
        at += n;
    }
    text[at] = '\0';
    return str_n(text, (size_t)at);
}

/* ---- pieces ----------------------------------------------------------------------------------------------------- */

void
handoff_put_held(struct text *t, const struct held *h)
{
    text_fmt(t, "held %d %d %d", h->s.fd < 0 ? 0 : h->s.fd, h->listening, h->fresh);
    lines_put_str(t, h->temp);
    text_char(t, '\n');
    lines_put_socket(t, &h->s);
}

bool
handoff_get_held(struct str *fields, struct str *rest, struct arena *a, struct held *h)
{
    uint64_t fd, listening, fresh;
    struct str key, socket_fields, temp;

    if (!lines_get_num(fields, &fd) || fd > INT32_MAX || !lines_get_num(fields, &listening) ||
        !lines_get_num(fields, &fresh) || !lines_get_str(fields, a, &temp) ||
        !lines_next(rest, &key, &socket_fields) || !str_eq(key, S("socket")))
        return false;
    memset(h, 0, sizeof(*h));
    if (!lines_get_socket(&socket_fields, a, &h->s))
        return false;
    h->s.fd = fd == 0 ? -1 : (int)fd;
    h->listening = listening != 0;
    h->fresh = fresh != 0;
    h->temp = temp;
    return true;
}

void
handoff_put_file(struct text *t, const char *tag, const struct conf_file *f)
{
    text_fmt(t, "file %s %zu", tag, f->text.len);
    lines_put_str(t, f->path);
    text_char(t, '\n');
    text_add(t, f->text);
    text_char(t, '\n');
}

void
handoff_put_files(struct text *t, const char *tag, const struct vec *files)
{
    VEC_FOREACH (f, struct conf_file, files)
        handoff_put_file(t, tag, f);
}

bool
handoff_get_file(struct str *fields, struct str *rest, struct arena *a, struct str *tag,
                 struct conf_file *file)
{
    uint64_t len;

    if (!lines_get_word(fields, tag) || !lines_get_num(fields, &len) || len >= rest->len ||
        !lines_get_str(fields, a, &file->path))
        return false;
    file->text = str_upto(*rest, (size_t)len);
    *rest = str_from(*rest, (size_t)len + 1);
    return true;
}

/* ---- encoding --------------------------------------------------------------------------------------------------- */

/* Remembers a descriptor that the text names. */
static bool
note_fd(struct vec *fds, int fd)
{
    int *at;

    if (fds == NULL || fd < 0)
        return true;
    at = VEC_PUSH(fds, int);
    if (at == NULL)
        return false;
    *at = fd;
    return true;
}

static bool
put_children(const struct master *m, struct text *t, struct vec *fds)
{
    bool ok = true;

    LIST_FOREACH (at, (struct list *)&m->children) {
        const struct child *c = LIST_ENTRY(at, struct child, node);

        text_fmt(t, "child %d %d %d %u %llu %llu %u %u %d %llu %d\n", (int)c->pid,
                 c->channel.fd < 0 ? 0 : c->channel.fd, c->pidfd < 0 ? 0 : c->pidfd, c->slot,
                 (unsigned long long)c->incarnation, (unsigned long long)c->generation, c->kind,
                 c->index, (int)c->state, (unsigned long long)c->started_ms, c->left);
        ok = ok && note_fd(fds, c->channel.fd) && note_fd(fds, c->pidfd);
    }
    VEC_FOREACH (g, struct generation, &m->generations) {
        VEC_FOREACH (path, struct str, &g->logs) {
            text_fmt(t, "log %llu", (unsigned long long)g->number);
            lines_put_str(t, *path);
            text_char(t, '\n');
        }
    }
    return ok;
}

static bool
put_zone(struct text *t, struct vec *fds, struct str name, int fd)
{
    text_fmt(t, "zone %d", fd);
    lines_put_str(t, name);
    text_char(t, '\n');
    return note_fd(fds, fd);
}

static bool
has_zone(const struct config *c, struct str name)
{
    for (uint32_t i = 0; c != NULL && i < c->zones.len; i++) {
        const struct zone_spec *spec = *VEC_AT(&c->zones, struct zone_spec *, i);

        if (spec->zone != NULL && str_eq(spec->name, name))
            return true;
    }
    return false;
}

static bool
put_zones(const struct master *m, struct text *t, struct vec *fds)
{
    bool ok = true;

    for (uint32_t i = 0; m->config != NULL && i < m->config->zones.len; i++) {
        const struct zone_spec *spec = *VEC_AT(&m->config->zones, struct zone_spec *, i);

        if (spec->zone != NULL)
            ok = put_zone(t, fds, spec->name, zone_fd(spec->zone)) && ok;
    }
    /* In HOLD also what the generation that serves has and the text that served last does not name. */
    VEC_FOREACH (z, struct adopted_zone, &m->zones) {
        if (!has_zone(m->config, z->name))
            ok = put_zone(t, fds, z->name, z->fd) && ok;
    }
    return ok;
}

static bool
encode(const struct master *m, const struct vec *files, struct text *t, struct vec *fds)
{
    const struct kept *k = m->kept;
    bool ok;

    text_fmt(t, "weir-handoff %d\n", HANDOFF_VERSION);
    text_fmt(t, "kept %u %llu %d", (unsigned)k->umask, (unsigned long long)k->nofile,
             k->cwd_fd < 0 ? 0 : k->cwd_fd);
    lines_put_str(t, str_c(k->binary));
    text_fmt(t, "\nmaster %llu %llu %d %d %d %d\n", (unsigned long long)m->generation,
             (unsigned long long)m->serving, m->settled == STATE_HOLD, m->reload_wanted,
             m->test_wanted, m->background);
    text_fmt(t, "slots %d %d\npid", m->slots_fd, m->slots_ro_fd);
    lines_put_str(t, m->pid_path);
    text_char(t, '\n');
    ok = note_fd(fds, k->cwd_fd) && note_fd(fds, m->slots_fd) && note_fd(fds, m->slots_ro_fd);
    VEC_FOREACH (h, struct held, &m->sockets) {
        handoff_put_held(t, h);
        ok = ok && note_fd(fds, h->s.fd);
    }
    ok = ok && put_children(m, t, fds) && put_zones(m, t, fds) && control_put(m, t, fds);
    texts_put(m, t);
    handoff_put_files(t, "good", &m->good_files);
    if (files != NULL)
        handoff_put_files(t, "next", files);
    TEXT_LIT(t, "end\n");
    return ok && !t->failed;
}

int
handoff_write(const struct master *m, const struct vec *files, struct vec *fds, struct error *err)
{
    struct text t;
    int fd = -1;

    text_init(&t, NULL);
    if (encode(m, files, &t, fds))
        fd = handoff_memfd(text_str(&t), err);
    else
        error_set(err, "out of memory");
    text_free(&t);
    return fd;
}

/* ---- the step itself -------------------------------------------------------------------------------------------- */

static void
set_cloexec(const struct vec *fds, bool on)
{
    VEC_FOREACH (fd, int, fds) {
        if (!fd_set_cloexec(*fd, on))
            log_alert(errno, "fcntl(%d, F_SETFD) failed", *fd);
    }
}

void
handoff_exec(struct master *m, int binary_fd, const struct vec *files, struct error *err)
{
    char option[32], **argv = NULL;
    struct vec fds;
    int fd;

    vec_init(&fds, NULL, sizeof(int));
    fd = handoff_write(m, files, &fds, err);
    if (fd < 0)
        goto done;
    snprintf(option, sizeof(option), "--handoff=%d", fd);
    argv = kept_argv_with(m->kept, option);
    if (argv == NULL || !note_fd(&fds, fd)) {
        error_set(err, "out of memory");
        goto done;
    }
    log_flush();
    set_cloexec(&fds, false);
    core_dump_restore_limit();
    fexecve(binary_fd, argv, m->kept->env);
    error_sys(err, "fexecve() of \"%s\" failed", m->kept->binary);
    core_dump_hide_memory();
    set_cloexec(&fds, true);

done:
    fd_close(&fd);
    free(argv);
    vec_free(&fds);
}

/* ---- decoding --------------------------------------------------------------------------------------------------- */

/* A descriptor's number in the text, back under our care; 0 stands for none. */
static bool
get_fd(struct str *fields, int *fd)
{
    uint64_t n;

    if (!lines_get_num(fields, &n) || n > INT32_MAX)
        return false;
    *fd = n == 0 ? -1 : (int)n;
    return n == 0 || fd_set_cloexec((int)n, true);
}

static bool
get_child(struct master *m, struct str fields)
{
    uint64_t pid, slot, kind, index, state, left;
    struct child *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return false;
    c->m = m;
    if (!lines_get_num(&fields, &pid) || !get_fd(&fields, &c->channel.fd) ||
        !get_fd(&fields, &c->pidfd) || !lines_get_num(&fields, &slot) || slot >= SLOTS_MAX ||
        !lines_get_num(&fields, &c->incarnation) || !lines_get_num(&fields, &c->generation) ||
        !lines_get_num(&fields, &kind) || !lines_get_num(&fields, &index) ||
        !lines_get_num(&fields, &state) || state > CHILD_ENDING ||
        !lines_get_num(&fields, &c->started_ms) || !lines_get_num(&fields, &left)) {
        free(c);
        return false;
    }
    c->pid = (pid_t)pid;
    c->orphan = c->pidfd >= 0;
    c->slot = (uint32_t)slot;
    c->kind = (uint32_t)kind;
    c->index = (uint32_t)index;
    c->state = (enum child_state)state;
    c->left = left != 0;
    list_add_tail(&m->children, &c->node);
    return true;
}

static bool
get_zone(struct master *m, struct str fields)
{
    struct adopted_zone *z = VEC_PUSH(&m->zones, struct adopted_zone);

    return z != NULL && get_fd(&fields, &z->fd) && lines_get_str(&fields, &m->arena, &z->name);
}

static bool
get_log(struct master *m, struct str fields)
{
    struct generation *g;
    struct str *path;
    uint64_t number;

    return lines_get_num(&fields, &number) && (g = supervise_generation(m, number)) != NULL &&
           (path = VEC_PUSH(&g->logs, struct str)) != NULL &&
           lines_get_str(&fields, &m->arena, path);
}

static bool
get_kept(struct master *m, struct str fields)
{
    uint64_t mask;
    struct str binary;
    int cwd;

    if (!lines_get_num(&fields, &mask) || !lines_get_num(&fields, &m->kept->nofile) ||
        !get_fd(&fields, &cwd) || !lines_get_str(&fields, &m->arena, &binary))
        return false;
    m->kept->umask = (mode_t)mask;
    umask(m->kept->umask);
    fd_close(&m->kept->cwd_fd);
    m->kept->cwd_fd = cwd;
    free(m->kept->binary);
    m->kept->binary = strdup(binary.ptr);
    return m->kept->binary != NULL;
}

static bool
get_master(struct master *m, struct str fields)
{
    uint64_t hold, reload, test, background;

    if (!lines_get_num(&fields, &m->generation) || !lines_get_num(&fields, &m->serving) ||
        !lines_get_num(&fields, &hold) || !lines_get_num(&fields, &reload) ||
        !lines_get_num(&fields, &test) || !lines_get_num(&fields, &background))
        return false;
    m->settled = hold != 0 ? STATE_HOLD : STATE_RUN;
    m->reload_wanted = reload != 0;
    m->test_wanted = test != 0;
    m->background = background != 0;
    return true;
}

static bool
get_file(struct master *m, struct str fields, struct str *rest, struct vec *next)
{
    struct conf_file file, *to;
    struct str tag;

    if (!handoff_get_file(&fields, rest, &m->arena, &tag, &file))
        return false;
    to = VEC_PUSH(str_eq(tag, S("good")) ? &m->good_files : next, struct conf_file);
    if (to == NULL)
        return false;
    *to = file;
    return true;
}

/* One line; what is unknown is of an older text that had more, and not ours to judge. */
static bool
decode_line(struct master *m, struct str key, struct str fields, struct str *rest, struct vec *next)
{
    struct held *h;

    if (str_eq(key, S("kept")))
        return get_kept(m, fields);
    if (str_eq(key, S("master")))
        return get_master(m, fields);
    if (str_eq(key, S("slots")))
        return get_fd(&fields, &m->slots_fd) && get_fd(&fields, &m->slots_ro_fd);
    if (str_eq(key, S("pid")))
        return lines_get_str(&fields, &m->arena, &m->pid_path);
    if (str_eq(key, S("held"))) {
        h = VEC_PUSH(&m->sockets, struct held);
        return h != NULL && handoff_get_held(&fields, rest, &m->arena, h) &&
               fd_set_cloexec(h->s.fd, true);
    }
    if (str_eq(key, S("child")))
        return get_child(m, fields);
    if (str_eq(key, S("log")))
        return get_log(m, fields);
    if (str_eq(key, S("zone")))
        return get_zone(m, fields);
    if (str_eq(key, S("ctl")) || str_eq(key, S("client")))
        return control_get(m, key, fields);
    if (str_eq(key, S("file")))
        return get_file(m, fields, rest, next);
    if (str_eq(key, S("back")) || str_eq(key, S("rolled")))
        return texts_get(m, key, fields);
    return true;
}

bool
handoff_read(struct master *m, int fd, struct vec *files, struct error *err)
{
    struct str rest, key, fields;
    uint64_t version;
    bool ended = false;

    fd_set_cloexec(fd, true);
    rest = handoff_slurp(fd, &m->arena, err);
    fd_close(&fd);
    if (rest.ptr == NULL)
        return false;
    if (!lines_next(&rest, &key, &fields) || !str_eq(key, S("weir-handoff")) ||
        !lines_get_num(&fields, &version) || version != HANDOFF_VERSION) {
        error_set(err, "the state that was handed over is not of version %d", HANDOFF_VERSION);
        return false;
    }
    while (!ended && lines_next(&rest, &key, &fields)) {
        ended = str_eq(key, S("end"));
        if (!ended && !decode_line(m, key, fields, &rest, files)) {
            error_set(err, "the state that was handed over has a bad line \"%.*s\"", STR(key));
            return false;
        }
    }
    if (!ended || m->slots_fd < 0 || m->slots_ro_fd < 0) {
        error_set(err, "the state that was handed over is not whole");
        return false;
    }
    return true;
}
