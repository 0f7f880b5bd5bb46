/* SPDX-License-Identifier: BSD-2-Clause */
/* vec.c - growing and shrinking arrays. */
#include "common/base/vec.h"

#include <stdlib.h>

void
vec_init(struct vec *v, struct arena *a, size_t size)
{
    *v = (struct vec){ .size = (uint32_t)size, .arena = a };
}

void
vec_init_one(struct vec *v, struct arena *a, size_t size)
{
    vec_init(v, a, size);
    v->data = arena_alloc(a, size);
    v->cap = v->data != NULL ? 1 : 0;
}

static bool
grow(struct vec *v)
{
    uint32_t cap = v->cap == 0 ? 8 : v->cap * 2;
    size_t bytes;
    void *data;

    if (cap < v->cap || __builtin_mul_overflow((size_t)cap, (size_t)v->size, &bytes))
        return false;
    if (v->arena == NULL) {
        data = realloc(v->data, bytes);
    } else {
        data = arena_alloc(v->arena, bytes);
        if (data != NULL && v->len > 0)
            memcpy(data, v->data, (size_t)v->len * v->size);
    }
    if (data == NULL)
        return false;
    v->data = data;
    v->cap = cap;
    return true;
}

void *
vec_push(struct vec *v)
{
    void *element;

    ASSERT(v->size != 0);
    if (v->len == v->cap && !grow(v))
        return NULL;
    element = (char *)v->data + (size_t)v->len * v->size;
    memset(element, 0, v->size);
    v->len++;
    return element;
}

void *
vec_push_size(struct vec *v, size_t size)
{
    if (v->size == 0)
        v->size = (uint32_t)size;
    ASSERT(v->size == size);
    return vec_push(v);
}

void
vec_free(struct vec *v)
{
    if (v->arena == NULL)
        free(v->data);
    vec_init(v, v->arena, v->size);
}

void
vec_remove(struct vec *v, uint32_t i)
{
    char *at;

    ASSERT(i < v->len);
    at = (char *)v->data + (size_t)i * v->size;
    memmove(at, at + v->size, (size_t)(v->len - i - 1) * v->size);
    v->len--;
}
