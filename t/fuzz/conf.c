/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf.c - fuzz target for the configuration loader: words, tree, include, application, messages.
 *
 * A NUL byte parts the input into files: the main file, "a", "b/1", "b/2". Nothing is read from disk.
 */
#include "t/unit/common/conf/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = { "/w/w.conf", "/w/a", "/w/b/1", "/w/b/2" };
    struct str rest = str_n((const char *)data, size), text;
    struct fake_load f;

    fake_start(&f);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (!str_split(&rest, '\0', &text))
            text = S("");
        fake_text(&f, paths[i], text);
    }
    fake_run(&f);
    if (f.config != NULL) {
        struct text t;

        text_init(&t, &f.arena);
        config_dump(f.config, &t);
        ASSERT(!t.failed);
    } else {
        ASSERT(fake_messages(&f).len > 0);
    }
    fake_end(&f);
    return 0;
}
