/* SPDX-License-Identifier: BSD-2-Clause */
/* dump.c - the texts of a configuration, and the tables of all modules. */
#include "common/base/text.h"
#include "common/conf/config.h"
#include "common/conf/lint.h"
#include "common/conf/names.h"
#include "common/module.h"

void (*config_dump_variables)(struct text *t);

void
config_dump(const struct config *c, struct text *t)
{
    VEC_FOREACH (f, const struct conf_file, &c->files) {
        if (f->path.len == 0 || f->path.ptr[0] != '/')
            continue; /* -g */
        TEXT_LIT(t, "# configuration file ");
        text_add(t, f->path);
        TEXT_LIT(t, ":\n");
        text_add(t, f->text);
        text_char(t, '\n');
    }
}

static void
dump_arguments(struct text *t, const struct directive *d)
{
    if (d->block == BLOCK_NO || d->args_max > 0) {
        text_unum(t, d->args_min);
        if (d->args_max == ARGS_ANY)
            text_char(t, '+');
        else if (d->args_max != d->args_min)
            text_fmt(t, "-%u", d->args_max);
    }
    if (d->block != BLOCK_NO)
        text_add(t, d->args_max > 0 ? S(" block") : S("block"));
}

static void
dump_row(struct text *t, const struct module *m, const struct directive *d)
{
    text_fmt(t, "directive\t%s\t%s\t", m->name, d->name);
    names_contexts(t, d->contexts, ",");
    text_char(t, '\t');
    dump_arguments(t, d);
    text_fmt(t, "\t%s\t", d->initial != NULL ? d->initial : "");
    text_add(t, str_c(d->help));
    text_char(t, '\n');
}

static void
dump_checks(struct text *t, const struct module *m)
{
    for (const struct lint_check *c = m->lint; c != NULL && c->id != NULL; c++)
        text_fmt(t, "check\t%s\t%s\t%s\n", m->name, c->id, c->directive);
}

void
config_dump_tables(struct text *t)
{
    for (unsigned i = 0; i < module_count; i++)
        for (const struct directive *d = modules[i]->directives; d != NULL && d->name != NULL; d++)
            dump_row(t, modules[i], d);
    for (unsigned i = 0; i < module_count; i++)
        dump_checks(t, modules[i]);
    if (config_dump_variables != NULL)
        config_dump_variables(t);
}
