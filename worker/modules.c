/* SPDX-License-Identifier: BSD-2-Clause */
/* modules.c - modules.def as an array; what all of them have together. */
#include "worker/modules.h"

#include "common/base/text.h"
#include "worker/core/var.h"

#define MODULE(name) extern struct module name##_module;
#include "worker/modules.def"
#undef MODULE

struct module *const worker_modules[] = {
#define MODULE(name) &name##_module,
#include "worker/modules.def"
#undef MODULE
    NULL
};

void
modules_dump_variables(struct text *t)
{
    for (struct module *const *m = worker_modules; *m != NULL; m++)
        for (const struct variable *v = (*m)->variables; v != NULL && v->name != NULL; v++)
            text_fmt(t, "variable\t%s\t%s\n", (*m)->name, v->name);
}
