/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grams.h - tells quickly that most patterns of a list cannot match a subject.
 *
 * A pattern needs some text in each subject that it matches: "\.(jpg|png)$" needs ".jpg" or ".png". All runs of three
 * bytes of the subject are put into a small set of bits once; a pattern whose text has a run that is not in it need not
 * be tried. Case does not count here, so the answer is the same for patterns that ignore it.
 */
#ifndef WEIR_HTTP_GRAMS_H
#define WEIR_HTTP_GRAMS_H

#include "common/base/vec.h"

enum { GRAMS_WORDS = 4, GRAMS_SUBJECT_MAX = 1024 /* bytes; longer ones have all runs */ };

/* A set of runs of three bytes, each by some bits of its hash. */
struct grams {
    uint64_t bits[GRAMS_WORDS];
};

/* What a subject has not. */
void grams_of_subject(struct str subject, struct grams *absent);
/*
 * Appends (to a vec of struct grams) one for each text of which a subject needs one. False, and nothing appended: no
 * text is needed, too many are, or the pattern has parts that are not understood here; also when memory is out.
 */
bool grams_of_pattern(struct str pattern, struct vec *needed);

/* Whether a subject that has not got these runs may have the text. */
static inline bool
grams_may_have(const struct grams *absent, const struct grams *needed)
{
    for (int i = 0; i < GRAMS_WORDS; i++)
        if ((needed->bits[i] & absent->bits[i]) != 0)
            return false;
    return true;
}

#endif
