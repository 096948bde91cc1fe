"""Toolchains of an ordinary person's home at work in a project: Rust by rustup, Python by pyenv, Gradle, bun.

As in `test_packages`: each row runs once outside and once under Interlock, and output, status and what lies in the
project afterwards are the same. Nothing is fetched while a row runs. What is not here is skipped: rustup and pyenv are
copied out of the home of whoever runs the tests, Gradle is the system's, bun comes from npm (INTERLOCK_LONG=1, it is
large). Conda and micromamba have no row: no registry of packages has them, and their channels were not reachable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workloads.test_packages import LAYER, LONG, PACKAGE, Homes, homes, javascript, tools

__all__ = ["homes", "tools"]

HOME = Path.home()
RUST = "here"  # what the toolchain is called in the homes
#: A program with a dependency beside it, whose build script writes a source.
CRATES = """
mkdir -p .rustup/toolchains .cargo/bin project/dep/src project/src && cd project
printf '[package]\\nname = "x"\\nversion = "0.1.0"\\nedition = "2021"\\n[dependencies]\\ndep = { path = "dep" }\\n' > Cargo.toml
printf '[package]\\nname = "dep"\\nversion = "0.1.0"\\nedition = "2021"\\nbuild = "build.rs"\\n' > dep/Cargo.toml
cat > dep/build.rs <<'END'
fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    std::fs::write(out.join("made.rs"), "pub const MADE: u32 = 42;").unwrap();
    println!("cargo:rerun-if-changed=build.rs");
}
END
echo 'include!(concat!(env!("OUT_DIR"), "/made.rs"));' > dep/src/lib.rs
printf 'fn main() { println!("{}", dep::MADE); }\\n#[test]\\nfn t() { assert_eq!(dep::MADE, 42); }\\n' > src/main.rs
"""
PYENV = """
/usr/bin/python3 -m venv --without-pip .pyenv/versions/3.11.9
echo 'def f(): return 42' > .pyenv/versions/3.11.9/lib/$(ls .pyenv/versions/3.11.9/lib)/site-packages/thing.py
.pyenv/bin/pyenv rehash
cd project && echo 'import thing; print(thing.f())' > main.py
"""
GRADLE = """
mkdir -p project/src/main/java && cd project
echo "apply plugin: 'java'" > build.gradle
echo 'rootProject.name = "x"' > settings.gradle
echo 'public class A { public static void main(String[] a) { System.out.println(42); } }' > src/main/java/A.java
"""


def test_bun_installs_runs_and_builds(homes: Homes, tools: Path) -> None:
    if not LONG:
        pytest.skip("bun is large: INTERLOCK_LONG=1")
    javascript(tools, "bun", "@oven/bun-linux-x64")
    homes.prepare(PACKAGE)
    # It looks into every folder above the project. The one above the home is a test's own.
    (homes.root / "layer.yaml").write_text(LAYER.format(tools=f'"{tools}/**", "{homes.root}"'))
    homes.compared(
        "bun add ./ships-1.0.0.tgz && rm -rf node_modules && bun install --frozen-lockfile && node_modules/.bin/ships "
        "&& echo 'console.log(6 * 7)' > main.ts && bun main.ts && bun build main.ts --outfile out.js && bun out.js && bunx --bun ships && bun pm ls"
    )


def _rust(homes: Homes, tools: Path) -> None:
    """The toolchain lies beside the homes, and is linked from there, as by `rustup toolchain link`."""
    rustup = HOME / ".cargo/bin/rustup"
    sysroot = _said("rustc", "--print", "sysroot")
    if not (rustup.exists() and sysroot):
        pytest.skip("there is no rustup here")
    place = tools / "rust"
    if not (place / "bin").exists():
        shutil.rmtree(place, ignore_errors=True)
        leave = shutil.ignore_patterns("doc", "man", "src", "rust-analyzer*", "clippy*", "cargo-clippy")
        shutil.copytree(sysroot, place, ignore=leave, symlinks=True, copy_function=_linked)
        subprocess.run(["find", place, "-type", "d", "-exec", "chmod", "a+rx", "{}", "+"], check=True)
    for side in ("outside", "inside"):
        home = homes.root / side
        (home / ".rustup/toolchains" / RUST).symlink_to(place)
        (home / ".rustup/settings.toml").write_text(f'version = "12"\ndefault_toolchain = "{RUST}"\nprofile = "minimal"\n')
        shutil.copy2(rustup, home / ".cargo/bin/rustup")
        for name in ("cargo", "rustc"):
            (home / ".cargo/bin" / name).symlink_to("rustup")
    homes.own()


def test_cargo_builds_a_crate_with_a_dependency_and_a_build_script(homes: Homes, tools: Path) -> None:
    homes.prepare(CRATES)
    _rust(homes, tools)
    homes.compared(
        "export PATH=$HOME/.cargo/bin:$PATH && cargo --version && cargo build -q --offline && cargo run -q && cargo test -q && touch dep/build.rs "
        "&& cargo build -q && target/debug/x && rustup toolchain list && cargo metadata --format-version 1 --offline > /dev/null && cargo clean -q"
    )


def test_pyenv_chooses_a_version_and_runs_it(homes: Homes) -> None:
    if not (HOME / ".pyenv/libexec/pyenv").exists():
        pytest.skip("there is no pyenv here")
    for side in ("outside", "inside"):
        for folder in ("bin", "libexec", "pyenv.d", "completions"):
            shutil.copytree(HOME / ".pyenv" / folder, homes.root / side / ".pyenv" / folder, symlinks=True)
    homes.own()
    homes.prepare(PYENV)
    homes.compared(
        "export PATH=$HOME/.pyenv/shims:$HOME/.pyenv/bin:$PATH && pyenv versions && pyenv local 3.11.9 && python main.py && python main.py "
        "&& pyenv which python && pyenv version && pyenv exec python -c 'import sys; print(sys.prefix)' && python -m venv --without-pip v && v/bin/python main.py 2>&1 | tail -1; rm -r v"
    )


def test_gradle_builds(homes: Homes) -> None:
    if not LONG or shutil.which("gradle") is None:
        pytest.skip("there is no Gradle here, or no time for it: INTERLOCK_LONG=1")
    homes.prepare(GRADLE)
    work = 'export GRADLE_OPTS="-Duser.home=$HOME -Dorg.gradle.daemon=false" && '
    work += "gradle --offline -q build >&2 && java -cp build/libs/x.jar A && gradle --offline -q tasks --all | head -5 && gradle --offline -q clean && rm -r .gradle"
    homes.compared(work, denied=True)  # the JVM looks for counters of others in /tmp, and goes on


def _linked(source: str, goal: str) -> None:
    """A toolchain is large."""
    try:
        os.link(source, goal)
    except OSError:
        shutil.copy2(source, goal)


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
