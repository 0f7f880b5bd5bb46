/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service.c - one datagram for each change of state.
 */
#include "master/service.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/sys/clock.h"
#include "common/sys/fd.h"

static void
notify(const struct kept *k, const char *text)
{
    const char *name = kept_getenv(k, "NOTIFY_SOCKET");
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t n = name != NULL ? strlen(name) : 0;
    int fd;

    if (n < 2 || n >= sizeof(un.sun_path) || (name[0] != '/' && name[0] != '@'))
        return;
    memcpy(un.sun_path, name, n);
    if (name[0] == '@')
        un.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    /* Nobody to tell is no failure of ours. */
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    fd_close(&fd);
}

void
service_ready(const struct kept *k, const char *fmt, ...)
{
    char status[256], text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(status, sizeof(status), fmt, ap);
    va_end(ap);
    for (char *p = status; *p != '\0'; p++) {
        if (*p == '\n')
            *p = ' ';
    }
    snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
    notify(k, text);
}

void
service_reloading(const struct kept *k)
{
    char text[100];

    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=checking",
             (unsigned long long)clock_now_us());
    notify(k, text);
}

void
service_stopping(const struct kept *k)
{
    notify(k, "STOPPING=1");
}

void
service_main_pid(const struct kept *k)
{
    char text[40];

    snprintf(text, sizeof(text), "MAINPID=%d", (int)getpid());
    notify(k, text);
}
