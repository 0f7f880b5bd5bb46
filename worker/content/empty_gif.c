/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * empty_gif.c - answers with a transparent picture of one pixel.
 *
 * The smallest module: a directive that makes a function the content handler of its scope, and that function.
 *
 * Directive: empty_gif.
 */
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"

static const char gif[43] = "GIF89a\x01\0\x01\0"           /* 1 x 1 */
                            "\x80\x01\0\0\0\0\xff\xff\xff" /* two colours: black, white */
                            "!\xf9\x04\x01\0\0\x01\0"      /* the second one is transparent */
                            ",\0\0\0\0\x01\0\x01\0\0"      /* one picture of one pixel */
                            "\x02\x02L\x01\0;";

enum { GIF_LAST_MODIFIED = 23349600 }; /* Mon, 28 Sep 1970 06:00:00 GMT, as nginx says */

static enum phase_result
empty_gif_content(struct exchange *x)
{
    struct request *r = request_of(x);

    if ((r->method & (METHOD_GET | METHOD_HEAD)) == 0)
        return phase_respond(x, 405);

    request_body_discard(r);
    r->res.last_modified = GIF_LAST_MODIFIED;
    return response_send(r, 200, S("image/gif"), str_n(gif, sizeof(gif)));
}

static bool
empty_gif_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    (void)d, (void)n, (void)conf;
    return http_set_content(l, empty_gif_content);
}

static const struct directive empty_gif_directives[] = {
    D_CALL("empty_gif", CTX_LOC, ARGS(0, 0), empty_gif_set), D_END
};

struct module empty_gif_module = {
    .name = "empty_gif",
    .directives = empty_gif_directives,
};
