# common.sh - what the tests of the build have in common; read with `.`
# shellcheck shell=sh
#
# They build the library again, as its users do, in a directory of their own. MESON, CC and SOURCE
# (the top of the source tree) come from the environment.
set -eu
: "${MESON:=meson}" "${CC:=cc}" "${SOURCE:?the top of the source tree}"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	echo "FAILED: $*"
	exit 1
}

# quietly COMMAND...: shows what it prints only when it fails.
quietly() {
	"$@" >"$dir/log" 2>&1 || {
		cat "$dir/log"
		fail "$*"
	}
}

# library_path DIRECTORY: lets programs find a shared library there.
library_path() {
	LD_LIBRARY_PATH=$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	DYLD_LIBRARY_PATH=$LD_LIBRARY_PATH
	export LD_LIBRARY_PATH DYLD_LIBRARY_PATH
}

# configure DIRECTORY OPTION...: a build directory for the library alone.
configure() {
	builddir=$1
	shift
	"$MESON" setup "$builddir" "$SOURCE" -Dauto_features=disabled "$@"
}
