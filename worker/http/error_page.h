/* SPDX-License-Identifier: BSD-2-Clause */
/* error_page.h - what answers a status: error_page, or a built-in page. */
#ifndef WEIR_HTTP_ERROR_PAGE_H
#define WEIR_HTTP_ERROR_PAGE_H

#include "worker/http/request.h"

/*
 * http_exchange_kind.respond: answers `status` by the scope's error_page, else by the built-in page. 444 ends the
 * connection without an answer; 494 to 497 go out as 400. Fields that the response already has (Location,
 * WWW-Authenticate) are kept.
 */
enum phase_result error_page_respond(struct exchange *x, int status);
/* Whether an error_page of the scope would take this status (proxy_intercept_errors). */
bool error_page_matches(struct request *r, int status);

#endif
