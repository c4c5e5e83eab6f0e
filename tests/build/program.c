/* program.c - what somebody else's program looks like to the build: it has only the installed
 * headers and library, and names the backend it got, or says why it got none. */
#include <hark/hark.h>
#include <stdio.h>

int main(void)
{
	char why[256];
	struct hark_reactor *r;
	struct hark_options options = {.why = why, .why_size = sizeof why};
	int error = hark_reactor_new(&r, &options);

	if (error) {
		fprintf(stderr, "error %d: %s\n", -error, why);
		return 1;
	}
	printf("%s\n", hark_reactor_backend(r));
	error = hark_reactor_run(r);
	hark_reactor_free(r);
	return error ? 1 : 0;
}
