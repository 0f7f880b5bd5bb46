/* SPDX-License-Identifier: BSD-2-Clause */
/* sanitize.h - whether this is a build with AddressSanitizer (gcc and clang say so differently). */
#ifndef WEIR_BASE_SANITIZE_H
#define WEIR_BASE_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif

#endif
