/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * date.c - HTTP dates (RFC 9110, 5.6.7), both ways. No time zones, no locale, no C library.
 */
#include "worker/http/date.h"

static const char day_names[7][3] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
static const char month_names[12][3] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct civil {
    int64_t year;
    unsigned month, day; /* 1..12, 1..31 */
    unsigned hour, minute, second;
};

/*
 * Days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here, so that the leap day is the last
 * one: then the days before a month are (153 * m + 2) / 5.
 */
static int64_t
days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t m = month > 2 ? (int64_t)month - 3 : (int64_t)month + 9;
    int64_t of_year = (153 * m + 2) / 5 + (int64_t)day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void
civil_of_days(int64_t days, struct civil *c)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;

    c->day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
    c->month = (unsigned)(m < 10 ? m + 3 : m - 9);
    c->year = y + era * 400 + (c->month <= 2 ? 1 : 0);
}

static char *
put_two(char *to, unsigned n)
{
    to[0] = (char)('0' + n / 10 % 10);
    to[1] = (char)('0' + n % 10);
    return to + 2;
}

void
date_format(int64_t seconds, char to[DATE_LEN])
{
    const int64_t last = 253402300799; /* the year 9999 ends */
    int64_t days, rest;
    struct civil c;
    char *p = to;

    if (seconds < 0)
        seconds = 0;
    if (seconds > last)
        seconds = last;
    days = seconds / 86400;
    rest = seconds % 86400;
    civil_of_days(days, &c);

    memcpy(p, day_names[days % 7], 3);
    memcpy(p + 3, ", ", 2);
    p = put_two(p + 5, c.day);
    *p++ = ' ';
    memcpy(p, month_names[c.month - 1], 3);
    p[3] = ' ';
    p = put_two(p + 4, (unsigned)(c.year / 100));
    p = put_two(p, (unsigned)(c.year % 100));
    *p++ = ' ';
    p = put_two(p, (unsigned)(rest / 3600));
    *p++ = ':';
    p = put_two(p, (unsigned)(rest / 60 % 60));
    *p++ = ':';
    p = put_two(p, (unsigned)(rest % 60));
    memcpy(p, " GMT", 4);
}

struct str
date_text(int64_t seconds)
{
    enum { REMEMBERED = 64 };
    static struct {
        int64_t seconds;
        bool made;
        char text[DATE_LEN];
    } table[REMEMBERED];
    size_t at = (uint64_t)seconds % REMEMBERED;

    if (!table[at].made || table[at].seconds != seconds) {
        date_format(seconds, table[at].text);
        table[at].seconds = seconds;
        table[at].made = true;
    }
    return str_n(table[at].text, DATE_LEN);
}

/* ---- reading: each step takes its bytes off the front of *s ---- */

static bool
take(struct str *s, struct str text)
{
    if (!str_starts(*s, text))
        return false;
    *s = str_from(*s, text.len);
    return true;
}

static bool
take_number(struct str *s, unsigned digits, unsigned *n)
{
    if (s->len < digits)
        return false;
    *n = 0;
    for (unsigned i = 0; i < digits; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return false;
        *n = *n * 10 + (unsigned)(s->ptr[i] - '0');
    }
    *s = str_from(*s, digits);
    return true;
}

static bool
take_month(struct str *s, unsigned *month)
{
    for (unsigned i = 0; i < 12; i++) {
        if (take(s, str_n(month_names[i], 3))) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

static bool
take_time(struct str *s, struct civil *c)
{
    return take_number(s, 2, &c->hour) && take(s, S(":")) && take_number(s, 2, &c->minute) &&
           take(s, S(":")) && take_number(s, 2, &c->second);
}

/* "06 Nov 1994 08:49:37 GMT" behind the name of the day and ", ". */
static bool
take_fixdate(struct str *s, struct civil *c)
{
    unsigned year = 0;
    bool ok = take_number(s, 2, &c->day) && take(s, S(" ")) && take_month(s, &c->month) &&
              take(s, S(" ")) && take_number(s, 4, &year) && take(s, S(" ")) && take_time(s, c) &&
              take(s, S(" GMT"));

    c->year = year;
    return ok;
}

/* RFC 850: "06-Nov-94 08:49:37 GMT". Two digits mean 1970 to 2069. */
static bool
take_rfc850(struct str *s, struct civil *c)
{
    unsigned year = 0;
    bool ok = take_number(s, 2, &c->day) && take(s, S("-")) && take_month(s, &c->month) &&
              take(s, S("-")) && take_number(s, 2, &year) && take(s, S(" ")) && take_time(s, c) &&
              take(s, S(" GMT"));

    c->year = year < 70 ? 2000 + year : 1900 + year;
    return ok;
}

/* asctime: "Nov  6 08:49:37 1994" behind the name of the day and a space. */
static bool
take_asctime(struct str *s, struct civil *c)
{
    unsigned year = 0;
    bool ok = take_month(s, &c->month) && take(s, S(" ")) &&
              (take(s, S(" ")) ? take_number(s, 1, &c->day) : take_number(s, 2, &c->day)) &&
              take(s, S(" ")) && take_time(s, c) && take(s, S(" ")) && take_number(s, 4, &year);

    c->year = year;
    return ok;
}

static bool
civil_valid(const struct civil *c)
{
    static const unsigned days[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;

    return c->year >= 1970 && c->day >= 1 && c->day <= days[c->month - 1] &&
           (c->month != 2 || c->day < 29 || leap) && c->hour < 24 && c->minute < 60 &&
           c->second <= 60;
}

bool
date_parse(struct str text, int64_t *seconds)
{
    struct civil c = { .month = 1 };
    struct str s = text;
    size_t comma = str_find(s, ',');
    bool ok;

    /* the name of the day is not looked at: what counts is the date */
    if (comma < s.len) {
        s = str_from(s, comma + 1);
        ok = take(&s, S(" ")) && s.len > 2 &&
             (s.ptr[2] == '-' ? take_rfc850(&s, &c) : take_fixdate(&s, &c));
    } else {
        ok = s.len > 4 && s.ptr[3] == ' ';
        if (ok) {
            s = str_from(s, 4);
            ok = take_asctime(&s, &c);
        }
    }
    if (!ok || s.len != 0 || !civil_valid(&c))
        return false;
    *seconds = days_of(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
    return true;
}
