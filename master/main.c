/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - the fuse box: looks at the name and the arguments, wires the tables of both floors together, and starts
 * what was asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/opensslv.h>

#include "build/config.h"
#include "common/base/heap.h"
#include "common/event/signal.h"
#include "common/log/log.h"
#include "common/log/log_conf.h"
#include "common/module.h"
#include "common/shm/lock.h"
#include "common/sys/proc.h"
#include "master/ctl.h"
#include "master/explain.h"
#include "master/kept.h"
#include "master/master.h"
#include "master/master_conf.h"
#include "master/options.h"
#include "master/preflight.h"
#include "master/spawn.h"
#include "master/start.h"
#include "worker/modules.h"
#include "worker/worker.h"

/* The settings of this floor first, then the worker's list. */
static bool
wire_modules(void)
{
    struct module **list;
    size_t n = 0;

    while (worker_modules[n] != NULL)
        n++;
    list = calloc(n + 3, sizeof(*list));
    if (list == NULL)
        return false;
    list[0] = &core_module;
    list[1] = &log_module;
    for (size_t i = 0; i < n; i++)
        list[i + 2] = worker_modules[i];
    modules_number(list);
    config_dump_variables = modules_dump_variables;
    spawn_entry = worker_run;
    explain_entry = worker_explain;
    return true;
}

static void
print_version(void)
{
    if (strcmp(log_program, "nginx") == 0)
        fprintf(stderr, "nginx version: nginx/" WEIR_NGINX_VERSION " (weir " WEIR_VERSION ")\n");
    else
        fprintf(stderr, "weir version: weir/" WEIR_VERSION "\n");
}

/* In nginx's form, which tools parse: a token for each module that works, and for no other. */
static void
print_configuration(void)
{
    bool tls = false;

    print_version();
    fprintf(stderr, "built by %s\nbuilt with %s", WEIR_COMPILER, OPENSSL_VERSION_TEXT);
    if (strcmp(OPENSSL_VERSION_TEXT, OpenSSL_version(OPENSSL_VERSION)) != 0)
        fprintf(stderr, " (running with %s)", OpenSSL_version(OPENSSL_VERSION));
    for (unsigned i = 0; i < module_count; i++)
        tls |= strcmp(modules[i]->name, "ssl") == 0;
    fprintf(stderr, "%s\nconfigure arguments:", tls ? "\nTLS SNI support enabled" : "");
    if (WEIR_CONFIGURE_ARGS[0] != '\0')
        fprintf(stderr, " %s", WEIR_CONFIGURE_ARGS);
    for (unsigned i = 0; i < module_count; i++) {
        if (modules[i]->configure_token != NULL)
            fprintf(stderr, " %s", modules[i]->configure_token);
    }
    fputc('\n', stderr);
}

static int
print_directives(void)
{
    struct text t;
    struct str s;

    text_init(&t, NULL);
    config_dump_tables(&t);
    s = text_str(&t);
    fwrite(s.ptr, 1, s.len, stdout);
    text_free(&t);
    return fflush(stdout) == 0 && s.ptr != NULL ? 0 : 1;
}

/* The configuration is read, and found bad, before anything else happens. */
static int
start(struct kept *k, const struct options *o)
{
    struct report r;
    struct arena a;
    struct config *c;

    arena_init(&a, 65536);
    report_init(&r, &a);
    c = preflight_load(o, NULL, &a, &r);
    report_print(&r, LOG_LEVEL_WARN);
    arena_free(&a);
    if (c == NULL)
        return 1;
    return c->core.master_process ? master_start(k, o, c) : start_single(k, o, c);
}

static int
run(struct kept *k, const struct options *o)
{
    if (o->handoff_fd >= 0)
        return master_resume(k, o, o->handoff_fd);
    if (o->preflight_fd >= 0)
        return preflight_run(o, o->preflight_fd);
    if (o->ctl)
        return ctl_run(o);
    if (o->configure || o->version || o->help) {
        if (o->configure)
            print_configuration();
        else
            print_version();
        if (o->help)
            options_usage();
        if (!o->test)
            return 0;
    }
    if (o->directives)
        return print_directives();
    if (o->signal != NULL)
        return ctl_signal(o);
    if (o->test)
        return preflight_test(o);
    return start(k, o);
}

/* "nginx" when started under that name, "weir" under any other. *ctl: started as weirctl. */
static void
look_at_name(const char *path, bool *ctl)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;

    if (strcmp(name, "nginx") == 0)
        log_program = "nginx";
    *ctl = strcmp(name, "weirctl") == 0;
}

static void *
tls_alloc(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return heap_alloc(bytes);
}

static void *
tls_realloc(void *p, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return heap_realloc(p, bytes);
}

static void
tls_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    heap_free(p);
}

/* Before the library has allocated anything: it refuses afterwards, and stays with malloc. */
static void
wire_library_memory(void)
{
    if (heap_init())
        (void)CRYPTO_set_mem_functions(tls_alloc, tls_realloc, tls_free);
}

int
main(int argc, char **argv)
{
    static struct options options; /* for life, as are the arguments */
    static struct kept kept;
    struct error err = { 0 };
    bool ctl;

    wire_library_memory();
    look_at_name(argc > 0 ? argv[0] : "weir", &ctl);
    if (!wire_modules() || !kept_init(&kept, argc, argv, &err)) {
        fprintf(stderr, "%s: %s\n", log_program, err.text);
        return 1;
    }
    proc_title_init(argc, argv); /* argv are copies then, to which options point */
    if (!options_parse(argc, argv, ctl, &options, &err)) {
        fprintf(stderr, "%s: %s\n", log_program, err.text);
        return 1;
    }
    if (!options.ctl && options.signal == NULL)
        signal_block_all();
    lock_init_process();
    return run(&kept, &options);
}
