/* SPDX-License-Identifier: BSD-2-Clause */
/* proc.c - title, user, limits, CPUs and identity of a process. */
#include "common/sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "common/base/num.h"
#include "common/sys/fd.h"

extern char **environ;

/* The area that ps reads: argv and, behind it, the environment that the process was started with. */
static char *title_area;
static size_t title_size;

/* Replaces the strings of a NULL-terminated vector by copies as long as they lie in [area, *end) without a gap. */
static void
move_strings(char **strings, char **end)
{
    for (; *strings != NULL; strings++) {
        char *copy;

        if (*strings != *end)
            continue;
        copy = strdup(*strings);
        if (copy == NULL)
            return; /* the area ends in front of it */
        *end += strlen(*strings) + 1;
        *strings = copy;
    }
}

/* The environment's vector lies on the stack beside the strings; setenv() copies it when it needs to. */
void
proc_title_init(int argc, char **argv)
{
    char *end;

    if (argc == 0 || argv[0] == NULL)
        return;
    title_area = end = argv[0];
    move_strings(argv, &end);
    move_strings(environ, &end);
    title_size = (size_t)(end - title_area);
}

void
proc_set_name(const char *name)
{
    prctl(PR_SET_NAME, (unsigned long)(uintptr_t)name, 0, 0, 0);
}

void
proc_set_title(const char *fmt, ...)
{
    char title[1024], name[16];
    va_list args;
    size_t n;

    va_start(args, fmt);
    if (vsnprintf(title, sizeof(title), fmt, args) < 0)
        title[0] = '\0';
    va_end(args);

    n = strcspn(title, ": ");
    str_to_c(str_n(title, n), name, sizeof(name));
    proc_set_name(name);

    if (title_size == 0)
        return;
    n = strlen(title);
    if (n > title_size - 1)
        n = title_size - 1;
    memcpy(title_area, title, n);
    memset(title_area + n, 0, title_size - n);
}

/* All that is left to a process that is no longer root. */
static bool
keep_capability(unsigned cap)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    data[cap / 32].permitted = data[cap / 32].effective = 1U << (cap % 32);
    return syscall(SYS_capset, &head, data) == 0;
}

bool
proc_drop_user(uid_t uid, gid_t gid, const char *user, bool dumpable, bool net_raw,
               struct error *err)
{
    if (net_raw && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) {
        error_sys(err, "prctl(PR_SET_KEEPCAPS) failed");
        return false;
    }
    if (setgid(gid) < 0) {
        error_sys(err, "setgid(%u) failed", (unsigned)gid);
        return false;
    }
    if (user != NULL && user[0] != '\0') {
        if (initgroups(user, gid) < 0) {
            error_sys(err, "initgroups(%s, %u) failed", user, (unsigned)gid);
            return false;
        }
    } else if (setgroups(1, &gid) < 0) {
        error_sys(err, "setgroups(%u) failed", (unsigned)gid);
        return false;
    }
    if (setuid(uid) < 0) {
        error_sys(err, "setuid(%u) failed", (unsigned)uid);
        return false;
    }
    if (net_raw && !keep_capability(CAP_NET_RAW)) {
        error_sys(err, "capset() failed");
        return false;
    }
    /* The kernel forbids core files after a change of user unless asked. */
    if (dumpable && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0) {
        error_sys(err, "prctl(PR_SET_DUMPABLE) failed");
        return false;
    }
    return true;
}

bool
proc_no_new_privs(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

bool
proc_set_nofile(uint64_t n, struct error *err)
{
    struct rlimit limit = { .rlim_cur = n, .rlim_max = n };

    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        error_sys(err, "setrlimit(RLIMIT_NOFILE, %llu) failed", (unsigned long long)n);
        return false;
    }
    return true;
}

bool
proc_set_core(uint64_t bytes, struct error *err)
{
    struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

    if (setrlimit(RLIMIT_CORE, &limit) < 0) {
        error_sys(err, "setrlimit(RLIMIT_CORE, %llu) failed", (unsigned long long)bytes);
        return false;
    }
    return true;
}

uint64_t
proc_get_nofile(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (uint64_t)limit.rlim_cur : 0;
}

/* The beginning of a small file of the kernel's; an empty string when it cannot be read. */
static struct str
read_small(const char *path, char *mem, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return S("");
    n = read(fd, mem, size);
    fd_close(&fd);
    return str_n(mem, n > 0 ? (size_t)n : 0);
}

static unsigned
cpus_of_affinity(void)
{
    unsigned long mask[128]; /* 8192 CPUs */
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
    unsigned n = 0;

    for (long i = 0; i < bytes / (long)sizeof(mask[0]); i++)
        n += (unsigned)__builtin_popcountl(mask[i]);
    return n;
}

/* "QUOTA PERIOD" or the two numbers apart, to whole CPUs rounded up; UINT_MAX when unlimited. */
static unsigned
cpus_of_quota(struct str quota, struct str period)
{
    uint64_t q, p;

    if (!num_parse_u64(quota, &q) || !num_parse_u64(period, &p) || q == 0 || p == 0)
        return UINT32_MAX;
    q = (q - 1) / p + 1;
    return q > UINT32_MAX ? UINT32_MAX : (unsigned)q;
}

static struct str
first_line(struct str s)
{
    return str_upto(s, str_find(s, '\n'));
}

/* The quota of one cgroup directory, v2 or v1. */
static unsigned
cpus_of_cgroup(bool v2, struct str dir)
{
    char path[4200], mem[64], mem_period[64];
    struct str quota, period;

    if (v2) {
        snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/cpu.max", STR(dir));
        period = first_line(read_small(path, mem, sizeof(mem)));
        if (!str_split(&period, ' ', &quota) || period.ptr == NULL)
            return UINT32_MAX;
    } else {
        snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%.*s/cpu.cfs_quota_us", STR(dir));
        quota = first_line(read_small(path, mem, sizeof(mem)));
        snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%.*s/cpu.cfs_period_us", STR(dir));
        period = first_line(read_small(path, mem_period, sizeof(mem_period)));
    }
    return cpus_of_quota(quota, period);
}

static bool
has_cpu_controller(struct str controllers)
{
    struct str one;

    while (str_split(&controllers, ',', &one))
        if (str_eq(one, S("cpu")))
            return true;
    return false;
}

/* The tightest quota on the way up: a line of /proc/self/cgroup is "ID:CONTROLLERS:PATH", v2 "0::PATH". */
static unsigned
cpus_of_cgroups(void)
{
    char mem[4096];
    struct str rest = read_small("/proc/self/cgroup", mem, sizeof(mem)), line;
    unsigned least = UINT32_MAX;

    while (str_split(&rest, '\n', &line)) {
        struct str id, controllers;
        bool v2;

        if (!str_split(&line, ':', &id) || !str_split(&line, ':', &controllers))
            continue;
        v2 = controllers.len == 0;
        if (!v2 && !has_cpu_controller(controllers))
            continue;
        for (struct str dir = line;;) { /* in a container only the root may be visible */
            unsigned n = cpus_of_cgroup(v2, str_eq(dir, S("/")) ? S("") : dir);

            if (n < least)
                least = n;
            if (dir.len == 0)
                break;
            dir = str_upto(dir, str_rfind(dir, '/') < dir.len ? str_rfind(dir, '/') : 0);
        }
    }
    return least;
}

unsigned
proc_cpus(void)
{
    unsigned n = cpus_of_affinity();
    unsigned quota = cpus_of_cgroups();

    if (quota < n)
        n = quota;
    return n > 0 ? n : 1;
}

bool
proc_set_affinity(const uint64_t *mask, size_t words)
{
    return syscall(SYS_sched_setaffinity, 0, words * sizeof(*mask), mask) == 0;
}

uint64_t
proc_start_time(pid_t pid)
{
    char path[64], mem[2048];
    struct str rest, field = S("");
    uint64_t ticks;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    rest = read_small(path, mem, sizeof(mem));
    if (str_rfind(rest, ')') == rest.len) /* the name may hold blanks and brackets */
        return 0;
    rest = str_from(rest, str_rfind(rest, ')') + 1);
    for (unsigned i = 2; i <= 22; i++) { /* what stands behind ')' is the empty rest of field 2 */
        if (!str_split(&rest, ' ', &field))
            return 0;
        if (i == 3 &&
            (str_eq(field, S("Z")) || str_eq(field, S("X")))) /* ended, if not waited for */
            return 0;
    }
    return num_parse_u64(field, &ticks) ? ticks : 0;
}

bool
proc_lives(pid_t pid, uint64_t start_time)
{
    return pid > 0 && start_time != 0 && proc_start_time(pid) == start_time;
}

int
proc_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int
proc_pidfd_signal(int pidfd, int sig)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}
