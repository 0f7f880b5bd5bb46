/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.h - one loaded configuration: immutable after load, in its own arena.
 *
 * The master reads of it only its own settings and the four lists: listeners, zones, log files, processes.
 */
#ifndef WEIR_CONF_CONFIG_H
#define WEIR_CONF_CONFIG_H

#include "common/base/hash.h"
#include "common/base/vec.h"
#include "common/conf/directive.h"
#include "common/log/log.h"
#include "common/sys/addr.h"
#include "common/sys/file.h"
#include "common/sys/socket.h"

/* A text that was read: for messages, -T, hand-over and rollback. */
struct conf_file {
    struct str path; /* as nginx names it; "command line" for -g; CONF_PIPE with a path */
    struct str text;
};

/* In front of the path of a pipe whose content is kept like a text: it may be a secret. */
#define CONF_PIPE "pipe:"
static inline bool
conf_file_is_pipe(const struct conf_file *f)
{
    return str_starts(f->path, S(CONF_PIPE));
}

struct conn;
/* One address that some server {} listens on. */
struct listen_spec {
    struct addr addr;
    int type; /* SOCK_STREAM or SOCK_DGRAM */
    struct socket_options options;
    struct conf_pos pos;
    struct str text; /* the address as nginx prints it: "0.0.0.0:80" */
    /* The owner's part (http: the address's servers and flags); what an accepted connection starts with. */
    void (*start)(struct conn *c, const struct listen_spec *spec);
    void *owner;
};

/* One shared zone that the configuration wants. */
struct zone_spec {
    struct str name;
    uint64_t size;              /* bytes */
    const struct zone_ops *ops; /* its owner */
    struct conf_pos pos;
    void *owner;       /* the owner's configuration of it */
    struct zone *zone; /* set by the master before workers are forked */
};

/*
 * Files that belong together, which the master watches: when they change it reads them, has them looked at, and passes
 * their content to the workers.
 */
enum { WATCHED_FILES_MAX = 2, WATCHED_BYTES_MAX = 1024 * 1024 };
struct watched_files {
    const char *what;                    /* for messages: "certificate" */
    struct str paths[WATCHED_FILES_MAX]; /* absolute, end with NUL */
    unsigned n;
    struct file_stamp stamps[WATCHED_FILES_MAX]; /* of what is in use */
    /* Uses the new content, in the master and then in each worker of this configuration. False: what was used stays; *err
     * says why. True: *err says what is in use now. The bytes are wiped afterwards. */
    bool (*renew)(struct watched_files *w, const struct str *contents, struct error *err);
    void *owner;
};

/* A kind of helper process beside the workers. */
struct process_def {
    const char *name; /* for the title: "cache manager" */
    unsigned (*wanted)(const struct config *c);
    void (*run)(struct config *c);
};

/* What module `core` (master/master_conf.c) keeps; read by master and worker. */
struct core_settings {
    struct str user, group; /* empty: not set */
    uid_t uid;              /* (uid_t)-1: no change of user */
    gid_t gid;
    uint32_t worker_processes; /* resolved: auto counted */
    bool daemon, master_process;
    struct str pid_path;                 /* absolute */
    struct str working_directory;        /* empty: none */
    uint64_t rlimit_nofile, rlimit_core; /* UINT64_MAX: not set */
    int worker_priority;
    uint64_t shutdown_timeout_ms; /* 0: none */
    struct vec affinity; /* of struct cpu_mask, one per worker, the last one repeats; empty: none */
    bool affinity_auto;
    uint64_t affinity_auto_mask[16];
    struct vec env;              /* of struct str "NAME" or "NAME=value" */
    uint32_t worker_connections; /* module events fills it */
};
struct cpu_mask {
    uint64_t bits[16]; /* CPU i is bit i%64 of word i/64 */
};

struct config {
    struct arena arena;
    struct str prefix;      /* absolute, ends with '/' and NUL */
    struct str conf_path;   /* the main file, absolute */
    struct str error_log;   /* of -e; empty: not given */
    struct vec files;       /* of struct conf_file */
    struct conf_node *tree; /* the whole text; NULL after the load */
    struct scope *root;     /* SCOPE_MAIN */
    struct vec scopes;      /* of struct scope *, parents first */
    struct core_settings core;
    struct vec listeners; /* of struct listen_spec * */
    struct vec zones;     /* of struct zone_spec * */
    struct vec logs;      /* of struct log_file *: error and access logs, each path once */
    struct vec watched;   /* of struct watched_files * */
    struct vec
        temp_dirs;  /* of struct conf_temp_dir: made by the master, owned by the worker's user */
    struct log log; /* main error_log */
    bool net_raw;   /* `transparent` source addresses: workers keep CAP_NET_RAW */
    uint64_t generation;
    /* Load-time services of upper rooms, each kept by its own file (var.c: names and indexes). */
    struct var_table *vars;
};
struct conf_temp_dir {
    struct str path; /* absolute, ends with NUL */
};

struct conf_options {
    struct str prefix;    /* -p or the built-in */
    struct str conf_path; /* -c or the built-in, made absolute */
    struct str globals;   /* -g; may be empty */
    struct str error_log; /* -e; may be empty */
    bool lint;            /* the checks of lint.h run too */
    const struct vec
        *texts; /* of struct conf_file: read these in place of files (hand-over); NULL: from disk */
};

/* One message of loading: a level, nginx's line, and the lines that explain it. */
struct conf_message {
    enum log_level level;
    struct str line;    /* `unknown directive "x" in /etc/weir/weir.conf:12` */
    struct str details; /* source line, caret, hint: lines that end with '\n'; may be empty */
    struct conf_pos pos;
    /* The parts of these, for tools. */
    struct str check; /* the id of the check that found it; empty: none, it is of the loader */
    struct str what;  /* the line without check and place */
    struct str file;  /* of the place; empty: no place */
    struct str hint;  /* parted by "; "; may be empty */
};

/*
 * Reads, checks and finishes a configuration. NULL when it has an error; all messages, warnings too, are in
 * `messages` (of struct conf_message, in `a`) in the order of the text. Touches nothing outside: no
 * sockets, no log files, no zones.
 */
struct config *config_load(const struct conf_options *o, struct arena *a, struct vec *messages);
/*
 * Reads the text alone: of the result, files and tree are set, as far as it could be read. The nodes of the tree lie in
 * `nodes`, which is set up here and the caller's to free. NULL: memory.
 */
struct config *config_read(const struct conf_options *o, struct arena *a, struct vec *messages,
                           struct arena *nodes);
/* After a failed load: the files read so far are needed to print nothing more, so the memory is gone already. */
void config_free(struct config *c);

/* Finds or adds: used by setters. The same path gives the same log_file. */
struct log_file *config_log_file(struct conf_load *l, struct str path);
/* A zone by name: added when it is new, the same when size is 0 or equal and ops are the same; else NULL (said). */
struct zone_spec *config_zone(struct conf_load *l, const struct conf_node *n, struct str name,
                              uint64_t size, const struct zone_ops *ops);
/* One more set of files to watch; NULL: memory. */
struct watched_files *config_watch(struct conf_load *l);
struct str config_pos_file(const struct config *c, struct conf_pos pos);
/* The source line and a caret under the place, as messages of loading have them; nothing when there is no line. */
void config_show_source(const struct config *c, struct conf_pos pos, struct text *t);

/* `-T`: each file once as `# configuration file PATH:` and its text. */
void config_dump(const struct config *c, struct text *t);
/*
 * `--directives`: a line per directive, its fields parted by tabs: "directive", module, name, contexts parted by commas,
 * arguments ("1", "1-2", "1+", "block", "1-2 block"), default, note; a line per check: "check", module, id, directive; then
 * what config_dump_variables adds.
 */
void config_dump_tables(struct text *t);
/* Appends "variable", module, name for each variable; set by the file that knows their table. */
extern void (*config_dump_variables)(struct text *t);

#endif
