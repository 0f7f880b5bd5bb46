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

static struct zone *
adopt_zone(struct zone_spec *spec, const struct adopted_zone *before)
{
    struct error err = { 0 };
    struct zone *z;
    int fd = fcntl(before->fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0) {
        log_error(errno, "zone \"%.*s\": dup() failed", STR(spec->name));
        return NULL;
    }
    z = zone_adopt(fd, spec->name, spec->size, spec->ops, &err);
    if (z == NULL) {
        fd_close(&fd);
        log_notice(0, "%s: started anew", err.text);
    }
    return z;
}

bool
zones_open(struct config *c, const struct vec *before, struct report *r)
{
    bool ok = true;

    for (uint32_t i = 0; i < c->zones.len; i++) {
        struct zone_spec *spec = *VEC_AT(&c->zones, struct zone_spec *, i);
        struct error err = { 0 };

        spec->zone = NULL;
        VEC_FOREACH (z, struct adopted_zone, before) {
            if (spec->zone == NULL && str_eq(z->name, spec->name))
                spec->zone = adopt_zone(spec, z);
        }
        if (spec->zone == NULL)
            spec->zone = zone_create(spec->name, spec->size, spec->ops, &err);
        if (spec->zone == NULL)
            ok = report_add(r, c, spec->pos, LOG_LEVEL_EMERG, "%s", err.text);
    }
    return ok;
}

void
zones_settle(struct vec *before)
{
    VEC_FOREACH (z, struct adopted_zone, before)
        fd_close(&z->fd);
    before->len = 0;
}
