/* SPDX-License-Identifier: BSD-2-Clause */
/* module.c - numbers the modules of this build. */
#include "common/module.h"

struct module *const *modules;
unsigned module_count;

void
modules_number(struct module *const *list)
{
    unsigned n = 0;

    for (; list[n] != NULL; n++)
        list[n]->index = (uint16_t)n;
    modules = list;
    module_count = n;
}
