#!/bin/sh
# subproject.sh - a project that has hark as a meson subproject builds and runs, finds it by
# dependency('hark') and by hark_dep, and gets the library without hark's tests and programs.

# shellcheck source=tests/build/common.sh
. "$(dirname "$0")/common.sh"

project=$dir/project
mkdir -p "$project/subprojects"
ln -s "$SOURCE" "$project/subprojects/hark"
cp "$SOURCE/tests/build/program.c" "$project/program.c"
cat >"$project/meson.build" <<'END'
project('user', 'c')
hark_dep = subproject('hark').get_variable('hark_dep')
executable('by-variable', 'program.c', dependencies: hark_dep)
executable('by-name', 'program.c', dependencies: dependency('hark'))
END

quietly "$MESON" setup "$dir/build" "$project" --werror
quietly "$MESON" compile -C "$dir/build"
for program in by-variable by-name; do
	"$dir/build/$program" >"$dir/out" || fail "$program does not run"
	echo "$program: runs on $(cat "$dir/out")"
done
[ ! -e "$dir/build/subprojects/hark/tests/conformance/conformance" ] ||
	fail "the subproject builds its tests unasked"
