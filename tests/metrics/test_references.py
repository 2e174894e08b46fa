"""References against their formulas, scipy and rsatoolbox, and against known answers."""

import gc
import weakref

import dask.array
import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import ortho_group, pearsonr, spearmanr

from convergent import InputError, Population
from convergent.metrics.references import REFERENCES, cka, mutual_knn, rsa

N, P = 60, 24
KINDS = {
    "numpy": np.asarray,
    "torch": torch.from_numpy,
    "dask": lambda x: dask.array.from_array(x, chunks=(17, 23)),
}


def draw(seed, n=N, p=P):
    """Responses, far from zero and with units of unequal variance."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.standard_normal((n, p)), 0) * rng.uniform(0.5, 2, p) + 0.3


def related(seed=0, p=P, q=17):
    """Two populations that have something in common."""
    x, noise = draw(seed, p=p), draw(seed + 1, p=q)
    return x, x @ np.random.default_rng(seed + 2).standard_normal((p, q)) / np.sqrt(p) + noise


def measure(name, x, y, **options):
    return REFERENCES[name](Population(x), Population(y), **options)


def hsic_1(k, l):  # noqa: E741
    """Equation 5 of Song et al. 2012, term by term."""
    n, one = len(k), np.ones(len(k))
    k, l = k * (1 - np.eye(n)), l * (1 - np.eye(n))  # noqa: E741
    both = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + both - 2 / (n - 2) * one @ k @ l @ one) / (n * (n - 3))


def test_cka_is_netreps(synthetic):
    found = cka(Population(synthetic.x), Population(synthetic.y))
    assert np.arccos(found) == pytest.approx(0.908861702734471, abs=1e-6)
    assert found == pytest.approx(0.6146440416212681, abs=1e-6)


@pytest.mark.parametrize("p", [P, 200])
def test_cka_is_that_of_the_units(p):
    x, y = related(p=p)
    a, b = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(a.T @ b) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
    assert measure("cka", x, y) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("p", [P, 200])
def test_debiased_cka_is_songs_estimator(p):
    x, y = related(p=p)
    k, l = x @ x.T, y @ y.T  # noqa: E741 - not centred: the estimator sees to it
    expected = hsic_1(k, l) / np.sqrt(hsic_1(k, k) * hsic_1(l, l))
    assert measure("cka-debiased", x, y) == pytest.approx(expected, rel=1e-9)


def test_only_the_debiased_cka_of_independent_populations_is_zero():
    pairs = [(draw(i, n=30, p=300), draw(i + 100, n=30, p=300)) for i in range(20)]
    assert np.mean([measure("cka", *pair) for pair in pairs]) > 0.8
    assert abs(np.mean([measure("cka-debiased", *pair) for pair in pairs])) < 0.02


def rdm_of(x, rdm):
    return pdist(x, "sqeuclidean" if rdm == "euclidean" else "correlation")


BY_SCIPY = {
    "pearson": lambda a, b: pearsonr(a, b).statistic,
    "spearman": lambda a, b: spearmanr(a, b).statistic,
    "cosine": lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b),
}


@pytest.mark.parametrize("compare", BY_SCIPY)
@pytest.mark.parametrize("rdm", ["euclidean", "correlation"])
@pytest.mark.parametrize("p", [P, 200])
def test_rsa_is_scipys(compare, rdm, p):
    x, y = related(p=p)
    expected = BY_SCIPY[compare](rdm_of(x, rdm), rdm_of(y, rdm))
    found = rsa(Population(x), Population(y), compare, rdm)
    assert found == pytest.approx(expected, abs=1e-9)
    if rdm == "euclidean":
        assert measure(f"rsa-{compare}", x, y) == found


@pytest.mark.parametrize("compare", BY_SCIPY)
@pytest.mark.parametrize("rdm", ["euclidean", "correlation"])
def test_rsa_is_rsatoolboxs(compare, rdm):
    toolbox = pytest.importorskip("rsatoolbox")
    x, y = related()
    rdms = [toolbox.rdm.calc_rdm(toolbox.data.Dataset(z), method=rdm) for z in (x, y)]
    method = {"pearson": "corr"}.get(compare, compare)
    expected = toolbox.rdm.compare(*rdms, method=method).item()
    assert rsa(Population(x), Population(y), compare, rdm) == pytest.approx(expected, abs=1e-9)


def neighbours_by_loop(x, k):
    """The k nearest of each stimulus by cosine, one by one."""
    near = []
    for i, pattern in enumerate(x):
        cosine = {
            j: pattern @ other / np.linalg.norm(pattern) / np.linalg.norm(other)
            for j, other in enumerate(x)
            if j != i
        }
        near.append(set(sorted(cosine, key=cosine.get)[-k:]))
    return near


@pytest.mark.parametrize("k", [1, 5, 58])
@pytest.mark.parametrize("p", [P, 200])
def test_mutual_neighbours_are_those_of_a_loop(k, p):
    x, y = related(p=p)
    pairs = zip(neighbours_by_loop(x, k), neighbours_by_loop(y, k), strict=True)
    expected = np.mean([len(a & b) / k for a, b in pairs])
    assert mutual_knn(Population(x), Population(y), k) == pytest.approx(expected, abs=1e-12)


def test_mutual_neighbours_of_independent_populations_are_those_of_chance():
    found = [measure("mutual-knn", draw(i) - 0.5, draw(i + 100) - 0.5) for i in range(20)]
    assert np.mean(found) == pytest.approx(10 / (N - 1), abs=0.015)


def test_a_stimulus_without_response_has_no_neighbours():
    x = draw(0)
    x[7] = 0
    assert measure("mutual-knn", x, x) == pytest.approx((N - 1) / N, abs=1e-12)
    x[8:] = 0  # 7 are left, with 6 others each, where 10 are looked for
    assert measure("mutual-knn", x, x) == pytest.approx(7 * 6 / (N * 10), abs=1e-12)


TRANSFORMATIONS = {
    "shift": lambda x: x + np.random.default_rng(2).normal(0, 5, P),
    "scale": lambda x: 7 * x,
    "scale of each unit": lambda x: x * np.random.default_rng(3).uniform(0.2, 5, P),
    "rotation": lambda x: x @ ortho_group.rvs(P, random_state=4),
    "permutation of units": lambda x: x[:, np.random.default_rng(5).permutation(P)],
    "duplication of all units": lambda x: np.tile(x, 3),
    "invertible linear map": lambda x: x @ np.random.default_rng(6).standard_normal((P, P)),
    "shift and scale of each stimulus": lambda x: 5 + x * np.linspace(1, 3, N)[:, None],
    "shuffle of stimuli": lambda x: x[np.random.default_rng(1).permutation(N)],
}
MEASURES = REFERENCES | {"rsa-correlation": lambda x, y: rsa(x, y, "pearson", "correlation")}
GEOMETRY = set(REFERENCES) - {"mutual-knn"}
IGNORES = {
    "shift": GEOMETRY,
    "scale": set(MEASURES),
    "scale of each unit": set(),
    "rotation": set(REFERENCES),
    "permutation of units": set(MEASURES),
    "duplication of all units": set(MEASURES),
    "invertible linear map": set(),
    "shift and scale of each stimulus": {"rsa-correlation"},
    "shuffle of stimuli": set(),
}


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_reference_ignores_what_it_should_and_notices_the_rest(transformation):
    x, y = related(q=P)
    changed = TRANSFORMATIONS[transformation](x)
    ignored = set()
    for name, reference in MEASURES.items():
        before, after = (reference(Population(z), Population(y)) for z in (x, changed))
        itself = reference(Population(x), Population(changed))
        if before == pytest.approx(after, abs=1e-9):
            ignored.add(name)
            assert itself == pytest.approx(1, abs=1e-9)
        else:
            assert abs(before - after) > 1e-4
            assert itself < 0.999
    assert ignored == IGNORES[transformation]


@pytest.mark.parametrize("name", MEASURES)
def test_references_are_symmetric(name):
    x, y = (Population(z) for z in related())
    assert MEASURES[name](x, y) == pytest.approx(MEASURES[name](y, x), abs=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [P, 200])
def test_arrays_of_all_kinds_give_the_same_in_blocks(name, kind, p, monkeypatch):
    x, y = related(p=p)
    expected = MEASURES[name](Population(x), Population(y))
    monkeypatch.setattr("convergent.metrics.population.BLOCK_BYTES", 8 * N * 7)
    found = MEASURES[name](Population(KINDS[kind](x)), Population(KINDS[kind](y)))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_geometry_is_derived_once_and_forgotten_with_its_population(name):
    reads = []

    def read(block):
        reads.append(block.shape)
        return block

    array = dask.array.from_array(draw(0), chunks=(60, 24))
    x = Population(array.map_blocks(read, dtype=float, meta=np.zeros((0, 0))))
    y = Population(draw(1))
    first, once = MEASURES[name](x, y), len(reads)
    assert 0 < once <= 2
    assert MEASURES[name](x, y) == first
    assert len(reads) == once
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None


SILENT = {
    "zero": np.zeros((N, 4)),
    "constant": np.tile([0.1, 3.0, -2.0, 1e5], (N, 1)),
    "constant but for rounding": 0.1 * (1 + 2.0**-52 * (np.arange(4 * N).reshape(N, 4) % 3)),
    "one unit": np.full((N, 1), 7.0),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("silent", SILENT)
def test_a_silent_population_is_like_none(name, kind, silent):
    """Not even like another that is silent as well."""
    x = KINDS[kind](SILENT[silent])
    if name == "rsa-correlation" and silent != "constant":
        with pytest.raises(InputError, match="have no correlation"):
            MEASURES[name](Population(x), Population(KINDS[kind](draw(0))))
        return
    for other in (x, KINDS[kind](draw(0))):
        for sides in ((x, other), (other, x)):
            assert np.isnan(MEASURES[name](*map(Population, sides)))


def test_stimuli_that_are_equally_far_apart_have_no_debiased_alignment():
    x = np.eye(N)
    assert np.isnan(measure("cka-debiased", x, draw(0)))
    assert measure("cka", x, x) == pytest.approx(1)
    for name in ("rsa-pearson", "rsa-spearman", "mutual-knn"):
        assert np.isnan(measure(name, x, draw(0)))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("factor", [1e-10, 1e10, 1e-90])
def test_the_scale_of_a_population_changes_nothing(name, factor):
    x, y = related()
    found = MEASURES[name](Population(x * factor), Population(y))
    assert found == pytest.approx(MEASURES[name](Population(x), Population(y)), abs=1e-9)


def expected_overlap(x, y, k, rng, draws=4000):
    """Mean over random ways to break ties, the direct way."""
    total = 0.0
    cosines = [np.round(z @ z.T / np.outer(*[np.linalg.norm(z, axis=1)] * 2), 9) for z in (x, y)]
    n = len(x)
    for _ in range(draws):
        near = []
        for c in cosines:
            order = np.lexsort((rng.random((n, n)), -np.where(np.eye(n), -9, c)), axis=1)[:, :k]
            near.append(np.isin(np.arange(n * n).reshape(n, n), order + n * np.arange(n)[:, None]))
        total += (near[0] & near[1]).mean() * n / k
    return total / draws


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_that_tie_are_averaged(kind):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (2, 20, 4)) + 0.0
    x[:, 0], y[:, 0] = 1, 1  # every stimulus has a response
    expected = expected_overlap(x, y, 5, rng)
    found = measure("mutual-knn", KINDS[kind](x), KINDS[kind](y), k=5)
    assert found == pytest.approx(expected, abs=0.005)
    for _ in range(5):
        stimuli, units = rng.permutation(20), rng.permutation(4)
        other = measure("mutual-knn", x[stimuli], y[stimuli][:, units], k=5)
        assert other == pytest.approx(found, abs=1e-12)


def test_a_unit_of_one_sign_has_no_neighbours():
    x = np.abs(draw(0)[:, :1]) + 0.1
    assert np.isnan(measure("mutual-knn", x, draw(1)))


def test_rank_correlations_do_not_hang_on_the_order_of_stimuli():
    """Distances of 1 / 2048 of the greatest, where rounding to ten digits would part them."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 3, (N, 6)) * 1.0
    x[0] += 32 * np.array([1, 1, 0, 0, 0, 0])
    y = rng.integers(0, 3, (N, 5)) * 1.0
    found = {
        round(measure("rsa-spearman", x[order][:, rng.permutation(6)], y[order]), 12)
        for order in (rng.permutation(N) for _ in range(6))
    }
    assert len(found) == 1


@pytest.mark.parametrize("name", REFERENCES)
def test_stimuli_must_be_as_many_on_both_sides(name):
    with pytest.raises(InputError, match=r"60 stimuli and the other 50.*align"):
        measure(name, draw(0), draw(1, n=50))


@pytest.mark.parametrize(
    ("name", "n"),
    [("cka", 2), ("cka-debiased", 3), ("rsa-pearson", 2), ("mutual-knn", 2), ("mutual-knn", 11)],
)
def test_stimuli_must_be_enough(name, n):
    with pytest.raises(InputError, match=rf"{n} stimuli.*more\s+stimuli"):
        measure(name, draw(0, n=n), draw(1, n=n))
    assert np.isfinite(
        measure(name, draw(0, n=n + 1 + (n == 2) * 9), draw(1, n=n + 1 + (n == 2) * 9))
    )


@pytest.mark.parametrize("k", [0, -1, 2.5, "10"])
def test_the_number_of_neighbours_is_checked(k):
    with pytest.raises(InputError, match="whole number from 1"):
        measure("mutual-knn", draw(0), draw(1), k=k)


def test_all_others_are_no_neighbours():
    for k in (N - 1, N, N + 5):
        with pytest.raises(InputError, match=f"at most {N - 2}"):
            measure("mutual-knn", draw(0), draw(1), k=k)


def test_names_are_checked():
    x, y = Population(draw(0)), Population(draw(1))
    with pytest.raises(InputError, match=r"no comparison 'spearmen': did you mean 'spearman'"):
        rsa(x, y, "spearmen")
    with pytest.raises(InputError, match=r"no RDM 'crossnobis'"):
        rsa(x, y, rdm="crossnobis")


def test_flat_patterns_correlate_with_none():
    x = draw(0)
    x[[3, 8]] = 0.1
    with pytest.raises(InputError, match=r"2 of 60 stimuli \(the first at position 3\)"):
        rsa(Population(x), Population(draw(1)), rdm="correlation")


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_are_noticed(name, kind):
    x = draw(0)
    x[3, 7] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        measure(name, KINDS[kind](x), KINDS[kind](draw(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_distances_that_tie_share_a_rank(kind):
    """Distances of binary responses are whole numbers, of which many are equal."""
    x, y = (np.random.default_rng(k).integers(0, 2, (N, 8)).astype(float) for k in range(2))
    exact = [np.round(pdist(z, "sqeuclidean")) for z in (x, y)]
    found = rsa(*(Population(KINDS[kind](z)) for z in (x, y)), rdm="euclidean", compare="spearman")
    assert found == pytest.approx(spearmanr(*exact).statistic, abs=1e-9)
    order = np.random.default_rng(2).permutation(8)
    again = rsa(Population(x[:, order]), Population(y), rdm="euclidean", compare="spearman")
    assert again == pytest.approx(found, abs=1e-9)
