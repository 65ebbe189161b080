"""The rule of user ids."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.domain.users import parse_user_id


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True))
def test_an_id_of_the_documented_form_is_taken_in_lower_case(raw: str) -> None:
    assert parse_user_id(raw) == raw.lower()


@given(st.text(max_size=80))
def test_nothing_else_is_an_id(raw: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._\-]{1,64}", raw, re.ASCII) is None:
        with pytest.raises(ValueError, match="1 to 64"):
            parse_user_id(raw)


@pytest.mark.parametrize(
    "raw", ["", "a" * 65, "alice\n", "al ice", "\uff41lice", "\u0130", "\u212a", "al/ice", "a\0", "\ud800"]
)
def test_near_misses_are_no_ids(raw: str) -> None:
    """A newline at the end and letters that only fold to ASCII are the classic ones."""
    with pytest.raises(ValueError, match="1 to 64"):
        parse_user_id(raw)
