"""``convergent datasets``, ``fetch`` and ``networks``."""

import convergent as cv


def test_datasets(run, tmp_path):
    rows = {row["name"]: row for row in run("datasets", "--json").rows()}
    assert set(rows) == set(cv.cards())
    assert rows["virtual-cortex"]["simulated"] is True
    assert rows["virtual-cortex"]["here"] == "made when loaded"
    real = rows["cowley2023"]
    assert (real["simulated"], real["here"], real["regions"]) == (False, "0 of 12", "V4")
    assert real["subjects"] == "WE, PE, RA"
    assert real["megabytes"] > 1
    assert {"stimuli", "units", "repeats", "licence"} <= set(real)
    code, out, _ = run("datasets")
    assert code == 0
    assert str(tmp_path / "data") in out.replace("\n", "")
    assert all(name in out for name in rows)
    assert "simulated" in out


def test_networks(run):
    rows = run("networks", "--json").rows()
    names = [row["name"] for row in rows]
    assert names[: len(cv.NETWORKS)] == list(cv.NETWORKS)
    assert {"torchvision:NAME", "timm:NAME", "package.module:function"} <= set(names)
    assert "efficientnet-lite2" in run("networks")[1]


def test_networks_that_are_trained_here(run):
    what = {row["name"]: row["what"] for row in run("networks", "--json").rows()}
    assert "convergent train" in what["small-plain"]
    assert "ImageNet" in what["efficientnet-lite0"]
    rows = run("networks", "small-residual", "--json").rows()
    assert {"layer": "blocks.0.first", "kind": "Sequential", "default": True} in rows


def test_layers_of_a_network(run):
    rows = run("networks", "tinynetwork:make", "--json").rows()
    assert rows == [
        {"layer": "0", "kind": "Conv2d", "default": True},
        {"layer": "1", "kind": "ReLU", "default": False},
        {"layer": "2", "kind": "Conv2d", "default": True},
    ]
    assert "layers of tinynetwork:make" in run("networks", "tinynetwork:make")[1]


def test_fetch_of_what_is_simulated(run, tmp_path, all_files):
    code, out, err = run("fetch", "virtual-cortex")
    assert (code, err) == (0, "")
    assert out == "virtual-cortex is simulated when it is loaded: there is nothing to fetch\n"
    assert not all_files(tmp_path)


def test_fetch_says_where_the_files_lie(run, monkeypatch, tmp_path):
    asked = []
    files = [tmp_path / "a.npy", tmp_path / "b.zip"]
    monkeypatch.setattr(cv, "fetch", lambda *words: asked.append(words) or files)
    assert run("fetch", "cowley2023/210325") == (0, f"{files[0]}\n{files[1]}\n", "")
    run("fetch", "cowley2023")
    assert asked == [("cowley2023", "210325"), ("cowley2023", None)]
