/* SPDX-License-Identifier: BSD-2-Clause */
/* slots.c - the slot table: who may write it, whom it names, what an adopter believes. */
#include "common/shm/slots.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/shm/zone.h"
#include "common/sys/proc.h"
#include "test.h"

struct made {
    struct slot_table *t;
    int fd, ro_fd;
};

static struct made
make(void)
{
    struct made m = { NULL, -1, -1 };
    struct error err = { 0 };

    m.t = slots_create(&m.fd, &m.ro_fd, &err);
    if (m.t == NULL) {
        printf("# %s\n", err.text);
        abort();
    }
    return m;
}

static void
unmake(struct made *m)
{
    munmap(m->t, sizeof(*m->t));
    close(m->fd);
    close(m->ro_fd);
}

TEST(take_and_give_back)
{
    struct made m = make();
    int a = slots_take(m.t, 7, 0, 2), b = slots_take(m.t, 7, 1, 0);
    uint64_t first = m.t->row[0].incarnation, ref = slot_ref(0, first);

    CHECK_EQ(a, 0);
    CHECK_EQ(b, 1);
    CHECK_EQ(m.t->high_water, 2);
    CHECK_EQ(m.t->row[0].state, SLOT_LIVE);
    CHECK_EQ(m.t->row[0].generation, 7);
    CHECK_EQ(m.t->row[0].index, 2);
    CHECK_EQ(m.t->row[1].kind, 1);
    CHECK_EQ(slots_free_count(m.t), SLOTS_MAX - 2);
    slots_started(m.t, 0, getpid());
    CHECK_EQ(m.t->row[0].pid, getpid());
    CHECK_EQ(m.t->row[0].start_time, proc_start_time(getpid()));

    CHECK(slot_ref_alive(m.t, ref));
    slots_set(m.t, 0, SLOT_DRAINING);
    CHECK(slot_ref_alive(m.t, ref));
    slots_set(m.t, 0, SLOT_DEAD);
    CHECK(!slot_ref_alive(m.t, ref));
    CHECK_EQ(slots_take(m.t, 8, 0, 0), 2, "a dead row is not free");
    slots_set(m.t, 0, SLOT_FREE);
    CHECK_EQ(slots_take(m.t, 8, 0, 0), 0);
    CHECK(m.t->row[0].incarnation > m.t->row[2].incarnation, "never used twice");
    CHECK(!slot_ref_alive(m.t, ref), "somebody else is there now");
    CHECK(slot_ref_alive(m.t, slot_ref(0, m.t->row[0].incarnation)));
    CHECK(!slot_ref_alive(m.t, 0));
    CHECK(!slot_ref_alive(m.t, slot_ref(60000, 1)));
    unmake(&m);
}

TEST(full)
{
    struct made m = make();

    for (int i = 0; i < SLOTS_MAX; i++)
        CHECK_EQ(slots_take(m.t, 1, 0, 0), i);
    CHECK_EQ(slots_take(m.t, 1, 0, 0), -1);
    CHECK_EQ(slots_free_count(m.t), 0);
    unmake(&m);
}

TEST(a_new_table_begins_above_the_marks_of_the_last)
{
    struct made old = make(), m;
    uint64_t last;

    slots_take(old.t, 1, 0, 0);
    last = old.t->row[0].incarnation;
    unmake(&old);
    m = make();
    CHECK(m.t->next_incarnation + 1000 > last, "counted from the time since boot");
    CHECK(m.t->next_incarnation < (uint64_t)1 << 47);
    unmake(&m);
}

TEST(mode_and_access)
{
    struct made m = make();
    struct stat st;
    struct error err;
    const struct slot_table *t = slots_map(m.ro_fd, &err);

    REQUIRE(fstat(m.fd, &st) == 0 && t != NULL);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK(fcntl(m.fd, F_GET_SEALS) & F_SEAL_SHRINK);
    CHECK_EQ(fcntl(m.ro_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(m.ro_fd, F_GETFD) & FD_CLOEXEC);
    CHECK(mprotect((void *)(uintptr_t)t, sizeof(*t), PROT_READ | PROT_WRITE) != 0,
          "the mapping cannot be made writable");
    CHECK(mmap(NULL, sizeof(*t), PROT_WRITE, MAP_SHARED, m.ro_fd, 0) == MAP_FAILED);
    slots_take(m.t, 5, 0, 0);
    CHECK_EQ(t->row[0].generation, 5, "the same memory");
    munmap((void *)(uintptr_t)t, sizeof(*t));
    unmake(&m);
}

/* As root in the tests: a worker's user, to whom mode 0600 says no. */
TEST(another_user_cannot_open_it_for_writing)
{
    struct made m = make();
    struct error err;
    int status = 0;
    pid_t pid;

    if (geteuid() != 0) {
        unmake(&m);
        return;
    }
    pid = fork();
    if (pid == 0) {
        munmap(m.t, sizeof(*m.t));
        close(m.fd);
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(2);
        _exit(slots_reopen(m.ro_fd, &err) >= 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    unmake(&m);
}

TEST(the_next_master_opens_and_adopts)
{
    struct made m = make();
    struct error err = { 0 };
    int fd, ro = -1;
    struct slot_table *t;

    slots_take(m.t, 3, 0, 0);
    fd = slots_reopen(m.ro_fd, &err);
    REQUIRE(fd >= 0, "%s", err.text);
    t = slots_adopt(fd, &ro, &err);
    REQUIRE(t != NULL, "%s", err.text);
    CHECK_EQ(t->row[0].generation, 3);
    CHECK_EQ(slots_take(t, 4, 0, 0), 1);
    CHECK_EQ(m.t->row[1].generation, 4);
    CHECK_EQ(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
    munmap(t, sizeof(*t));
    close(ro);
    close(fd);
    unmake(&m);
}

TEST(adopt_checks_every_row)
{
    struct made m = make();
    struct slot_table whole = *m.t;
    struct slot_table *t = m.t;
    const struct {
        const char *what;
        void *at;
        uint64_t value;
        size_t size;
    } changes[] = {
        { "magic", t->magic, 'x', 1 },
        { "layout", &t->layout, 2, 4 },
        { "high water", &t->high_water, SLOTS_MAX + 1, 4 },
        { "no next incarnation", &t->next_incarnation, 0, 8 },
        { "next incarnation of 49 bits", &t->next_incarnation, (uint64_t)1 << 48, 8 },
        { "state", &t->row[0].state, SLOT_DEAD + 1, 4 },
        { "pid", &t->row[0].pid, (uint32_t)-1, 4 },
        { "incarnation of the future", &t->row[0].incarnation, t->next_incarnation + 5, 8 },
        { "a row beyond the high water", &t->row[9].state, SLOT_LIVE, 4 },
    };
    struct error err;
    int ro;

    slots_take(t, 1, 0, 0);
    whole = *t;
    EACH (changes, c) {
        memcpy(c->at, &c->value, c->size);
        CHECK(slots_adopt(m.fd, &ro, &err) == NULL, "%s", c->what);
        *t = whole;
    }
    CHECK(slots_adopt(m.ro_fd, &ro, &err) == NULL, "not writable");
    CHECK(slots_adopt(-1, &ro, &err) == NULL);
    unmake(&m);
}

static int
forge(mode_t mode, int seals, size_t size)
{
    int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct made m = make();

    if (fchmod(fd, mode) != 0 || pwrite(fd, m.t, sizeof(*m.t), 0) < 0 ||
        ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS, seals) != 0)
        abort();
    unmake(&m);
    return fd;
}

TEST(adopt_checks_the_file)
{
    const size_t size = sizeof(struct slot_table);
    const struct {
        const char *what;
        mode_t mode;
        int seals;
        size_t size;
        bool ok;
    } files[] = {
        { "as made", 0600, F_SEAL_SHRINK | F_SEAL_GROW, size, true },
        { "may shrink", 0600, F_SEAL_GROW, size, false },
        { "short", 0600, F_SEAL_SHRINK, size - 4096, false },
        { "long", 0600, F_SEAL_SHRINK, size + 4096, false },
        { "for everybody", 0666, F_SEAL_SHRINK, size, false },
    };
    struct error err;

    EACH (files, f) {
        int fd = forge(f->mode, f->seals, f->size), ro = -1;
        struct slot_table *t = slots_adopt(fd, &ro, &err);

        CHECK_EQ(t != NULL, f->ok, "%s", f->what);
        if (t != NULL) {
            munmap(t, sizeof(*t));
            close(ro);
        }
        close(fd);
    }
}

TEST(the_start_lock_names_its_holder)
{
    struct made m = make();
    int up[2], status;
    char c;
    pid_t pid, holder = 0;

    REQUIRE(pipe(up) == 0);
    pid = fork();
    if (pid == 0) {
        bool ok = slots_lock(m.fd, &holder);

        c = ok ? 'y' : 'n';
        if (write(up[1], &c, 1) == 1)
            pause();
        _exit(0);
    }
    CHECK(read(up[0], &c, 1) == 1 && c == 'y');
    CHECK(!slots_lock(m.fd, &holder));
    CHECK_EQ(holder, pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    CHECK(slots_lock(m.fd, &holder), "death releases it");
    CHECK(slots_lock(m.fd, &holder), "again by the same");
    close(up[0]);
    close(up[1]);
    unmake(&m);
}
