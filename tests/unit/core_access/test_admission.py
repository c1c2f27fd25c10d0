"""Who is let in, by what a request shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.access.admission import Denial, denial_of
from plimsoll.core.access.credential import Fault, read_credential
from plimsoll.core.access.keyring import digest_of_key, read_keys

KEY = b"a-key-of-enough-characters"
RING = read_keys({"team-a": KEY}).ring

ROWS = [
    pytest.param([], Denial.NO_KEY, id="nothing"),
    pytest.param([(b"content-type", b"application/json")], Denial.NO_KEY, id="something else"),
    pytest.param([(b"authorization", b"Bearer " + KEY)], None, id="a bearer token"),
    pytest.param([(b"authorization", b"bEARER   " + KEY + b" ")], None, id="as sloppily as HTTP allows"),
    pytest.param([(b"x-api-key", KEY)], None, id="an API key"),
    pytest.param([(b"x-api-key", b" " + KEY + b"\t")], None, id="spaces around it"),
    pytest.param([(b"x-api-key", KEY[:-1])], Denial.UNKNOWN_KEY, id="one character less"),
    pytest.param([(b"x-api-key", KEY + b"s")], Denial.UNKNOWN_KEY, id="one character more"),
    pytest.param([(b"x-api-key", KEY.upper())], Denial.UNKNOWN_KEY, id="in capitals"),
    pytest.param([(b"x-api-key", b"x" * 30_000)], Denial.UNKNOWN_KEY, id="huge"),
    pytest.param([(b"x-api-key", b"")], Denial.UNREADABLE, id="empty"),
    pytest.param([(b"x-api-key", "schlüssel".encode())], Denial.UNREADABLE, id="beyond ASCII"),
    pytest.param([(b"x-api-key", KEY + b"\x00")], Denial.UNREADABLE, id="a zero byte"),
    pytest.param([(b"x-api-key", b"Bearer " + KEY)], Denial.UNREADABLE, id="the wrong field for the form"),
    pytest.param([(b"authorization", KEY)], Denial.UNREADABLE, id="no scheme"),
    pytest.param([(b"authorization", b"Bearer")], Denial.UNREADABLE, id="a scheme and no key"),
    pytest.param([(b"authorization", b"Bearer" + KEY)], Denial.UNREADABLE, id="no space"),
    pytest.param([(b"authorization", b"Basic dXNlcjpwYXNz")], Denial.UNREADABLE, id="another scheme"),
    pytest.param([(b"authorization", b"Bearer " + KEY + b", Bearer x")], Denial.UNREADABLE, id="a list"),
    pytest.param([(b"x-api-key", KEY), (b"x-api-key", KEY)], Denial.UNREADABLE, id="twice the same"),
    pytest.param([(b"x-api-key", b"wrong"), (b"authorization", b"Bearer " + KEY)], Denial.UNREADABLE, id="two forms"),
]


@pytest.mark.parametrize(("fields", "denial"), ROWS)
def test_who_is_let_in(fields: list[tuple[bytes, bytes]], denial: Denial | None) -> None:
    assert denial_of(read_credential(fields), RING) is denial


def test_each_use_of_a_key_is_counted() -> None:
    ring = read_keys({"old": KEY, "new": b"a-new-key-of-enough-characters"}).ring
    for _ in range(3):
        denial_of(digest_of_key(KEY), ring)
    denial_of(Fault.NONE, ring)
    assert {key.name: key.used for key in ring.keys} == {"old": 3, "new": 0}


def test_without_keys_nobody_is_let_in() -> None:
    nothing = read_keys({}).ring
    assert denial_of(digest_of_key(KEY), nothing) is Denial.UNKNOWN_KEY
    assert denial_of(digest_of_key(b""), nothing) is Denial.UNKNOWN_KEY


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key"]), st.binary())))
def test_whatever_is_sent_lets_nobody_in_who_has_no_key(fields: list[tuple[bytes, bytes]]) -> None:
    assert denial_of(read_credential(fields), RING) is not None


@pytest.mark.parametrize("denial", Denial)
def test_a_refusal_says_what_to_send_next(denial: Denial) -> None:
    assert denial.sentence.endswith(".")
    assert "Bearer" in denial.sentence or "new one" in denial.sentence
