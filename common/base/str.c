/* SPDX-License-Identifier: BSD-2-Clause */
/* str.c - comparing, searching and splitting counted strings. */
#include "common/base/str.h"

#include "common/base/word.h"

bool
str_eq_nocase(struct str a, struct str b)
{
    size_t i = 0;

    if (a.len != b.len)
        return false;
    for (; i + 8 <= a.len; i += 8)
        if (word_lower(word_load(a.ptr + i)) != word_lower(word_load(b.ptr + i)))
            return false;
    for (; i < a.len; i++)
        if (char_lower(a.ptr[i]) != char_lower(b.ptr[i]))
            return false;
    return true;
}

int
str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool
str_starts_nocase(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq_nocase(str_upto(s, prefix.len), prefix);
}

bool
str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_from(s, s.len - suffix.len), suffix);
}

size_t
str_find(struct str s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);

    return at == NULL ? s.len : (size_t)(at - s.ptr);
}

size_t
str_rfind(struct str s, char c)
{
    size_t i = s.len;

    while (i > 0)
        if (s.ptr[--i] == c)
            return i;
    return s.len;
}

size_t
str_search(struct str s, struct str needle)
{
    const char *at;

    if (needle.len == 0)
        return 0;
    if (needle.len > s.len)
        return s.len;
    at = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return at == NULL ? s.len : (size_t)(at - s.ptr);
}

struct str
str_trim(struct str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = str_from(s, 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool
str_split(struct str *rest, char sep, struct str *piece)
{
    size_t at;

    if (rest->ptr == NULL)
        return false;
    at = str_find(*rest, sep);
    *piece = str_upto(*rest, at);
    *rest = at < rest->len ? str_from(*rest, at + 1) : STR_NONE;
    return true;
}

bool
str_to_c(struct str s, char *to, size_t size)
{
    size_t n = s.len;

    if (size == 0)
        return false;
    if (n > size - 1)
        n = size - 1;
    if (n > 0)
        memcpy(to, s.ptr, n);
    to[n] = '\0';
    return n == s.len;
}

enum { DISTANCE_MAX_LEN = 64 };

unsigned
str_typo_limit(struct str name)
{
    return name.len < 6 ? 1 : name.len < 9 ? 2 : 3;
}

unsigned
str_distance(struct str a, struct str b, unsigned limit)
{
    unsigned row[DISTANCE_MAX_LEN + 1]; /* edits from a's first i bytes to b's first j, by j */
    size_t longer = a.len > b.len ? a.len : b.len;
    size_t shorter = a.len < b.len ? a.len : b.len;

    if (longer > DISTANCE_MAX_LEN || longer - shorter > limit)
        return limit + 1;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0], best;

        best = row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned replace = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            unsigned insert = row[j - 1] + 1;
            unsigned delete = row[j] + 1;

            diagonal = row[j];
            row[j] = insert < delete ? insert : delete;
            if (replace < row[j])
                row[j] = replace;
            if (row[j] < best)
                best = row[j];
        }
        if (best > limit)
            return limit + 1;
    }
    return row[b.len] > limit ? limit + 1 : row[b.len];
}
