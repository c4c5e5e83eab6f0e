/* trace_file.c - trace_file.h. */
#include "wrappers/trace_file.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* A FIFO that nobody reads would keep open(2) waiting, and one that nobody empties write(2): lines
 * are lost instead. Standard error gets a descriptor of its own, because the program may close its
 * number and use it for something else; how it is shared with others is not to be changed. */
int hark__file_open(struct hark__file *file, const char *path)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	file->fd = path != NULL ? open(path, flags, 0666)
	                        : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return file->fd < 0 ? -errno : 0;
}

void hark__file_close(struct hark__file *file)
{
	close(file->fd);
}

static ssize_t write_once(int fd, const char *bytes, size_t length)
{
	ssize_t n;

	do
		n = write(fd, bytes, length);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Takes back the signal of a write that failed, unless it was there before. */
static void take_back(int number, const sigset_t *before)
{
	sigset_t set, pending;

	sigpending(&pending);
	if (!sigismember(&pending, number) || sigismember(before, number))
		return;
	sigemptyset(&set);
	sigaddset(&set, number);
	sigwait(&set, &number);
}

/* A pipe without a reader and a file that is as large as it may be each have a signal, which is for
 * the thread that writes. */
static ssize_t write_without_signal(int fd, const char *bytes, size_t length)
{
	sigset_t set, mask, before;
	ssize_t n;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &set, &mask);
	sigpending(&before);
	n = write_once(fd, bytes, length);
	if (n < 0 && errno == EPIPE)
		take_back(SIGPIPE, &before);
	else if (n < 0 && errno == EFBIG)
		take_back(SIGXFSZ, &before);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	return n;
}

static bool append(struct hark__file *file, const char *bytes, size_t length)
{
	ssize_t n = write_without_signal(file->fd, bytes, length);

	if (n > 0)
		file->torn = (size_t)n < length;
	return n == (ssize_t)length;
}

bool hark__file_append(struct hark__file *file, const char *line, size_t length)
{
	return (!file->torn || append(file, "\n", 1)) && append(file, line, length);
}
