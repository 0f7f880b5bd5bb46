/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logs.c - reopens log files after a rotation.
 *
 * A worker may not be able to open them by itself, so it gets descriptors, in the order of its own configuration.
 */
#include "master/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sys/fd.h"
#include "master/supervise.h"

void
logs_note(struct master *m)
{
    struct generation *g = supervise_generation(m, m->config->generation);

    if (g == NULL)
        return;
    g->logs.len = 0;
    for (uint32_t i = 0; i < m->config->logs.len; i++) {
        struct str *path = VEC_PUSH(&g->logs, struct str);

        if (path != NULL)
            *path = (*VEC_AT(&m->config->logs, struct log_file *, i))->path;
    }
}

void
logs_redirect_stderr(const struct master *m)
{
    int to = m->config != NULL ? log_fd(&m->config->log) : -1;

    if (m->background && to >= 0 && to != STDERR_FILENO)
        dup2(to, STDERR_FILENO);
}

/* Opens files first .. first+count-1 of the generation; false when one cannot be opened (said). */
static bool
open_batch(const struct generation *g, uint32_t first, uint32_t count, int *fds)
{
    for (uint32_t i = 0; i < count; i++) {
        struct log_file f = { .path = *VEC_AT(&g->logs, struct str, first + i), .fd = -1 };

        if (log_file_open(&f)) {
            fds[i] = f.fd;
            continue;
        }
        log_emerg(errno, "open() \"%.*s\" failed", STR(f.path));
        while (i-- > 0)
            fd_close(&fds[i]);
        return false;
    }
    return true;
}

static void
send_batch(struct master *m, const struct generation *g, uint32_t first, uint32_t count,
           const int *fds)
{
    struct msg_reopen message = { .first = first, .count = count };

    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        if (c->generation == g->number && !c->orphan)
            channel_send(&c->channel, MSG_REOPEN, &message, sizeof(message), STR_NONE, fds, count);
    }
}

/* Puts the descriptors in place of the master's own; takes them. */
static void
replace_own(struct master *m, uint32_t first, uint32_t count, int *fds)
{
    for (uint32_t i = 0; i < count; i++) {
        struct log_file *f = *VEC_AT(&m->config->logs, struct log_file *, first + i);

        if (!log_file_replace(f, fds[i]))
            log_alert(errno, "log file \"%.*s\" could not be replaced", STR(f->path));
        fds[i] = -1;
    }
}

static void
reopen_generation(struct master *m, const struct generation *g)
{
    bool own = m->config != NULL && m->config->generation == g->number &&
               m->config->logs.len == g->logs.len;

    for (uint32_t first = 0; first < g->logs.len; first += FD_PASS_MAX) {
        uint32_t count = g->logs.len - first < FD_PASS_MAX ? g->logs.len - first : FD_PASS_MAX;
        int fds[FD_PASS_MAX];

        if (!open_batch(g, first, count, fds))
            return;
        send_batch(m, g, first, count, fds);
        if (own)
            replace_own(m, first, count, fds);
        for (uint32_t i = 0; i < count; i++)
            fd_close(&fds[i]);
    }
}

void
logs_reopen(struct master *m)
{
    log_flush();
    VEC_FOREACH (g, struct generation, &m->generations)
        reopen_generation(m, g);
    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        if (c->orphan) /* we have no channel to it: it opens what it may by itself */
            supervise_kill(c, SIGUSR1);
    }
    logs_redirect_stderr(m);
}
