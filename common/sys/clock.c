/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.c - the time of this turn of the loop, and its texts, made when somebody asks in a new second.
 */
#include "common/sys/clock.h"

#include "common/base/panic.h"
#include "common/base/str.h"

uint64_t clock_ms;
uint64_t clock_wall_ms;

static inline uint64_t
read_ms(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The coarse clocks are a read of memory that the kernel shares: no more than a few nanoseconds each. */
void
clock_update(void)
{
    clock_ms = read_ms(CLOCK_MONOTONIC_COARSE);
    clock_wall_ms = read_ms(CLOCK_REALTIME_COARSE);
}

/* What runs before the first turn sees a time too. */
static __attribute__((constructor)) void
clock_init(void)
{
    clock_update();
}

uint64_t
clock_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* One form of the current second. */
struct cached_text {
    time_t second; /* that it shows; -1 at first */
    size_t len;
    char mem[40];
};

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* Decimal, `digits` wide. */
static char *
put_number(char *to, int n, int digits)
{
    for (int i = digits; i-- > 0; n /= 10)
        to[i] = (char)('0' + n % 10);
    return to + digits;
}

static char *
put(char *to, const char *bytes, size_t n)
{
    memcpy(to, bytes, n);
    return to + n;
}

static char *
put_time(char *to, const struct tm *tm)
{
    to = put_number(to, tm->tm_hour, 2);
    *to++ = ':';
    to = put_number(to, tm->tm_min, 2);
    *to++ = ':';
    return put_number(to, tm->tm_sec, 2);
}

/* Year, month and day with a separator. */
static char *
put_date(char *to, const struct tm *tm, char separator)
{
    to = put_number(to, tm->tm_year + 1900, 4);
    *to++ = separator;
    to = put_number(to, tm->tm_mon + 1, 2);
    *to++ = separator;
    return put_number(to, tm->tm_mday, 2);
}

/* "+0100", or "+01:00" with a separator. */
static char *
put_zone(char *to, const struct tm *tm, bool colon)
{
    int minutes = (int)(tm->tm_gmtoff / 60);

    *to++ = minutes < 0 ? '-' : '+';
    if (minutes < 0)
        minutes = -minutes;
    to = put_number(to, minutes / 60, 2);
    if (colon)
        *to++ = ':';
    return put_number(to, minutes % 60, 2);
}

static char *
put_http_date(char *to, const struct tm *tm)
{
    to = put(to, days[tm->tm_wday], 3);
    to = put(to, ", ", 2);
    to = put_number(to, tm->tm_mday, 2);
    *to++ = ' ';
    to = put(to, months[tm->tm_mon], 3);
    *to++ = ' ';
    to = put_number(to, tm->tm_year + 1900, 4);
    *to++ = ' ';
    to = put_time(to, tm);
    return put(to, " GMT", 4);
}

static char *
put_log_time(char *to, const struct tm *tm)
{
    to = put_number(to, tm->tm_mday, 2);
    *to++ = '/';
    to = put(to, months[tm->tm_mon], 3);
    *to++ = '/';
    to = put_number(to, tm->tm_year + 1900, 4);
    *to++ = ':';
    to = put_time(to, tm);
    *to++ = ' ';
    return put_zone(to, tm, false);
}

static char *
put_error_time(char *to, const struct tm *tm)
{
    to = put_date(to, tm, '/');
    *to++ = ' ';
    return put_time(to, tm);
}

static char *
put_iso8601(char *to, const struct tm *tm)
{
    to = put_date(to, tm, '-');
    *to++ = 'T';
    to = put_time(to, tm);
    return put_zone(to, tm, true);
}

static inline struct str
cached(struct cached_text *c, bool utc, char *(*make)(char *, const struct tm *))
{
    time_t now = (time_t)(clock_wall_ms / 1000);

    if (UNLIKELY(c->second != now)) {
        struct tm tm;

        if (utc)
            gmtime_r(&now, &tm);
        else
            localtime_r(&now, &tm);
        c->len = (size_t)(make(c->mem, &tm) - c->mem);
        c->second = now;
    }
    return str_n(c->mem, c->len);
}

struct str
clock_http_date(void)
{
    static struct cached_text c = { .second = -1 };

    return cached(&c, true, put_http_date);
}

struct str
clock_log_time(void)
{
    static struct cached_text c = { .second = -1 };

    return cached(&c, false, put_log_time);
}

struct str
clock_error_time(void)
{
    static struct cached_text c = { .second = -1 };

    return cached(&c, false, put_error_time);
}

struct str
clock_iso8601(void)
{
    static struct cached_text c = { .second = -1 };

    return cached(&c, false, put_iso8601);
}
