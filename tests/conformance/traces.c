/* traces.c - traces.h. */
#include "traces.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMPLATE "/tmp/hark-trace-XXXXXX"

char trace_path[] = TEMPLATE;

void trace_new_file(void)
{
	int fd;

	memcpy(trace_path, TEMPLATE, sizeof TEMPLATE);
	fd = mkstemp(trace_path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

char *trace_text(const char *name)
{
	static char text[1 << 20];
	int fd = open(name, O_RDONLY);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, text, sizeof text - 1);
	ck_assert(n >= 0 && n < (ssize_t)sizeof text - 1);
	text[n] = '\0';
	close(fd);
	return text;
}

char *trace_next_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!*line)
		return NULL;
	ck_assert_msg(end, "a line without an end: '%s'", line);
	*end = '\0';
	*text = end + 1;
	return line;
}
