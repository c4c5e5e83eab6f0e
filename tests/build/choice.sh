#!/bin/sh
# choice.sh - the compile-time set of backends: a library built with poll alone runs on poll and
# refuses another by name, with a reason; the default comes first; what cannot be built is refused
# with a reason, by meson.

# shellcheck source=tests/build/common.sh
. "$(dirname "$0")/common.sh"

# refused WORD OPTION...: meson setup fails, and says WORD.
refused() {
	word=$1
	shift
	if configure "$dir/refused" "$@" >"$dir/log" 2>&1; then
		fail "meson accepts $*"
	fi
	grep 'ERROR:' "$dir/log" | grep "$word" || {
		cat "$dir/log"
		fail "meson refuses $* without a reason"
	}
	rm -rf "$dir/refused"
}

# build NAME OPTION...: a program with a library of its own, $dir/NAME.
build() {
	name=$1
	shift
	quietly configure "$dir/$name.build" "$@"
	quietly "$MESON" compile -C "$dir/$name.build"
	# shellcheck disable=SC2086
	quietly $CC -o "$dir/$name" -I"$SOURCE/include" "$SOURCE/tests/build/program.c" \
		"$dir/$name.build/src/libhark.a" -pthread
}

unset HARK_BACKEND

build poll -Dbackends=poll -Dwaker=pipe
[ "$("$dir/poll")" = poll ] || fail "a library with poll alone does not run on poll"
if HARK_BACKEND=select "$dir/poll" >"$dir/out" 2>"$dir/err"; then
	fail "HARK_BACKEND=select runs on $(cat "$dir/out") in a library without select"
fi
cat "$dir/err"
grep -q select "$dir/err" || fail "the reason does not name what was asked for"
grep -q poll "$dir/err" || fail "the reason does not name what would work"

build default -Dbackends=select,poll -Ddefault_backend=select
[ "$("$dir/default")" = select ] || fail "-Ddefault_backend=select does not make select the default"

refused 'choices' -Dbackends=wishful
refused 'not among' -Dbackends=poll -Ddefault_backend=select
refused 'names no backend' -Dbackends=
case $(uname -s) in
Linux)
	# Where pkg-config finds nothing, there is no libkqueue and no liburing: what is left is
	# built, and the summary says so.
	(
		PKG_CONFIG_LIBDIR=$dir
		PKG_CONFIG_PATH=
		export PKG_CONFIG_LIBDIR PKG_CONFIG_PATH
		refused libkqueue -Dbackends=poll,kqueue
		refused liburing -Dbackends=poll,io_uring
		configure "$dir/without" >"$dir/log" 2>&1 || fail "meson refuses what is left"
		grep -q 'no io_uring.*liburing' "$dir/log" ||
			fail "the summary does not say why there is no io_uring"
	)
	;;
*)
	refused Linux -Dbackends=epoll
	refused eventfd -Dwaker=eventfd
	;;
esac
