/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.c - a cold start, the take-over by a new image, and the generation that both bring up.
 *
 * Order matters: the start lock is held from before the control path is tried until the pid file is written, so of two
 * that start one wins; sockets listen before anything is forked; a new image supervises before it can fail.
 */
#include "master/start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "build/config.h"
#include "common/base/num.h"
#include "common/event/signal.h"
#include "common/inherit.h"
#include "common/log/log.h"
#include "common/shm/zone.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"
#include "master/bind.h"
#include "master/control.h"
#include "master/handoff.h"
#include "master/logs.h"
#include "master/pidfile.h"
#include "master/preflight.h"
#include "master/privilege.h"
#include "master/renew.h"
#include "master/service.h"
#include "master/signals.h"
#include "master/spawn.h"
#include "master/supervise.h"
#include "master/texts.h"
#include "master/zones.h"

enum { READY_MS = 60000, ADOPT_MS = 2000 };

static struct master *
master_new(struct kept *k, const struct options *o)
{
    struct master *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->kept = k;
    m->options = o;
    arena_init(&m->arena, 65536);
    list_init(&m->children);
    vec_init(&m->good_files, &m->arena, sizeof(struct conf_file));
    vec_init(&m->back_files, &m->arena, sizeof(struct conf_file));
    vec_init(&m->generations, NULL, sizeof(struct generation));
    vec_init(&m->sockets, NULL, sizeof(struct held));
    vec_init(&m->zones, NULL, sizeof(struct adopted_zone));
    report_init(&m->verdict, &m->arena);
    m->slots_fd = m->slots_ro_fd = m->state_fd = m->start_lock = m->done_fd = -1;
    return m;
}

/* At the end of the process. */
static void
master_free(struct master *m)
{
    loop_fini();
    vec_free(&m->generations);
    vec_free(&m->sockets);
    vec_free(&m->zones);
    arena_free(&m->arena);
    free(m->control);
    free(m->seats);
    free(m);
}

static void
set_title(const struct kept *k)
{
    char words[900] = "";
    size_t n = 0;

    for (int i = 0; i < k->argc && n < sizeof(words); i++)
        n += (size_t)snprintf(words + n, sizeof(words) - n, " %s", k->argv[i]);
    proc_set_title("%s: master process%s", log_program, words);
}

/* ---- a generation comes up -------------------------------------------------------------------------------------- */

/* nginx's first lines. */
static void
log_system(void)
{
    struct utsname os;
    struct rlimit limit;

    log_notice(0, "using the \"epoll\" event method");
    if (strcmp(log_program, "nginx") == 0)
        log_notice(0, "nginx/" WEIR_NGINX_VERSION " (weir " WEIR_VERSION ")");
    else
        log_notice(0, "%s/" WEIR_VERSION, log_program);
    if (uname(&os) == 0)
        log_notice(0, "OS: %s %s", os.sysname, os.release);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        log_notice(0, "getrlimit(RLIMIT_NOFILE): %llu:%llu", (unsigned long long)limit.rlim_cur,
                   (unsigned long long)limit.rlim_max);
}

static void
on_ready_deadline(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, ready_deadline);

    report_say(&m->verdict, LOG_LEVEL_EMERG, "not all workers were ready within %d s",
               READY_MS / 1000);
    master_event(m, EVENT_FAILED);
}

/* Everything that m->config needs, up to forked children. False: m->verdict says why. */
static bool
bring_up(struct master *m)
{
    struct config *c = m->config;
    struct error err = { 0 };

    c->generation = m->generation;
    if (!preflight_files(c, &m->verdict))
        return false;
    log_main = &c->log;
    if (m->state == STATE_START)
        log_system();
    if (!bind_open(c, &m->sockets, m->state == STATE_START ? BIND_START : BIND_TAKE_OVER,
                   &m->verdict) ||
        !zones_open(c, &m->zones, &m->verdict) || !bind_listen(c, &m->sockets, &m->verdict))
        return false;
    control_open(m, &m->verdict);
    control_watch(m);
    logs_note(m);
    m->state_fd = handoff_write(m, &c->files, NULL, &err);
    if (m->state_fd < 0)
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "%s", err.text);
    if (!spawn_seats(m))
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "out of memory");
    log_notice(0, "start worker processes");
    if (!spawn_all(m))
        return false;
    renew_begin(m);
    m->ready_deadline.on_time = on_ready_deadline;
    timer_set(&m->ready_deadline, READY_MS);
    return true;
}

bool
start_write_pid(struct master *m, struct error *err)
{
    struct str path = m->config->core.pid_path;

    if (m->pid_path.len > 0 && !str_eq(m->pid_path, path))
        pidfile_remove(m->pid_path.ptr);
    m->pid_path = path;
    return pidfile_write(path.ptr, err);
}

void
start_last_good(struct master *m)
{
    struct report r;

    report_init(&r, &m->arena);
    m->config = NULL;
    if (m->good_files.len > 0)
        m->config = preflight_load(m->options, &m->good_files, &m->arena, &r);
    if (m->config != NULL) {
        m->config->generation = m->serving;
        if (preflight_files(m->config, &r))
            log_main = &m->config->log;
        if (!zones_open(m->config, &m->zones, &r) || !bind_listen(m->config, &m->sockets, &r) ||
            !spawn_seats(m))
            m->config = NULL;
    }
    if (m->config == NULL) {
        report_log(&r);
        log_alert(0, "what served last cannot be loaded again: nobody replaces workers that end");
        return;
    }
    logs_note(m);
    supervise_reseat(m);
    r.messages.len = 0;
    spawn_all(m);
    renew_begin(m);
}

/* ---- into the background ---------------------------------------------------------------------------------------- */

void
master_tell_starter(struct master *m, int status)
{
    char byte = (char)status;

    if (m->done_fd >= 0)
        fd_write_all(m->done_fd, &byte, 1);
    fd_close(&m->done_fd);
}

/* The process that was started waits here for the verdict, and can be interrupted. */
static _Noreturn void
wait_for_verdict(int fd)
{
    char byte = 1;
    ssize_t n;

    signal_restore();
    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    _exit(n == 1 ? byte : 1);
}

/* Returns in the new process. */
static bool
go_background(struct master *m)
{
    int pair[2];
    pid_t pid;

    if (pipe2(pair, O_CLOEXEC) != 0)
        return false;
    log_flush();
    pid = fork();
    if (pid < 0)
        return false;
    if (pid > 0) {
        fd_close(&pair[1]);
        wait_for_verdict(pair[0]);
    }
    fd_close(&pair[0]);
    m->done_fd = pair[1];
    m->background = true;
    setsid();
    return true;
}

void
start_leave_terminal(const struct master *m)
{
    int null;

    log_echo = false;
    if (!m->background)
        return;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (log_fd(log_main) != STDERR_FILENO)
        dup2(null, STDERR_FILENO);
    fd_close(&null);
    logs_redirect_stderr(m);
}

void
start_done(struct master *m)
{
    fd_close(&m->start_lock);
    start_leave_terminal(m);
    if (m->background || m->serving > 1)
        service_main_pid(m->kept);
    master_tell_starter(m, 0);
}

/* ---- a cold start ----------------------------------------------------------------------------------------------- */

/* Of two that start at once, one. Where there is no place for a lock file, nobody is kept out. */
static bool
take_start_lock(struct master *m)
{
    struct str path = pidfile_sibling(&m->arena, m->config->core.pid_path, ".lock");
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (path.ptr == NULL)
        return true;
    m->start_lock = open(path.ptr, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (m->start_lock < 0) {
        log_warn(errno, "open() \"%s\" failed: starting without a lock", path.ptr);
        return true;
    }
    if (fcntl(m->start_lock, F_SETLK, &lock) == 0)
        return true;
    fcntl(m->start_lock, F_GETLK, &lock);
    return report_say(&m->verdict, LOG_LEVEL_EMERG, "already running: process %d is starting",
                      (int)lock.l_pid);
}

static bool
new_slots(struct master *m)
{
    struct error err = { 0 };
    pid_t holder;

    m->slots = slots_create(&m->slots_fd, &m->slots_ro_fd, &err);
    if (m->slots == NULL)
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "%s", err.text);
    slots_lock(m->slots_fd, &holder);
    return true;
}

/* The table of the dead master, written on. */
static bool
adopt_slots(struct master *m, struct adopted *a)
{
    struct error err = { 0 };
    pid_t holder = 0;

    m->slots_fd = slots_reopen(a->slots_fd, &err);
    if (m->slots_fd >= 0)
        m->slots = slots_adopt(m->slots_fd, &m->slots_ro_fd, &err);
    if (m->slots == NULL)
        return report_say(&m->verdict, LOG_LEVEL_EMERG,
                          "workers without a master serve here, but cannot be adopted: %s; "
                          "end them with \"weirctl orphans\"",
                          err.text);
    fd_close(&a->slots_fd); /* before the lock: closing any descriptor of the file would drop it */
    if (slots_lock(m->slots_fd, &holder))
        return true;
    return report_say(&m->verdict, LOG_LEVEL_EMERG, "already running: process %d", (int)holder);
}

/* Pid and start time together name a process; its pidfd does from then on. */
static bool
adopt_process(struct master *m, uint32_t slot)
{
    const struct slot_row *row = &m->slots->row[slot];
    int pidfd = row->pid > 0 ? proc_pidfd(row->pid) : -1;
    struct child *c;

    if (pidfd >= 0 && !proc_lives(row->pid, row->start_time))
        fd_close(&pidfd);
    c = pidfd >= 0 ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        fd_close(&pidfd);
        slots_set(m->slots, slot, SLOT_DEAD);
        return false;
    }
    fd_set_cloexec(pidfd, true);
    *c = (struct child){
        .m = m,
        .pid = row->pid,
        .pidfd = pidfd,
        .orphan = true,
        .slot = slot,
        .incarnation = row->incarnation,
        .generation = row->generation,
        .kind = row->kind,
        .index = row->index,
        .state = row->state == SLOT_DRAINING ? CHILD_DRAINING : CHILD_READY,
    };
    supervise_attach(m, c, -1);
    if (row->generation > m->serving)
        m->serving = row->generation;
    return true;
}

static void
adopt_zones(struct master *m, struct adopted *a)
{
    VEC_FOREACH (z, struct adopted_zone, &a->zones) {
        struct error err = { 0 };
        struct adopted_zone *to;
        char name[64];
        uint64_t size;

        if (!zone_peek(z->fd, name, &size, &err)) {
            log_warn(0, "zone \"%.*s\" of a worker without a master: %s", STR(z->name), err.text);
            continue;
        }
        to = VEC_PUSH(&m->zones, struct adopted_zone);
        if (to == NULL)
            return;
        to->name = arena_str(&m->arena, str_c(name));
        to->fd = z->fd;
        z->fd = -1;
    }
}

/* Takes over what workers hold whose master has died. */
static bool
adopt(struct master *m, struct adopted *a, struct str ctl_path)
{
    unsigned n = 0;

    if (!adopt_slots(m, a))
        return false;
    for (uint32_t i = 0; i < m->slots->high_water && i < SLOTS_MAX; i++) {
        uint32_t state = m->slots->row[i].state;

        if (state == SLOT_LIVE || state == SLOT_DRAINING)
            n += adopt_process(m, i);
    }
    if (a->generation > m->serving)
        m->serving = a->generation;
    m->generation = m->serving;
    bind_adopt(&m->sockets, &a->sockets, &m->verdict);
    adopt_zones(m, a);
    texts_adopt(m, a->state_fd);
    if (a->ctl_fd >= 0)
        control_adopt(m, a->ctl_fd, ctl_path);
    a->ctl_fd = -1;
    log_notice(0, "took over %u listening sockets and %u zones from %u processes without a master",
               m->sockets.len, m->zones.len, n);
    return true;
}

/* Finds out whether somebody is there. */
static bool
meet_others(struct master *m)
{
    struct str path = pidfile_sibling(&m->arena, m->config->core.pid_path, ".ctl");
    struct error err = { 0 };
    struct adopted a;
    pid_t pid = 0;
    bool ok = true;

    if (path.ptr == NULL)
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "out of memory");
    switch (adopt_ask(path, ADOPT_MS, &m->arena, &a, &pid, &err)) {
    case ADOPT_NOBODY:
        return new_slots(m);
    case ADOPT_MASTER:
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "already running: process %d", (int)pid);
    case ADOPT_FAILED:
        if (pid == 0)
            return report_say(&m->verdict, LOG_LEVEL_EMERG,
                              "the control socket \"%s\" is in use: %s", path.ptr, err.text);
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "already running: process %d on \"%s\": %s",
                          (int)pid, path.ptr, err.text);
    case ADOPT_ORPHANS:
        ok = adopt(m, &a, path);
        adopted_close(&a);
        break;
    }
    return ok;
}

/* Sockets from systemd (3 and up), or from a running nginx that executes us ("6;7;"). */
static void
inherit_sockets(struct master *m)
{
    struct str rest = str_c(m->kept->nginx_fds), one;

    for (unsigned i = 0; i < m->kept->sd_count; i++) {
        if (!bind_inherit(&m->sockets, (int)(3 + i)))
            log_warn(0, "descriptor %u from LISTEN_FDS is no socket: ignored", 3 + i);
    }
    while (rest.len > 0 && str_split(&rest, ';', &one)) {
        uint32_t fd;

        if (one.len > 0 &&
            (!num_parse_u32(one, &fd) || fd > INT32_MAX || !bind_inherit(&m->sockets, (int)fd)))
            log_warn(0, "invalid socket number \"%.*s\" in NGINX environment variable, ignored",
                     STR(one));
    }
}

/* Up to the loop. False: m->verdict says why. */
static bool
prepare(struct master *m)
{
    struct error err = { 0 };

    if (!loop_init(&err) || !signals_watch(m, &err))
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "%s", err.text);
    kept_raise_nofile(m->kept);
    set_title(m->kept);
    if (!preflight_files(m->config, &m->verdict))
        return false;
    log_main = &m->config->log;
    if (!take_start_lock(m) || !meet_others(m))
        return false;
    inherit_sockets(m);
    m->generation++;
    return true;
}

int
master_start(struct kept *k, const struct options *o, struct config *c)
{
    struct master *m = master_new(k, o);
    int status;

    if (m == NULL)
        return 1;
    m->config = c;
    m->state = STATE_START;
    log_echo = true;
    if (c->core.daemon && k->nginx_fds == NULL && !go_background(m)) {
        log_emerg(errno, "cannot go into the background");
        return 1;
    }
    if (!prepare(m)) {
        log_echo = false;
        report_log(&m->verdict);
        report_print(&m->verdict, LOG_LEVEL_WARN);
        master_tell_starter(m, 1);
        return 1;
    }
    if (!bring_up(m))
        master_event(m, EVENT_FAILED);
    if (m->state != STATE_STOP || !list_empty(&m->children))
        loop_run();
    status = m->exit_status;
    master_tell_starter(m, status);
    log_flush();
    master_free(m);
    return status;
}

/* ---- a new image ------------------------------------------------------------------------------------------------ */

/* The table's lock survived exec unless a descriptor of it was closed: so it is taken again at the end. */
static bool
resume_slots(struct master *m, struct error *err)
{
    int again = -1;
    pid_t holder;

    m->slots = slots_adopt(m->slots_fd, &again, err);
    fd_close(&again);
    slots_lock(m->slots_fd, &holder);
    return m->slots != NULL;
}

/* From here on children are supervised. */
static void
attach_children(struct master *m)
{
    struct list all = LIST_INIT(all), *node;

    list_splice_tail(&all, &m->children);
    while ((node = list_first(&all)) != NULL) {
        struct child *c = LIST_ENTRY(node, struct child, node);

        list_del(node);
        supervise_attach(m, c, c->channel.fd);
    }
    supervise_reap(m);
}

int
master_resume(struct kept *k, const struct options *o, int handoff_fd)
{
    struct master *m = master_new(k, o);
    struct error err = { 0 };
    struct vec files;
    int status;

    if (m == NULL)
        return 1;
    vec_init(&files, &m->arena, sizeof(struct conf_file));
    set_title(k);
    if (!handoff_read(m, handoff_fd, &files, &err) || !loop_init(&err) || !resume_slots(m, &err) ||
        !signals_watch(m, &err)) {
        /* Workers go on serving; the next start adopts them. */
        log_emerg(0, "%s", err.text);
        return 1;
    }
    m->state = STATE_HANDOFF;
    m->generation++;
    attach_children(m);
    control_watch(m);
    m->config = preflight_load(o, &files, &m->arena, &m->verdict);
    if (m->config == NULL || !bring_up(m))
        master_event(m, EVENT_FAILED);
    loop_run();
    status = m->exit_status;
    log_flush();
    master_free(m);
    return status;
}

/* ---- one process ------------------------------------------------------------------------------------------------ */

static bool
single_inherit(struct master *m, struct inherit *in)
{
    int slot = slots_take(m->slots, m->generation, 0, 0);

    if (slot < 0)
        return false;
    slots_started(m->slots, (uint32_t)slot, getpid());
    *in = (struct inherit){
        .config = m->config,
        .ctl_fd = -1,
        .channel_fd = -1,
        .master_pidfd = -1,
        .slot = (uint32_t)slot,
        .incarnation = m->slots->row[slot].incarnation,
        .slots = m->slots,
        .slots_fd = m->slots_ro_fd,
        .state_fd = -1,
        .generation = m->generation,
        .count = 1,
    };
    vec_init(&in->listeners, &m->arena, sizeof(struct listen_socket));
    VEC_FOREACH (h, struct held, &m->sockets) {
        struct listen_socket *s = VEC_PUSH(&in->listeners, struct listen_socket);

        if (s == NULL)
            return false;
        *s = h->s;
    }
    return true;
}

static bool
single_up(struct master *m)
{
    struct error err = { 0 };
    struct config *c = m->config;

    c->core.worker_processes = 1;
    c->generation = m->generation = 1;
    inherit_sockets(m);
    if (!preflight_files(c, &m->verdict) || !new_slots(m))
        return false;
    log_main = &c->log;
    log_system();
    if (c->watched.len > 0)
        log_warn(0, "without a master process no files are watched");
    if (!bind_open(c, &m->sockets, BIND_START, &m->verdict) ||
        !zones_open(c, &m->zones, &m->verdict) || !bind_listen(c, &m->sockets, &m->verdict))
        return false;
    if (!start_write_pid(m, &err))
        return report_say(&m->verdict, LOG_LEVEL_EMERG, "%s", err.text);
    bind_settle(&m->sockets);
    return true;
}

int
start_single(struct kept *k, const struct options *o, struct config *c)
{
    struct master *m = master_new(k, o);
    struct inherit in;
    struct error err;
    int status = 1;

    if (m == NULL)
        return 1;
    m->config = c;
    log_echo = true;
    if (c->core.daemon && k->nginx_fds == NULL && !go_background(m)) {
        log_emerg(errno, "cannot go into the background");
        return 1;
    }
    if (!loop_init(&err)) {
        log_emerg(0, "%s", err.text);
        return 1;
    }
    if (single_up(m) && single_inherit(m, &in) && privilege_limits(c, k, 0, true)) {
        start_done(m);
        service_ready(k, "one process");
        privilege_environment(c, k);
        status = spawn_entry(&in);
        pidfile_remove(m->pid_path.ptr);
        bind_close(&m->sockets, true);
        zones_revert(c); /* a leak checker would look at each page of what is mapped */
    } else {
        log_echo = false;
        report_log(&m->verdict);
        report_print(&m->verdict, LOG_LEVEL_WARN);
    }
    master_tell_starter(m, status);
    log_flush();
    master_free(m);
    return status;
}
