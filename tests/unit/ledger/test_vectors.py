"""spec/vectors/ledger*.jsonl: a small log and what is wrong with edits of it; canonical JSON, by the verifier and by the writer."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from interlock._native import Log
from interlock.ledger import verifier
from interlock.ledger.reader import entries

VECTORS = Path(__file__).resolve().parents[3] / "spec" / "vectors"


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


@pytest.mark.parametrize("vector", lines("ledger.jsonl"), ids=lambda vector: vector["name"])
def test_a_log_is_judged_as_expected(vector: dict) -> None:
    files = verifier.Held({name: base64.b64decode(data) for name, data in vector["files"].items()})
    auditor = serialization.load_pem_private_key(vector["auditor"].encode(), None)
    report = verifier.verify_log(files, verifier.public_key(vector["public"].encode()), auditor=auditor)
    if vector["expect"] == "verified":
        assert report.verified, report.findings
        assert report.mac.startswith("checked")
    else:
        assert any(vector["expect"] in finding.what for finding in report.findings), report.findings


@pytest.mark.parametrize("vector", lines("ledger-canonical.jsonl"), ids=lambda vector: vector["expect"])
def test_canonical_json_is_one_byte_string_for_both_sides(vector: dict, tmp_path: Path) -> None:
    assert verifier.canonical(json.loads(vector["json"])) == vector["expect"]
    tmp_path.chmod(0o700)
    log = Log.open(str(tmp_path / "log"), "sessions/log", str(tmp_path / "index"), str(tmp_path / "keys"))
    number = log.append(f'{{"type":"test","value":{vector["json"]}}}', "durable")
    raw = next(entry.raw for entry in entries(tmp_path / "log") if entry.number == number)
    assert raw.decode().endswith(f',"v":1,"value":{vector["expect"]}}}')
