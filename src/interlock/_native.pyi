"""The native module: the engine (`crates/interlock-core`) for Python. Mirrors `crates/interlock-native`."""

from ipaddress import IPv4Address, IPv6Address
from typing import final

class NativeError(Exception):
    """What the native side refused or could not do."""

class PolicyError(NativeError):
    """A compiled policy that is not one."""

class ActionError(NativeError):
    """An Action that is not one."""

class FactsError(NativeError):
    """Facts that are not such."""

class PatternError(NativeError):
    """A pattern that is not one."""

@final
class Policy:
    """A compiled policy (`spec/policy.md`), ready to decide. Safe to use from several threads.

    Raises:
        PolicyError: the JSON is not a compiled policy, holds a key the engine does not know, or names a digest not
            its own.
    """

    def __new__(cls, json: str) -> Policy: ...
    @property
    def digest(self) -> str:
        """`sha256:` and the SHA-256, in hex, of the RFC 8785 form of the policy without its `digest`."""

    @property
    def sends_are_plain(self) -> bool:
        """Whether nothing that a message is sent to can matter: then `sendmsg` and `sendmmsg` are not trapped."""

    def is_plain(self, verb: str) -> bool:
        """Whether every act with this verb is allowed, and no rule wants anything of it.

        Raises:
            ActionError: there is no such verb.
        """

    def decide(self, action_json: str, facts_json: str | None = None) -> str:
        """The Decision on one Action, as JSON (`spec/action.md`). Without Facts nothing is known, no grant in force.

        Raises:
            ActionError: not an Action.
            FactsError: not Facts.
        """

    def needs(self, action_json: str) -> tuple[bool, bool, list[str], bool, list[str]]:
        """Which Facts the rules that touch one Action ask for: grants (and with them the clock), the risk score, the
        places of labels, the origin, the layers whose Rego is heard. Without any, no Fact can change the answer.

        Raises:
            ActionError: not an Action.
        """

    def decide_many(self, lines: list[str]) -> list[str]:
        """One Decision a line for one `{"action": …, "facts": …}` a line (`facts` may be left out).

        Raises:
            ActionError: the first line that is not such a line.
            FactsError: the first line whose Facts are not such.
        """

    def plan_answer(self, action_json: str) -> str | None:
        """What the supervisor's Plan answers without Facts: a Decision as JSON, or None when Facts are needed.

        Raises:
            ActionError: not an Action.
        """

def action_digest(json: str) -> str:
    """The digest of an Action, as a Grant names it: SHA-256, lowercase hex.

    Raises:
        ActionError: not an Action.
    """

def canonical(json: str) -> str:
    """The RFC 8785 form of a JSON text (integers beyond 2^53 with all their digits).

    Raises:
        NativeError: not JSON, a repeated key, or a number that cannot be held exactly.
    """

def policy_language() -> str:
    """The table of the policy language, as a JSON object: verbs, groups, selectors with what they take and which verbs
    they narrow, steers, and the words that may stand where one of a few must.
    """

def match_pattern(pattern: str, path: bytes) -> bool:
    """Whether a path pattern (`spec/policy.md`, Patterns; no braces, no variables) matches an absolute clean path.

    Raises:
        PatternError: not a pattern.
    """

def host_name(name: str) -> str:
    """A host's name in its one spelling.

    Raises:
        PatternError: not a name.
    """

def host_pattern(pattern: str) -> str:
    """A pattern of host names (`spec/policy.md`) in its one spelling.

    Raises:
        PatternError: not one.
    """

def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether a name may lead to this address without a rule that says `private: true` (`spec/policy.md`, Hosts)."""

def peer_text_fault(text: bytes, *, depth_max: int, items_max: int, exact: bool) -> str | None:
    """Why a JSON text of a peer is not read: it nests too deep, holds too many values, or repeats a key in an object;
    where it has to be `exact`, it holds an integer beyond 2^53-1. That it is JSON says the parser that reads it
    afterwards.
    """

@final
class Walk:
    """A walk of a workspace that was begun. Given to one placing."""

def begin_walk(workspace: str, *, root: str, kept: str) -> Walk:
    """Begin to walk a workspace, before it is known which policy is to be placed there.

    Arguments: `root` is where names are looked up, empty for the machine itself; `kept` is where walks are kept.
    """

@final
class Placing:
    """A policy that is being placed, in a thread of its own."""

    def placed(self) -> tuple[str, str, list[str], str, list[str], str]:
        """Wait for the compiled policy (RFC 8785), its digest, the layers' names, the layers beside it as a JSON list,
        warnings, and as a JSON list the rules that this machine does not enforce whole. Asked once.

        Raises:
            PolicyError: the text is no list of compiled layers.
        """

def place_policy(
    layers: str,
    count: int,
    *,
    root: str,
    stand_ins: list[tuple[str, str]],
    lists: dict[str, list[str]],
    kept: str,
    walk: Walk | None,
) -> Placing:
    """Begin to place the first `count` layers of a JSON list on this machine, and beside them what follows.

    Arguments:
        root: where names are looked up; empty for the machine itself.
        stand_ins: paths in the patterns, each with what to put in its stead.
        lists: `own`, what Interlock is loaded from; `unsearched`, folders not searched for hard links; `worked_in`,
            where a pattern that begins with `**/` is mostly meant; `missing`, what to take for missing (tests).
        kept: where walks of the workspace are kept; empty for not at all.
        walk: one that was begun in this workspace; what it found is used if it is for this policy.
    """

class LedgerError(NativeError):
    """The ledger did not take it: the action is denied."""

class LedgerFull(LedgerError):
    """The disk is full. Records that permit nothing (a denial, an end) are still taken, from the reserve."""

class LedgerDamaged(LedgerError):
    """The log is not what its writer left, or lacks a checkpoint that was signed."""

@final
class Log:
    """A log open for writing (`spec/ledger.md`). Safe to use from several threads.

    Classes: `routine`, `ordered`, `durable`.
    """

    @staticmethod
    def open(directory: str, name: str, index: str, keys: str) -> Log:
        """Open a fresh log and enter it into the index. Keys are made if there never were any.

        Arguments:
            directory: the log's own directory, made 0700.
            name: `sessions/<session>` or `gateway/<start>`; its last part is the `session` of every record.
            index: directory of the user's index log.
            keys: directory of the keys.

        Raises:
            LedgerDamaged: index or log are not what was left.
            LedgerError: held by another writer, a key is missing, nothing can be written.
        """

    def append(self, json: str, class_name: str) -> int:
        """Append a record and wait as its class says; other threads run meanwhile. Returns its number.

        Raises:
            LedgerFull: no space; a denial would still be taken.
            LedgerError: not written, or not known to be: deny.
        """

    def submit(self, records: list[tuple[bytes, str]]) -> int:
        """Queue records without waiting, each as text with its class's name; they share a sync. Returns the ticket of
        the first, the others have those that follow: `completed` names them once `fileno` is readable, with the error
        of a text that is not a record.

        Raises:
            LedgerError: the log is closed.
        """

    def fileno(self) -> int:
        """An eventfd for an event loop's reader: readable when something has completed."""

    def completed(self) -> list[tuple[int, int | LedgerError]]:
        """What has completed since the last call: ticket, then the record's number or the error. Empties `fileno`."""

    def count(self, verb: str, decision: str, rule: str) -> None:
        """Count a routine act; the counts are recorded within 50 ms."""

    def effect(self, record: int, errno: int) -> None:
        """Note how the action of a record ended (0 or an errno); written with the next `routine` record."""

    def head(self) -> tuple[int, str]:
        """Number of records, and their root in hex."""

    def close(self, closing: str | None = None) -> tuple[int, str]:
        """Close the log with a last record, and enter its end into the index. Returns the size and root (hex) signed.

        Raises:
            LedgerError: closed before, or something could not be written.
        """

def ensure_keys(directory: str, index: str | None = None, name: str = "index") -> dict[str, str]:
    """Make the keys if there never were any.

    Returns: `key` and `auditor` (ids), `origin` and C2SP `verifier_key` of the log `name`.

    Raises:
        LedgerError: a key was lost, is malformed, or can be read by others.
    """

def index_head(index: str, keys: str) -> str:
    """Size and root (base64) of the index, as JSON.

    Raises:
        LedgerDamaged: the index is not what was left.
        LedgerError: it cannot be read.
    """

def recover_ledger(ledger: str, keys: str) -> list[tuple[str, int, str | None]]:
    """Complete the logs whose writer is gone: cut a torn tail, say which ends are unknown, close, enter into the index.

    Arguments:
        ledger: the directory that holds `index`, `sessions` and `gateway`.
        keys: directory of the keys.

    Returns: for each such log its name, how many decided actions had no end, and why it could not be completed, or
    None.

    Raises:
        LedgerError: the index or the keys cannot be read.
    """

def adopt_orphans() -> None:
    """From now on the kernel gives descendants whose parents ended to this process (a sub-reaper, prctl(2)).

    Raises:
        OSError: the kernel does not.
    """
