/* deny.c - deny.h. */
#include "deny.h"

#include <check.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define LOAD(member) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, member))
#define PASS_UNLESS(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped)
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)

static void install(struct sock_filter *filter, size_t count)
{
	struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

void deny(long number, int error)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		PASS_UNLESS((uint32_t)number, 1),
		ANSWER(SECCOMP_RET_ERRNO | (uint32_t)error),
		ANSWER(SECCOMP_RET_ALLOW),
	};

	install(filter, sizeof filter / sizeof filter[0]);
}

/* The lower half of an argument, which is 64 bits wide. */
void deny_if(long number, unsigned argument, uint32_t value, int error)
{
	const uint32_t half = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
	struct sock_filter filter[] = {
		LOAD(nr),
		PASS_UNLESS((uint32_t)number, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                 (uint32_t)offsetof(struct seccomp_data, args) + 8 * argument + half),
		PASS_UNLESS(value, 1),
		ANSWER(SECCOMP_RET_ERRNO | (uint32_t)error),
		ANSWER(SECCOMP_RET_ALLOW),
	};

	install(filter, sizeof filter / sizeof filter[0]);
}
