/* trace_file.h - where the lines of a trace go. */
#ifndef HARK_TRACE_FILE_H
#define HARK_TRACE_FILE_H

#include <hark/base.h>

struct hark__file {
	int fd;
	bool torn; /* the last line has no end */
};

/* Opens the file of that name, or what standard error is if it is NULL. Returns 0 or -errno. */
int hark__file_open(struct hark__file *file, const char *path);
void hark__file_close(struct hark__file *file);

/* Appends a line, in one write(2). Returns false if not all of it has been written; the caller
 * counts it as lost. Raises no signal. */
bool hark__file_append(struct hark__file *file, const char *line, size_t length);

#endif
