"""What a token opens, and for how long."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.tokens import LIFETIME_S, SKEW_S, public_key, refusal, sign

SEED = bytes(range(32))
OTHER_SEED = bytes(range(1, 33))
KEY = public_key(SEED)
POD = "5f0c8e2a-0000-4000-8000-000000000001"
NOW = 1_800_000_000.0


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("later", [0, LIFETIME_S, LIFETIME_S + SKEW_S, -3600])
def test_opens_its_pod_until_it_expires_and_whatever_the_clock_of_the_node(later: float) -> None:
    assert refusal(sign(SEED, POD, NOW), KEY, POD, NOW + later) is None


@pytest.mark.parametrize(
    ("token", "because"),
    [
        pytest.param(sign(SEED, "another-pod", NOW), "it is for another pod", id="another pod's"),
        pytest.param(sign(SEED, "", NOW), "it is for another pod", id="nobody's"),
        pytest.param(sign(SEED, POD, NOW - LIFETIME_S - SKEW_S - 1), "it has expired", id="old"),
        pytest.param(sign(OTHER_SEED, POD, NOW), "it was not signed by this pod's controller", id="another key"),
        pytest.param("", "it was not signed by this pod's controller", id="none"),
        pytest.param("a.b.c", "it was not signed by this pod's controller", id="a web token"),
        pytest.param("\N{SNOWMAN}.x", "it was not signed by this pod's controller", id="not ASCII"),
    ],
)
def test_refuses(token: str, because: str) -> None:
    assert refusal(token, KEY, POD, NOW) == because


def test_a_signature_covers_every_claim() -> None:
    payload, _, signature = sign(SEED, POD, NOW).partition(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    for changed in ({**claims, "exp": claims["exp"] + 1}, {**claims, "aud": "another-pod"}):
        assert refusal(f"{encoded(json.dumps(changed).encode())}.{signature}", KEY, POD, NOW) is not None


@given(st.text())
def test_nothing_that_somebody_makes_up_opens_a_pod(token: str) -> None:
    assert refusal(token, KEY, POD, NOW) is not None


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_nor_does_anything_in_the_form_of_a_token(payload: bytes, signature: bytes) -> None:
    assert refusal(f"{encoded(payload)}.{encoded(signature)}", KEY, POD, NOW) is not None


@pytest.mark.parametrize("seed", [b"", b"x" * 31, b"x" * 33])
def test_a_seed_of_another_length_is_refused(seed: bytes) -> None:
    with pytest.raises(ValueError, match="32"):
        public_key(seed)
