/* SPDX-License-Identifier: BSD-2-Clause */
/* explain_show.h - a story that has been told, as text or as JSON. */
#ifndef WEIR_EXPLAIN_SHOW_H
#define WEIR_EXPLAIN_SHOW_H

#include "common/conf/config.h"

/* `request`: its first line. Bytes of clients are escaped. */
void explain_show_text(const struct config *c, struct str request, struct text *to);
void explain_show_json(const struct config *c, struct str request, struct text *to);

#endif
