"""Which key signs and which keys verify, by the age of each key."""

from hypothesis import given
from hypothesis import strategies as st

from auth_service.domain.key_schedule import MARGIN, KeyFile, schedule

moments = st.integers(0, 10_000).map(float)
rings = st.lists(moments, min_size=1, max_size=6).map(
    lambda ages: [KeyFile(f"{place:04d}.pem", appeared) for place, appeared in enumerate(ages)]
)
OVERLAP, TTL = 90.0, 900.0


@given(rings, moments)
def test_exactly_one_published_key_signs(files: list[KeyFile], now: float) -> None:
    found = schedule(files, overlap=OVERLAP, token_ttl=TTL, now=now)
    assert found.signing in found.published
    assert sorted(found.published + found.retired) == [file.name for file in files]
    assert set(found.pending) < set(found.published)


@given(rings, moments)
def test_later_key_signs_only_after_the_overlap(files: list[KeyFile], now: float) -> None:
    found = schedule(files, overlap=OVERLAP, token_ttl=TTL, now=now)
    (signing,) = [file for file in files if file.name == found.signing]
    assert signing is files[0] or now - signing.appeared_at >= OVERLAP


@given(rings, moments, st.floats(0.0, TTL + MARGIN - 0.001))
def test_key_is_published_until_its_last_token_has_expired(
    files: list[KeyFile], signed_at: float, later: float
) -> None:
    """Also on a replica that reads the directory late."""
    signed = schedule(files, overlap=OVERLAP, token_ttl=TTL, now=signed_at)
    assert signed.signing in schedule(files, overlap=OVERLAP, token_ttl=TTL, now=signed_at + later).published


@given(rings, moments, st.floats(0.0, 20_000.0))
def test_removed_key_is_never_published_again(files: list[KeyFile], now: float, later: float) -> None:
    before = schedule(files, overlap=OVERLAP, token_ttl=TTL, now=now)
    after = schedule(files, overlap=OVERLAP, token_ttl=TTL, now=now + later)
    assert set(before.retired) <= set(after.retired)
    assert after.signing >= before.signing


def test_key_is_kept_one_minute_longer_than_its_last_token() -> None:
    """Clocks of replicas differ, and a replica may notice a rotation late."""
    files = [KeyFile("0001.pem", 0.0), KeyFile("0002.pem", 0.0)]
    last = OVERLAP + TTL + 60.0
    assert schedule(files, overlap=OVERLAP, token_ttl=TTL, now=last - 0.1).published == ("0001.pem", "0002.pem")
    assert schedule(files, overlap=OVERLAP, token_ttl=TTL, now=last).retired == ("0001.pem",)
