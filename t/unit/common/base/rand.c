/* SPDX-License-Identifier: BSD-2-Clause */
/* rand.c - random numbers. */
#include "common/base/rand.h"

#include "t/unit/test.h"

TEST(below_is_even_and_in_range)
{
    unsigned seen[7] = { 0 };

    for (unsigned i = 0; i < 70000; i++) {
        uint32_t n = rand_below(7);

        REQUIRE(n < 7);
        seen[n]++;
    }
    EACH (seen, n)
        CHECK(*n > 9300 && *n < 10700, "%u", *n);
    CHECK_EQ(rand_below(1), 0);
}

TEST(a_child_has_numbers_of_its_own)
{
    int fds[2];
    uint64_t theirs = 0, ours;
    pid_t pid;

    rand_u64();
    REQUIRE(pipe(fds) == 0);
    pid = fork();
    if (pid == 0) {
        rand_after_fork();
        ours = rand_u64();
        _exit(write(fds[1], &ours, sizeof(ours)) != sizeof(ours));
    }
    ours = rand_u64();
    CHECK_EQ(read(fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
    CHECK(ours != theirs);
    waitpid(pid, NULL, 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(bytes_fill_all_of_it)
{
    char a[300] = { 0 };
    unsigned zeroes = 0;

    rand_bytes(a, sizeof(a));
    EACH (a, c)
        zeroes += *c == 0;
    CHECK(zeroes < 30, "%u", zeroes);
}
