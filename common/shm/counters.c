/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.c - rows of counters by process slot, the sum of those that are gone, names of the columns.
 *
 * A counter's column goes with its name and is kept in the zone: programs with other sets of counters (an upgrade, a
 * reload with another build) count in the same zone side by side. Ids of this process are columns from
 * counters_attach on. Column 0 takes what finds no room.
 *
 * The retired sum exists twice. A reaper writes the new sum, which says whose row is in it, into the copy that is not
 * valid, makes it valid with one store and then clears the row: wherever it dies, each row is added exactly once.
 */
#include "common/shm/counters.h"

#include "common/log/log.h"
#include "common/module.h"
#include "common/shm/slab.h"
#include "common/shm/slots.h"

enum {
    COLUMNS = 511,
    COLUMN_NONE = 0,
    COUNTERS_LAYOUT = 1,
    /* A row is a page; beside them the tables of columns, rows and sums, and those of the slab. */
    COUNTERS_SIZE = (SLOTS_MAX + 64) * 4096,
};

struct counters_column {
    char name[60]; /* ends with NUL */
    uint32_t gauge;
};

/* A page of its own: one process writes it, without a lock. */
struct counters_row {
    uint64_t incarnation; /* of the process that counts here; 0: nobody */
    uint64_t cell[COLUMNS];
};

struct counters_retired {
    uint64_t last; /* slot_ref of the process whose row was added last */
    uint64_t cell[COLUMNS];
};

/* The zone's root. Offsets are written by init and never change; the rows' ones are written once each. */
struct counters_root {
    off columns;    /* struct counters_column[COLUMNS] */
    off rows;       /* off[SLOTS_MAX] of struct counters_row; 0: not yet used */
    off retired[2]; /* struct counters_retired */
    uint32_t valid; /* which of the two */
    uint32_t columns_used;
    uint32_t rows_used; /* slots that ever counted are below it */
    uint32_t spare[9];
};

/* The parts of the zone at their addresses in this process. */
struct parts {
    struct zone *z;
    struct counters_root *root;
    struct counters_column *columns;
    off *rows;
    struct counters_retired *retired[2];
};

static uint64_t private_row[COLUMNS];
uint64_t *counters_row = private_row;
static struct zone *attached;

static bool
parts_get(struct zone *z, struct parts *p)
{
    struct counters_root *root = zone_root(z, sizeof(*root));

    p->z = z;
    p->root = root;
    p->columns = off_get(z, root->columns, COLUMNS * sizeof(struct counters_column));
    p->rows = off_get(z, root->rows, SLOTS_MAX * sizeof(off));
    for (unsigned i = 0; i < 2; i++)
        p->retired[i] = OFF_GET(z, root->retired[i], struct counters_retired);
    return p->columns != NULL && p->rows != NULL && p->retired[0] != NULL && p->retired[1] != NULL;
}

/* NULL: this slot has none. */
static struct counters_row *
row_get(const struct parts *p, uint32_t slot)
{
    return OFF_GET(p->z, __atomic_load_n(&p->rows[slot], __ATOMIC_RELAXED), struct counters_row);
}

static uint32_t
columns_used(const struct parts *p)
{
    return p->root->columns_used < COLUMNS ? p->root->columns_used : COLUMNS;
}

static uint32_t
rows_used(const struct parts *p)
{
    return p->root->rows_used < SLOTS_MAX ? p->root->rows_used : SLOTS_MAX;
}

/* ---- the zone's owner ---------------------------------------------------------------------------------------- */

static off
zeroed(struct zone *z, uint64_t bytes)
{
    void *p = slab_alloc(z, bytes);

    if (p != NULL)
        memset(p, 0, bytes);
    return off_of(z, p);
}

static void
counters_init(struct zone *z)
{
    struct counters_root *root = zone_root(z, sizeof(*root));

    root->columns = zeroed(z, COLUMNS * sizeof(struct counters_column));
    root->rows = zeroed(z, SLOTS_MAX * sizeof(off));
    root->retired[0] = zeroed(z, sizeof(struct counters_retired));
    root->retired[1] = zeroed(z, sizeof(struct counters_retired));
    root->columns_used = COLUMN_NONE + 1;
}

static void
row_clear(struct counters_row *row)
{
    memset(row->cell, 0, sizeof(row->cell));
    __atomic_store_n(&row->incarnation, 0, __ATOMIC_RELEASE);
}

/* Adds the row to the retired sum, exactly once. */
static void
row_retire(const struct parts *p, struct counters_row *row, uint32_t slot)
{
    uint32_t valid = p->root->valid & 1;
    const struct counters_retired *now = p->retired[valid];
    struct counters_retired *next = p->retired[!valid];
    uint64_t ref = slot_ref(slot, row->incarnation);

    for (uint32_t i = 0; i < COLUMNS; i++)
        next->cell[i] = now->cell[i] + (p->columns[i].gauge ? 0 : row->cell[i]);
    next->last = ref;
    crash_point("counters_retire");
    __atomic_store_n(&p->root->valid, !valid, __ATOMIC_RELEASE);
    crash_point("counters_retired"); /* from here on counters_repair clears the row */
    row_clear(row);
}

static void
counters_reap(struct zone *z, uint32_t slot, uint64_t incarnation)
{
    struct parts p;
    struct counters_row *row;

    if (!parts_get(z, &p))
        return;
    row = row_get(&p, slot);
    if (row == NULL || row->incarnation != incarnation)
        return;
    zone_dirty(z);
    row_retire(&p, row, slot);
    zone_clean(z);
}

static void
counters_repair(struct zone *z)
{
    struct parts p;
    bool whole = parts_get(z, &p);
    uint32_t last_slot;

    if (whole) {
        slab_repair_begin(z);
        whole = slab_repair_mark(z, p.columns, COLUMNS * sizeof(struct counters_column)) &&
                slab_repair_mark(z, p.rows, SLOTS_MAX * sizeof(off)) &&
                slab_repair_mark(z, p.retired[0], sizeof(struct counters_retired)) &&
                slab_repair_mark(z, p.retired[1], sizeof(struct counters_retired));
    }
    if (!whole) {
        zone_reset(z, "the table of counters");
        return;
    }
    last_slot = (uint32_t)(p.retired[p.root->valid & 1]->last >> 48);
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        struct counters_row *row = row_get(&p, i);

        if (row == NULL || !slab_repair_mark(z, row, sizeof(*row)))
            p.rows[i] = 0;
        else if (i == last_slot &&
                 p.retired[p.root->valid & 1]->last == slot_ref(i, row->incarnation))
            row_clear(row);
    }
    slab_repair_end(z);
}

const struct zone_ops counters_zone_ops = {
    .kind = "counters",
    .layout = COUNTERS_LAYOUT,
    .size_min = COUNTERS_SIZE,
    .init = counters_init,
    .repair = counters_repair,
    .reap = counters_reap,
};

/* ---- names and ids ------------------------------------------------------------------------------------------- */

const struct counter_def *
counters_at(unsigned i)
{
    for (unsigned m = 0; m < module_count; m++) {
        const struct counter_def *d = modules[m]->counters;

        for (; d != NULL && d->name != NULL; d++)
            if (i-- == 0)
                return d;
    }
    return NULL;
}

bool
counters_find(const char *name, uint16_t *id)
{
    const struct counter_def *d;

    for (unsigned i = 0; (d = counters_at(i)) != NULL; i++) {
        if (strcmp(d->name, name) == 0) {
            *id = *d->id;
            return true;
        }
    }
    return false;
}

uint64_t
counters_number(void)
{
    const struct counter_def *d;

    for (unsigned i = 0; (d = counters_at(i)) != NULL; i++) {
        ASSERT(i + COLUMN_NONE + 1 < COLUMNS && strlen(d->name) < 60);
        *d->id = (uint16_t)(i + COLUMN_NONE + 1);
    }
    return COUNTERS_SIZE;
}

/* The column of this name, added when it is new. Lock held. */
static uint16_t
column_for(const struct parts *p, const struct counter_def *d)
{
    uint32_t used = columns_used(p);
    struct counters_column *c;

    for (uint32_t i = COLUMN_NONE + 1; i < used; i++)
        if (strncmp(p->columns[i].name, d->name, sizeof(p->columns[i].name)) == 0)
            return (uint16_t)i;
    if (used == COLUMNS) {
        log_warn(0, "counter \"%s\" finds no room beside those of earlier programs", d->name);
        return COLUMN_NONE;
    }
    c = &p->columns[used];
    str_to_c(str_c(d->name), c->name, sizeof(c->name));
    c->gauge = d->gauge;
    p->root->columns_used = used + 1;
    return (uint16_t)used;
}

/* The slot's row for a new process; NULL: the zone is full. Lock held, zone dirty. */
static struct counters_row *
row_for(const struct parts *p, uint32_t slot, uint64_t incarnation)
{
    struct counters_row *row = row_get(p, slot);

    if (row == NULL) {
        row = slab_alloc(p->z, sizeof(*row));
        if (row == NULL)
            return NULL;
        memset(row, 0, sizeof(*row));
        __atomic_store_n(&p->rows[slot], off_of(p->z, row), __ATOMIC_RELEASE);
    }
    if (p->root->rows_used <= slot)
        p->root->rows_used = slot + 1;
    if (row->incarnation != 0 && row->incarnation != incarnation)
        row_retire(p, row, slot);
    row->incarnation = incarnation;
    return row;
}

/* Ids become columns; what was counted so far moves along. */
static void
move_in(const struct parts *p, struct counters_row *row)
{
    const struct counter_def *d;

    for (unsigned i = 0; (d = counters_at(i)) != NULL; i++) {
        uint64_t so_far = counters_row[*d->id];

        *d->id = column_for(p, d);
        row->cell[*d->id] += so_far;
    }
    memset(private_row, 0, sizeof(private_row));
    counters_row = row->cell;
}

void
counters_attach(struct zone *z, uint32_t slot, uint64_t incarnation)
{
    struct parts p;
    struct counters_row *row = NULL;

    ASSERT(slot < SLOTS_MAX && counters_row == private_row);
    zone_lock(z);
    if (parts_get(z, &p)) {
        zone_dirty(z);
        row = row_for(&p, slot, incarnation);
        crash_point("counters_attach");
        if (row != NULL)
            move_in(&p, row);
        zone_clean(z);
    }
    zone_unlock(z);
    if (row == NULL)
        log_error(0, "zone \"%.*s\": no room for the counters of a process", STR(zone_name(z)));
    else
        attached = z;
}

uint64_t
counters_sum(uint16_t id)
{
    struct parts p;
    uint64_t sum = 0;

    if (id >= COLUMNS)
        return 0;
    if (attached == NULL)
        return counters_row[id];
    zone_lock(attached);
    if (parts_get(attached, &p)) {
        sum = p.retired[p.root->valid & 1]->cell[id];
        for (uint32_t i = 0; i < rows_used(&p); i++) {
            const struct counters_row *row = row_get(&p, i);

            if (row != NULL)
                sum += __atomic_load_n(&row->cell[id], __ATOMIC_RELAXED);
        }
    }
    zone_unlock(attached);
    return sum;
}
