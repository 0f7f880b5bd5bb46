/* SPDX-License-Identifier: BSD-2-Clause */
/* md5.h - MD5 (RFC 1321), for names and links that others make with it; not for anything secret that lasts. */
#ifndef WEIR_BASE_MD5_H
#define WEIR_BASE_MD5_H

#include "common/base/str.h"

enum { MD5_SIZE = 16 };

void md5(struct str s, uint8_t digest[MD5_SIZE]);

#endif
