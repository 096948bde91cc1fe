"""doctor: reads the supervisor's findings, and calls missing only what every session needs."""

from interlock.app.doctor import findings_of


def one(**entry):
    [found] = findings_of({"mechanisms": [{"name": "x", **entry}]})
    return found


def test_status_and_reason_are_kept():
    found = one(status="partial", detail="only reads", hint="a newer kernel")
    assert (found.status, found.detail, found.advice) == ("partial", "only reads", "a newer kernel")


def test_a_mechanism_that_no_session_needs_is_not_missing():
    assert one(status="not", needed=False).status == "partial"
    assert one(status="not", needed=True).status == "not"


def test_an_answer_that_is_not_understood_is_a_failure():
    assert [found.status for found in findings_of("hello")] == ["not"]
    assert one(status="splendid").status == "not"
