/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ssi_parse.h - finds the commands of server side includes, <!--# name parameter="value" -->, in a text that comes in
 * parts. Pure: no I/O.
 */
#ifndef WEIR_FILTER_SSI_PARSE_H
#define WEIR_FILTER_SSI_PARSE_H

#include "common/base/text.h"

enum {
    SSI_PARAMS_MAX = 16,
    SSI_COMMAND_MAX = 64 * 1024, /* bytes from "<!--#" on; what does not end within them is text */
};

struct ssi_param {
    struct str name, value; /* between the quotes, backslashes included */
};

/* A command. Its bytes are valid until the next call. */
struct ssi_command {
    struct str raw; /* "<!--#" to "-->" */
    struct str name;
    uint32_t n;
    struct ssi_param params[SSI_PARAMS_MAX];
    const char *problem; /* NULL: well-formed; else what is wrong, for the log */
};

enum ssi_event {
    SSI_MORE,    /* the bytes are used up */
    SSI_TEXT,    /* text to be passed on */
    SSI_COMMAND, /* a command is complete */
    SSI_FAILED,  /* memory is out */
};

enum ssi_place {
    SSI_IN_TEXT,
    SSI_BEFORE_NAME,
    SSI_IN_NAME,
    SSI_BEFORE_PARAM, /* between parameters */
    SSI_IN_PARAM,
    SSI_AFTER_PARAM, /* before '=' */
    SSI_BEFORE_VALUE,
    SSI_IN_VALUE,
    SSI_AFTER_BACKSLASH,
    SSI_AFTER_VALUE,
    SSI_AT_DASH,  /* "-" of "-->" */
    SSI_AT_DASH2, /* "--" */
    SSI_BROKEN,   /* only "-->" is looked for */
};

struct ssi_parser {
    enum ssi_place place;
    uint64_t value_max; /* bytes of a value */
    uint8_t matched;    /* bytes of "<!--#" at the end of the text so far */
    char quote;
    struct text raw; /* of the command, for as long as it may still turn out to be text */
    uint32_t start;  /* in raw: of the name or value under way */
    struct {
        uint32_t name, name_len, value, value_len; /* in raw */
    } at[SSI_PARAMS_MAX];
    uint32_t name, name_len; /* of the command */
    uint32_t n;
    const char *problem;
};

void ssi_parser_init(struct ssi_parser *p, uint64_t value_max);
void ssi_parser_free(struct ssi_parser *p);
/*
 * Reads from *in, which moves on. Text is a part of *in where it can be; else it is valid until the next call. No text is
 * empty.
 */
enum ssi_event ssi_parse(struct ssi_parser *p, struct str *in, struct str *text,
                         struct ssi_command *command);
/* There are no more bytes: SSI_TEXT when some were held back, then SSI_MORE. */
enum ssi_event ssi_parse_end(struct ssi_parser *p, struct str *text);

/* What stands between a parameter's quotes, without the backslashes in front of \ ' " and $. */
void ssi_unescape(struct text *to, struct str value);

#endif
