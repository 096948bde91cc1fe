"""`interlock ledger` as a person and a script use it, on sessions that truly ran."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest


@pytest.fixture
def ran(cli):
    """One session: a denial, two changes that were allowed."""
    done = cli("run", "--", "sh", "-c", "echo x > .mcp.json; echo y > made; mv made moved; exit 3")
    assert done.returncode == 3, done.stderr
    return cli


def lines(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def segment_of(cli) -> Path:
    [session] = (cli.home / "state" / "ledger" / "sessions").iterdir()
    return session / "segment-00000000"


def test_denials_of_the_last_session_come_one_object_a_line(ran):
    found = lines(ran("ledger", "query", "--session", "last", "--decision", "deny", "--json"))
    assert [(one["verb"], one["decision"], one["rules"]) for one in found] == [
        ("file.create", "deny", ["coding-agent/runs-later"])
    ]
    assert ".mcp.json" in json.dumps(found[0]["target"])
    assert found[0]["time"].endswith("Z")


def test_query_narrows_by_verb_rule_and_time(ran):
    verbs = {one["verb"] for one in lines(ran("ledger", "query", "--verb", "file.*", "--json"))}
    assert {"file.create", "file.rename"} <= verbs
    assert all(verb.startswith("file.") for verb in verbs)
    assert lines(ran("ledger", "query", "--rule", "runs-later", "--since", "1h", "--json"))
    assert lines(ran("ledger", "query", "--since", "2099-01-01T00:00:00Z", "--json")) == []
    wrong = ran("ledger", "query", "--since", "soon")
    assert (wrong.returncode, "`soon`" in wrong.stderr, "15m" in wrong.stderr) == (120, True, True)


def test_tail_ends_with_the_sessions_end_and_show_gives_one_record_whole(ran):
    last = lines(ran("ledger", "tail", "-n", "1", "--json"))
    assert [one["type"] for one in last] == ["session.closed"]
    whole = json.loads(ran("ledger", "show", "last", str(last[0]["record"]), "--json").stdout)
    assert (whole["type"], whole["status"]["code"]) == ("session.closed", 3)
    none = ran("ledger", "show", "last", "99999")
    assert (none.returncode, "99999" in none.stderr) == (120, True)


def test_verify_finds_nothing_and_then_one_flipped_bit(ran):
    sound = ran("ledger", "verify")
    assert (sound.returncode, sound.stdout.splitlines()[-1].endswith("verified")) == (0, True), sound.stdout
    segment = segment_of(ran)
    data = bytearray(segment.read_bytes())
    for at in (30, len(data) // 2, len(data) - 5):
        data[at] ^= 1
        segment.write_bytes(bytes(data))
        found = ran("ledger", "verify")
        assert found.returncode == 125, f"byte {at}: {found.stdout}"
        assert "NOT VERIFIED" in found.stdout
        assert "byte " in found.stdout, "the place is named"
        assert ran("ledger", "verify", "--integrity").returncode == 125
        machine = json.loads(ran("ledger", "verify", "--json").stdout)
        assert machine["verified"] is False
        data[at] ^= 1
    segment.write_bytes(bytes(data))
    assert ran("ledger", "verify").returncode == 0


def test_a_session_taken_away_is_missed(ran):
    shutil.rmtree(segment_of(ran).parent)
    found = ran("ledger", "verify")
    assert found.returncode == 125
    assert "a whole session was taken away" in found.stdout


def test_a_bundle_is_verified_by_a_stranger_and_one_flipped_byte_of_it_found(ran, tmp_path):
    bundle = tmp_path / "s.tar.gz"
    made = ran("ledger", "export", "last", "--output", str(bundle))
    assert (made.returncode, bundle.exists()) == (0, True), made.stderr
    key = ran.home / "state" / "keys" / "ledger.ed25519.pub"
    assert ran("ledger", "verify", str(bundle), "--key", str(key)).returncode == 0
    assert ran("ledger", "export", "last", "--output", str(bundle)).returncode == 120, "nothing is overwritten"
    folder = tmp_path / "folder"
    assert ran("ledger", "export", "last", "--output", str(folder)).returncode == 0
    segment = next(folder.rglob("segment-00000000"))
    segment.chmod(0o600)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 4
    segment.write_bytes(bytes(data))
    assert ran("ledger", "verify", str(folder), "--key", str(key)).returncode == 125


def test_a_proof_stands_alone_and_a_changed_one_falls(ran, tmp_path):
    denied = lines(ran("ledger", "query", "--decision", "deny", "--json"))[0]
    proven = ran("ledger", "prove", "last", str(denied["record"]))
    assert proven.returncode == 0, proven.stderr
    proof = tmp_path / "proof.json"
    proof.write_text(proven.stdout)
    checked = ran("ledger", "prove", "--check", str(proof))
    assert (checked.returncode, ".mcp.json" in checked.stdout) == (0, True), checked.stderr
    proof.write_text(proven.stdout.replace("deny", "allo", 1))
    assert ran("ledger", "prove", "--check", str(proof)).returncode == 125


def test_keys_are_named_and_the_auditors_can_be_taken_away(ran, tmp_path):
    before = lines(ran("ledger", "keys", "--json"))[0]
    assert before["auditor_private_here"] is True
    away = tmp_path / "away"
    away.mkdir()
    assert ran("ledger", "keys", "--move-auditor", str(away)).returncode == 0
    assert lines(ran("ledger", "keys", "--json"))[0]["auditor_private_here"] is False
    blind = ran("ledger", "verify")
    assert (blind.returncode, "needs the auditor's key" in blind.stdout) == (0, True)
    seeing = ran("ledger", "verify", "--auditor", str(away / "auditor.x25519"))
    assert (seeing.returncode, "epochs, contiguous" in seeing.stdout) == (0, True), seeing.stdout
    assert ran("run", "--", "true").returncode == 0, "a session needs the public half only"


def test_nothing_recorded_is_said_and_is_no_crash(cli):
    assert (cli("ledger", "verify").returncode, cli("ledger", "query", "--json").stdout) == (0, "")
    none = cli("ledger", "tail")
    assert (none.returncode, "nothing has been recorded yet" in none.stderr) == (120, True)


def test_a_folder_that_is_no_bundle_is_called_that(cli, tmp_path):
    done = cli("ledger", "verify", str(tmp_path))
    assert (done.returncode, "is it a bundle?" in done.stderr) == (125, True), done.stderr


@pytest.mark.parametrize("act", ["", "tail", "query", "show", "verify", "prove", "export", "keys"])
def test_help_teaches(cli, act):
    shown = cli("ledger", *filter(None, [act]), "--help")
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) > 5
    if not act:
        for example in ("query --session last --decision deny", "ledger verify", "export last"):
            assert example in shown.stdout


def test_an_auditors_key_that_is_new_is_told_from_damage(cli, tmp_path):
    """The old one was lost, a new one made: older sessions are whole, and their MACs need the key of their time."""
    assert cli("run", "--", "true").returncode == 0
    keys = Path(cli.home) / "state/keys"
    shutil.copy(keys / "auditor.x25519", tmp_path / "old.x25519")
    for name in ("auditor.x25519", "auditor.x25519.pub"):
        (keys / name).unlink()
    time.sleep(1.1)  # sessions are named by the second of their start
    assert cli("run", "--", "true").returncode == 0
    new = cli("ledger", "verify")
    assert new.returncode == 125
    assert "is not this log's auditor: its MACs are sealed to `" in new.stdout
    assert "was made after 1 of these sessions and is the auditor of the 1 since" in new.stdout
    assert "all else is whole" in new.stdout and "missing, changed or added" not in new.stdout
    old = cli("ledger", "verify", "--auditor", str(tmp_path / "old.x25519"))
    assert old.returncode == 125 and "was made after" not in old.stdout
    assert old.stdout.count("MAC: checked") == 1
    # Damage is damage, whatever the key.
    segment = sorted((Path(cli.home) / "state/ledger/sessions").glob("*/segment-00000000"))[0]
    changed = bytearray(segment.read_bytes())
    changed[len(changed) // 2] ^= 1
    segment.write_bytes(changed)
    assert "missing, changed or added" in cli("ledger", "verify").stdout
