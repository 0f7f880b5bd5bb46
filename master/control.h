/* SPDX-License-Identifier: BSD-2-Clause */
/* control.h - the control socket: one request, one answer (ARCHITECTURE.md 9). */
#ifndef WEIR_MASTER_CONTROL_H
#define WEIR_MASTER_CONTROL_H

#include "master/master.h"

/* What a client waits for. */
enum client_wait {
    CLIENT_NEW,         /* has not asked yet */
    CLIENT_RELOAD_NEXT, /* a reload whose check begins after the request */
    CLIENT_RELOAD,      /* the one that runs */
    CLIENT_TEST_NEXT,
    CLIENT_TEST,
    CLIENT_STOP,       /* the end of the master */
    CLIENT_STATUS,     /* a worker's part of the answer */
    CLIENT_CHECK_NEXT, /* as TEST, and the report comes as lines */
    CLIENT_CHECK,
    CLIENT_WAITS
};

/*
 * Listens beside the pid file; a listener for that path that we have is kept, another one becomes the next. False when
 * there is no path to bind to: said as a warning, signals still work.
 */
bool control_open(struct master *m, struct report *r);
/* A listener from workers without a master. */
void control_adopt(struct master *m, int fd, struct str path);
/* The listener that children of now inherit; -1: none. */
int control_listener(const struct master *m);
/* Begins to answer; the loop has to exist. */
void control_watch(struct master *m);
/* The new configuration serves: the listener of the old path goes. Or does not: the new one goes. */
void control_settle(struct master *m);
void control_revert(struct master *m);
/* The end is near: the name goes, so that a new start finds nobody; clients that wait stay. */
void control_unname(struct master *m);
void control_close(struct master *m, bool unlink_name);
/* In a child: closes clients; the listener stays. */
void control_forget(struct master *m);

/* Those who asked before the check that begins now wait for its verdict. */
void control_promote(struct master *m);
/* Answers all that wait for this: `ok TEXT` or `error CODE TEXT`. */
void control_answer(struct master *m, enum client_wait wait, const char *head, struct str text);
/* From a worker; and the end of one that may have been asked. */
void control_on_answer(struct master *m, struct child *from, uint32_t id, struct str text);
void control_on_death(struct master *m, struct child *c);

/* Before the hand-over: those who wait for a worker's part get what there is. */
void control_flush_status(struct master *m);
/* For the hand-over. */
bool control_put(const struct master *m, struct text *t, struct vec *fds);
bool control_get(struct master *m, struct str key, struct str fields);

/* The commands, for the tool's help: the i-th; false at the end. */
bool control_command(unsigned i, const char **name, const char **help);

#endif
