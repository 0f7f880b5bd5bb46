/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin.h - one exchange with an origin: the attempt and its two halves. REQUEST_PATH.md 7.
 *
 * Protocol-neutral: a driver (proxy.c, later fastcgi.c, grpc.c ...) brings origin_stream_ops and its request head.
 */
#ifndef WEIR_PROXY_ORIGIN_H
#define WEIR_PROXY_ORIGIN_H

#include "worker/http/http_conf.h"
#include "worker/http/spool.h"
#include "worker/proxy/origin_stream.h"
#include "worker/upstream/upstream.h"

enum origin_state {
    ORIGIN_PICK,    /* no peer chosen; nothing allocated beyond the exchange */
    ORIGIN_CONNECT, /* peer counted as busy; conn may be half open */
    ORIGIN_ACTIVE,  /* connected; the send half and the receive half run side by side */
    ORIGIN_DONE,    /* conn is back in the idle pool or closed; peer released */
};
enum send_state {
    SEND_HEAD,
    SEND_BODY,
    SEND_SHUT
}; /* request half; pulls the request body's cursor */
enum recv_state {
    RECV_HEAD,
    RECV_BODY,
    RECV_TRAILERS,
    RECV_END
}; /* may overtake the request half from HEAD on */

/* The settings that all protocols share: origin_conf.def makes their rows, prefixed per protocol. */
struct origin_conf {
    uint64_t connect_timeout_ms, send_timeout_ms, read_timeout_ms;
    bool buffering, request_buffering, ignore_client_abort, intercept_errors, pass_request_headers,
        pass_request_body, socket_keepalive, force_ranges, allow_upstream;
    uint64_t buffer_size;     /* of the response head */
    struct conf_bufs buffers; /* number x size: the memory limit of the spool */
    uint64_t busy_buffers_size, max_temp_file_size, temp_file_write_size;
    struct temp_path temp_path;
    uint32_t next_upstream;            /* bits of enum upstream_failure */
    uint32_t next_upstream_tries;      /* 0: unlimited */
    uint64_t next_upstream_timeout_ms; /* 0: unlimited */
    struct vec hide, pass;             /* of struct str: hide_header, pass_header */
    uint32_t ignore_headers;           /* bits: X-Accel-*, Expires ... */
    struct template bind;              /* source address; "off" */
    bool bind_transparent;
    struct template limit_rate;
};

#endif
