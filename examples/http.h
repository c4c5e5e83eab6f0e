/* http.h - what http-get leaves to libraries: uriparser takes URLs apart, and llhttp answers. */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <llhttp.h>
#include <stdbool.h>
#include <stdio.h>

struct url {
	char *host; /* a name or a number */
	char port[6];
	char *request; /* that asks for it */
	size_t request_size;
};

/* Takes text apart. Returns NULL, or what is wrong with it. */
const char *url_parse(struct url *u, const char *text);
void url_free(struct url *u);

struct response {
	bool complete;
	int status;          /* 404 */
	char reason[64];     /* "Not Found" */
	char location[1024]; /* where a redirection leads to */
	uint64_t size;       /* of the body, as far as it has come */

	/* Private. */
	llhttp_t parser;
	FILE *body;
	char field[16];
};

/* The body will be written to `body`, unless that is NULL. *p must stay where it is. */
void response_init(struct response *p, FILE *body);

/* Takes the next bytes of the connection, or with size 0 its end. Returns NULL, or what is wrong.
 */
const char *response_take(struct response *p, const char *data, size_t size);

#endif
