"""The rules of passcodes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.domain import passcodes

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)


@given(text)
def test_passcode_is_accepted_exactly_if_its_nfkc_form_is_within_the_bounds(raw: str) -> None:
    """The length is counted after NFKC; nothing else decides."""
    expected = unicodedata.normalize("NFKC", raw)
    if 8 <= len(expected) <= 128:
        assert passcodes.normalised(raw) == expected
    else:
        with pytest.raises(ValueError, match="8 to 128"):
            passcodes.normalised(raw)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8, max_size=128))
def test_all_unicode_normal_forms_are_the_same_passcode(raw: str) -> None:
    """NFC, NFD, NFKC and NFKD are equal."""
    forms = {unicodedata.normalize(form, raw) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    results = set()
    for form in forms:
        try:
            results.add(passcodes.normalised(form))
        except ValueError:
            results.add(None)
    assert len(results) == 1


def test_check_of_the_raw_length_refuses_no_valid_passcode() -> None:
    """128 characters that decompose into 4 each are 512 characters as sent and 128 as counted."""
    longest = "\u1f82" * 128  # alpha with three diacritics
    decomposed = unicodedata.normalize("NFD", longest)
    assert len(decomposed) == passcodes.RAW_MAX
    assert passcodes.normalised(decomposed) == longest


@pytest.mark.parametrize("raw", ["pass\0word1", "\0" * 8, "pass\ud800word", "\udfff" * 8, "1234567", "x" * 129, ""])
def test_refusal_does_not_repeat_the_passcode(raw: str) -> None:
    with pytest.raises(ValueError) as caught:
        passcodes.normalised(raw)
    assert not raw or raw not in str(caught.value)


def test_passcode_is_neither_cut_nor_trimmed() -> None:
    assert passcodes.normalised("  " + "x" * 124 + "  ") == "  " + "x" * 124 + "  "


@pytest.mark.parametrize("weak", ["password", "PassWord1", "12345678", "QWERTYUIOP", "iloveyou", "\uff50assword"])
def test_common_passcodes_are_weak_in_any_spelling(weak: str) -> None:
    assert passcodes.is_weak(passcodes.normalised(weak), "alice")


def test_user_id_is_a_weak_passcode() -> None:
    assert passcodes.is_weak("Alice.Wonderland", "alice.wonderland")
    assert not passcodes.is_weak("alice.wonderland2", "alice.wonderland")


def test_list_of_common_passcodes_is_in_compared_form() -> None:
    """Each entry can match a passcode: long enough, in NFKC, case-folded and unique."""
    entries = passcodes.COMMON.read_text("utf-8").split()
    assert len(entries) == len(set(entries)) > 500
    assert all(unicodedata.normalize("NFKC", entry).casefold() == entry for entry in entries)
    assert all(8 <= len(entry) <= 128 for entry in entries)
