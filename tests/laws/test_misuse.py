"""What must not compile in the supervisor does not, and for the right reason: each file in `misuse/` is compiled as a module of the crate itself,
where everything stands open to it that stands open to a colleague.

A line that ends in `//~ CODE NAME` must give that error, about that name, and no other line may give any. The same file without the misuse
(`--cfg misuse`) must compile: so it is the misuse that is refused, and not a name that has changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CRATE = ROOT / "crates" / "interlock-linux"
CASES = sorted((Path(__file__).parent / "misuse").glob("*.rs"))
#: A field that is not to be named there.
PRIVATE = "E0451"
EXPECTED = re.compile(r"//~ (?P<code>E\d{4}) (?P<name>\w+)$")

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo on the PATH, as the build does")


OLDEST: str = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]


def installed(version: str) -> bool:
    """Whether rustup has this toolchain."""
    if shutil.which("rustup") is None:
        return False
    listed = subprocess.run(["rustup", "toolchain", "list"], capture_output=True, text=True, check=False).stdout
    return any(line.startswith(f"{version}.") for line in listed.splitlines())


@pytest.fixture(scope="module", params=["here", "oldest"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The Rust that builds here, and the oldest that may: each refuses the same."""
    if request.param == "here":
        return dict(os.environ)
    if not installed(OLDEST):
        pytest.skip(f"needs the toolchain {OLDEST}.0 of rustup beside the one that builds here")
    kept = {name: value for name, value in os.environ.items() if name not in ("RUSTC", "CARGO")}
    return {**kept, "RUSTUP_TOOLCHAIN": f"{OLDEST}.0", "CARGO_TARGET_DIR": str(ROOT / "target" / "oldest")}


@pytest.fixture(scope="module")
def externs(environment: dict[str, str]) -> list[str]:
    """What the crate is compiled against: what `make setup` has built, or the same by the oldest Rust."""
    # Only signatures are compiled against. The oldest Rust makes no more than these; here the whole build stands ready.
    made = ["check"] if "RUSTUP_TOOLCHAIN" in environment and environment.get("CARGO_TARGET_DIR", "").endswith("oldest") else ["build", "--release"]
    build = ["cargo", *made, "--quiet", "--locked", "--package", "interlock-linux", "--lib", "--message-format", "json"]
    told = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    built = {
        message["target"]["name"].replace("-", "_"): Path(message["filenames"][0])
        for message in map(json.loads, told.splitlines())
        if message["reason"] == "compiler-artifact" and "custom-build" not in message["target"]["kind"]
    }
    wanted = [name.replace("-", "_") for name in tomllib.loads((CRATE / "Cargo.toml").read_text())["dependencies"]]
    folders = {str(path.parent) for path in built.values()}
    return [*(f"--extern={name}={built[name]}" for name in wanted), *(f"-Ldependency={folder}" for folder in folders)]


def errors(tmp_path: Path, environment: dict[str, str], externs: list[str], cases: list[Path], *options: str) -> list[dict[str, Any]]:
    """Compiles the crate with `cases` as modules of it."""
    sources = tmp_path / "src"
    shutil.copytree(CRATE / "src", sources)
    modules = (f'#[allow(dead_code)]\n#[path = "{case}"]\nmod misuse_{case.stem};\n' for case in cases)
    (sources / "lib.rs").write_text((sources / "lib.rs").read_text() + "".join(modules))
    command = [environment.get("RUSTC", "rustc"), "--edition=2024", "--crate-type=lib", "--crate-name=interlock_linux", "--emit=metadata", "--error-format=json"]
    command += ["--check-cfg=cfg(misuse)", f"--out-dir={tmp_path}", *externs, *options, str(sources / "lib.rs")]
    versioned = {**environment, "CARGO_PKG_VERSION": "0.0.0"}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=versioned, check=False)
    found = [message for message in map(json.loads, result.stderr.splitlines()) if message["level"] == "error"]
    # The last one only counts the others.
    found = [message for message in found if message["code"] is not None or message["spans"]]
    assert bool(found) == (result.returncode != 0), result.stderr
    return found


def where(message: dict[str, Any]) -> tuple[str, int, str]:
    span = next(span for span in message["spans"] if span["is_primary"])
    return Path(span["file_name"]).name, span["line_start"], (message["code"] or {}).get("code", "")


def words(message: dict[str, Any]) -> str:
    """What the compiler says, without the source that it quotes."""
    parts = [message, *message["children"]]
    labels = [span["label"] or "" for part in parts for span in part["spans"]]
    return "\n".join([*(part["message"] for part in parts), *labels])


def expected(case: Path) -> dict[tuple[str, int, str], str]:
    """The name that each error of a case must be about."""
    lines = ((number, EXPECTED.search(line)) for number, line in enumerate(case.read_text().splitlines(), start=1))
    found = {(case.name, number, said["code"]): said["name"] for number, said in lines if said}
    assert found, f"{case.name} expects nothing"
    return found


@pytest.mark.parametrize("private", [False, True], ids=["types and moves", "privacy"])
def test_misuse_is_refused_for_what_it_is(tmp_path: Path, environment: dict[str, str], externs: list[str], private: bool) -> None:
    """The cases of a kind in one crate: an error that keeps the compiler from telling another one is missed here. Privacy it looks at last."""
    cases = [case for case in CASES if any(code == PRIVATE for _, _, code in expected(case)) == private]
    wanted = {place: name for case in cases for place, name in expected(case).items()}
    found = {where(message): message for message in errors(tmp_path, environment, externs, cases, "--cfg=misuse")}
    assert wanted
    assert set(found) == set(wanted), [message["rendered"] for message in found.values()]
    for place, name in wanted.items():
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`", words(found[place])), found[place]["rendered"]


def test_the_same_without_the_misuse_compiles(tmp_path: Path, environment: dict[str, str], externs: list[str]) -> None:
    assert not [message["rendered"] for message in errors(tmp_path, environment, externs, CASES)]
