/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status.c - phrases of status codes: status.def as a table that is found by the code.
 */
#include "worker/http/response.h"

enum { STATUS_MIN = 100, STATUS_MAX = 599 };

/* The code with its phrase; the phrase alone begins at 4. */
static const struct str lines[STATUS_MAX - STATUS_MIN + 1] = {
#define STATUS(code, phrase) [code - STATUS_MIN] = S_INIT(#code " " phrase),
#include "worker/http/status.def"
#undef STATUS
};

/* Pages say 400 for what nginx tells apart inside only. */
static const struct str special[] = {
#define STATUS_AS_400(code, phrase) S_INIT("400 " phrase)
    STATUS_AS_400(494, "Request Header Or Cookie Too Large"),
    STATUS_AS_400(495, "The SSL certificate error"),
    STATUS_AS_400(496, "No required SSL certificate was sent"),
    STATUS_AS_400(497, "The plain HTTP request was sent to HTTPS port"),
#undef STATUS_AS_400
};

struct str
status_reason(uint16_t status)
{
    struct str line = STR_NONE;

    if (status >= STATUS_MIN && status <= STATUS_MAX)
        line = lines[status - STATUS_MIN];
    return line.ptr != NULL ? str_from(line, 4) : S("");
}

struct str
status_line(uint16_t status)
{
    if (status >= 494 && status <= 497)
        return special[status - 494];
    if (status < STATUS_MIN || status > STATUS_MAX)
        return S("");
    return lines[status - STATUS_MIN].ptr != NULL ? lines[status - STATUS_MIN] : S("");
}
