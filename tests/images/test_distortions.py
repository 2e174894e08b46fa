"""Distortions against their definitions: spectra, histograms, phases, luminance."""

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

import convergent as cv
from convergent import DISTORTIONS, Stimuli, distort, edges
from convergent.images.distortions import LUMINANCE, eidolon, grey, opponent_colour, scramble_phases

SIDE = 112  # half of the size for which pixels are given


@pytest.fixture(scope="module")
def stimuli():
    images = cv.simulate.natural_images(3)
    names = [f"{i}.png" for i in range(3)]
    cut = [image[:SIDE, :SIDE] for image in np.asarray(images)]
    return Stimuli.from_arrays(cut, names)


@pytest.fixture(scope="module")
def softer(stimuli):
    """The same with values far from black and white: nothing is clipped."""
    return stimuli.map(lambda image: 0.4 + 0.2 * np.asarray(image) / 255)


def pixels(image):
    """Values from 0 to 1 of the first channel."""
    return np.asarray(image)[..., 0] / 255


def luma(image):
    return grey(np.asarray(image) / 255)


RANDOM = [name for name, each in DISTORTIONS.items() if each.random]
EVERY = [(name, level) for name, each in DISTORTIONS.items() for level in each.levels]


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_control_is_the_base(name, stimuli):
    chosen = DISTORTIONS[name]
    found = distort(stimuli, name, chosen.levels[0])
    for key in stimuli.names:
        base = np.round(chosen.base(np.asarray(stimuli[key]) / 255) * 255)
        image = np.asarray(found[key])
        np.testing.assert_array_equal(image if base.ndim == 3 else image[..., 0], base)


@pytest.mark.parametrize(("name", "level"), EVERY)
def test_names_sizes_and_the_table_stay(name, level, stimuli):
    found = distort(stimuli, name, level)
    assert found.names == stimuli.names
    assert found[0].size == stimuli[0].size
    assert set(found.table["distortion"]) == {name}
    assert set(found.table["level"]) == {level}
    if level != DISTORTIONS[name].levels[0]:
        control = distort(stimuli, name, DISTORTIONS[name].levels[0])
        assert np.asarray(found[0]).tolist() != np.asarray(control[0]).tolist()


def test_levels_are_those_of_the_papers():
    assert {name: len(each.levels) for name, each in DISTORTIONS.items()} == {
        "colour": 2,
        "false-colour": 2,
        "contrast": 8,
        "high-pass": 8,
        "low-pass": 8,
        "phase-scrambling": 7,
        "power-equalisation": 2,
        "rotation": 4,
        "uniform-noise": 8,
        "eidolon-1": 9,
        "eidolon-2": 9,
        "eidolon-3": 9,
    }


@pytest.mark.parametrize("name", RANDOM)
def test_what_is_random_follows_from_seed_and_name(name, stimuli):
    level = DISTORTIONS[name].levels[3]
    first, again = (distort(stimuli, name, level, seed=1) for _ in range(2))
    other = distort(stimuli, name, level, seed=2)
    assert np.array_equal(first["1.png"], again["1.png"])
    assert not np.array_equal(first["1.png"], other["1.png"])
    alone = distort(stimuli.select(["1.png"]), name, level, seed=1)
    assert np.array_equal(first["1.png"], alone["1.png"])
    same = Stimuli.from_arrays([np.asarray(stimuli[0])] * 2, ["a.png", "b.png"])
    assert not np.array_equal(*distort(same, name, level))


def test_grey_has_the_luma_in_all_channels(stimuli):
    image = np.asarray(distort(stimuli, "colour", "grey")[0])
    assert np.array_equal(image[..., 0], image[..., 1])
    assert np.array_equal(image[..., 0], image[..., 2])
    np.testing.assert_allclose(pixels(image), luma(stimuli[0]), atol=0.5 / 255)


def test_opponent_colours_keep_luminance_and_reverse_colours():
    rng = np.random.default_rng(0)
    image = rng.uniform(0.4, 0.6, (20, 30, 3))  # far from the border of what a screen shows
    turned = opponent_colour(image, "opponent")

    def light(values):
        return ((values + 0.055) / 1.055) ** 2.4

    luminance = light(image) @ LUMINANCE
    np.testing.assert_allclose(light(turned) @ LUMINANCE, luminance, atol=1e-12)
    chroma = light(image) - luminance[..., None]
    np.testing.assert_allclose(light(turned) - luminance[..., None], -chroma, atol=1e-12)
    np.testing.assert_allclose(opponent_colour(turned, "opponent"), image, atol=1e-12)
    neutral = np.repeat(image[..., :1], 3, axis=2)
    np.testing.assert_allclose(opponent_colour(neutral, "opponent"), neutral, atol=1e-12)


@pytest.mark.parametrize("percent", [50, 10, 1])
def test_contrast_narrows_the_histogram(percent, stimuli):
    image = pixels(distort(stimuli, "contrast", percent)[0])
    expected = 0.5 + percent / 100 * (luma(stimuli[0]) - 0.5)
    np.testing.assert_allclose(image, expected, atol=0.5 / 255 + 1e-12)


@pytest.mark.parametrize("sigma", [1, 5, 15])
def test_low_pass_takes_fine_detail_by_the_gaussian_law(sigma):
    # a grating away from the border keeps exp(-(2 pi f s)^2 / 2) of its amplitude
    side, period = 448, 8 * sigma
    x = np.arange(side)
    grating = 0.4423 + 0.3 * np.cos(2 * np.pi * x / period) * np.ones((side, 1))
    image = Stimuli.from_arrays([grating], ["g.png"])
    found = pixels(distort(image, "low-pass", sigma)[0])
    middle = slice((side - period) // 2, (side + period) // 2 + 1)
    kept = np.ptp(found[side // 2, middle]) / 0.6
    size = 2 * sigma  # the image is twice as large as those that pixels are given for
    assert kept == pytest.approx(np.exp(-((2 * np.pi * size / period) ** 2) / 2), abs=0.01)


def test_high_pass_is_what_low_pass_takes_away(softer):
    base = luma(softer[0])
    low, high = (pixels(distort(softer, f"{which}-pass", 3)[0]) for which in ("low", "high"))
    np.testing.assert_allclose(high - high.mean(), base - low - (base - low).mean(), atol=1.5 / 255)
    assert high.mean() == pytest.approx(0.4423, abs=1 / 255)
    fine = gaussian_filter(high, 4, mode="reflect")[20:-20, 20:-20]
    assert fine.std() < 0.2 * gaussian_filter(base, 4, mode="reflect")[20:-20, 20:-20].std()


@pytest.mark.parametrize("shape", [(64, 64), (63, 64), (64, 63), (63, 63)])
@pytest.mark.parametrize("degrees", [30, 90, 180])
def test_phases_are_shifted_uniformly_and_amplitudes_stay(shape, degrees):
    rng = np.random.default_rng(0)
    image = 0.5 + 0.01 * rng.standard_normal(shape)
    found = scramble_phases(image, degrees, rng)
    before, after = np.fft.fft2(image), np.fft.fft2(found)
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-9)
    shift = np.rad2deg(np.angle(after / before)).ravel()
    assert found.mean() == pytest.approx(image.mean(), abs=1e-12)
    assert np.abs(shift).max() <= degrees + 1e-6
    uniform = stats.uniform(-degrees, 2 * degrees)
    assert stats.kstest(shift[np.abs(shift) > 1e-9][::2], uniform.cdf).pvalue > 0.001


def test_scrambled_images_keep_their_spectrum(softer):
    found = pixels(distort(softer, "phase-scrambling", 90)[0])
    before, after = (np.abs(np.fft.fft2(z)) for z in (luma(softer[0]), found))
    assert np.corrcoef(np.log(before.ravel() + 1), np.log(after.ravel() + 1))[0, 1] > 0.99


def test_equal_power_is_the_mean_amplitude_with_own_phases(softer):
    usual = np.mean([np.abs(np.fft.fft2(luma(image))) for image in softer], axis=0)
    found = distort(softer, "power-equalisation", "usual")
    for before, after in zip(softer, found, strict=True):
        phase = np.angle(np.fft.fft2(luma(before)))
        expected = np.fft.ifft2(usual * np.exp(1j * phase)).real
        np.testing.assert_allclose(pixels(after), expected, atol=0.5 / 255 + 1e-9)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_turns_anticlockwise(degrees, stimuli):
    image = np.asarray(distort(stimuli, "rotation", degrees)[0])
    expected = np.round(np.rot90(luma(stimuli[0]), degrees // 90) * 255)
    np.testing.assert_array_equal(image[..., 0], expected)


@pytest.mark.parametrize("width", [0.03, 0.2, 0.35])
def test_noise_is_uniform_and_independent(width, stimuli):
    control, found = (pixels(distort(stimuli, "uniform-noise", w)[0]) for w in (0, width))
    noise = (found - control).ravel()
    assert np.abs(noise).max() <= width + 1 / 255
    assert noise.std() == pytest.approx(width / 3**0.5, rel=0.03)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.05
    assert np.ptp(control) <= 0.3 + 1 / 255


def test_noise_of_another_level_is_the_same_but_wider(stimuli):
    control, narrow, wide = (pixels(distort(stimuli, "uniform-noise", w)[0]) for w in (0, 0.1, 0.2))
    np.testing.assert_allclose(wide - control, 2 * (narrow - control), atol=2 / 255)


@pytest.mark.parametrize("coherence", [0.0, 0.3, 1.0])
def test_slices_of_an_eidolon_sum_to_the_image(coherence):
    image = np.random.default_rng(0).uniform(size=(40, 50))
    still = eidolon(image, 0.0, np.random.default_rng(1), coherence=coherence)
    np.testing.assert_allclose(still, image, atol=1e-12)


def test_a_coherent_eidolon_moves_pixels_by_its_reach():
    # all slices move alike: the image is warped, and a ramp shows by how much
    side = 224
    ramp = np.arange(side) / side * np.ones((side, 1))
    moved = eidolon(ramp, 4.0, np.random.default_rng(0), coherence=1.0)
    shift = (moved - ramp)[60:-60, 60:-60] * side
    assert shift.std() == pytest.approx(4, rel=0.3)
    # incoherent slices tear the image apart
    torn = eidolon(ramp, 4.0, np.random.default_rng(0), coherence=0.0)
    assert np.diff(torn, axis=1)[60:-60, 60:-60].std() != pytest.approx(
        np.diff(moved, axis=1)[60:-60, 60:-60].std(), rel=0.05
    )


def test_eidolons_get_less_like_the_image_with_reach(stimuli):
    base = luma(stimuli[0]).ravel()
    for name in ("eidolon-1", "eidolon-2", "eidolon-3"):
        alike = [
            np.corrcoef(base, pixels(distort(stimuli, name, reach)[0]).ravel())[0, 1]
            for reach in (0, 4, 16, 128)
        ]
        assert alike == sorted(alike, reverse=True)


def test_sizes_grow_with_the_image():
    side = 224
    spot = np.zeros((side, side))
    spot[side // 2, side // 2] = 1
    large = np.kron(spot, np.ones((2, 2)))
    images = [(0.4423 + 0.5 * image) for image in (spot, large)]
    small, big = (
        pixels(distort(Stimuli.from_arrays([image], ["a.png"]), "low-pass", 3)[0]) - 0.4423
        for image in images
    )

    def spread(image):
        x = np.arange(len(image)) - (image.sum(0) @ np.arange(len(image))) / image.sum()
        return ((image.sum(0) @ x**2) / image.sum()) ** 0.5

    window = slice(side // 2 - 12, side // 2 + 13), slice(side // 2 - 12, side // 2 + 13)
    wide = slice(side - 24, side + 26), slice(side - 24, side + 26)
    assert spread(big[wide]) == pytest.approx(2 * spread(small[window]), rel=0.1)


def test_edges_are_dark_lines_on_white():
    image = np.zeros((60, 60))
    image[:, 30:] = 1
    found = pixels(Stimuli.from_arrays([image], ["a.png"]).map(edges)[0])
    assert (found[:, :20] == 1).all()
    assert found[30].argmin() in (29, 30)
    assert found.min() == 0


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("blur", 1, "no distortion 'blur'.*colour"),
        (3, 1, "distortion"),
        ("contrast", 120, "'contrast' has no level 120: choose one of 100, 50"),
        ("contrast", "low", "has no level 'low'"),
        ("rotation", 45, "has no level 45: choose one of 0, 90, 180, 270\\."),
        ("colour", "red", "has no level 'red'"),
        ("low-pass", -1, "or a number between these"),
        ("low-pass", float("nan"), "has no level nan"),
    ],
)
def test_what_is_not_there_is_told(name, level, message, stimuli):
    with pytest.raises(cv.InputError, match=message):
        distort(stimuli, name, level)


@pytest.mark.parametrize("name", ["colour", "false-colour"])
def test_grey_images_have_no_colours_to_change(name, stimuli):
    grey_ones = distort(stimuli, "colour", "grey")
    changed = distort(grey_ones, name, DISTORTIONS[name].levels[1])
    with pytest.raises(cv.InputError, match=r"'0.png' has no colours, and .* changes colours"):
        changed[0]


def test_one_power_spectrum_needs_one_size(stimuli):
    mixed = stimuli.map(
        lambda image, name: image.resize((60, 60)) if name == "1.png" else image, named=True
    )
    with pytest.raises(cv.InputError, match=r"need one size .*: '0.png'.*'1.png'.*differ"):
        distort(mixed, "power-equalisation", "usual")
