/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ssi.h - server side includes: a page under way (ssi.c), what its commands do (ssi_command.c), the pages of one request
 * together.
 */
#ifndef WEIR_FILTER_SSI_H
#define WEIR_FILTER_SSI_H

#include "common/base/hash.h"
#include "common/base/regex.h"
#include "worker/filter/ssi_parse.h"
#include "worker/http/subrequest.h"
#include "worker/http/type_set.h"

struct module;
extern struct module ssi_module;

/* What all pages of a request share: in the root's memory. */
struct ssi_shared {
    struct hash vars;            /* of `set` and named captures: lower-case name -> struct str * */
    struct hash blocks;          /* name -> struct text *; the first one of a name counts */
    size_t blocks_size;          /* bytes in all blocks */
    struct text subject;         /* of the last match; what captures are cut out of */
    struct regex_match captures; /* n 0: none */
};

/* The state of an exchange. A root or a page has one, and an include whose answer may be replaced. */
struct ssi_state {
    struct ssi_shared *shared; /* of the root alone */
    struct str time_format;    /* empty: the default */
    const struct text
        *stub; /* of an include: what takes the place of an empty or failed answer; NULL: nothing */
    bool stub_given;
};

/* The condition that the page is in: `if` does not nest. */
enum ssi_condition { SSI_NO_CONDITION, SSI_IN_IF, SSI_IN_ELSE };

/* Why no further bytes are read for now. */
enum ssi_wait {
    SSI_NO_WAIT,
    SSI_WAIT_TURN,    /* the includes so far have to end first */
    SSI_WAIT_CAPTURE, /* an answer is on its way into a variable */
};

/* The module's settings of a scope. */
struct ssi_conf {
    bool on, silent_errors, last_modified;
    uint64_t value_length; /* bytes of a parameter's value */
    struct type_set types;
    bool *anywhere; /* `ssi on` stands somewhere in the configuration */
};

struct ssi_page {
    struct source source;
    const struct ssi_conf *conf;
    struct ssi_shared *shared;
    struct ssi_state *state;
    struct ssi_parser parser;
    struct join *join;
    struct batch in; /* what below returned */
    uint8_t in_at;   /* the piece at hand */
    enum pull after; /* what below said last */
    bool raw;        /* the body is passed on as it is: only its stub is parsed */
    bool brought;    /* bytes came from below */
    bool over;       /* nothing is read any more */
    bool stopped;
    bool failed; /* memory was out */
    /* Bytes that were copied or made, for the join; they go when it is empty. */
    struct buf *made, *made_last;
    size_t made_len;
    uint32_t includes; /* in the join */
    enum ssi_wait wait;
    enum ssi_condition condition;
    bool silent; /* the branch that is not taken: no output, no commands but those of conditions */
    bool chosen; /* a branch has been taken */
    struct text *block; /* that is being recorded; NULL: none */
    struct str error_text;
    struct str capture_into; /* SSI_WAIT_CAPTURE: name of the variable */
    struct text scratch[2];  /* values of a command */
};

/* ---- ssi.c ---- */

/* NULL: memory. */
struct ssi_state *ssi_state_of(struct exchange *x);
struct ssi_shared *ssi_shared_of(struct exchange *x);
/* Puts bytes into the page's output; a copy is made of them. */
void ssi_put(struct ssi_page *p, struct str bytes);
/* The message for an error, if there is to be one. */
void ssi_put_error(struct ssi_page *p);
/* Starts an include; the page goes on behind it. False: it could not be made (logged). */
bool ssi_include(struct ssi_page *p, struct str uri, const struct text *stub);
/* The same, its answer goes into a variable. */
bool ssi_include_into(struct ssi_page *p, struct str uri, struct str name);

/* ---- ssi_command.c ---- */

void ssi_command_run(struct ssi_page *p, const struct ssi_command *c);
/* Puts bytes into the block that is being recorded. */
void ssi_record(struct ssi_page *p, struct str bytes);
/* Sets a variable of the pages; both are copied. */
bool ssi_set(struct exchange *x, struct ssi_shared *shared, struct str name, struct str value);

#endif
