#!/bin/sh
# headers.sh INCLUDE_DIR HEADER... - every public header compiles by itself, as gnu90, as C11
# without extensions, and as C++, and twice in one file.
#
# CC and CXX name the compilers; without a CXX that works, C++ is left out and that is said.

set -eu

include=$1
shift
: "${CC:=cc}" "${CXX:=c++}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# try LANGUAGE COMPILER-AND-OPTIONS...: compiles the source on standard input.
try() {
	language=$1
	shift
	if ! "$@" -Wall -Wextra -Wundef -Werror -I"$include" -x "$language" -c -o "$dir/o" - \
		2>"$dir/err"; then
		echo "FAILED: $header: $*"
		cat "$dir/err"
		failed=1
	fi
}

cxx=yes
if ! echo 'int main() { return 0; }' | $CXX -x c++ -c -o "$dir/o" - 2>/dev/null; then
	echo "no C++ compiler ($CXX): C++ is left out"
	cxx=no
fi

for header; do
	printf '#include <%s>\n#include <%s>\nextern int unused;\n' "$header" "$header" >"$dir/source"
	# shellcheck disable=SC2086 # CC and CXX may carry options
	{
		try c $CC -std=gnu90 <"$dir/source"
		try c $CC -std=c11 -pedantic-errors -Wconversion <"$dir/source"
		[ $cxx = no ] || try c++ $CXX -std=c++11 -pedantic-errors <"$dir/source"
	}
	echo "$header"
done
exit $failed
