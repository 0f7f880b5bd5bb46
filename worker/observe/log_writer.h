/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_writer.h - where lines of the access log go: files with their buffers, files whose names have variables. Inside this
 * room only.
 */
#ifndef WEIR_OBSERVE_LOG_WRITER_H
#define WEIR_OBSERVE_LOG_WRITER_H

#include "common/base/hash.h"
#include "common/base/list.h"
#include "common/base/vec.h"
#include "common/event/timer.h"
#include "common/log/log.h"

/* Lines on their way into a file; one for each file, shared by all `access_log` lines that name it. */
struct log_lines {
    struct log_file *file;
    uint64_t size;     /* buffer=, bytes; 0: until the end of the turn */
    uint64_t flush_ms; /* 0: no limit */
    int gzip;          /* level; 0: plain */
    struct text text;  /* heap of the worker */
    struct timer timer;
    struct list dirty; /* has lines that leave at the end of the turn */
    uint64_t complained_ms;
};

/* In the worker: before the first line, and after the last one. */
void log_lines_open(struct log_lines *lines);
void log_lines_close(struct log_lines *lines);
/* The end of lines->text from `before` on is a new line: it leaves now, at the end of the turn, or later. */
void log_lines_added(struct log_lines *lines, size_t before);
/* What waits is written now. */
void log_lines_write(struct log_lines *lines);
/* The lines of this turn leave. */
void log_lines_end_turn(void);

/* What one `open_log_file_cache` line says; the worker's open files with it. */
struct log_cache {
    uint32_t max, min_uses;
    uint64_t inactive_ms, valid_ms;
    struct list entries; /* of the worker: least recently used first */
    struct hash by_path;
    uint32_t count;
};
/* In the worker: before the first line, and after the last one. */
void log_cache_open(struct log_cache *c);
void log_cache_close(struct log_cache *c);

/*
 * Appends a line to the file of that name, which is made if it is missing; what the worker's user may not do is logged.
 * NULL cache: it is opened for this line alone.
 */
void log_path_write(struct log_cache *cache, struct str path, struct str line);
/* Closes what a cache holds open: when logs are reopened. */
void log_cache_clear(struct log_cache *c);

#endif
