/* SPDX-License-Identifier: BSD-2-Clause */
/* date.h - HTTP dates (RFC 9110, 5.6.7). Pure. */
#ifndef WEIR_HTTP_DATE_H
#define WEIR_HTTP_DATE_H

#include "common/base/str.h"

/* IMF-fixdate, RFC 850 and asctime forms. False: no date. */
bool date_parse(struct str text, int64_t *seconds);
enum { DATE_LEN = 29 };
void date_format(int64_t seconds, char to[DATE_LEN]);
/* The same, remembered for times that are asked for again and again; valid until the next call. */
struct str date_text(int64_t seconds);

#endif
