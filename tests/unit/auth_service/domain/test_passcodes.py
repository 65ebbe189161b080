"""The rules of passcodes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.domain import passcodes

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)


@given(text)
def test_what_is_accepted_is_nfkc_and_within_bounds_and_what_is_refused_is_not(raw: str) -> None:
    """Length is counted after NFKC, and nothing else decides."""
    expected = unicodedata.normalize("NFKC", raw)
    if 8 <= len(expected) <= 128:
        assert passcodes.normalised(raw) == expected
    else:
        with pytest.raises(ValueError, match="8 to 128"):
            passcodes.normalised(raw)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8, max_size=128))
def test_every_way_to_compose_a_passcode_is_the_same_passcode(raw: str) -> None:
    """NFC, NFD, NFKC and NFKD of it are one."""
    forms = {unicodedata.normalize(form, raw) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    results = set()
    for form in forms:
        try:
            results.add(passcodes.normalised(form))
        except ValueError:
            results.add(None)
    assert len(results) == 1


def test_the_first_check_on_raw_length_refuses_nothing_that_could_fit() -> None:
    """128 characters that decompose into 4 each are 512 as sent and 128 as counted."""
    longest = "\u1f82" * 128  # alpha with three marks
    decomposed = unicodedata.normalize("NFD", longest)
    assert len(decomposed) == passcodes.RAW_MAX
    assert passcodes.normalised(decomposed) == longest


@pytest.mark.parametrize("raw", ["pass\0word1", "\0" * 8, "pass\ud800word", "\udfff" * 8, "1234567", "x" * 129, ""])
def test_refused_without_being_repeated(raw: str) -> None:
    with pytest.raises(ValueError) as caught:
        passcodes.normalised(raw)
    assert not raw or raw not in str(caught.value)


def test_nothing_is_cut_or_trimmed() -> None:
    assert passcodes.normalised("  " + "x" * 124 + "  ") == "  " + "x" * 124 + "  "


@pytest.mark.parametrize("weak", ["password", "PassWord1", "12345678", "QWERTYUIOP", "iloveyou", "\uff50assword"])
def test_the_commonest_are_weak_however_they_are_written(weak: str) -> None:
    assert passcodes.is_weak(passcodes.normalised(weak), "alice")


def test_the_id_is_no_passcode() -> None:
    assert passcodes.is_weak("Alice.Wonderland", "alice.wonderland")
    assert not passcodes.is_weak("alice.wonderland2", "alice.wonderland")


def test_the_list_is_in_the_form_in_which_it_is_compared() -> None:
    """Each entry could be met, so none is dead: long enough, NFKC, folded, once."""
    entries = passcodes.COMMON.read_text("utf-8").split()
    assert len(entries) == len(set(entries)) > 500
    assert all(unicodedata.normalize("NFKC", entry).casefold() == entry for entry in entries)
    assert all(8 <= len(entry) <= 128 for entry in entries)
