"""doctor: reads the supervisor's findings, and takes nothing to hold that it does not understand."""

from interlock.app.doctor import findings_of
from interlock.vocabulary.enforcement import Fully, NotEnforced, Partially


def one(**entry):
    [found] = findings_of({"mechanisms": [{"name": "x", **entry}]})
    return found


def test_state_detail_and_hint_are_kept():
    partial = {"state": "partially", "reason": "only reads", "around": "writes"}
    found = one(enforcement=partial, detail="seen", hint="a newer kernel")
    assert (found.enforcement, found.detail, found.advice) == (Partially("only reads", "writes"), "seen", "a newer kernel")
    assert one(enforcement={"state": "fully", "how": "by the door"}, detail="EPERM").detail == "by the door (EPERM)"
    assert one(enforcement={"state": "fully"}, detail="seen").enforcement == Fully()


def test_an_answer_that_is_not_understood_is_a_failure():
    assert [type(found.enforcement) for found in findings_of("hello")] == [NotEnforced]
    assert isinstance(one(enforcement="splendid").enforcement, NotEnforced)
    assert isinstance(one().enforcement, NotEnforced)
