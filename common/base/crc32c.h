/* SPDX-License-Identifier: BSD-2-Clause */
/* crc32c.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the CPU's instruction where it has one. */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* `crc` is 0 at the start, or the result for the bytes before. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
