/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vec.h - growable array of equal elements, in an arena or on the heap.
 *
 * A zeroed struct vec is an empty one without an arena: `size` is set by the first push.
 */
#ifndef WEIR_BASE_VEC_H
#define WEIR_BASE_VEC_H

#include "common/base/arena.h"

struct vec {
    void *data;
    uint32_t len, cap;
    uint32_t size;       /* bytes of an element */
    struct arena *arena; /* NULL: heap, vec_free gives it back */
};

void vec_init(struct vec *v, struct arena *a, size_t size);
/* An array that mostly gets one element: what thousands of servers have. */
void vec_init_one(struct vec *v, struct arena *a, size_t size);
/* Room for one more element, zeroed; NULL when memory is out (the vec is unchanged). Moves earlier elements. */
void *vec_push(struct vec *v);
/* The same for a vec whose first push says the size of an element. */
void *vec_push_size(struct vec *v, size_t size);
void vec_free(struct vec *v);
/* Removes element i, the later ones move down. */
void vec_remove(struct vec *v, uint32_t i);
#define VEC_PUSH(v, type)  ((type *)vec_push_size((v), sizeof(type)))
#define VEC_AT(v, type, i) (&((type *)(v)->data)[i])
/* for each: `it` is a type * */
/* (type may be a pointer; an empty vec has no data, and adding even zero to NULL is undefined.) */
#define VEC_FOREACH(it, type, v)                                                           \
    for (__typeof__(type) *it = (v)->data, *it##_end = (v)->len == 0 ? it : it + (v)->len; \
         it != it##_end; it++)

#endif
