/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master.h - the state of the master process, shared by the files of this room, and its lifecycle.
 */
#ifndef WEIR_MASTER_MASTER_H
#define WEIR_MASTER_MASTER_H

#include "common/conf/config.h"
#include "common/event/timer.h"
#include "common/ipc/adopt.h"
#include "common/ipc/channel.h"
#include "common/shm/slots.h"
#include "master/kept.h"
#include "master/options.h"
#include "master/report.h"

/* Draining is a state of a generation: several drain while the master is in RUN. */
enum master_state {
    STATE_START,   /* cold start: sockets listen, no generation is ready yet */
    STATE_RUN,     /* a generation serves */
    STATE_CHECK,   /* the same, and a preflight child looks at the next configuration */
    STATE_HANDOFF, /* a new image: the next generation starts beside the one that serves */
    STATE_HOLD,    /* the next generation failed: the one before serves on */
    STATE_STOP,    /* no workers wanted; waits for the last child */
    MASTER_STATES
};

enum master_event {
    EVENT_CHECK,   /* reload_wanted or test_wanted was set */
    EVENT_STOP,    /* TERM, INT, `stop` */
    EVENT_QUIT,    /* QUIT, `quit` */
    EVENT_REOPEN,  /* USR1, `reopen` */
    EVENT_WINCH,   /* no workers until the next reload */
    EVENT_PASSED,  /* preflight's verdict */
    EVENT_REFUSED, /* the other one */
    EVENT_READY,   /* all workers of the starting generation are ready */
    EVENT_FAILED,  /* the starting generation cannot come up */
    EVENT_EMPTY,   /* the last child has ended */
    MASTER_EVENTS
};

enum child_state {
    CHILD_STARTING, /* forked; READY has not come */
    CHILD_READY,
    CHILD_DRAINING, /* told to leave its listeners and finish */
    CHILD_ENDING,   /* told to end */
};

struct master;
struct seat;

/* One process of ours, or an orphan of a dead master. */
struct child {
    struct list node; /* in master.children */
    struct master *m;
    pid_t pid;
    int pidfd; /* orphans only, -1 else: our own children cannot be taken for others before we wait for them */
    struct watch pidfd_watch;
    bool orphan;
    bool killed; /* by us, as the last resort */
    uint32_t slot;
    uint64_t incarnation;
    uint64_t generation;
    uint32_t kind; /* 0: worker, else 1 + place of its process_def among all modules' */
    uint32_t index;
    enum child_state state;
    bool left;              /* DRAINING: it has left its listeners */
    struct channel channel; /* fd -1: none */
    struct timer last_resort;
    unsigned resort_step;
    struct seat *seat; /* NULL: not of the generation that is kept complete */
    uint64_t started_ms;
};

/* A place in the generation that is kept complete: who sits there is replaced when he dies. */
struct seat {
    struct master *m;
    const struct process_def *process; /* NULL: a worker */
    uint32_t kind, index, count;
    struct child *child;  /* NULL: empty */
    struct child *tender; /* the worker that accepts for it until it is filled; NULL: none */
    struct timer again;   /* the pause before the next try */
    unsigned quick_deaths;
    bool ended; /* a helper that has done its work */
};

/* What of a generation the master needs while one of its processes lives. */
struct generation {
    uint64_t number;
    struct vec logs; /* of struct str, absolute, in the order of its config->logs */
};

/* A socket that the master holds. */
struct held {
    struct listen_socket s; /* spec: of master.config */
    bool fresh;             /* came with this attempt: goes when it fails */
    bool listening;
    struct str temp; /* unix, not yet renamed: where it is bound; len 0 else */
};

struct check;
struct control;
struct renewal;

struct master {
    enum master_state state;
    enum master_state settled; /* RUN or HOLD: where a check that fails returns to */
    struct kept *kept;
    const struct options *options;
    struct arena arena; /* this image's */

    struct config *config;  /* what children are forked from; NULL: nothing can be forked */
    struct vec good_files;  /* of struct conf_file: the texts that served last */
    struct vec back_files;  /* the same: those before them, for a rollback; empty: none are known */
    bool rolled_back;       /* what serves was brought back, and is not what the files say */
    bool next_rolled_back;  /* so will be what is being put into effect */
    uint64_t generation;    /* the newest number given */
    uint64_t serving;       /* the generation that serves; 0: none yet */
    struct vec generations; /* of struct generation */
    struct vec sockets;     /* of struct held */
    struct vec
        zones; /* of struct adopted_zone: descriptors from before, kept until a new generation serves */

    struct slot_table *slots;
    int slots_fd, slots_ro_fd;
    int state_fd; /* sealed hand-over text of the newest generation */
    uint32_t
        reap_asked[SLOTS_MAX]; /* by dead slot: 1 + slot of the worker that was asked, 0: nobody */
    uint64_t reap_of[SLOTS_MAX]; /* incarnation of that worker */

    struct list children; /* of struct child */
    struct seat *seats;
    uint32_t n_seats;
    struct timer ready_deadline;
    struct timer left_deadline; /* a reload is answered by then, though an old worker hangs */
    bool answer_waits; /* a reload's answer, for the old generation to leave its listeners */
    bool no_workers;   /* WINCH */

    struct check *check;     /* NULL: none runs */
    struct renewal *renewal; /* NULL: no files are watched */
    bool reload_wanted, test_wanted, stop_wanted, quit_wanted;
    bool rollback_wanted;  /* the reload that is wanted takes back_files */
    bool graceful;         /* STOP: by QUIT */
    bool finished;         /* STOP: nothing is left to do */
    struct report verdict; /* of this attempt to start or take over */

    struct control *control;
    struct str pid_path, ctl_path; /* in use now; len 0: none */
    int start_lock;                /* X.lock while we start; -1 else */
    int done_fd; /* tells the process that started us in the background how it went; -1: nobody */
    bool background; /* `daemon on` */
    int exit_status;
};

/* A cold start; the configuration is loaded. Returns the exit status, of the starting process too. */
int master_start(struct kept *k, const struct options *o, struct config *c);
/* A new image of a running master: what it holds is described in the sealed memfd. Returns the exit status. */
int master_resume(struct kept *k, const struct options *o, int handoff_fd);

/* Runs the action of the grid. */
void master_event(struct master *m, enum master_event event);
/* An old worker has left its listeners or ended: answers the reload when it was the last one. */
void master_answer_reload(struct master *m);
/* Answers a reload that still waits for that at once: another check begins. */
void master_answer_pending(struct master *m);
const char *master_state_name(enum master_state s);
/* Descriptors that are the master's alone: in a child, which has its own loop already. */
void master_forget_private(struct master *m);
/* Says how it went, and closes: to the process that waits in the foreground. */
void master_tell_starter(struct master *m, int status);

#endif
