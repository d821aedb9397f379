import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, sampled_from

from loadtests.scenarios.profiles import PROFILES, RATE_PER_USER, Profile, fitted

profiles = sampled_from(list(PROFILES.values()))


@given(profile=profiles, part=floats(0, 1, exclude_max=True))
def test_a_rate_lies_between_the_lowest_and_the_highest_point(
    profile: Profile, part: float
) -> None:
    rate = profile.rate_at(part * profile.seconds)
    assert rate is not None
    assert min(low for _, low in profile.curve) <= rate <= profile.peak


@given(profile=profiles, late=floats(0, 1000))
def test_a_profile_is_over_when_its_time_is(profile: Profile, late: float) -> None:
    assert profile.rate_at(profile.seconds + late) is None
    assert profile.users_at(profile.seconds + late) is None


@given(profile=profiles, seconds=floats(1, 10_000), part=floats(0, 0.99))
def test_stretching_changes_the_time_and_no_rate(
    profile: Profile, seconds: float, part: float
) -> None:
    stretched = fitted(profile, seconds=seconds)
    assert stretched.seconds == pytest.approx(seconds)
    rate = stretched.rate_at(part * stretched.seconds)
    assert rate == pytest.approx(profile.rate_at(part * profile.seconds), abs=1e-3, rel=1e-3)


@given(profile=profiles, peak=floats(1, 10_000), streams=integers(0, 1_000))
def test_scaling_changes_the_rate_and_no_time(profile: Profile, peak: float, streams: int) -> None:
    scaled = fitted(profile, peak=peak, streams=streams)
    assert (scaled.peak, scaled.seconds) == (pytest.approx(peak), profile.seconds)
    assert scaled.streams == streams
    assert scaled.requests == pytest.approx(profile.requests * peak / profile.peak)


def test_the_soak_is_ten_minutes_at_300_a_second_with_200_streams_and_changes() -> None:
    soak = PROFILES["soak"]
    assert (soak.seconds, soak.streams, soak.change_every_s) == (600, 200, 1)
    assert soak.rate_at(599.9) == 300
    assert soak.users_at(0) == 300 / RATE_PER_USER
    assert soak.requests == 180_000


def test_a_spike_goes_up_and_comes_back() -> None:
    spike = PROFILES["spike"]
    assert [spike.rate_at(second) for second in (0, 19, 25, 40)] == [50, 50, 400, 50]


@pytest.mark.parametrize(
    "curve",
    [
        ((0.0, 1.0),),
        ((1.0, 1.0), (2.0, 1.0)),
        ((0.0, 1.0), (3.0, 1.0), (2.0, 1.0)),
        ((0.0, 1.0), (0.0, 1.0)),
        ((0.0, -1.0), (2.0, 1.0)),
    ],
)
def test_a_curve_that_cannot_be_followed_is_refused(curve: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="x:"):
        Profile("x", curve, streams=0, change_every_s=1)
