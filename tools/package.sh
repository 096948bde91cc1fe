#!/usr/bin/env bash
# Builds what others install: the source distribution, then, from it and from nothing else, one wheel for every Python
# from 3.11 on. The wheel's platform tag is the one that `auditwheel` finds the native module and the supervisor to keep.
# Usage: tools/package.sh PYTHON FOLDER [option of `python -m build`…]; PYTHON has `build`, `auditwheel` and `wheel`.
set -euo pipefail
python=$(realpath --no-symlinks "$1")
mkdir -p "$2"
out=$(realpath "$2")
options=("${@:3}")
cd "$(dirname "$0")/.."
# One place and one target folder for every build, so that cargo compiles again only what has changed.
work=$PWD/build/package
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p build
# Two builds at once would have the same place.
exec 9>build/package.lock
flock 9
rm -rf "$work"
mkdir -p "$work/source" "$work/wheel"
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
quietly "$python" -m build "${options[@]}" --sdist --outdir "$work" .
tar -xzf "$work"/*.tar.gz -C "$work/source" --strip-components=1
quietly "$python" -m build "${options[@]}" --wheel --outdir "$work/wheel" "$work/source"
# Nothing needs to be repaired, since both binaries use libraries of the system only: what is missing is the name.
quietly "$python" -m auditwheel show "$work"/wheel/*.whl
platform=$(tr '\n' ' ' <"$work/log" | sed -nE 's/.*platform tag: *"(manylinux_[0-9]+_[0-9]+_[a-z0-9_]+)".*/\1/p')
[ -n "$platform" ] || { cat "$work/log" >&2; exit 1; }
quietly "$python" -m wheel tags --remove --platform-tag "$platform" "$work"/wheel/*.whl
mv "$work"/*.tar.gz "$work"/wheel/*.whl "$out"
