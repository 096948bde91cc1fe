"""The whole ledger of a user: every log by `verifier.py`, and all against the index, so that none can vanish."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interlock.ledger import verifier

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

#: So often a ledger is looked through that changes meanwhile.
LOOKS_MAX: Final = 5
STILL_TRIES_MAX: Final = 20


@dataclass
class LedgerReport:
    """What was found: a report for each log, and what only all of them together show."""

    logs: list[verifier.Report] = field(default_factory=list)
    findings: list[verifier.Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """True if nothing is wrong anywhere."""
        return not self.findings and all(log.verified for log in self.logs)

    @property
    def lacks_auditor_only(self) -> bool:
        """True if nothing is wrong but that MACs are sealed to another auditor's key than the one given."""
        failed = [log for log in self.logs if not log.verified]
        return not self.findings and all(log.sealed_elsewhere and len(log.findings) == 1 for log in failed)

    @property
    def records(self) -> int:
        """Records in all logs."""
        return sum(log.records for log in self.logs)


def is_held(directory: Path) -> bool:
    """True if a living writer holds the log."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def verify_ledger(
    ledger: Path, keys: Path, *, auditor: X25519PrivateKey | None, only: str | None = None, integrity: bool = False
) -> LedgerReport:
    """Verify every log below `ledger`, or the one called `only`, and the index.

    Whoever writes meanwhile lets the parts be read at two moments, which do not fit each other. So what is found wrong
    is looked for again as long as something changed meanwhile; what is wrong stays wrong.

    Raises:
        OSError, ValueError: the public key cannot be read.
    """
    for _ in range(LOOKS_MAX - 1):
        before = _stamps(ledger, keys)
        report = _verified_once(ledger, keys, auditor, only, integrity)
        if report.verified or _stamps(ledger, keys) == before:
            return report
    return _verified_once(ledger, keys, auditor, only, integrity)


def _stamps(*tops: Path) -> dict[Path, tuple[int, int, int]]:
    """By what a change of any file is known."""
    found: dict[Path, tuple[int, int, int]] = {}
    for top in tops:
        for folder, _, files in os.walk(top):
            for path in (Path(folder) / name for name in files):
                with contextlib.suppress(FileNotFoundError):  # taken away at this moment
                    status = path.lstat()
                    found[path] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


def _still(directory: Path) -> verifier.Files:
    """Its files at one moment; as they stand there, where they cannot be read or never rest that long."""
    files = verifier.Directory(directory)
    for _ in range(STILL_TRIES_MAX):
        before = _stamps(directory)
        with contextlib.suppress(OSError):
            held = {name: files.read(name) for name in files.names()}
            if _stamps(directory) == before:
                return verifier.Held(held)
    return files


def _verified_once(
    ledger: Path, keys: Path, auditor: X25519PrivateKey | None, only: str | None, integrity: bool
) -> LedgerReport:
    key = verifier.load_public(keys / "ledger.ed25519.pub")
    signer = verifier.sha256(verifier.raw_public(key)).hex()[:16]
    report = LedgerReport()
    names = sorted(_names(ledger))
    opened, closed = _check_index(ledger, keys, key, signer, names, auditor, report)
    heads: list[tuple[str, verifier.Head]] = []
    for name in names:
        if only is not None and name != only:
            continue
        expected = [head for head in (opened.get(name), closed.get(name)) if head]
        log = _check_log(ledger / name, f"interlock/{signer}/{name}", key, auditor, expected, integrity)
        report.logs.append(log)
        heads += [(name, head) for head in log.index_heads]
        if name not in opened and log.records > 1:
            _wrong(report, name, "the index does not know this log: the index was cut, or the log was put here")
        if name in closed and log.records != closed[name].size and log.verified:
            _wrong(report, name, f"it was closed at {closed[name].size} records and holds {log.records}")
    _check_heads(ledger, key, signer, heads, report)
    if auditor is not None:
        _say_which_auditor(report, verifier.auditor_id(auditor))
    return report


def _say_which_auditor(report: LedgerReport, given: str) -> None:
    """Whether a key that does not open some MACs is simply newer than their logs. Sessions are named by their start."""
    sessions = [log for log in report.logs if log.records and "/sessions/" in log.origin]
    others = [log.origin for log in sessions if log.sealed_elsewhere]
    own = [log.origin for log in sessions if not log.sealed_elsewhere]
    if not others:
        return
    known = f"the auditor's key given, `{given}`,"
    if own and max(others) < min(own):
        report.notes.append(
            f"{known} was made after {len(others)} of these sessions and is the auditor of the {len(own)} since: "
            "give --auditor the key of their time for those"
        )
    elif not own:
        report.notes.append(f"{known} is the auditor of no session here: it was made later, or it is another ledger's")


def _names(ledger: Path) -> set[str]:
    found = {
        f"{kind}/{path.name}" for kind in ("sessions", "gateway") for path in (ledger / kind).glob("*") if path.is_dir()
    }
    return {name for name in found if any((ledger / name).iterdir())}


def _wrong(report: LedgerReport, file: str, what: str) -> None:
    report.findings.append(verifier.Finding(file, 0, None, what))


def _check_index(
    ledger: Path,
    keys: Path,
    key: Ed25519PublicKey,
    signer: str,
    names: list[str],
    auditor: X25519PrivateKey | None,
    report: LedgerReport,
) -> tuple[dict[str, verifier.Head], dict[str, verifier.Head]]:
    """The index itself, and that every log it names is here. Returns the heads of the logs that it remembers as
    opened, and as closed.
    """
    index = ledger / "index"
    if not index.is_dir():
        if names:
            _wrong(report, "index", "the index is gone: sessions may be missing without a trace")
        return {}, {}
    origin = f"interlock/{signer}/index"
    memory = keys / "index.checkpoint"
    remembered = _read(memory)  # before the index, which goes on
    files = _still(index)
    log = verifier.verify_log(files, key, origin=origin, auditor=auditor, live=is_held(index))
    report.logs.append(log)
    _check_memory(memory.name, remembered, files, origin, key, report)
    opened = {entry.log: entry.head for entry in log.remembered if entry.type == "index.opened"}
    closed = {entry.log: entry.head for entry in log.remembered if entry.type == "index.closed"}
    for name in opened:
        if name not in names:
            _wrong(report, name, "the index names this log and it is gone: a whole session was taken away")
        elif name not in closed and not is_held(ledger / name):
            report.notes.append(
                f"session {name} has no closing record: its writer was killed; the next run of Interlock completes it"
            )
    return opened, closed


def _read(path: Path) -> bytes | OSError | None:
    """A file, or why it cannot be read; nothing where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return error


def _check_memory(
    name: str,
    note: bytes | OSError | None,
    files: verifier.Files,
    origin: str,
    key: Ed25519PublicKey,
    report: LedgerReport,
) -> None:
    """The signer's own memory of the index: what it signed last must still be there."""
    if note is None:
        report.notes.append(
            "the signer has no memory of the index (index.checkpoint beside the keys): a cut of both would not be seen"
        )
        return
    try:
        if isinstance(note, OSError):
            raise note
        size = verifier.open_note(note, origin, key).size
    except (OSError, ValueError) as error:
        _wrong(report, name, f"the signer's memory of the index is not what it wrote: {error}")
        return
    if not any(note in files.read(each) for each in files.names() if each.startswith("segment-")):
        _wrong(
            report,
            "index",
            f"the signer signed it at {size} records and it no longer holds them: it was cut or put back",
        )


def _check_log(
    path: Path,
    origin: str,
    key: Ed25519PublicKey,
    auditor: X25519PrivateKey | None,
    expected: list[verifier.Head],
    integrity: bool,
) -> verifier.Report:
    """One log, which must hold each head that the index remembers of it."""
    sizes = {head.size for head in expected}
    log = verifier.verify_log(
        verifier.Directory(path),
        key,
        origin=origin,
        auditor=auditor,
        sizes=sizes,
        live=is_held(path),
        integrity=integrity,
    )
    for head in expected:
        if log.roots.get(head.size) != head.root:
            what = f"the index remembers {head.size} records of it with another root: it was cut or rewritten"
            log.findings.append(verifier.Finding(path.name, 0, None, what))
    return log


def _check_heads(
    ledger: Path, key: Ed25519PublicKey, signer: str, heads: list[tuple[str, verifier.Head]], report: LedgerReport
) -> None:
    """Every log's opening carries the index's head of that moment: a cut or rewritten index contradicts one of them."""
    sizes = {head.size for _, head in heads}
    if not (ledger / "index").is_dir():
        return
    index = verifier.verify_log(
        _still(ledger / "index"), key, origin=f"interlock/{signer}/index", sizes=sizes, live=True
    )
    index.roots[0] = verifier.encoded(verifier.sha256(b""))
    for name, head in heads:
        if index.roots.get(head.size) != head.root:
            _wrong(
                report,
                "index",
                f"`{name}` was opened when the index held {head.size} records that are no longer in it",
            )
