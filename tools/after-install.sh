#!/bin/sh
# after-install.sh - run by `meson install`: lets the dynamic linker find the library.
#
# Linux's linker looks libraries up in a cache, even those in /usr/local. Packages install into
# DESTDIR and refresh the cache in their own way, and only root can.

if [ -z "${DESTDIR-}" ] && [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] &&
	command -v ldconfig >/dev/null; then
	ldconfig
fi
