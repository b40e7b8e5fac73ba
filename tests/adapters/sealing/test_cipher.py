"""What is sealed can be opened with its key, at its place, and not otherwise."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.sealing.cipher import OVERHEAD, Cipher
from jobledger.core.errors import SealBroken
from jobledger.projections.sealed import OBJECT, Place, of_display, of_error, of_input, of_result

JOB, OTHER_JOB = "0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66", "0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a67"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
CIPHER = Cipher(JOB, KEY)
HERE = of_result(7)


@given(st.binary(max_size=100), st.integers(-1, 10), st.integers(0, 10))
def test_what_is_sealed_is_opened(data: bytes, parent: int, position: int) -> None:
    place = of_input(parent, position)
    sealed = CIPHER.sealed(data, place)
    assert CIPHER.opened(sealed, place) == data
    assert len(sealed) == len(data) + OVERHEAD
    assert len(data) < 4 or data not in sealed


def test_the_bytes_never_change() -> None:
    """What was once written has to be readable for ever."""
    sealed = bytes.fromhex("0106ca864122006f66551ebcaf94a90a223c51c84c00fa9c661b05b17ed59c237f725db0eb2832")
    assert CIPHER.sealed(b'"a secret"', HERE) == sealed
    assert CIPHER.opened(sealed, HERE) == b'"a secret"'


def test_large_values_are_sealed_as_small_ones_are() -> None:
    """Their nonces are made in another way."""
    large = bytes(range(256)) * 400
    sealed = CIPHER.sealed(large, HERE)
    assert CIPHER.opened(sealed, HERE) == large
    assert sealed == CIPHER.sealed(large, HERE)
    assert sealed[1:13] != CIPHER.sealed(large[:-1], HERE)[1:13]
    assert CIPHER._nonce(b"head", large) == hmac.digest(CIPHER._nonces, b"head" + large, "sha256")[:12]


def test_the_same_is_sealed_to_the_same_and_nothing_else_to_anything_like_it() -> None:
    """So that a submission that is repeated is known again; and no nonce is used for two things."""
    assert CIPHER.sealed(b"one", HERE) == CIPHER.sealed(b"one", HERE)
    others = [
        CIPHER.sealed(b"two", HERE),
        CIPHER.sealed(b"one", of_result(8)),
        Cipher(OTHER_JOB, KEY).sealed(b"one", HERE),
        Cipher(JOB, OTHER_KEY).sealed(b"one", HERE),
    ]
    nonces = {sealed[1:13] for sealed in (CIPHER.sealed(b"one", HERE), *others)}
    assert len(nonces) == 5


@pytest.mark.parametrize(
    "place", [of_result(8), of_error(7, 0), of_display(7, 1), of_input(7, 0), of_input(-1, 7), OBJECT]
)
def test_it_is_not_opened_at_another_place(place: Place) -> None:
    with pytest.raises(SealBroken, match=f"of job {JOB} cannot be opened: it was changed"):
        CIPHER.opened(CIPHER.sealed(b"one", HERE), place)


def test_nor_in_another_job_nor_with_another_key() -> None:
    sealed = CIPHER.sealed(b"one", HERE)
    for other in (Cipher(OTHER_JOB, KEY), Cipher(JOB, OTHER_KEY)):
        with pytest.raises(SealBroken):
            other.opened(sealed, HERE)


def test_nor_if_any_bit_of_it_was_changed() -> None:
    sealed = CIPHER.sealed(b"one", HERE)
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(SealBroken):
            CIPHER.opened(bytes(changed), HERE)


@pytest.mark.parametrize("sealed", [b"", b'"plain"', b"\x01" + bytes(27), b"\x02" + bytes(40)])
def test_what_is_no_sealed_data_is_told_apart(sealed: bytes) -> None:
    with pytest.raises(SealBroken, match="not sealed by a version that is known here"):
        CIPHER.opened(sealed, HERE)
