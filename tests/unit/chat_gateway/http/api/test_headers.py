"""Preferences, conditions and idempotency keys of requests."""

from __future__ import annotations

import pytest

from chat_gateway.http.api.headers import etag, idempotency_key, if_match, wait_preference
from shared.errors import InvalidRequest


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        *(([b"wait=5"], 5), ([b"WAIT=5"], 5), ([b"wait=60"], 60), ([b"wait=61"], 60), ([b"wait=" + b"9" * 8_000], 60)),
        *(([b'wait="7"'], 7), ([b"wait = 7"], 7), ([b"respond-async, wait=10"], 10), ([b"wait=007"], 7)),
        *(([b"handling=lenient; a=1, wait=9; b=2"], 9), ([b"respond-async", b"wait=3"], 3), ([b"wait=2, wait=8"], 2)),
        *(([b'x="a,wait=1", wait=4'], 4), ([b"a b, wait=6"], 6), ([b", ,wait=6"], 6)),
        *(([], None), ([b""], None), ([b"wait"], None), ([b"wait="], None), ([b"wait=0"], None), ([b"wait=00"], None)),
        *(([b"wait=-1"], None), ([b"wait=+1"], None), ([b"wait=1.5"], None), ([b"wait=1s"], None)),
        *(([b"wait=5 6"], None), ([b"waiting=5"], None), ([b"wait=x, wait=5"], None), ([b"\xb2wait=5"], None)),
    ],
)
def test_wait_is_a_positive_number_and_at_most_a_minute(lines: list[bytes], seconds: int | None) -> None:
    assert wait_preference([(b"prefer", line) for line in lines]) == seconds


@pytest.mark.parametrize("key", [b"k", b"a b", b'"quoted"', b"~" * 128, b"0", b"a,b"])
def test_idempotency_key_is_taken_as_it_stands(key: bytes) -> None:
    assert idempotency_key([(b"x", b"y"), (b"idempotency-key", key)]) == key.decode()


@pytest.mark.parametrize(
    "keys", [[b""], [b"k" * 129], [b"\xe9"], [b"a\tb"], [b"a", b"a"], [b"a", b"b"], ["schlüssel".encode()]]
)
def test_malformed_or_repeated_idempotency_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(InvalidRequest):
        idempotency_key([(b"idempotency-key", key) for key in keys])
    assert idempotency_key([]) is None


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        *(
            ([b'"5"'], [5]),
            ([b'"5", "7"'], [5, 7]),
            ([b'"5"', b'"0"'], [5, 0]),
            ([b'"9223372036854775807"'], [2**63 - 1]),
        ),
        *(([b'W/"5"'], []), ([b'W/"5", "6"'], [6]), ([b'"05"'], []), ([b'"x"'], []), ([b'"-1"'], []), ([b"5"], [])),
        *(([b'"5'], []), ([b'""'], []), ([b"\xff"], [])),
        *(([], None), ([b""], None), ([b"*"], None)),
    ],
)
def test_condition_matches_strong_tags_of_ours(lines: list[bytes], numbers: list[int] | None) -> None:
    assert if_match([(b"if-match", line) for line in lines]) == numbers


def test_tag_of_a_number_matches_it() -> None:
    assert if_match([(b"if-match", etag(17))]) == [17]
