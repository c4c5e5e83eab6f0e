#!/bin/sh
# symbols.sh LIBRARY HEADER... - the shared library exports what the headers declare with HARK_API,
# all of it and nothing else.

set -eu

library=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# On macOS each symbol has an underscore before it.
case $(uname -s) in
Darwin) nm -gU "$library" | sed 's/ _/ /' ;;
*) nm -D --defined-only "$library" ;;
esac | awk '$2 ~ /^[A-Z]$/ { print $3 }' | sort >"$dir/exported"

sed -n '/^HARK_API /s/^[^(]*[ *]\(hark_[a-z0-9_]*\)(.*/\1/p' "$@" | sort >"$dir/declared"

if ! [ -s "$dir/declared" ]; then
	echo "no declaration found in the headers"
	exit 1
fi
if ! diff "$dir/declared" "$dir/exported"; then
	echo "< declared in a header and not exported; > exported and in no header"
	exit 1
fi
echo "$(wc -l <"$dir/exported") symbols, all declared"
