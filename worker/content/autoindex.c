/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * autoindex.c - "/dir/" without an index file is answered with a list of what is in the directory.
 *
 * Names come from whoever may write there, so each format escapes them in its own way: in HTML and XML text characters
 * of markup become references and control bytes '?'; XML and JSON stay well-formed with names that are no UTF-8.
 *
 * Directives: autoindex, autoindex_exact_size, autoindex_format, autoindex_localtime.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/escape.h"
#include "worker/http/body.h"
#include "worker/http/date.h"
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"

enum autoindex_format { FORMAT_HTML, FORMAT_XML, FORMAT_JSON, FORMAT_JSONP };

enum {
    NAME_COLUMNS = 50,  /* of the HTML list; what is longer is cut */
    CALLBACK_MAX = 128, /* characters of the function's name */
};

struct autoindex_conf {
    bool on, exact_size, local_time;
    uint32_t format; /* enum autoindex_format */
};

/* One line of the list. */
struct entry {
    struct str name;
    struct stat st; /* of what a link points to, of the link itself when that is nothing */
};

extern struct module autoindex_module;

/* ---- reading the directory ---- */

static enum phase_result
dir_failed(struct request *r, struct str path, int error)
{
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG) {
        if (HTTP_CONF(r)->log_not_found)
            xlog(&r->x, LOG_LEVEL_ERROR, error, "opendir() \"%.*s\" failed", STR(path));
        return phase_respond(&r->x, 404);
    }
    if (error == EACCES) {
        xlog(&r->x, LOG_LEVEL_ERROR, error, "opendir() \"%.*s\" failed", STR(path));
        return phase_respond(&r->x, 403);
    }
    xlog(&r->x, LOG_LEVEL_CRIT, error, "opendir() \"%.*s\" failed", STR(path));
    return phase_respond(&r->x, 500);
}

/* False: there is nothing to show of it. */
static bool
entry_look(struct request *r, int dir, const char *name, struct stat *st)
{
    if (fstatat(dir, name, st, 0) == 0)
        return true;
    if (errno == ENOENT || errno == ELOOP) /* a link to nothing, or gone meanwhile */
        return fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0;
    xlog(&r->x, errno == EACCES ? LOG_LEVEL_ERROR : LOG_LEVEL_CRIT, errno, "stat() \"%s\" failed",
         name);
    return false;
}

static int
entry_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    bool x_dir = S_ISDIR(x->st.st_mode), y_dir = S_ISDIR(y->st.st_mode);

    if (x_dir != y_dir)
        return x_dir ? -1 : 1;
    return strcmp(x->name.ptr, y->name.ptr);
}

/* errno; 0: all that is not hidden is in `entries`. */
static int
dir_read(struct request *r, DIR *dir, struct vec *entries)
{
    struct dirent *d;

    while (errno = 0, (d = readdir(dir)) != NULL) {
        struct entry e, *to;

        if (d->d_name[0] == '.' || !entry_look(r, dirfd(dir), d->d_name, &e.st))
            continue;
        e.name = arena_str(request_arena(r), str_c(d->d_name));
        to = e.name.ptr != NULL ? VEC_PUSH(entries, struct entry) : NULL;
        if (to == NULL)
            return ENOMEM;
        *to = e;
    }
    if (errno != 0)
        return errno;
    if (entries->len > 1)
        qsort(entries->data, entries->len, sizeof(struct entry), entry_order);
    return 0;
}

/* ---- text of markup ---- */

static void
markup_char(struct text *t, char c)
{
    switch (c) {
    case '&':
        TEXT_LIT(t, "&amp;");
        break;
    case '<':
        TEXT_LIT(t, "&lt;");
        break;
    case '>':
        TEXT_LIT(t, "&gt;");
        break;
    case '"':
        TEXT_LIT(t, "&quot;");
        break;
    default:
        text_char(t, (unsigned char)c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static bool
is_utf8(struct str s)
{
    while (s.len > 0) {
        size_t n = utf8_len(s);

        if (n == 0)
            return false;
        s = str_from(s, n);
    }
    return true;
}

/* At most `max` characters of s (bytes when it is no UTF-8); how many there were. */
static size_t
markup_text(struct text *t, struct str s, size_t max)
{
    bool utf8 = is_utf8(s);
    size_t chars = 0;

    for (; s.len > 0 && chars < max; chars++) {
        size_t n = utf8 ? utf8_len(s) : 1;

        if (n == 1)
            markup_char(t, s.ptr[0]);
        else
            text_bytes(t, s.ptr, n);
        s = str_from(s, n);
    }
    return chars;
}

static size_t
text_columns(struct str s)
{
    size_t columns = 0;

    if (!is_utf8(s))
        return s.len;
    for (; s.len > 0; columns++)
        s = str_from(s, utf8_len(s));
    return columns;
}

/* ---- HTML ---- */

static void
html_name(struct text *t, struct str name, bool is_dir)
{
    size_t columns = text_columns(name);

    if (columns > NAME_COLUMNS) {
        markup_text(t, name, NAME_COLUMNS - 3);
        TEXT_LIT(t, "..&gt;</a>");
        columns = NAME_COLUMNS;
    } else {
        markup_text(t, name, NAME_COLUMNS);
        if (is_dir && columns < NAME_COLUMNS) {
            text_char(t, '/');
            columns++;
        }
        TEXT_LIT(t, "</a>");
    }
    text_fmt(t, "%*s", (int)(NAME_COLUMNS - columns + 1), "");
}

/* Rounded, in a unit that keeps it short. */
static void
html_rough_size(struct text *t, uint64_t size)
{
    static const struct {
        uint64_t above, unit;
        char sign;
    } units[] = {
        { (1 << 30) - 1, 1 << 30, 'G' },
        { (1 << 20) - 1, 1 << 20, 'M' },
        { 9999, 1 << 10, 'K' },
    };

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t unit = units[i].unit;

        if (size > units[i].above) {
            text_fmt(t, " %6llu%c", (unsigned long long)(size / unit + (size % unit >= unit / 2)),
                     units[i].sign);
            return;
        }
    }
    text_fmt(t, " %7llu", (unsigned long long)size);
}

static void
html_entry(struct text *t, const struct entry *e, const struct autoindex_conf *c)
{
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    bool is_dir = S_ISDIR(e->st.st_mode);
    struct tm tm = { .tm_mday = 1 };

    TEXT_LIT(t, "<a href=\"");
    escape_uri(t, e->name, ESCAPE_URI_COMPONENT);
    text_add(t, is_dir ? S("/\">") : S("\">"));
    html_name(t, e->name, is_dir);
    if (c->local_time)
        localtime_r(&e->st.st_mtime, &tm);
    else
        gmtime_r(&e->st.st_mtime, &tm);
    text_fmt(t, "%02d-%s-%d %02d:%02d", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
             tm.tm_hour, tm.tm_min);
    if (is_dir)
        text_fmt(t, " %*s", c->exact_size ? 19 : 7, "-");
    else if (c->exact_size)
        text_fmt(t, " %19llu", (unsigned long long)e->st.st_size);
    else
        html_rough_size(t, (uint64_t)e->st.st_size);
    TEXT_LIT(t, "\r\n");
}

static void
html_list(struct text *t, struct request *r, const struct vec *entries,
          const struct autoindex_conf *c)
{
    TEXT_LIT(t, "<html>\r\n<head><title>Index of ");
    markup_text(t, r->uri, SIZE_MAX);
    TEXT_LIT(t, "</title></head>\r\n<body>\r\n<h1>Index of ");
    markup_text(t, r->uri, SIZE_MAX);
    TEXT_LIT(t, "</h1><hr><pre><a href=\"../\">../</a>\r\n");
    VEC_FOREACH (e, struct entry, entries)
        html_entry(t, e, c);
    TEXT_LIT(t, "</pre><hr></body>\r\n</html>\r\n");
}

/* ---- XML and JSON ---- */

static struct str
entry_type(const struct entry *e)
{
    if (S_ISDIR(e->st.st_mode))
        return S("directory");
    return S_ISREG(e->st.st_mode) ? S("file") : S("other");
}

/* What is no character of XML 1.0 would make the whole list unreadable. */
static void
xml_name(struct text *t, struct str s)
{
    while (s.len > 0) {
        size_t n = utf8_len(s);

        if (n == 0)
            TEXT_LIT(t, "\xef\xbf\xbd"); /* U+FFFD */
        else if (n == 3 && (unsigned char)s.ptr[0] == 0xef && (unsigned char)s.ptr[1] == 0xbf &&
                 (unsigned char)s.ptr[2] >= 0xbe) /* U+FFFE, U+FFFF */
            TEXT_LIT(t, "\xef\xbf\xbd");
        else if (n > 1)
            text_bytes(t, s.ptr, n);
        else if (s.ptr[0] == '\t' || s.ptr[0] == '\n' || s.ptr[0] == '\r')
            text_fmt(t, "&#%d;", s.ptr[0]);
        else
            markup_char(t, s.ptr[0]);
        s = str_from(s, n == 0 ? 1 : n);
    }
}

static void
xml_list(struct text *t, const struct vec *entries)
{
    TEXT_LIT(t, "<?xml version=\"1.0\"?>\r\n<list>\r\n");
    VEC_FOREACH (e, struct entry, entries) {
        struct str type = entry_type(e);
        struct tm tm = { .tm_mday = 1 };

        gmtime_r(&e->st.st_mtime, &tm);
        text_fmt(t, "<%.*s mtime=\"%4d-%02d-%02dT%02d:%02d:%02dZ\"", STR(type), tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        if (S_ISREG(e->st.st_mode))
            text_fmt(t, " size=\"%llu\"", (unsigned long long)e->st.st_size);
        text_char(t, '>');
        xml_name(t, e->name);
        text_fmt(t, "</%.*s>\r\n", STR(type));
    }
    TEXT_LIT(t, "</list>\r\n");
}

/* With a callback as a call of it, in JavaScript. */
static void
json_list(struct text *t, const struct vec *entries, struct str callback)
{
    if (callback.len > 0)
        text_fmt(t, "/* callback */\r\n%.*s(", STR(callback));
    text_char(t, '[');
    VEC_FOREACH (e, struct entry, entries) {
        struct str type = entry_type(e);
        char date[DATE_LEN];

        date_format(e->st.st_mtime, date);
        text_add(t, e == entries->data ? S("\r\n{ \"name\":\"") : S(",\r\n{ \"name\":\""));
        escape_json(t, e->name);
        text_fmt(t, "\", \"type\":\"%.*s\", \"mtime\":\"%.*s\"", STR(type), DATE_LEN, date);
        if (S_ISREG(e->st.st_mode))
            text_fmt(t, ", \"size\":%llu", (unsigned long long)e->st.st_size);
        TEXT_LIT(t, " }");
    }
    TEXT_LIT(t, "\r\n]");
    if (callback.len > 0)
        TEXT_LIT(t, ");");
}

/* Whether it can be written into a script as it is. */
static bool
callback_is_safe(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.'))
            return false;
    }
    return name.len <= CALLBACK_MAX;
}

/* ---- content ---- */

static enum phase_result
list_send(struct request *r, const struct vec *entries, const struct autoindex_conf *c,
          struct str callback)
{
    struct response *res = &r->res;
    struct text t;

    text_init(&t, request_arena(r));
    switch ((enum autoindex_format)c->format) {
    case FORMAT_HTML:
        html_list(&t, r, entries, c);
        res->content_type = S("text/html");
        break;
    case FORMAT_XML:
        xml_list(&t, entries);
        res->content_type = S("text/xml");
        res->charset = S("utf-8");
        break;
    case FORMAT_JSON:
    case FORMAT_JSONP:
        json_list(&t, entries, callback);
        res->content_type = callback.len > 0 ? S("application/javascript") : S("application/json");
        break;
    }
    res->body = t.failed ? NULL : body_mem(&r->x, text_str(&t));
    if (res->body == NULL)
        return phase_respond(&r->x, 500);
    request_body_discard(r);
    res->status = 200;
    return response_start(r);
}

static enum phase_result
autoindex_content(struct exchange *x)
{
    struct request *r = request_of(x);
    const struct autoindex_conf *c = scope_conf(x->scope, &autoindex_module);
    struct str path, callback = STR_NONE;
    struct vec entries;
    DIR *dir;
    int error;

    if (r->uri.len == 0 || r->uri.ptr[r->uri.len - 1] != '/' ||
        (r->method & (METHOD_GET | METHOD_HEAD)) == 0)
        return PHASE_NEXT;
    if (c->format == FORMAT_JSONP) {
        callback = request_arg(r, S("callback"));
        if (!callback_is_safe(callback)) {
            xlog(x, LOG_LEVEL_INFO, 0, "client sent invalid callback name: \"%.*s\"",
                 STR(callback));
            return phase_respond(x, 400);
        }
    }
    path = http_file_path(r);
    if (path.ptr == NULL)
        return phase_respond(x, (int)path.len);
    dir = opendir(path.ptr);
    if (dir == NULL)
        return dir_failed(r, path, errno);
    vec_init(&entries, request_arena(r), sizeof(struct entry));
    error = dir_read(r, dir, &entries);
    closedir(dir);
    if (error != 0) {
        xlog(x, LOG_LEVEL_CRIT, error, "readdir() \"%.*s\" failed", STR(path));
        return phase_respond(x, 500);
    }
    return list_send(r, &entries, c, callback);
}

static bool
autoindex_wanted(const struct scope *s)
{
    return ((const struct autoindex_conf *)scope_conf(s, &autoindex_module))->on;
}

#define AUTOINDEX_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct conf_name format_names[] = {
    { "html", FORMAT_HTML },   { "xml", FORMAT_XML }, { "json", FORMAT_JSON },
    { "jsonp", FORMAT_JSONP }, { NULL, 0 },
};

static const struct directive autoindex_directives[] = {
    D_FLAG("autoindex", AUTOINDEX_CTX, struct autoindex_conf, on, DEFAULT(off)),
    D_FLAG("autoindex_exact_size", AUTOINDEX_CTX, struct autoindex_conf, exact_size, DEFAULT(on)),
    D_ENUM("autoindex_format", AUTOINDEX_CTX, struct autoindex_conf, format, format_names,
           DEFAULT(html)),
    D_FLAG("autoindex_localtime", AUTOINDEX_CTX, struct autoindex_conf, local_time, DEFAULT(off)),
    D_END,
};

static const struct phase_entry autoindex_phases[] = {
    { .phase = HTTP_CONTENT,
      .run = autoindex_content,
      .wanted = autoindex_wanted,
      .order = ORDER_AUTOINDEX },
    { 0 },
};

struct module autoindex_module = {
    .name = "autoindex",
    .conf_size = sizeof(struct autoindex_conf),
    .directives = autoindex_directives,
    .phases = autoindex_phases,
};
