#!/bin/sh
# macros.sh INCLUDE_DIR LIBRARY - a program that uses the macros of tasks compiles without a warning,
# as gnu90, C11 and C++, optimized and not, and does the same in each.
#
# CC and CXX name the compilers; gcc and clang are tried as well, where they are.

set -eu

include=$1
library=$2
source=$(dirname "$0")/macros.c
: "${CC:=cc}" "${CXX:=c++}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
warnings='-Wall -Wextra -Wshadow -Wconversion -Wimplicit-fallthrough -Wunreachable-code
-Wswitch-default -Wcast-align -Wundef -Werror'
failed=0
programs=0

# try LANGUAGE COMPILER STANDARD...: with a compiler that is there and works.
try() {
	language=$1
	compiler=$2
	shift 2
	# shellcheck disable=SC2086 # it may carry options
	if ! echo 'int main(void) { return 0; }' |
		$compiler -x "$language" -o "$dir/empty" - 2>"$dir/out"; then
		echo "left out: no $compiler for $language"
		return
	fi
	for optimized in -O0 -O2; do
		# shellcheck disable=SC2086
		if $compiler "$@" $optimized $warnings -I"$include" -x "$language" -o "$dir/program" \
			"$source" -x none "$library" "-Wl,-rpath,$(dirname "$library")" >"$dir/out" 2>&1 &&
			"$dir/program" >"$dir/out" 2>&1 &&
			[ "$(cat "$dir/out")" = "adder 3
adder 5" ]; then
			programs=$((programs + 1))
		else
			echo "FAILED: $compiler $* $optimized"
			cat "$dir/out"
			failed=1
		fi
	done
}

for compiler in "$CC" gcc clang; do
	try c "$compiler" -std=gnu90
	try c "$compiler" -std=c11 -pedantic-errors
done
for compiler in "$CXX" g++ clang++; do
	try c++ "$compiler" -std=c++11 -pedantic-errors
done
echo "$programs programs"
exit $failed
