/* SPDX-License-Identifier: BSD-2-Clause */
/* diff_command.h - `weirctl diff`: what a reload would change in the text of the configuration that serves. */
#ifndef WEIR_MASTER_DIFF_COMMAND_H
#define WEIR_MASTER_DIFF_COMMAND_H

#include "master/ctl.h"

/* 0: nothing; 1: something; 2: trouble, also where 1 and 3 are said else. */
int diff_command(const struct options *o, char **words);

#endif
