/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec.c - finds the codec of an accepted connection in the module table, so that this room includes none of them.
 */
#include "worker/http/codec.h"

#include "common/module.h"

const struct codec *
codec_find(struct str alpn)
{
    for (struct module *const *m = modules; *m != NULL; m++) {
        const struct codec *codec = (*m)->codec;

        if (codec != NULL &&
            (str_eq(codec->alpn, alpn) || (alpn.len == 0 && str_eq(codec->alpn, S("http/1.1")))))
            return codec;
    }
    return NULL;
}
