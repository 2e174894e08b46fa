"""Virtual stimuli and recordings: what is simulated is what is stated."""

import numpy as np
import pytest

from convergent import Assembly, InputError, split_half
from convergent.images.scenes import natural_images
from convergent.images.scenes import power_law_noise as _power_law_noise
from convergent.simulate import recording

# Images


@pytest.fixture(scope="module")
def images():
    return natural_images(32, seed=3)


def test_images_are_rgb_bytes(images):
    assert images.shape == (32, 128, 128, 3)
    assert images.dtype == np.uint8
    assert natural_images(1, 40).shape == (1, 40, 40, 3)


def test_an_image_depends_on_seed_and_place_alone(images):
    np.testing.assert_array_equal(natural_images(3, seed=3), images[:3])
    assert (natural_images(3, seed=4) != images[:3]).any((1, 2, 3)).all()


def test_images_are_independent(images):
    flat = images.reshape(len(images), -1)
    r = np.corrcoef(flat)[np.triu_indices(len(images), 1)]
    assert r.max() < 0.9
    assert abs(np.median(r)) < 0.2


def test_images_use_the_range_of_a_byte(images):
    assert images.min() < 10
    assert images.max() > 245
    assert 70 < images.mean() < 180
    assert images.std((1, 2, 3)).min() > 10  # none is blank


def test_images_have_colour(images):
    assert np.ptp(images.astype(float).mean((1, 2)), axis=1).mean() > 5


def test_amplitude_falls_with_frequency_as_in_photographs(images):
    grey = images.mean(-1)
    window = np.hanning(128)[:, None] * np.hanning(128)
    grey = (grey - grey.mean((1, 2), keepdims=True)) * window
    amplitude = np.sqrt((np.abs(np.fft.rfft2(grey)) ** 2).mean(0))
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)) * 128
    rings = np.arange(4, 50)
    profile = [amplitude[np.abs(frequency - ring) < 0.5].mean() for ring in rings]
    slope = np.polyfit(np.log(rings), np.log(profile), 1)[0]
    assert -1.6 < slope < -0.7


@pytest.mark.parametrize("exponent", [0.6, 1.8])
def test_texture_has_the_spectrum_asked_for(exponent):
    texture = _power_law_noise(64, exponent, np.random.default_rng(0))
    np.testing.assert_array_equal(texture[:64, :64], texture[64:, 64:])
    amplitude = np.abs(np.fft.rfft2(texture[:64, :64]))[1:32, 1:32]
    frequency = np.hypot(*np.mgrid[1:32, 1:32])
    slope = np.polyfit(np.log(frequency.ravel()), np.log(amplitude.ravel()), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.15)
    assert (texture.mean(), texture.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))


@pytest.mark.parametrize("asked", [{"n": 0}, {"n": -1}, {"n": 1, "size": 1}])
def test_images_that_cannot_be_drawn(asked):
    with pytest.raises(InputError, match=r"give a whole number from [12]"):
        natural_images(**asked)


# Recordings


def features(n=60, units=20, seed=0):
    values = np.random.default_rng(seed).standard_normal((n, units)) * np.arange(1, units + 1)
    return Assembly.from_array(values, stimuli=[f"{i:05d}" for i in range(n)])


def test_recording_is_deterministic():
    one, again, other = (
        recording(features(), 5, repeats=3, seed=seed).fingerprint() for seed in (0, 0, 1)
    )
    assert one == again != other


def test_recording_is_labelled():
    found = recording(features(), 5, repeats=3, name="V9", labels={"region": "V9", "subject": "s"})
    assert found.data.sizes == {"stimulus": 60, "unit": 5, "repeat": 3}
    assert found.data.dtype == np.float32
    assert found.stimuli.tolist() == features().stimuli.tolist()
    assert found.units.tolist() == [f"V9-00{i}" for i in range(5)]
    assert set(found.data["region"].values) == {"V9"}
    assert found.data.attrs["simulated"]
    assert found.name == "V9"


SILENT = (1e-6, 1e-6)  # noise that leaves the signal


def signal(n, units, **options):
    """The signals alone, which the seed draws before the noise."""
    return recording(features(n), units, repeats=1, noise=SILENT, **options).data.values[..., 0]


def test_signal_is_a_weighted_sum_of_a_few_features():
    values = features(200).data.values
    units = signal(200, 8, inputs=4)
    weights, *_ = np.linalg.lstsq(values - values.mean(0), units - units.mean(0))
    np.testing.assert_allclose((values - values.mean(0)) @ weights, units, atol=1e-4)
    assert (np.abs(weights) > 1e-5).sum(0).tolist() == [4] * 8
    np.testing.assert_allclose(units.std(0), 1, atol=1e-4)


@pytest.fixture(scope="module")
def long():
    """So many stimuli that what is measured is close to what is stated."""
    return recording(features(4000), 40, repeats=6, noise=(0.5, 3))


def test_noise_of_a_trial_is_as_stated(long):
    noise = long.data.values - signal(4000, 40)[..., None]
    np.testing.assert_allclose(noise.std((0, 2)), long.data["noise"], rtol=0.03)
    flat = noise.transpose(1, 2, 0).reshape(-1, 4000)
    assert np.abs(np.corrcoef(flat) - np.eye(len(flat))).max() < 0.1  # of units, and of trials
    assert 0.5 <= long.data["noise"].min() < 0.8
    assert 2 < long.data["noise"].max() <= 3


def test_stated_reliability_is_that_of_the_mean(long):
    stated = long.data["reliability"].values
    mean = long.data.values.mean(-1)
    r = [np.corrcoef(*pair)[0, 1] for pair in zip(mean.T, signal(4000, 40).T, strict=True)]
    np.testing.assert_allclose(np.square(r), stated, atol=0.03)
    assert np.ptp(stated) > 0.3


def test_stated_reliability_is_what_split_halves_find(long):
    found = split_half(long.data.values, splits=20).full
    np.testing.assert_allclose(found, long.data["reliability"], atol=0.04)
    assert abs(np.mean(found - long.data["reliability"].values)) < 0.01


def test_repeats_of_features_are_averaged():
    given = features()
    noise = np.array([-1.0, 1.0])
    trials = Assembly(given.data.expand_dims(repeat=2).transpose("stimulus", "unit", "repeat"))
    trials = Assembly(trials.data + noise)
    np.testing.assert_allclose(
        recording(trials, 5, repeats=2).data, recording(given, 5, repeats=2).data, atol=1e-5
    )


def test_features_that_do_not_vary_are_not_read():
    given = features(units=12).data
    constant = given.copy(data=np.where(np.arange(12) < 2, 7.0, given))
    with pytest.raises(InputError, match="10 features vary, and a unit reads 12: give more"):
        recording(Assembly(constant), 5, repeats=2)
    assert recording(Assembly(constant), 5, repeats=2, inputs=10).data.notnull().all()


def test_features_with_holes():
    given = features().data.copy()
    given[3, 4] = np.nan
    with pytest.raises(InputError, match=r"have dims \('stimulus', 'unit'\) and 1 NaN"):
        recording(Assembly(given), 5, repeats=2)


def test_features_over_time():
    given = Assembly(features().data.expand_dims(time=3))
    with pytest.raises(InputError, match=r"dims \('stimulus', 'unit', 'time'\)"):
        recording(given, 5, repeats=2)


@pytest.mark.parametrize(
    "option",
    [
        {"n_units": 0},
        {"repeats": 0},
        {"inputs": 0},
        {"noise": (0, 1)},
        {"noise": (2, 1)},
        {"noise": (-1, 1)},
    ],
)
def test_numbers_out_of_range(option):
    (name,) = option
    with pytest.raises(InputError, match=f"{name}=.*: give a"):
        recording(features(), **{"n_units": 5, "repeats": 2, **option})
