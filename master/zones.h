/* SPDX-License-Identifier: BSD-2-Clause */
/* zones.h - shared zones of a configuration: taken over from before, or made. */
#ifndef WEIR_MASTER_ZONES_H
#define WEIR_MASTER_ZONES_H

#include "master/master.h"

/*
 * Gives every zone_spec its zone: the one of the same name in `before` (of struct adopted_zone; the descriptors stay
 * there), or a fresh one. False when the report has an error.
 */
bool zones_open(struct config *c, const struct vec *before, struct report *r);
/* The configuration does not serve: its zones are unmapped here (NULL is harmless). */
void zones_revert(struct config *c);
/* Closes the descriptors of `before`: a new generation serves. */
void zones_settle(struct vec *before);

#endif
