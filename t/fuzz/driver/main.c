/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - runs one fuzz target over its corpus without a fuzzer, so that every input that ever mattered is a test.
 *
 * Prints TAP, one line per file of FUZZ_CORPUS (files named as arguments instead, to look at a single one).
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target gets a copy of exactly the file's size, so that a sanitizer sees a byte too many. */
static void
run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(f);
    data = malloc(size > 0 ? (size_t)size : 1);
    if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
        perror(path);
        exit(1);
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

static int
is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int
main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int n = 0;
    int count = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(120); /* a target that hangs fails */
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    printf("ok %d - empty input\n", ++count);
    for (int i = 1; i < argc; i++) {
        run_file(argv[i]);
        printf("ok %d - %s\n", ++count, argv[i]);
    }
    if (argc == 1)
        n = scandir(FUZZ_CORPUS, &entries, is_file, alphasort);
    for (int i = 0; i < n; i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s", FUZZ_CORPUS, entries[i]->d_name);
        run_file(path);
        printf("ok %d - %s\n", ++count, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    printf("1..%d\n", count);
    return 0;
}
