"""Old journals go: by age, by number, and by what they take of the disk."""

import json
import os

from interlock.storage import journal
from interlock.storage.journal import KEPT_MAX, KEPT_SECONDS, clear_old, kept_paths

NOW_S = 2_000_000_000.0
HOUR_S = 3600.0


def session(folder, name, *, age_s, kept=None, end=True):
    """A journal that was last written to so long ago; `kept` bytes, as its last line says."""
    made = folder / name
    made.mkdir()
    last = {"did": "end", "at": 1, "bytes": kept, "n": 1} if end else {"did": "makes", "path": "/x", "n": 1}
    (made / "lines").write_text('{"journal":1,"at":1,"n":0}\n' + json.dumps(last) + "\n")
    os.utime(made / "lines", (NOW_S - age_s, NOW_S - age_s))


def left(folder):
    clear_old(str(folder), now_s=NOW_S)
    return sorted(path.name for path in folder.iterdir())


def test_the_oldest_go_where_all_take_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "KEPT_BYTES_MAX", 1000)
    for number, kept in enumerate([400, 500, 200, 10]):
        session(tmp_path, f"s-{number}", age_s=HOUR_S * (number + 1), kept=kept)
    assert left(tmp_path) == ["s-0", "s-1"]


def test_the_latest_stays_however_much_it_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "KEPT_BYTES_MAX", 1000)
    session(tmp_path, "s-0", age_s=HOUR_S, kept=5000)
    session(tmp_path, "s-1", age_s=2 * HOUR_S, kept=1)
    assert left(tmp_path) == ["s-0"]


def test_one_that_was_killed_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "KEPT_BYTES_MAX", 300_000)
    session(tmp_path, "s-0", age_s=HOUR_S, kept=1)
    session(tmp_path, "s-1", age_s=2 * HOUR_S, end=False)
    (tmp_path / "s-1" / "0").write_bytes(b"x" * 400_000)
    os.utime(tmp_path / "s-1" / "lines", (NOW_S - 2 * HOUR_S, NOW_S - 2 * HOUR_S))
    assert left(tmp_path) == ["s-0"]


def test_one_that_runs_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "KEPT_BYTES_MAX", 10)
    session(tmp_path, "s-0", age_s=0.5, kept=5000)
    session(tmp_path, "s-1", age_s=1.5, kept=5000)
    assert left(tmp_path) == ["s-0", "s-1"]


def test_age_and_number_end_what_is_kept(tmp_path):
    for number in range(KEPT_MAX + 2):
        session(tmp_path, f"s-{number:03}", age_s=HOUR_S * (number + 1), kept=1)
    session(tmp_path, "s-old", age_s=KEPT_SECONDS + HOUR_S, kept=1)
    assert left(tmp_path) == [f"s-{number:03}" for number in range(KEPT_MAX)]


def test_names_of_what_was_kept_are_told_without_the_rest(tmp_path):
    (tmp_path / "lines").write_text(
        '{"journal":1,"n":0}\n{"did":"kept","path":"/w/a","n":1}\n{"did":"makes","path":"/\\"did\\":\\"kept\\"","n":2}\n{"did":"kept","pa'
    )
    assert list(kept_paths(str(tmp_path))) == ["/w/a"]
