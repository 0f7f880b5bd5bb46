/* SPDX-License-Identifier: BSD-2-Clause */
/* names.c - names of contexts and of foreign modules. */
#include "common/conf/names.h"

#include "common/conf/directive.h"

static const char *const context_names[SCOPE_KINDS] = {
    [SCOPE_MAIN] = "main",
    [SCOPE_EVENTS] = "events",
    [SCOPE_HTTP] = "http",
    [SCOPE_SERVER] = "server",
    [SCOPE_LOCATION] = "location",
    [SCOPE_IF_SERVER] = "if",
    [SCOPE_IF] = "if",
    [SCOPE_LIMIT_EXCEPT] = "limit_except",
    [SCOPE_UPSTREAM] = "upstream",
    [SCOPE_STREAM] = "stream",
    [SCOPE_STREAM_SERVER] = "server",
    [SCOPE_STREAM_UPSTREAM] = "upstream",
};

static bool
is_repeated(uint32_t contexts, int kind)
{
    for (int i = 0; i < kind; i++)
        if (contexts & 1u << i && strcmp(context_names[i], context_names[kind]) == 0)
            return true;
    return false;
}

void
names_contexts(struct text *t, uint32_t contexts, const char *between)
{
    bool first = true;

    for (int i = 0; i < SCOPE_KINDS; i++) {
        if (!(contexts & 1u << i) || is_repeated(contexts, i))
            continue;
        if (!first)
            text_add(t, str_c(between));
        text_add(t, str_c(context_names[i]));
        first = false;
    }
}

/* By beginning or by end; the first that fits. Names in full are those that need no longer match. */
static const struct foreign {
    const char *start, *end, *module;
} foreign[] = {
    { "", "_by_lua_block", "the Lua module (lua-nginx-module, OpenResty)" },
    { "", "_by_lua", "the Lua module (lua-nginx-module, OpenResty)" },
    { "", "_by_lua_file", "the Lua module (lua-nginx-module, OpenResty)" },
    { "lua_", "", "the Lua module (lua-nginx-module, OpenResty)" },
    { "js_", "", "njs (ngx_http_js_module, ngx_stream_js_module)" },
    { "perl", "", "nginx's perl module (ngx_http_perl_module)" },
    { "passenger_", "", "Phusion Passenger" },
    { "pagespeed", "", "PageSpeed (ngx_pagespeed)" },
    { "modsecurity", "", "ModSecurity (ModSecurity-nginx)" },
    { "vhost_traffic_status", "", "nginx-module-vts" },
    { "stream_server_traffic_status", "", "nginx-module-sts" },
    { "more_set_", "", "headers-more (ngx_headers_more)" },
    { "more_clear_", "", "headers-more (ngx_headers_more)" },
    { "echo", "", "the echo module (echo-nginx-module)" },
    { "rtmp", "", "nginx-rtmp-module" },
    { "push_stream", "", "the push stream module" },
    { "nchan_", "", "Nchan" },
    { "upload_", "", "the upload module (nginx-upload-module)" },
    { "geoip2", "", "ngx_http_geoip2_module" },
    { "geoip_", "", "nginx's GeoIP module" },
    { "image_filter", "", "nginx's image filter module" },
    { "xslt_", "", "nginx's XSLT module" },
    { "xml_entities", "", "nginx's XSLT module" },
    { "auth_ldap", "", "nginx-auth-ldap" },
    { "auth_pam", "", "ngx_http_auth_pam_module" },
    { "auth_gss", "", "spnego-http-auth-nginx-module" },
    { "auth_oidc", "", "NGINX Plus (OpenID Connect)" },
    { "oidc_provider", "", "NGINX Plus (OpenID Connect)" },
    { "naxsi", "", "Naxsi" },
    { "opentracing", "", "nginx-opentracing" },
    { "otel_", "", "nginx's OpenTelemetry module (ngx_otel_module)" },
    { "acme_", "", "nginx's ACME module (ngx_http_acme_module)" },
    { "redis_", "", "a Redis module" },
    { "redis2_", "", "redis2-nginx-module" },
    { "srcache_", "", "srcache-nginx-module" },
    { "set_encode_", "", "set-misc-nginx-module" },
    { "set_escape_", "", "set-misc-nginx-module" },
    { "vod", "", "nginx-vod-module" },
    { "hls", "", "NGINX Plus (HLS)" },
    { "f4f", "", "NGINX Plus (F4F)" },
    { "session_log", "", "NGINX Plus (session log)" },
    { "zone_sync", "", "NGINX Plus (zone synchronization)" },
    { "mgmt", "", "NGINX Plus (licence and usage reporting)" },
    { "app_protect", "", "F5 WAF for NGINX (App Protect)" },
    { "zstd", "", "the zstd module (zstd-nginx-module)" },
    { "mail", "", "nginx's mail proxy" },
    { "imap_", "", "nginx's mail proxy" },
    { "pop3_", "", "nginx's mail proxy" },
    { "smtp_", "", "nginx's mail proxy" },
    { "auth_http", "", "nginx's mail proxy" },
    { "google_perftools", "", "nginx's Google perftools module" },
};

const char *
names_foreign(struct str directive)
{
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (str_starts(directive, str_c(foreign[i].start)) &&
            str_ends(directive, str_c(foreign[i].end)))
            return foreign[i].module;
    return NULL;
}
