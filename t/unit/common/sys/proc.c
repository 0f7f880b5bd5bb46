/* SPDX-License-Identifier: BSD-2-Clause */
/* proc.c - title, limits, CPUs and identity of a process. */
#include "common/sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "t/unit/test.h"

static struct str
read_proc(const char *name, char *mem, size_t size)
{
    char path[64];
    int fd;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/%s", name);
    fd = open(path, O_RDONLY);
    n = read(fd, mem, size);
    close(fd);
    return str_n(mem, n > 0 ? (size_t)n : 0);
}

/* A vector of arguments and an environment side by side, as the kernel lays them out. */
extern char **environ;

TEST(the_title_takes_the_place_of_arguments_and_environment)
{
    static char area[] = "prog\0-c\0file\0A=1\0LONG=environment variable";
    char *argv[] = { area, area + 5, area + 8, NULL };
    char *env[] = { area + 13, area + 17, NULL };
    char **saved = environ;
    char comm[32];

    environ = env;
    proc_title_init(3, argv);
    proc_set_title("weir: %s process", "worker");
    CHECK_STR(str_c(area), "weir: worker process");
    CHECK(memchr(area + 20, 'L', sizeof(area) - 20) == NULL, "nothing of the old text is left");
    CHECK_STR(str_c(argv[0]), "prog");
    CHECK_STR(str_c(argv[2]), "file");
    CHECK_STR(str_c(getenv("LONG")), "environment variable");
    CHECK_STR(read_proc("comm", comm, sizeof(comm)), "weir\n");

    proc_set_title("%0200d", 7);
    CHECK_EQ(strlen(area), sizeof(area) - 1);
    for (char **v = argv; *v != NULL; v++)
        free(*v);
    for (char **v = env; *v != NULL; v++)
        free(*v);
    environ = saved;
    proc_set_name("other");
    CHECK_STR(read_proc("comm", comm, sizeof(comm)), "other\n");
}

TEST(limits)
{
    struct error err;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    CHECK_EQ(proc_get_nofile(), limit.rlim_cur);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < (1 << 20)) {
        CHECK(!proc_set_nofile((uint64_t)1 << 40, &err));
        CHECK(str_starts(str_c(err.text), S("setrlimit(RLIMIT_NOFILE, 1099511627776) failed (1:")),
              "%s", err.text);
    }
    CHECK(proc_set_core(0, &err), "%s", err.text);
    getrlimit(RLIMIT_CORE, &limit);
    CHECK_EQ(limit.rlim_cur, 0);
}

TEST(cpus)
{
    uint64_t first[2] = { 0, 0 };
    cpu_set_t all, now;
    unsigned before = proc_cpus();

    CHECK(before >= 1 && before <= (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    sched_getaffinity(0, sizeof(all), &all);
    for (unsigned i = 0; i < 64 && first[0] == 0; i++)
        if (CPU_ISSET(i, &all))
            first[0] = UINT64_C(1) << i;
    CHECK(proc_set_affinity(first, 2));
    sched_getaffinity(0, sizeof(now), &now);
    CHECK_EQ(CPU_COUNT(&now), 1);
    CHECK_EQ(proc_cpus(), 1);
    sched_setaffinity(0, sizeof(all), &all);
}

TEST(identity)
{
    struct pollfd p;
    uint64_t start = proc_start_time(getpid());
    pid_t pid = fork();
    int fd;

    if (pid == 0) {
        pause();
        _exit(0);
    }
    CHECK(start > 0 && proc_start_time(pid) >= start);
    CHECK(proc_lives(getpid(), start) && !proc_lives(getpid(), start + 1) && !proc_lives(0, start));
    fd = proc_pidfd(pid);
    if (fd < 0) {
        CHECK_EQ(errno, ENOSYS);
        kill(pid, SIGKILL);
    } else {
        CHECK_EQ(proc_pidfd_signal(fd, SIGKILL), 0);
        p = (struct pollfd){ .fd = fd, .events = POLLIN };
        CHECK_EQ(poll(&p, 1, 5000), 1);
    }
    CHECK_EQ(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
    CHECK_EQ(proc_start_time(pid), 0); /* it has ended, if nobody has waited for it */
    CHECK(!proc_lives(pid, start) && !proc_lives(pid, 0));
    waitpid(pid, NULL, 0);
    CHECK_EQ(proc_start_time(pid), 0);
    CHECK_EQ(proc_pidfd_signal(fd, 0), -1);
    close(fd);
}

TEST(dropping_to_another_user)
{
    int status;
    pid_t pid;

    if (getuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        struct error err;

        if (!proc_drop_user(65534, 65534, NULL, true, false, &err) || getuid() != 65534 ||
            getgid() != 65534 || getgroups(0, NULL) != 1)
            _exit(1);
        if (proc_drop_user(0, 0, NULL, false, false, &err)) /* no way back */
            _exit(2);
        if (!str_starts(str_c(err.text), S("setgid(0) failed (1:")))
            _exit(3);
        _exit(proc_no_new_privs() ? 0 : 4);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
}
