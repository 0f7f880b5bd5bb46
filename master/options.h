/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - the command line, nginx's and ours.
 */
#ifndef WEIR_MASTER_OPTIONS_H
#define WEIR_MASTER_OPTIONS_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/conf/config.h"

struct options {
    const char *prefix, *conf, *globals, *error_log; /* as typed; NULL: not given */
    const char *signal;                              /* -s */
    bool test, dump, quiet, version, configure, help, directives;
    bool strict;                  /* -W: warnings of a test fail too */
    bool json;                    /* --json: what a test finds, for tools */
    bool lint;                    /* the configuration is loaded to be tested: the checks run too */
    int handoff_fd, preflight_fd; /* -1: an ordinary start */
    bool ctl;                     /* `weir ctl ...`, or started as weirctl */
    char **words;                 /* of `ctl`: the command and its arguments; NULL at the end */
};

/* False with nginx's message; `ctl`: started as weirctl. Strings are borrowed from argv. */
bool options_parse(int argc, char **argv, bool ctl, struct options *o, struct error *err);
/* Absolute paths for the loader, from the arena. False when memory is out. */
bool options_conf(const struct options *o, struct arena *a, struct conf_options *to);
/* A path of the configuration, relative to the prefix. Absolute, from the arena; ptr NULL when memory is out. */
struct str options_absolute(struct arena *a, struct str prefix, struct str path);
/*
 * A path that was built in, against the prefix of this run: what configure put under its prefix moves with -p.
 * Absolute, from the arena; ptr NULL when memory is out.
 */
struct str options_built_in(struct arena *a, struct str prefix, const char *path);
void options_usage(void);

#endif
