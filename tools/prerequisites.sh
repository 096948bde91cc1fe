#!/usr/bin/env bash
# Names what the build needs and this machine lacks, each with the command that installs it. Changes nothing.
set -u
python=${1:-python3}
missing=0
need() { # what, why, command
    printf 'missing: %s (%s)\n  install it with: %s\n' "$1" "$2" "$3" >&2
    missing=1
}
[ "$(uname -s)" = Linux ] || need "Linux" "the host plane is built on Landlock and seccomp" "run Interlock inside a Linux machine, kernel 6.12 or newer"
[ "$(uname -m)" = x86_64 ] || need "an x86_64 machine" "the system-call table is written for it" "no command; see docs/limits.md"
command -v cc >/dev/null 2>&1 || need "a C compiler" "it links the Rust parts and builds the demo's C program" "apt-get install gcc libc6-dev   (dnf install gcc glibc-devel)"
command -v git >/dev/null 2>&1 || need "git" "the demo's agent works in a repository" "apt-get install git   (dnf install git)"
if command -v "$python" >/dev/null 2>&1; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || need "Python 3.11 or newer" "found $("$python" --version 2>&1)" "apt-get install python3.11 python3.11-venv, then: make PYTHON=python3.11 …"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need "Python's venv module" "the build lives in .venv" "apt-get install python3-venv"
else
    need "Python 3.11 or newer" "\`$python\` is not on the PATH" "apt-get install python3 python3-venv"
fi
if command -v cargo >/dev/null 2>&1; then
    have=$(cargo --version 2>/dev/null | awk '{print $2}')
    printf '%s\n%s\n' 1.85.0 "$have" | sort -CV || need "Rust 1.85 or newer" "found ${have:-none that runs}" "rustup update stable"
else
    need "a Rust toolchain (cargo)" "the engine and the supervisor are Rust" "apt-get install rustup && rustup default stable"
fi
[ "$missing" = 0 ] || exit 1
