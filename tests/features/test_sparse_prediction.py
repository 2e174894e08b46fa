"""Sparse prediction against scikit-learn done directly."""

import numpy as np
import pytest
from cases import labelled
from sklearn.linear_model import Lasso
from sklearn.model_selection import KFold

import convergent as cv
from convergent import Linear, features

PENALTIES = (0.8, 0.3, 0.1, 0.03)


def sparse_pair(n=150, p=10, noise=0.5, seed=0):
    """Targets of one, two and all source units, and one of none."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) @ (np.eye(p) + 0.1 * rng.standard_normal((p, p)))
    y = np.stack([x[:, 0], x[:, 1] - x[:, 2], x.sum(1) / 3, rng.standard_normal(n)], axis=1)
    y = y + noise * rng.standard_normal(y.shape)
    return labelled(3 + 2 * x, "A"), labelled(5 - 0.5 * y, "B")


@pytest.fixture(scope="module")
def pair():
    return sparse_pair()


@pytest.fixture(scope="module")
def found(pair):
    return features.sparse_prediction(*pair, penalties=PENALTIES)


def direct(x, y, train, test, share):
    """Error, r and weights on test stimuli, with scikit-learn on the responses themselves."""
    z, w = ((v - v[train].mean(0)) / v[train].std(0) for v in (x, y))
    most = np.abs(z[train].T @ w[train]).max() / len(train)
    fitted = Lasso(alpha=most * share, fit_intercept=False, tol=1e-8, max_iter=100_000)
    fitted.fit(z[train], w[train])
    predicted = fitted.predict(z[test])
    error = np.sum((w[test] - predicted) ** 2) / np.sum(w[test] ** 2)
    r = np.corrcoef(predicted, w[test])[0, 1] if predicted.std() > 0 else 0.0
    return error, r, fitted.coef_


def test_paths_choice_and_scores_are_those_of_scikit_learn(pair, found):
    x, y = (one.data.values for one in pair)
    splits = list(KFold(5, shuffle=True, random_state=0).split(x))
    for unit in range(4):
        chosen_by = []
        for fold, (train, test) in enumerate(splits):
            for step, share in enumerate(PENALTIES):
                error, _, weights = direct(x, y[:, unit], train, test, share)
                got = found["error"].isel(fold=fold, target_unit=unit, penalty=step)
                assert float(got) == pytest.approx(error, abs=2e-3)
                n = found["n_weights"].isel(fold=fold, target_unit=unit, penalty=step)
                assert int(n) == (weights != 0).sum()
            inner = np.array(
                [
                    [
                        direct(x, y[:, unit], np.setdiff1d(train, other), other, share)[0]
                        for share in PENALTIES
                    ]
                    for k, (_, other) in enumerate(splits)
                    if k != fold
                ]
            )
            mean, error = inner.mean(0), inner.std(0, ddof=1) / 2
            best = mean.argmin()
            one_se = int(np.argmax(mean <= mean[best] + error[best]))
            chosen_by.append((PENALTIES[one_se], PENALTIES[best]))
            _, r, weights = direct(x, y[:, unit], train, test, PENALTIES[one_se])
            got = found["r"].isel(fold=fold, target_unit=unit).sel(model="lasso")
            assert float(got) == pytest.approx(r, abs=2e-3)
        np.testing.assert_allclose(found["chosen"].isel(target_unit=unit), chosen_by)


def test_one_unit_and_all_of_them(pair, found):
    x, y = (one.data.values for one in pair)
    for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(x)):
        r = np.corrcoef(x[train].T, y[train].T)[:10, 10:]
        best = np.abs(r).argmax(0)
        for unit, source in enumerate(best):
            expected = np.sign(r[source, unit]) * np.corrcoef(x[test, source], y[test, unit])[0, 1]
            got = found["r"].isel(fold=fold, target_unit=unit).sel(model="single")
            assert float(got) == pytest.approx(expected)
            slope, level = np.polyfit(x[train, source], y[train, unit], 1)
            left = y[test, unit] - slope * x[test, source] - level
            total = y[test, unit] - y[train, unit].mean()
            got = found["error_of"].isel(fold=fold, target_unit=unit).sel(model="single")
            assert float(got) == pytest.approx((left @ left) / (total @ total))
    standard = cv.Assembly((pair[0].data - pair[0].data.mean("stimulus")) / pair[0].data.std())
    z = standard.data / standard.data.std("stimulus")
    ridge = cv.score(cv.Assembly(z), pair[1], Linear(), ceiling=None)["r"][0, 0]
    np.testing.assert_allclose(found["r"].sel(model="ridge"), ridge, atol=1e-6)


def test_few_differ_from_one_and_many():
    table = features.sparse_table(features.sparse_prediction(*sparse_pair(1000, noise=0.3)))
    assert table["n_large"][:3].round().tolist() == [1, 2, 10]
    assert table["effective"][:2].tolist() == pytest.approx([1, 2], abs=0.2)
    assert table["effective"][2] > 7
    assert table["by_one"][0] > 0.95
    assert table["by_one"][1] == pytest.approx(0.5, abs=0.1)
    assert (table["by_few"][:3] > 0.95).all()
    assert np.isnan(table["by_one"][3])  # nothing explains it
    assert table["n_sources"][3] < 2


def test_fewer_stimuli_than_units_and_silent_targets():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 100))
    y = np.stack([x[:, 7] + 0.1 * rng.standard_normal(40), np.ones(40)], axis=1)
    found = features.sparse_prediction(labelled(x), labelled(y))
    assert float(found["r"].sel(model="lasso").mean("fold")[0]) > 0.95
    assert found["selected"].values[:, 0].argmax() == 7
    assert np.isnan(found["r"][..., 1]).all()
    assert np.isnan(found["weights"][:, 1]).all()


def test_targets_that_are_seldom_active_are_predicted_too():
    """Silent in the test stimuli of some folds, they have no score there, in any model."""
    rng = np.random.default_rng(2)
    x = np.maximum(rng.standard_normal((100, 8)) - 0.8, 0)
    y = x[:, :3] * 2
    tests = [test for _, test in KFold(5, shuffle=True, random_state=0).split(x)]
    x[tests[1], 1] = y[tests[1], 1] = 0
    found = features.sparse_prediction(labelled(x), labelled(y))
    for name in ("r", "error_of"):
        missing = np.isnan(found[name]).values
        assert (missing == missing[:, :1]).all()
    assert np.isnan(found["r"].values[1, :, 1]).all()
    assert np.isfinite(np.delete(found["r"].values, 1, axis=0)).all()
    assert float(found["r"].sel(model="lasso").mean("fold")[1]) > 0.99
    assert (found["n_chosen"].sel(rule="best").mean("fold") > 0).all()


def test_bad_options_are_refused(pair):
    with pytest.raises(cv.InputError, match="must be shares that fall"):
        features.sparse_prediction(*pair, penalties=(0.1, 0.5))
    with pytest.raises(cv.InputError, match=r"folds\.n is 2: give 3 or more"):
        features.sparse_prediction(*pair, folds=cv.Folds(2))


def test_a_warning_says_how_many_solutions_are_not_converged():
    """Source units that hardly differ, of which the target is a difference."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((60, 1)) + 1e-3 * rng.standard_normal((60, 20))
    y = x[:, :1] - x[:, 1:2]
    with pytest.warns(UserWarning, match=r"12 of 12 sparse solutions are not converged"):
        features.sparse_prediction(
            labelled(x), labelled(y / y.std()), penalties=(1e-4, 1e-6), folds=cv.Folds(3)
        )
