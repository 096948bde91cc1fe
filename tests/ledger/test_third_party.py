"""Somebody else's code looks at an exported log: Go's sumdb `note` and `tlog` for C2SP, openssl for the keys."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from interlock.ledger.bundle import export
from tests.ledger.conftest import CLOSED, Ledger, decided

SOURCE = Path(__file__).parent / "c2sp"


@pytest.fixture(scope="session")
def client(tmp_path_factory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("no Go toolchain: the C2SP client of golang.org/x/mod cannot be built (apt-get install golang-go)")
    target = tmp_path_factory.mktemp("c2sp") / "client"
    built = subprocess.run(["go", "build", "-o", str(target), "."], cwd=SOURCE, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"golang.org/x/mod cannot be fetched or built here: {built.stderr.strip()[-300:]}")
    return target


@pytest.fixture
def bundle(ledger: Ledger, tmp_path: Path) -> Path:
    log = ledger.open("s-1")
    for number in range(700):
        log.append(decided(number), "routine")
    log.close(CLOSED)
    export(ledger.path("s-1"), ledger.keys / "ledger.ed25519.pub", tmp_path / "bundle")
    return tmp_path / "bundle"


def look(client: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(client), str(bundle / "c2sp")], capture_output=True, text=True)


def test_a_c2sp_client_verifies_checkpoint_tiles_entries_and_every_inclusion(client: Path, bundle: Path) -> None:
    seen = look(client, bundle)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.split()[1] == "702"


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000", "tile/0/002.p/190", "tile/1/000.p/2", "tile/entries/001", "vkey"])
def test_it_refuses_a_flipped_byte(client: Path, bundle: Path, name: str) -> None:
    path = bundle / "c2sp" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert look(client, bundle).returncode != 0


def test_openssl_reads_the_keys(ledger: Ledger) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program")
    ledger.open("s-1").close(CLOSED)
    for name, words in (("ledger.ed25519", []), ("auditor.x25519", []), ("ledger.ed25519.pub", ["-pubin"])):
        seen = subprocess.run(["openssl", "pkey", "-in", str(ledger.keys / name), *words, "-noout", "-text"], capture_output=True, text=True)
        assert seen.returncode == 0, seen.stderr
        assert "519" in seen.stdout
