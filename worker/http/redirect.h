/* SPDX-License-Identifier: BSD-2-Clause */
/* redirect.h - jumps between locations. Handlers return the result. At most 10 per request, then 500. */
#ifndef WEIR_HTTP_REDIRECT_H
#define WEIR_HTTP_REDIRECT_H

#include "worker/http/request.h"

/*
 * To a URI. With args.ptr NULL `uri` is text as a client would send it (X-Accel-Redirect): split at '?', decoded and
 * normalised here. Else it is a path as in $uri, of which only "." and ".." are resolved. PHASE_JUMP or an error's
 * result.
 */
enum phase_result redirect_internal(struct exchange *x, struct str uri, struct str args);
/* Resolves "." and ".." of a decoded path. False: it leads above the root, or memory. */
bool redirect_normalise(struct request *r, struct str *uri);
/* To location @name. */
enum phase_result redirect_named(struct exchange *x, struct str name);
/* A 3xx answer: Location made absolute as absolute_redirect, server_name_in_redirect, port_in_redirect say. */
enum phase_result redirect_external(struct request *r, int status, struct str location);
/* The response's Location. Control bytes, which a variable may bring, are percent-encoded there (RFC 3986, 2.1); nginx
 * differs: it sends them, ends of lines too. False: memory. */
bool redirect_set_location(struct request *r, struct str location);
/* The absolute form of a path for a Location field of this request. */
struct str redirect_absolute(struct request *r, struct str path);

#endif
