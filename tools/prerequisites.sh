#!/usr/bin/env bash
# Names what the build needs and this machine lacks, then the commands that install it on this distribution. Changes nothing.
# Usage: tools/prerequisites.sh [PYTHON]. INTERLOCK_SYSTEM_ROOT names a folder to look at in place of `/`: for its tests.
set -u
python=${1:-python3}
oldest_rust=1.85.0
root=${INTERLOCK_SYSTEM_ROOT:-}
# A distribution that is derived from another names what it is made from.
IFS='|' read -r id like version codename < <(
    unset ID ID_LIKE VERSION_ID VERSION_CODENAME DEBIAN_CODENAME UBUNTU_CODENAME
    . "$root/etc/os-release" 2>/dev/null
    printf '%s|%s|%s|%s\n' "${ID:-}" "${ID_LIKE:-}" "${VERSION_ID:-}" "${UBUNTU_CODENAME:-${DEBIAN_CODENAME:-${VERSION_CODENAME:-}}}"
)
sudo=$([ "$(id -u)" = 0 ] || printf 'sudo ')
install="${sudo}apt-get update && ${sudo}apt-get install"
compiler="gcc libc6-dev" python3=python3 venv=python3-venv cargo=cargo rust_at=
case "$id:$version:$codename" in
    fedora:*) install="${sudo}dnf install" compiler="gcc glibc-devel" venv=python3 ;;
    rhel:9* | centos:9* | almalinux:9* | rocky:9*)
        install="${sudo}dnf install" compiler="gcc glibc-devel" python3=python3.12 venv=python3.12
        ;;
    rhel:* | centos:* | almalinux:* | rocky:*) install="${sudo}dnf install" compiler="gcc glibc-devel" venv=python3 ;;
    *:bookworm) cargo=cargo-web ;; # the Rust that Debian 12 renews for its browsers; its `cargo` is of 2022
    *:jammy) python3=python3.11 venv=python3.11-venv cargo=cargo-1.89 rust_at=/usr/lib/rust-1.89/bin ;;
    *:noble) cargo=cargo-1.89 rust_at=/usr/lib/rust-1.89/bin ;;
    *) case "$id $like" in *debian*) ;; *) install= ;; esac ;;
esac

packages=() # what is missing, in the distribution's words
commands=() # what to run after those are installed
missing=0
need() { # what, why, its packages
    printf 'missing: %s (%s)\n' "$1" "$2" >&2
    missing=1
    case " ${packages[*]} " in *" $3 "*) ;; *) [ -z "$3" ] || packages+=("$3") ;; esac
}
recent() { # whether the cargo named is new enough
    printf '%s\n%s\n' "$oldest_rust" "$("$1" --version 2>/dev/null | awk '{print $2}')" | sort -CV
}
rust() { # what is there already, under another name or through rustup, comes before what would be installed
    local why="the engine and the supervisor are Rust; \`cargo\` is not on the PATH" at folder
    if at=$(command -v cargo); then
        recent cargo && return
        why="found $(cargo --version 2>/dev/null || printf 'a cargo that does not run')"
    fi
    if command -v rustup >/dev/null 2>&1; then
        need "Rust 1.85 or newer" "$why" ""
        commands+=("rustup update stable && rustup default stable")
        return
    fi
    for folder in "$root"/usr/lib/rust-*/bin; do
        [ -x "$folder/cargo" ] && recent "$folder/cargo" || continue
        need "Rust 1.85 or newer" "it is in $folder, which is not on the PATH" ""
        commands+=("export PATH=$folder:\$PATH")
        return
    done
    if [ -z "$install" ] || [ "$at $cargo" = "$root/usr/bin/cargo cargo" ]; then
        need "Rust 1.85 or newer" "$why" ""
        commands+=("curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs | sh    # rustup, where the distribution has no such Rust; then a new shell")
        return
    fi
    need "Rust 1.85 or newer" "$why" "$cargo"
    [ -z "$rust_at" ] || commands+=("export PATH=$rust_at:\$PATH")
}

if [ "$(uname -s)" != Linux ]; then
    need "Linux" "the host plane is built on Landlock and seccomp: run Interlock inside a Linux machine, kernel 6.12 or newer" ""
fi
[ "$(uname -m)" = x86_64 ] || need "an x86_64 machine" "the system-call table is written for it: docs/limits.md" ""
command -v make >/dev/null 2>&1 || need "make" "every task is one of its targets" "make"
command -v cc >/dev/null 2>&1 || need "a C compiler" "it links the Rust parts and builds the demo's C program" "$compiler"
command -v git >/dev/null 2>&1 || need "git" "the demo's agent works in a repository" "git"
if ! command -v "$python" >/dev/null 2>&1; then
    need "Python 3.11 or newer" "\`$python\` is not on the PATH" "$python3"
    [ "$venv" = "$python3" ] || packages+=("$venv")
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    need "Python 3.11 or newer" "found $("$python" --version 2>&1)" "$python3"
    [ "$venv" = "$python3" ] || packages+=("$venv")
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    need "Python's venv module" "the build lives in .venv" "$venv"
fi
rust
[ "$missing" = 1 ] || exit 0

if [ -z "$install" ] && [ "${#packages[@]}" -gt 0 ]; then
    printf 'this distribution is not one that this script knows: install the above with its own package manager\n' >&2
elif [ "${#packages[@]}" -gt 0 ]; then
    commands=("$install ${packages[*]}" "${commands[@]}")
fi
[ "${#commands[@]}" = 0 ] || printf 'install it with:\n' >&2
for command in "${commands[@]}"; do printf '  %s\n' "$command" >&2; done
exit 1
