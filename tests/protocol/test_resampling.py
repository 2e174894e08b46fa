"""Resamples and shuffles: what is drawn, what stays together, and scores done by hand."""

import numpy as np
import pytest
from cases import image_names, labelled
from scipy import stats

import convergent as cv
from convergent import Population
from convergent.base.arrays import correlate
from convergent.protocol.resampling import draw_resamples, effective_number, unit_counts
from convergent.statistics.aggregation import over_units

N = 62  # two folds have a stimulus more than the others
SPLITS = cv.Folds(5).split(N)
NAMES = image_names(N)
PHOTO = np.repeat([f"photo{i:02d}" for i in range(20)], 3)


def orders(samples=40, splits=SPLITS, groups=None, seed=0):
    return draw_resamples(None, cv.Shuffle(samples, seed), splits, groups).orders


def counts(samples=200, splits=SPLITS, groups=None, seed=0):
    return draw_resamples(cv.Bootstrap(samples, seed=seed), None, splits, groups).counts


# What can be asked


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"samples": 0}, "bootstrap samples=0: give a whole number from 2 up"),
        ({"samples": 10.0}, r"samples=10\.0: give a whole number"),
        ({"seed": -1}, "seed=-1: give a whole number from 0 to 4294967295"),
        ({"over": ()}, "over holds one or both of 'stimuli'"),
        ({"over": "folds"}, r"over='folds'.*'stimuli' and either 'units' or 'subjects'"),
        ({"over": ("units", "subjects")}, "drawn with all of their units"),
    ],
)
def test_a_bootstrap_that_cannot_be_drawn(setting, message):
    with pytest.raises(cv.InputError, match=message):
        cv.Bootstrap(**setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"samples": 0}, "shuffle samples=0: give a whole number from 1 up"),
        ({"samples": "many"}, "samples='many': give a whole number"),
        ({"seed": 0.5}, r"seed=0\.5: give a whole number from 0 to 4294967295"),
        ({"kind": "circle"}, "there is no kind of shuffle 'circle': did you mean 'circular'"),
    ],
)
def test_a_shuffle_that_cannot_be_drawn(setting, message):
    with pytest.raises(cv.InputError, match=message):
        cv.Shuffle(**setting)


def test_what_is_random_may_stand_in_any_order():
    assert cv.Bootstrap(over="units").over == ("units",)
    assert cv.Bootstrap(over=["subjects", "stimuli"]).over == ("stimuli", "subjects")
    assert cv.Bootstrap() == cv.Bootstrap(1000, ("stimuli",), 0)


def test_settings_of_a_score_are_checked(pair):
    with pytest.raises(cv.InputError, match=r"bootstrap is 100: give Bootstrap\(\.\.\.\)"):
        cv.score(*pair, bootstrap=100)
    with pytest.raises(cv.InputError, match=r"shuffle is True: give Shuffle\(\.\.\.\)"):
        cv.score(*pair, shuffle=True)


def test_nothing_is_drawn_that_is_not_asked_for():
    found = draw_resamples(None, None, SPLITS)
    assert (found.bootstrap, found.counts, found.orders, found.n_drawn) == (None, None, None, N)
    assert draw_resamples(cv.Bootstrap(5, "units"), None, SPLITS).counts is None


# Stimuli


def test_every_resample_has_as_many_stimuli_in_each_fold_as_there_are():
    drawn = counts()
    assert drawn.shape == (200, N)
    for _, test in SPLITS:
        np.testing.assert_array_equal(drawn[:, test].sum(1), len(test))


def test_stimuli_are_drawn_with_replacement_and_equal_chances():
    drawn = counts(4000)
    np.testing.assert_allclose(drawn.mean(0), 1, atol=0.1)
    for _, test in SPLITS:  # multinomial
        np.testing.assert_allclose(drawn[:, test].var(0), 1 - 1 / len(test), rtol=0.15)


def test_groups_are_drawn_whole():
    splits = cv.Folds(5, group="photo").split(60, PHOTO)
    found = draw_resamples(cv.Bootstrap(100), None, splits, PHOTO)
    assert found.n_drawn == 20
    by_photo = found.counts.reshape(100, 20, 3)
    np.testing.assert_array_equal(by_photo, by_photo[:, :, :1].repeat(3, axis=2))
    for _, test in splits:
        np.testing.assert_array_equal(found.counts[:, test].sum(1), len(test))
    assert set(np.unique(by_photo)) >= {0, 1, 2}


def test_resamples_come_again_by_seed():
    np.testing.assert_array_equal(counts(), counts())
    assert (counts(seed=1) != counts()).any()
    np.testing.assert_array_equal(orders(), orders())
    assert (orders(seed=1) != orders()).any()


def test_members_are_what_is_drawn_at_once():
    groups = cv.Folds(5, group="photo").split(60, PHOTO)
    found = draw_resamples(cv.Bootstrap(100), None, groups, PHOTO)
    one = found.counts[:, [np.flatnonzero(found.members == i)[0] for i in range(20)]]
    np.testing.assert_array_equal(found.counts, one[:, found.members])
    assert len(set(draw_resamples(None, None, SPLITS).members)) == N


# How unequal stimuli are


def test_the_effective_number_of_stimuli_by_its_formula():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((40, 6)) * rng.exponential(size=(40, 1))
    distances = (((y - y.mean(0)) / y.std(0)) ** 2).sum(1)
    expected = distances.sum() ** 2 / (distances**2).sum()
    assert effective_number(y, np.arange(40)) == pytest.approx(expected)
    moved = y * [1e-200, 1e150, 1, 3, 1e5, 7] + [0, 0, 4, 0, 0, 1]
    assert effective_number(moved, np.arange(40)) == pytest.approx(expected, rel=1e-6)
    distances = distances.reshape(10, 4).sum(1)
    expected = distances.sum() ** 2 / (distances**2).sum()
    assert effective_number(y, np.repeat(np.arange(10), 4)) == pytest.approx(expected)


def test_stimuli_that_drive_units_alike_all_count_and_one_outlier_counts_alone():
    y = np.random.default_rng(1).standard_normal((200, 50))
    assert effective_number(y, np.arange(200)) > 180
    y[7] *= 1e3
    assert effective_number(y, np.arange(200)) < 1.2
    assert effective_number(np.ones((5, 2)), np.arange(5)) == 5  # nothing varies
    assert effective_number(np.ones((5, 0)), np.arange(5)) == 5


def test_circular_shuffles_shift_all_stimuli_along_their_order():
    places = np.random.default_rng(1).permutation(N)
    splits = cv.Folds(5, order="onset").split(N, places=places)
    drawn = draw_resamples(None, cv.Shuffle(N - 1, kind="circular"), splits).orders
    shift = (places[drawn] - places) % N
    np.testing.assert_array_equal(shift, shift[:, :1].repeat(N, axis=1))
    assert sorted(shift[:, 0].tolist()) == list(range(1, N))
    with pytest.raises(cv.InputError, match=r"62 stimuli.* 1 to 61 places, and 62 circular"):
        draw_resamples(None, cv.Shuffle(N, kind="circular"), splits)


def test_circular_shuffles_shift_groups_whole():
    groups = np.repeat(["d", "b", "a", "c", "f", "e", "h", "g"], 3)
    splits = cv.Folds(2, group="run", order="name").split(24, groups)
    drawn = draw_resamples(None, cv.Shuffle(7, kind="circular"), splits, groups).orders
    for order in drawn:
        shift = (order - np.arange(24)) % 24
        assert len(np.unique(shift)) == 1
        assert shift[0] % 3 == 0
    uneven = np.repeat(["a", "b", "c", "d"], [3, 3, 4, 4])
    splits = cv.Folds(2, group="run", order="name").split(14, uneven)
    with pytest.raises(cv.InputError, match="groups of 3 to 4 stimuli cannot change places"):
        draw_resamples(None, cv.Shuffle(2, kind="circular"), splits, uneven)


def test_circularly_shuffled_scores_are_scores_of_a_shifted_target():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 4)), rng.standard_normal((40, 3))
    settings = {"metrics": ["linear", "procrustes"], "ceiling": None}
    settings["folds"] = cv.Folds(4, order="name")
    shuffle = cv.Shuffle(3, kind="circular")
    found = cv.score(labelled(x), labelled(y), **settings, shuffle=shuffle)["r_shuffled"]
    orders = draw_resamples(None, shuffle, settings["folds"].split(40)).orders
    for i, order in enumerate(orders):
        alone = cv.score(labelled(x), labelled(y[order]), **settings, units=False)["r"]
        np.testing.assert_allclose(found[..., i].values, alone.values, atol=1e-9)


def test_circular_shuffles_need_an_order():
    with pytest.raises(cv.InputError, match=r"the folds have none: give folds=Folds\(5, order="):
        cv.Protocol("linear", shuffle=cv.Shuffle(9, kind="circular"))


# Units and subjects

SUBJECTS = np.array(["ann", "bob", "ann", "cid", "bob", "ann"])


def test_units_are_drawn_as_often_as_there_are():
    drawn = unit_counts(cv.Bootstrap(3000, "units"), "V4", 7, None)
    np.testing.assert_array_equal(drawn.sum(1), 7)
    np.testing.assert_allclose(drawn.mean(0), 1, atol=0.1)
    np.testing.assert_allclose(drawn.var(0), 1 - 1 / 7, rtol=0.15)


def test_subjects_are_drawn_with_all_of_their_units():
    drawn = unit_counts(cv.Bootstrap(3000, "subjects"), "V4", 6, SUBJECTS)
    of_subject = drawn[:, [0, 1, 3]]  # ann, bob and cid
    np.testing.assert_array_equal(drawn, of_subject[:, [0, 1, 0, 2, 1, 0]])
    np.testing.assert_array_equal(of_subject.sum(1), 3)
    np.testing.assert_allclose(of_subject.mean(0), 1, atol=0.1)


def test_subjects_are_the_same_for_all_targets_and_units_are_not():
    subjects, units = cv.Bootstrap(50, "subjects"), cv.Bootstrap(50, "units")
    one, other = (unit_counts(subjects, name, 6, SUBJECTS) for name in ("V4", "IT"))
    np.testing.assert_array_equal(one, other)
    fewer = unit_counts(subjects, "V1", 4, SUBJECTS[:4])  # of the same three
    np.testing.assert_array_equal(fewer, one[:, :4])
    one, again, other = (unit_counts(units, name, 6, None) for name in ("V4", "V4", "IT"))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_median_over_units_is_that_of_units_repeated():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((50, 9))
    values[rng.random(values.shape) < 0.2] = np.nan
    drawn = rng.multinomial(9, np.full(9, 1 / 9), size=50)
    expected = [
        np.median(np.repeat(row, count)[~np.isnan(np.repeat(row, count))])
        for row, count in zip(values, drawn, strict=True)
    ]
    np.testing.assert_allclose(over_units(values, drawn.astype(float)), expected, rtol=1e-12)
    np.testing.assert_allclose(over_units(values, None), np.nanmedian(values, 1), rtol=1e-12)
    same = over_units(values[:1], drawn.astype(float))  # the same scores in every resample
    expected = over_units(values[:1].repeat(50, axis=0), drawn.astype(float))
    np.testing.assert_array_equal(same, expected)


def test_median_of_nothing_is_not_known():
    values, drawn = np.array([[np.nan, 1.0, np.nan]]), np.array([[2.0, 0.0, 1.0]])
    assert np.isnan(over_units(values, drawn)).all()
    assert np.isnan(over_units(values[:, :1], None)).all()


# Shuffles


def test_shuffles_permute_the_stimuli_within_folds():
    found = orders()
    assert found.shape == (40, N)
    for _, test in SPLITS:
        np.testing.assert_array_equal(np.sort(found[:, test]), np.tile(np.sort(test), (40, 1)))
    assert len(np.unique(found, axis=0)) == 40
    stay = (found == np.arange(N)).mean()
    assert stay == pytest.approx(5 / N, abs=0.02)  # of each fold, one on average


def test_groups_change_places_whole():
    splits = cv.Folds(5, group="photo").split(60, PHOTO)
    found = orders(splits=splits, groups=PHOTO)
    moved = found.reshape(40, 20, 3)
    np.testing.assert_array_equal(np.diff(moved, axis=2), 1)  # in their own order
    np.testing.assert_array_equal(moved[..., 0] % 3, 0)
    for _, test in splits:
        np.testing.assert_array_equal(np.sort(found[:, test]), np.tile(np.sort(test), (40, 1)))
    assert (found != np.arange(60)).any()


def test_groups_of_unequal_sizes_cannot_change_places():
    groups = np.repeat(list("abcdefgh"), [3, 3, 3, 3, 3, 3, 3, 4])
    splits = cv.Folds(2, group="photo").split(25, groups)
    with pytest.raises(cv.InputError, match="groups of 3 to 4 stimuli cannot change places"):
        orders(splits=splits, groups=groups)
    assert counts(splits=splits, groups=groups).shape == (200, 25)  # but can be drawn


# Scores, by hand


@pytest.fixture(scope="module")
def pair():
    """A network and a recording of it, with trials."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N, 30))
    signal = x @ rng.standard_normal((30, 6)) / 5
    trials = signal[:, :, None] + rng.standard_normal((N, 6, 4))
    return labelled(x, "layer"), labelled(trials, "V4", subject=("unit", list("aabbcc")))


def predictions(pair, metric):
    """Predicted and recorded responses of each fold."""
    x, y = pair[0].data.values, pair[1].data.values.mean(2)
    for train, test in SPLITS:
        views = (Population(z).fold(train, test) for z in (x, y))
        yield cv.METRICS[metric]().fit(*views).predict(), y[test], test


@pytest.mark.parametrize("metric", ["linear", "procrustes"])
def test_draws_over_stimuli_are_scores_of_stimuli_repeated(pair, metric):
    scores = cv.score(*pair, metric, bootstrap=cv.Bootstrap(8, seed=3))
    drawn = counts(8, seed=3).astype(int)
    r = np.zeros((8, 6))
    for predicted, observed, test in predictions(pair, metric):
        for b in range(8):
            rows = np.repeat(np.arange(len(test)), drawn[b, test])
            r[b] += correlate(predicted[rows], observed[rows]) / 5
    np.testing.assert_allclose(scores["r_draws"].squeeze(), r, atol=1e-6)
    c = cv.split_half(pair[1].data.values, weights=counts(8, seed=3)).full
    np.testing.assert_allclose(scores["ceiling_draws"].squeeze(), np.sqrt(c), atol=1e-6)
    np.testing.assert_array_equal(scores["n_drawn"], [[N]])
    assert list(scores["factor"].values) == ["stimuli"]


@pytest.mark.parametrize(("over", "whose"), [("units", None), ("subjects", list("aabbcc"))])
def test_draws_of_units_are_kept_for_those_that_count(pair, over, whose):
    source, target = pair
    trials = np.insert(target.data.values, 2, 1.5, axis=1)  # a silent unit of the second subject
    target = labelled(trials, "V4", subject=("unit", list("aabbbcc")))
    bootstrap = cv.Bootstrap(8, ("stimuli", over))
    scores = cv.score(source, target, "linear", bootstrap=bootstrap)
    drawn = unit_counts(bootstrap, "V4", 6, whose and np.array(whose))
    np.testing.assert_array_equal(scores["unit_draws"], np.insert(drawn, 2, 0, axis=1))
    assert list(scores["factor"].values) == ["stimuli", over]
    np.testing.assert_array_equal(scores["n_drawn"], [[N], [len(set(whose or range(6)))]])
    alone = cv.score(source, target, "linear", bootstrap=cv.Bootstrap(8, over))
    np.testing.assert_array_equal(alone["unit_draws"], scores["unit_draws"])
    assert "r_draws" not in alone


def test_the_maps_are_refitted_in_the_first_resamples(pair):
    scores = cv.score(*pair, "procrustes", bootstrap=cv.Bootstrap(30, refits=7), ceiling=None)
    assert scores.sizes["draw"] == 30
    assert scores.sizes["refit"] == 7
    x, y = pair[0].data.values, pair[1].data.values.mean(2)
    for b, drawn in enumerate(counts(30).astype(int)[:3]):
        r = 0
        for train, test in SPLITS:
            rows = np.repeat(train, drawn[train]), np.repeat(test, drawn[test])
            r += cv.Procrustes().fit(*(Population(z).fold(*rows) for z in (x, y))).score().r / 5
        np.testing.assert_allclose(scores["r_refits"].squeeze()[b], r, atol=1e-6)


def test_resamples_do_not_change_the_score_itself(pair):
    plain = cv.score(*pair)
    drawn = cv.score(*pair, bootstrap=cv.Bootstrap(3, ("stimuli", "units")), shuffle=cv.Shuffle(2))
    for name in plain.data_vars:
        np.testing.assert_array_equal(drawn[name], plain[name])


def test_resamples_of_stimuli_are_the_same_for_all_sources_and_targets(pair):
    source, target = pair
    sources, targets = {"one": source, "copy": source}, {"V4": target, "again": target}
    scores = cv.score(sources, targets, bootstrap=cv.Bootstrap(6))
    draws = scores["r_draws"].values.reshape(6, 3, 2, 2, 6)  # draw, metric, source, target, unit
    np.testing.assert_array_equal(draws, np.broadcast_to(draws[:, :, :1, :1], draws.shape))
    ceilings = scores["ceiling_draws"].values.reshape(6, 3, 2, 6)
    np.testing.assert_array_equal(ceilings[:, :, 0], ceilings[:, :, 1])


def test_intervals_widen_where_few_stimuli_drive_the_units_and_say_so(pair):
    source, target = pair
    settings = {"bootstrap": cv.Bootstrap(30, refits=3), "ceiling": None}
    plain = cv.score(source, target, "linear", **settings)
    mean = target.data.values.mean(2)
    assert plain["n_effective"].item() == pytest.approx(effective_number(mean, np.arange(N)))
    assert plain["n_effective"] > N / 2
    mean[:2] *= 30
    with pytest.warns(UserWarning, match="'V4' is driven by few stimuli .* rest on about [12]"):
        heavy = cv.score(source, labelled(mean, "V4"), "linear", **settings)
    assert heavy["n_effective"] < 3
    table = cv.summary(heavy)
    half = (table["r_high"] - table["r_low"])[0] / 2
    least = stats.norm.ppf(0.975) * np.median(heavy["r_draws"], axis=-1).std(ddof=1)
    assert half > 1.5 * least


def test_without_units_there_are_no_resamples(pair):
    with pytest.raises(cv.InputError, match="units=False keeps no resamples"):
        cv.score(*pair, units=False, bootstrap=cv.Bootstrap(3))


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ({}, "no label 'subject' along 'unit'"),
        ({"subject": ("unit", ["ann"] * 6)}, "one subject, ann"),
        ({"subject": ("stimulus", NAMES)}, "no label 'subject' along 'unit'"),
    ],
)
def test_subjects_need_names(pair, label, found):
    trials = labelled(pair[1].data.values, "V4", **label)
    with pytest.raises(cv.InputError, match=rf"two or more, and target 'V4' has {found}"):
        cv.score(pair[0], trials, bootstrap=cv.Bootstrap(3, "subjects"))


def test_units_can_be_drawn_where_none_counts(pair):
    noise = np.random.default_rng(2).standard_normal((N, 3, 4))
    noise -= noise.mean(2, keepdims=True) * 0.9
    scores = cv.score(
        pair[0], labelled(noise, "V4"), "linear", bootstrap=cv.Bootstrap(3, ("stimuli", "units"))
    )
    assert (scores["excluded"] == "reliability below 0.1").all()
    np.testing.assert_array_equal(scores["unit_draws"].sum("unit"), 3)


@pytest.mark.parametrize("metric", cv.METRICS)
def test_shuffled_scores_are_scores_of_a_target_whose_stimuli_changed_places(pair, metric):
    source, target = pair
    scores = cv.score(source, target, metric, shuffle=cv.Shuffle(4, seed=2), ceiling=None)
    found = scores["r_shuffled"].squeeze().values
    y = target.data.values.mean(2)
    for sample, order in enumerate(orders(4, seed=2)):
        exchanged = cv.score(source, labelled(y[order], "V4"), metric, ceiling=None)
        assert found[sample] == pytest.approx(cv.summary(exchanged)["r"][0], abs=1e-9)


def test_shuffles_keep_groups_and_leave_silent_units_out():
    rng = np.random.default_rng(4)
    names, folds = NAMES[:60], cv.Folds(5, group="photo")
    y = rng.standard_normal((60, 3))
    y[:, 1] = 2.0

    def scored(y, **options):
        x = np.random.default_rng(5).standard_normal((60, 90))
        source = cv.Assembly.from_array(x, stimuli=names, photo=("stimulus", PHOTO))
        target = cv.Assembly.from_array(y, stimuli=names)
        return cv.score(source, target, folds=folds, ceiling=None, **options)

    found = scored(y, shuffle=cv.Shuffle(2))["r_shuffled"]
    for sample, order in enumerate(orders(2, folds.split(60, PHOTO), PHOTO)):
        expected = cv.summary(scored(y[order]))["r"]
        np.testing.assert_allclose(found.isel(shuffle=sample).squeeze(), expected, atol=1e-9)
