/* SPDX-License-Identifier: BSD-2-Clause */
/* modules.c - modules.def as an array. */
#include "worker/modules.h"

#define MODULE(name) extern struct module name##_module;
#include "worker/modules.def"
#undef MODULE

struct module *const worker_modules[] = {
#define MODULE(name) &name##_module,
#include "worker/modules.def"
#undef MODULE
    NULL
};
