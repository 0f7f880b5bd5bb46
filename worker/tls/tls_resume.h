/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_resume.h - sessions with origins, kept for the next connection. Inside this room; tls_serves is in tls.h. */
#ifndef WEIR_TLS_TLS_RESUME_H
#define WEIR_TLS_TLS_RESUME_H

#include "worker/tls/tls_conn.h"

/* Gives t its key. False: memory. */
bool tls_resume_set_up(struct tls *t, const struct tls_client *o);
/* Offers the session that is kept for t's key, if there is one. */
void tls_resume_offer(struct tls *t);
/* The server broke off because of it: none is kept for t's key for some time. */
void tls_resume_refused(struct tls *t);
/* For SSL_CTX_sess_set_new_cb. */
int tls_resume_on_session(SSL *ssl, SSL_SESSION *session);

#endif
