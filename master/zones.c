/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zones.c - creates or adopts shared zones. Beyond the header the master never looks inside.
 */
#include "master/zones.h"

#include <errno.h>
#include <fcntl.h>

#include "common/log/log.h"
#include "common/shm/zone.h"
#include "common/sys/fd.h"

/* The zone from before, or NULL: then *old is what a worker may copy from, or NULL too. */
static struct zone *
adopt_zone(struct zone_spec *spec, const struct adopted_zone *before, struct zone **old)
{
    struct error err = { 0 }, ignored;
    struct zone *z;
    int fd = fcntl(before->fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0) {
        log_error(errno, "zone \"%.*s\": dup() failed", STR(spec->name));
        return NULL;
    }
    z = zone_adopt(fd, spec->name, spec->size, spec->ops, &err);
    if (z != NULL)
        return z;
    log_notice(0, "%s: started anew", err.text);
    *old = zone_map_old(fd, spec->name, spec->ops, &ignored);
    if (*old == NULL)
        fd_close(&fd);
    return NULL;
}

static bool
open_zone(const struct config *c, struct zone_spec *spec, const struct vec *before,
          struct report *r)
{
    struct error err = { 0 };
    struct zone *old = NULL;

    spec->zone = NULL;
    VEC_FOREACH (z, struct adopted_zone, before) {
        if (spec->zone == NULL && old == NULL && str_eq(z->name, spec->name))
            spec->zone = adopt_zone(spec, z, &old);
    }
    if (spec->zone != NULL)
        return true;
    spec->zone = zone_create(spec->name, spec->size, spec->ops, &err);
    if (spec->zone == NULL) {
        zone_drop(old);
        return report_add(r, c, spec->pos, LOG_LEVEL_EMERG, "%s", err.text);
    }
    zone_set_old(spec->zone, old);
    return true;
}

bool
zones_open(struct config *c, const struct vec *before, struct report *r)
{
    bool ok = true;

    for (uint32_t i = 0; i < c->zones.len; i++)
        ok = open_zone(c, *VEC_AT(&c->zones, struct zone_spec *, i), before, r) && ok;
    return ok;
}

void
zones_revert(struct config *c)
{
    for (uint32_t i = 0; c != NULL && i < c->zones.len; i++) {
        struct zone_spec *spec = *VEC_AT(&c->zones, struct zone_spec *, i);

        zone_drop(spec->zone);
        spec->zone = NULL;
    }
}

void
zones_settle(struct vec *before)
{
    VEC_FOREACH (z, struct adopted_zone, before)
        fd_close(&z->fd);
    before->len = 0;
}
