"""The native module: the engine (`crates/interlock-core`) for Python. Mirrors `crates/interlock-native`."""

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
        PolicyError: the JSON is not a compiled policy, holds a key the engine does not know, or names a digest not its own.
    """

    def __new__(cls, json: str) -> Policy: ...
    @property
    def digest(self) -> str:
        """`sha256:` and the SHA-256, in hex, of the RFC 8785 form of the policy without its `digest`."""

    def decide(self, action_json: str, facts_json: str | None = None) -> str:
        """The Decision on one Action, as JSON (`spec/action.md`). Without Facts nothing is known and no grant is in force.

        Raises:
            ActionError: not an Action.
            FactsError: not Facts.
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

def match_pattern(pattern: str, path: bytes) -> bool:
    """Whether a path pattern (`spec/policy.md`, Patterns; no braces, no variables) matches an absolute clean path.

    Raises:
        PatternError: not a pattern.
    """
