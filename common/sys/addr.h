/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - socket addresses: parse, print, compare, networks.
 */
#ifndef WEIR_SYS_ADDR_H
#define WEIR_SYS_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/str.h"

struct addr {
    socklen_t len; /* 0: none */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

enum { ADDR_TEXT_MAX = 128 }; /* "unix:" and 108 bytes, or "[v6]:port" */

/*
 * "1.2.3.4", "1.2.3.4:80", "[::1]:80", "[::1]", "unix:/path": literal addresses only, never a name look-up. `port`
 * (0..65535) is what stands when the text has none. False when it is no literal address.
 */
bool addr_parse(struct str text, uint16_t port, struct addr *a);
/* An address without port or brackets: "::1", "10.0.0.1". */
bool addr_parse_ip(struct str text, struct addr *a);
/* Returns the length written (no NUL). nginx's forms: "1.2.3.4:80", "[::1]:80", "unix:/path". */
size_t addr_format(const struct addr *a, bool with_port, char to[ADDR_TEXT_MAX]);
/* Without brackets: what $remote_addr shows ("unix:" for a unix socket). */
size_t addr_format_ip(const struct addr *a, char to[ADDR_TEXT_MAX]);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_is_wildcard(const struct addr *a);
/* The raw address bytes (4, 16, or the path) for hashes and $binary_remote_addr. */
struct str addr_bytes(const struct addr *a);

/* A network: address and prefix length. */
struct cidr {
    int family; /* AF_INET, AF_INET6, AF_UNIX (matches every unix socket), AF_UNSPEC (matches all) */
    uint8_t bits;
    uint8_t addr[16];
};
/* "10.0.0.0/8", "::1", "unix:", "all"; *low_bits says that bits right of the mask were set (they are cleared). */
bool cidr_parse(struct str text, struct cidr *c, bool *low_bits);
/* A v4-mapped IPv6 address also matches IPv4 networks. */
bool cidr_match(const struct cidr *c, const struct addr *a);

#endif
