/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dav_tree.h - whole files and directories: removed, copied, put in place. For threads: nothing here touches the loop.
 * Inside this room only.
 *
 * All return errno, 0 for success. Links are what they are: never followed below the path that was named.
 */
#ifndef WEIR_CONTENT_DAV_TREE_H
#define WEIR_CONTENT_DAV_TREE_H

#include <stdbool.h>
#include <sys/types.h>

enum { DAV_DEPTH_MAX = 200 }; /* directories within one another; deeper trees are ELOOP */

/* A file, a link, or a directory with all that is in it. What could be removed is gone also after a failure. */
int dav_remove(const char *path);
/*
 * Makes `to`, which is not there, a copy of `from` with its modes (the umask aside) and times: a file, or a directory with
 * (members) or without what is in it. After a failure nothing is left of it.
 */
int dav_copy(const char *from, const char *to, bool members);
/*
 * Gives `from` the name `to` in one step. What was there is gone: a file at once, a directory as a whole, first under the
 * name `aside` beside it.
 */
int dav_replace(const char *from, const char *to, const char *aside);

#endif
