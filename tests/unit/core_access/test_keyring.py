"""Keys of a Secret: what counts as one, what is said of the rest, and that none of it is kept."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.access.keyring import Key, KeyRing, digest_of_key, read_keys

LONG = b"a-key-of-enough-characters"
OTHER = b"another-key-of-enough-characters"
HEX = hashlib.sha256(LONG).hexdigest().encode()


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        pytest.param(LONG, [LONG], id="as it is"),
        pytest.param(LONG + b"\n", [LONG], id="with the line end that an editor leaves"),
        pytest.param(b"  " + LONG + b"\t\r\n", [LONG], id="with spaces around it"),
        pytest.param(b"sha256:" + HEX, [LONG], id="as its digest"),
        pytest.param(b"SHA256:" + HEX.upper(), [LONG], id="as its digest in capitals"),
        pytest.param(LONG + b"\n\n" + OTHER, [LONG, OTHER], id="old and new on two lines"),
        pytest.param(b"sha256:" + HEX + b"\n" + OTHER, [LONG, OTHER], id="both forms"),
    ],
)
def test_an_entry_has_keys(value: bytes, keys: list[bytes]) -> None:
    read = read_keys({"team-a": value})
    assert read.problems == ()
    assert [(key.name, key.digest) for key in read.ring.keys] == [("team-a", digest_of_key(key)) for key in keys]
    assert read.ring.find(digest_of_key(b"never-issued-to-anybody")) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(b"", "Entry team-a is empty.", id="empty"),
        pytest.param(b" \n\t\n", "Entry team-a is empty.", id="white space"),
        pytest.param(b"short", "line 1: a key has 16 to 4096 characters, this one has 5", id="short"),
        pytest.param(b"x" * 4097, "this one has 4097", id="long"),
        pytest.param("ein-schlüssel-mit-umlaut".encode(), "visible ASCII", id="beyond ASCII"),
        pytest.param(b"two words are no key at all", "no spaces", id="spaces"),
        pytest.param(b"sha256:abc", "64 hexadecimal digits", id="half a digest"),
        pytest.param(b"\x00" * 20, "visible ASCII", id="binary"),
    ],
)
def test_what_is_no_key_is_said_and_locks_nobody_out(value: bytes, said: str) -> None:
    read = read_keys({"team-a": value, "team-b": LONG})
    assert [key.name for key in read.ring.keys] == ["team-b"]
    [problem] = read.problems
    assert said in problem
    assert value.decode("latin-1") not in problem or not value.strip()


def test_of_a_key_under_two_names_the_first_counts() -> None:
    ring = read_keys({"b": LONG, "a": LONG}).ring
    assert [key.name for key in ring.keys] == ["a"]


def test_keys_whose_digests_begin_alike_are_told_apart() -> None:
    one, other = Key("one", b"12345678" + b"a" * 24), Key("other", b"12345678" + b"b" * 24)
    ring = KeyRing((one, other))
    assert (ring.find(one.digest), ring.find(other.digest)) == (one, other)
    assert ring.find(b"12345678" + b"c" * 24) is None


def test_a_secret_with_50_000_keys() -> None:
    lines = [b"key-number-%09d" % number for number in range(50_000)]
    ring = read_keys({"everybody": b"\n".join(lines)}).ring
    assert len(ring.keys) == 50_000
    assert all(ring.find(digest_of_key(line)) for line in lines[::997])


def test_no_key_stays_in_memory_as_it_is() -> None:
    ring = read_keys({"team-a": LONG}).ring
    assert LONG not in repr([ring.keys, ring._buckets]).encode()  # noqa: SLF001 - all that there is


@given(st.dictionaries(st.text("abc-.", min_size=1), st.binary(max_size=200), max_size=5))
def test_any_secret_can_be_read(entries: dict[str, bytes]) -> None:
    read = read_keys(entries)
    lines = sum(len([line for line in value.splitlines() if line.strip(b" \t")]) for value in entries.values())
    assert len(read.ring.keys) <= lines
    assert all(problem.endswith(".") for problem in read.problems)
