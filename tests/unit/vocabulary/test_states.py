"""States of enforcement are read and written as `spec/vectors/enforcement.jsonl` says, which Rust runs as well."""

import json
from pathlib import Path

import pytest

from interlock.vocabulary.enforcement import read, written

VECTORS = (Path(__file__).resolve().parents[3] / "spec/vectors/enforcement.jsonl").read_text().splitlines()


@pytest.mark.parametrize("line", VECTORS)
def test_vector(line):
    vector = json.loads(line)
    if vector["valid"]:
        assert written(read(vector["value"])) == vector["value"]
    else:
        with pytest.raises(ValueError, match="not a state"):
            read(vector["value"])
