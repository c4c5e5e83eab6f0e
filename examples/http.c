/* http.c - URLs and answers; see http.h. */
#include "http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uriparser/Uri.h>

/* ---- URLs ---- */

static int length(const UriTextRangeA *range)
{
	return (int)(range->afterLast - range->first);
}

/* A part that is missing is empty as well. */
static bool is_empty(const UriTextRangeA *range)
{
	return range->first == range->afterLast;
}

/* Returns NULL, or what is wrong. */
static const char *take_apart(struct url *u, const UriUriA *uri)
{
	long port;

	if (length(&uri->scheme) != 4 || strncasecmp(uri->scheme.first, "http", 4) != 0)
		return "only http:// is spoken here";
	if (is_empty(&uri->hostText) || uri->hostData.ipFuture.first)
		return "there is no host to ask";
	if (uri->userInfo.first)
		return "users are not supported";
	port = is_empty(&uri->portText) ? 80 : strtol(uri->portText.first, NULL, 10);
	if (port < 1 || port > 65535)
		return "the port is not from 1 to 65535";
	(void)snprintf(u->port, sizeof(u->port), "%ld", port);
	u->host = strndup(uri->hostText.first, (size_t)length(&uri->hostText));
	return u->host ? NULL : "no memory";
}

static void write_request(const UriUriA *uri, FILE *to)
{
	bool v6 = uri->hostData.ip6;

	fputs("GET ", to);
	for (const UriPathSegmentA *s = uri->pathHead; s; s = s->next)
		fprintf(to, "/%.*s", length(&s->text), s->text.first);
	if (!uri->pathHead)
		fputc('/', to);
	if (uri->query.first)
		fprintf(to, "?%.*s", length(&uri->query), uri->query.first);
	fprintf(to, " HTTP/1.1\r\nHost: %s%.*s%s", v6 ? "[" : "", length(&uri->hostText),
	        uri->hostText.first, v6 ? "]" : "");
	if (!is_empty(&uri->portText))
		fprintf(to, ":%.*s", length(&uri->portText), uri->portText.first);
	fputs("\r\nUser-Agent: http-get\r\nConnection: close\r\n\r\n", to);
}

const char *url_parse(struct url *u, const char *text)
{
	const char *problem;
	UriUriA uri;
	FILE *request;

	*u = (struct url){.host = NULL};
	if (uriParseSingleUriA(&uri, text, NULL) != URI_SUCCESS)
		return "not a URL";
	problem = take_apart(u, &uri);
	request = problem ? NULL : open_memstream(&u->request, &u->request_size);
	if (request) {
		write_request(&uri, request);
		if (fclose(request) != 0)
			problem = "no memory";
	} else if (!problem) {
		problem = "no memory";
	}
	uriFreeUriMembersA(&uri);
	return problem;
}

void url_free(struct url *u)
{
	free(u->host);
	free(u->request);
}

/* ---- Responses ---- */

/* Appends to the string in `to` what has room there. */
static void append(char *to, size_t room, const char *data, size_t size)
{
	size_t used = strlen(to);

	(void)snprintf(to + used, room - used, "%.*s", (int)size, data);
}

static int on_message_begin(llhttp_t *parser)
{
	struct response *p = parser->data;

	p->reason[0] = p->location[0] = p->field[0] = '\0';
	return 0;
}

static int on_status(llhttp_t *parser, const char *data, size_t size)
{
	struct response *p = parser->data;

	append(p->reason, sizeof(p->reason), data, size);
	return 0;
}

static int on_header_field(llhttp_t *parser, const char *data, size_t size)
{
	struct response *p = parser->data;

	append(p->field, sizeof(p->field), data, size);
	return 0;
}

static int on_header_value(llhttp_t *parser, const char *data, size_t size)
{
	struct response *p = parser->data;

	if (strcasecmp(p->field, "Location") == 0)
		append(p->location, sizeof(p->location), data, size);
	return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct response *p = parser->data;

	p->field[0] = '\0';
	return 0;
}

static int on_body(llhttp_t *parser, const char *data, size_t size)
{
	struct response *p = parser->data;

	p->size += size;
	if (p->body)
		(void)fwrite(data, 1, size, p->body); /* its owner looks at ferror(3) */
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	struct response *p = parser->data;

	/* 100 Continue and its like come before the answer. */
	if (parser->status_code < 200)
		return 0;
	p->status = parser->status_code;
	p->complete = true;
	return HPE_PAUSED; /* whatever comes after it is not asked for */
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_message_begin,
	.on_status = on_status,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void response_init(struct response *p, FILE *body)
{
	*p = (struct response){.body = body};
	llhttp_init(&p->parser, HTTP_RESPONSE, &settings);
	p->parser.data = p;
}

const char *response_take(struct response *p, const char *data, size_t size)
{
	llhttp_errno_t error =
		size ? llhttp_execute(&p->parser, data, size) : llhttp_finish(&p->parser);

	if (p->complete || (size && error == HPE_OK))
		return NULL;
	if (!size)
		return "it ends too early";
	return llhttp_get_error_reason(&p->parser);
}
