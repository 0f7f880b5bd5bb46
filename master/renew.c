/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * renew.c - watches files of the configuration (certificates and their keys) and passes what is new in them to the
 * workers.
 *
 * Files are renewed in many ways: written in place, renamed over the old one, or by a symbolic link anywhere in the path
 * that points elsewhere now. So the directory of the file is watched, and that of each link on the way to it. A change is
 * only a reason to look: what stat says decides, and because there are file systems that tell nobody, it is asked now and
 * then in any case. Files that belong together change one after the other, so what does not fit is read again for some
 * seconds before anything is said about it. What is good is used here, so that workers forked later have it, and goes to
 * the workers that live in a descriptor: keys are in no message and in no file.
 */
#include "master/renew.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "common/sys/file.h"

enum {
    SETTLE_MS = 100,     /* after a change, before the files are looked at */
    AGAIN_MS = 250,      /* between looks at files that do not fit, */
    PATIENCE_MS = 3000,  /* for so long until it is said */
    POLL_MS = 30000,     /* between looks without a reason */
    DIRS_MAX = 16,       /* watched for one set of files */
    LINKS_MAX = 40,      /* the kernel's limit */
    EVENTS_BYTES = 4096, /* read at once */
    EVENTS = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE | IN_ATTRIB |
             IN_DELETE_SELF | IN_MOVE_SELF,
};

/* A set of files, and what is watched for it. */
struct files {
    struct watched_files *w;
    int dirs[DIRS_MAX]; /* watch descriptors */
    unsigned n_dirs;
    bool dirty;            /* something has changed where it lies */
    uint64_t bad_since_ms; /* 0: nothing is wrong */
    struct error said;     /* the last complaint; text empty: none */
};

/* How many sets want a directory. */
struct dir {
    int wd;
    unsigned users;
};

struct renewal {
    struct master *m;
    struct watch watch; /* of inotify; fd -1: there is none, files are only polled */
    struct timer timer; /* the next look */
    uint64_t polled_ms;
    bool complained; /* about directories that cannot be watched */
    struct files *files;
    uint32_t n_files;
    struct hash dirs; /* by watch descriptor: struct dir * */
};

/* ---- directories ---- */

static struct str
key_of(const int *wd)
{
    return str_n((const char *)wd, sizeof(*wd));
}

/* One more user. False: memory. */
static bool
dir_use(struct renewal *r, int wd)
{
    struct dir *d = hash_get(&r->dirs, key_of(&wd));

    if (d == NULL) {
        d = calloc(1, sizeof(*d));
        if (d == NULL)
            return false;
        d->wd = wd;
        if (!hash_set(&r->dirs, key_of(&d->wd), d)) {
            free(d);
            return false;
        }
    }
    d->users++;
    return true;
}

static void
unwatch(struct renewal *r, int wd)
{
    struct dir *d = hash_get(&r->dirs, key_of(&wd));

    if (d == NULL || --d->users > 0)
        return;
    inotify_rm_watch(r->watch.fd, wd);
    hash_del(&r->dirs, key_of(&wd));
    free(d);
}

/* Without it the set is polled like all others. */
static void
watch_dir(struct renewal *r, struct files *f, const char *path)
{
    int wd = r->watch.fd >= 0 && f->n_dirs < DIRS_MAX
                 ? inotify_add_watch(r->watch.fd, path, EVENTS | IN_ONLYDIR)
                 : -1;

    if (wd < 0) {
        if (r->watch.fd >= 0 && errno != ENOENT && !r->complained) {
            r->complained = true;
            log_warn(errno, "cannot watch \"%s\": its files are looked at every %d s", path,
                     POLL_MS / 1000);
        }
        return;
    }
    for (unsigned i = 0; i < f->n_dirs; i++) {
        if (f->dirs[i] == wd)
            return;
    }
    if (dir_use(r, wd))
        f->dirs[f->n_dirs++] = wd;
}

/* A path on its way to a file: `at` is resolved, `rest` is not. */
struct walk {
    char at[PATH_MAX];   /* "" is the root */
    char rest[PATH_MAX]; /* without a '/' in front */
};

/* Cuts the first component off `rest`. False: there is none. */
static bool
next_component(struct walk *k, char part[NAME_MAX + 1])
{
    char *slash;
    size_t skip = strspn(k->rest, "/"), len;

    memmove(k->rest, k->rest + skip, strlen(k->rest + skip) + 1);
    slash = strchr(k->rest, '/');
    len = slash != NULL ? (size_t)(slash - k->rest) : strlen(k->rest);
    if (len == 0 || len > NAME_MAX)
        return false;
    memcpy(part, k->rest, len);
    part[len] = '\0';
    memmove(k->rest, k->rest + len, strlen(k->rest + len) + 1);
    return true;
}

/* `rest` goes on with where a link points to. False: it is too long. */
static bool
follow(struct walk *k, const char *link)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlink(link, target, sizeof(target) - 1);

    if (n <= 0)
        return false;
    target[n] = '\0';
    if (snprintf(rest, sizeof(rest), "%s/%s", target, k->rest) >= (int)sizeof(rest))
        return false;
    memcpy(k->rest, rest, sizeof(rest));
    if (target[0] == '/')
        k->at[0] = '\0';
    return true;
}

/* Watches the directories of the links on the way to `path`, and its own. */
static void
watch_path(struct renewal *r, struct files *f, const char *path)
{
    struct walk k = { .at = "" };
    char part[NAME_MAX + 1], next[PATH_MAX];
    unsigned links = 0;
    struct stat st;

    snprintf(k.rest, sizeof(k.rest), "%s", path);
    while (next_component(&k, part)) {
        const char *here = k.at[0] != '\0' ? k.at : "/";

        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            char *slash = strrchr(k.at, '/');

            if (slash != NULL)
                *slash = '\0';
            continue;
        }
        if (snprintf(next, sizeof(next), "%s/%s", k.at, part) >= (int)sizeof(next))
            return;
        if (lstat(next, &st) != 0 || !S_ISDIR(st.st_mode))
            watch_dir(r, f, here);
        if (lstat(next, &st) != 0)
            return;
        if (!S_ISLNK(st.st_mode))
            memcpy(k.at, next, sizeof(k.at));
        else if (++links > LINKS_MAX || !follow(&k, next))
            return;
    }
}

/* The new ones before the old ones go, so that what stays is not watched anew. */
static void
watch_files(struct renewal *r, struct files *f)
{
    struct files before = *f;

    f->n_dirs = 0;
    for (unsigned i = 0; i < f->w->n; i++)
        watch_path(r, f, f->w->paths[i].ptr);
    for (unsigned i = 0; i < before.n_dirs; i++)
        unwatch(r, before.dirs[i]);
}

/* ---- looking at files ---- */

/* The content in a descriptor without a name; -1: memory. */
static int
contents_fd(const struct str *contents, unsigned n)
{
    int fd = memfd_create("weir-renewed", MFD_CLOEXEC);

    for (unsigned i = 0; fd >= 0 && i < n; i++) {
        if (!fd_write_all(fd, contents[i].ptr, contents[i].len))
            fd_close(&fd);
    }
    return fd;
}

/* To the workers of this configuration; how many. */
static unsigned
pass_on(struct master *m, uint32_t index, const struct str *contents, unsigned n)
{
    struct msg_renew message = { .index = index, .n = n };
    int fd = contents_fd(contents, n);
    unsigned told = 0;

    if (fd < 0) {
        log_alert(errno, "cannot pass renewed files to the workers");
        return 0;
    }
    for (unsigned i = 0; i < n; i++)
        message.lengths[i] = (uint32_t)contents[i].len;
    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        if (c->kind == 0 && !c->orphan && c->channel.fd >= 0 &&
            c->generation == m->config->generation)
            told +=
                channel_send(&c->channel, MSG_RENEW, &message, sizeof(message), STR_NONE, &fd, 1);
    }
    fd_close(&fd);
    return told;
}

static void
take_stamps(const struct watched_files *w, struct file_stamp stamps[WATCHED_FILES_MAX])
{
    for (unsigned i = 0; i < w->n; i++)
        (void)file_stamp_of(w->paths[i].ptr, &stamps[i]);
}

static bool
is_as_stamped(const struct watched_files *w, const struct file_stamp stamps[WATCHED_FILES_MAX])
{
    for (unsigned i = 0; i < w->n; i++) {
        if (!file_stamp_is_same(&w->stamps[i], &stamps[i]))
            return false;
    }
    return true;
}

/* Reads and uses them. False: *err says what is wrong. */
static bool
use_files(struct renewal *r, struct files *f, struct error *err)
{
    struct str contents[WATCHED_FILES_MAX] = { { 0 } };
    struct watched_files *w = f->w;
    struct arena a;
    bool good = true;
    unsigned told;

    arena_init(&a, 16384);
    for (unsigned i = 0; i < w->n && good; i++)
        good = file_read(&a, w->paths[i].ptr, WATCHED_BYTES_MAX, &contents[i], err);
    good = good && w->renew(w, contents, err);
    if (good) {
        told = pass_on(r->m, (uint32_t)(f - r->files), contents, w->n);
        log_notice(0, "%s \"%.*s\" was renewed: %s; %u worker%s told", w->what, STR(w->paths[0]),
                   err->text, told, told == 1 ? "" : "s");
    }
    for (unsigned i = 0; i < w->n; i++) {
        if (contents[i].len > 0)
            explicit_bzero((char *)contents[i].ptr, contents[i].len);
    }
    arena_free(&a);
    return good;
}

/* They do not fit: a writer may be at work, so it is said only when it lasts, and once. */
static void
complain(struct files *f, const struct error *err)
{
    if (f->bad_since_ms == 0)
        f->bad_since_ms = clock_ms;
    if (clock_ms - f->bad_since_ms < PATIENCE_MS || strcmp(f->said.text, err->text) == 0)
        return;
    f->said = *err;
    log_error(0, "%s \"%.*s\" has changed, but the new one is not used: %s; the old one stays",
              f->w->what, STR(f->w->paths[0]), err->text);
}

static void
look(struct renewal *r, struct files *f)
{
    struct file_stamp now[WATCHED_FILES_MAX];
    struct error err = { 0 };

    if (f->dirty)
        watch_files(r, f);
    f->dirty = false;
    take_stamps(f->w, now);
    if (is_as_stamped(f->w, now)) {
        f->bad_since_ms = 0;
        return;
    }
    if (!use_files(r, f, &err)) {
        complain(f, &err);
        return;
    }
    memcpy(f->w->stamps, now, sizeof(now));
    f->bad_since_ms = 0;
    f->said.text[0] = '\0';
}

/* ---- when to look ---- */

static bool
wants_a_look(const struct files *f)
{
    return f->dirty ||
           (f->bad_since_ms != 0 && clock_ms - f->bad_since_ms <= PATIENCE_MS + AGAIN_MS);
}

static void
on_time(struct timer *t)
{
    struct renewal *r = CONTAINER_OF(t, struct renewal, timer);
    bool all = clock_ms - r->polled_ms >= POLL_MS, again = false;

    if (all)
        r->polled_ms = clock_ms;
    for (uint32_t i = 0; i < r->n_files; i++) {
        struct files *f = &r->files[i];

        if (all || wants_a_look(f))
            look(r, f);
        again |= wants_a_look(f);
    }
    timer_set(&r->timer, again ? AGAIN_MS : r->polled_ms + POLL_MS - clock_ms);
}

static void
on_change(struct renewal *r, const struct inotify_event *e)
{
    for (uint32_t i = 0; i < r->n_files; i++) {
        struct files *f = &r->files[i];

        for (unsigned j = 0; j < f->n_dirs; j++)
            f->dirty |= f->dirs[j] == e->wd || (e->mask & IN_Q_OVERFLOW);
    }
    /* A look that is due before stays: changes that never end do not put it off. */
    if (r->timer.deadline_ms > clock_ms + SETTLE_MS)
        timer_set(&r->timer, SETTLE_MS);
}

static void
on_inotify(struct watch *w, unsigned bits UNUSED)
{
    struct renewal *r = CONTAINER_OF(w, struct renewal, watch);
    _Alignas(struct inotify_event) char bytes[EVENTS_BYTES];
    ssize_t n = read(w->fd, bytes, sizeof(bytes));

    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const struct inotify_event *)(bytes + at);

        if (!(e->mask & IN_IGNORED))
            on_change(r, e);
        at += (ssize_t)(sizeof(*e) + e->len);
    }
}

/* ---- beginning and end ---- */

void
renew_end(struct master *m)
{
    struct renewal *r = m->renewal;

    if (r == NULL)
        return;
    m->renewal = NULL;
    timer_forget(&r->timer);
    if (r->watch.added)
        loop_del(&r->watch);
    for (uint32_t i = 0; i < r->n_files; i++) {
        for (unsigned j = 0; j < r->files[i].n_dirs; j++)
            unwatch(r, r->files[i].dirs[j]);
    }
    fd_close(&r->watch.fd);
    hash_free(&r->dirs);
    free(r->files);
    loop_defer_free(free, r);
}

void
renew_forget(struct master *m)
{
    if (m->renewal != NULL)
        fd_close(&m->renewal->watch.fd);
}

static void
open_inotify(struct renewal *r)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    r->watch.on_event = on_inotify;
    if (fd < 0 || !loop_add_level(&r->watch, fd, false)) {
        log_warn(errno, "files cannot be watched: they are looked at every %d s", POLL_MS / 1000);
        fd_close(&fd);
    }
    r->watch.fd = fd;
}

void
renew_begin(struct master *m)
{
    uint32_t n = m->config->watched.len;
    struct renewal *r;

    renew_end(m);
    if (n == 0)
        return;
    r = calloc(1, sizeof(*r));
    if (r != NULL)
        r->files = calloc(n, sizeof(struct files));
    if (r == NULL || r->files == NULL) {
        log_alert(ENOMEM, "no memory to watch files");
        free(r);
        return;
    }
    r->m = m;
    r->n_files = n;
    r->timer.on_time = on_time;
    hash_init(&r->dirs, NULL);
    open_inotify(r);
    for (uint32_t i = 0; i < n; i++) {
        r->files[i].w = *VEC_AT(&m->config->watched, struct watched_files *, i);
        watch_files(r, &r->files[i]);
        r->files[i].dirty = true;
    }
    r->polled_ms = clock_ms;
    m->renewal = r;
    timer_set(&r->timer, 1);
}
