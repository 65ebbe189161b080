"""The form of user ids."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.domain.users import parse_new_user_id, parse_user_id


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True))
def test_documented_id_is_accepted_in_lower_case(raw: str) -> None:
    assert parse_user_id(raw) == raw.lower()


@given(st.text(max_size=80))
def test_any_other_text_is_no_id(raw: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._\-]{1,64}", raw, re.ASCII) is None:
        with pytest.raises(ValueError, match="1 to 64"):
            parse_user_id(raw)


@pytest.mark.parametrize(
    "raw", ["", "a" * 65, "alice\n", "al ice", "\uff41lice", "\u0130", "\u212a", "al/ice", "a\0", "\ud800"]
)
def test_almost_valid_texts_are_no_ids(raw: str) -> None:
    """For example a newline at the end, and letters that case-fold to ASCII."""
    with pytest.raises(ValueError, match="1 to 64"):
        parse_user_id(raw)


@pytest.mark.parametrize("raw", [".", "..", "...", "." * 64, "me", "ME", "mE"])
def test_new_accounts_get_no_id_that_cannot_be_a_path_segment(raw: str) -> None:
    assert parse_user_id(raw) == raw.lower()  # of an account that exists
    with pytest.raises(ValueError, match="must not be 'me'"):
        parse_new_user_id(raw)


@pytest.mark.parametrize("raw", [".a", "a.", "..-", "_", "-", "me.", "me2", "mee"])
def test_new_accounts_may_have_ids_that_only_resemble_reserved_ones(raw: str) -> None:
    assert parse_new_user_id(raw) == raw
