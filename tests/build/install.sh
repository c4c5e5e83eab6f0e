#!/bin/sh
# install.sh - a program built through pkg-config runs, once the library is installed in a private
# prefix; also with the static library.

# shellcheck source=tests/build/common.sh
. "$(dirname "$0")/common.sh"

prefix=$dir/prefix
quietly configure "$dir/build" --prefix="$prefix"
quietly "$MESON" install -C "$dir/build"

pc=$(find "$prefix" -name hark.pc)
[ -n "$pc" ] || fail "no hark.pc is installed"
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir hark)
cp "$SOURCE/tests/build/program.c" "$dir/program.c"

# shellcheck disable=SC2046,SC2086 # words are meant
quietly $CC -o "$dir/shared" "$dir/program.c" $(pkg-config --cflags --libs hark)
(library_path "$libdir" && "$dir/shared") >"$dir/out" || fail "the shared program does not run"
echo "shared: runs on $(cat "$dir/out")"

# Without the shared library at hand the linker takes the static one.
rm -f "$libdir"/libhark.so* "$libdir"/libhark*.dylib
# shellcheck disable=SC2046,SC2086
quietly $CC -o "$dir/static" "$dir/program.c" $(pkg-config --static --cflags --libs hark)
"$dir/static" >"$dir/out" || fail "the static program does not run"
echo "static: runs on $(cat "$dir/out")"

version=$(pkg-config --modversion hark)
grep -q "^#define HARK_VERSION \"$version\"\$" "$prefix/include/hark/base.h" ||
	fail "hark.pc says $version, hark/base.h something else"
