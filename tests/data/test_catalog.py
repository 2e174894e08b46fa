import ast
import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
from cases import nobody

from convergent import InputError
from convergent.data import cards, catalog

ROOT = Path(__file__).parents[2]
VALUES = np.arange(600.0).reshape(100, 6)


def npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


CONTENT = npy(VALUES)
SHA256 = hashlib.sha256(CONTENT).hexdigest()

CARD = f"""
title = "Toy"
version = "1"
description = "Made up."
licence = "CC0-1.0"
citation = "Nobody 2025"
regions = ["V1"]
base_url = "ADDRESS"

[sessions.monday]
subject = "M"
stimuli = 100
files = ["day 1/monday.npy"]

[sessions.tuesday]
subject = "T"
files = ["tuesday.npy"]

[files]
"day 1/monday.npy" = {{ sha256 = "{SHA256}", size = {len(CONTENT)} }}
"tuesday.npy" = {{ sha256 = "{SHA256}", size = {len(CONTENT)} }}
"""

WHOLE_CARD = """
title = "Toy without sessions"
version = "1"
description = "Made up."
licence = "CC0-1.0"
citation = "Nobody 2025"
regions = ["V1"]
subjects = ["M"]
simulated = true
stimuli = 100
"""

LOADER = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from convergent import Assembly, Stimuli

@dataclass
class Size:
    stimuli: int

def load(card, session, file):
    values = np.load(file(card.sessions[session].files[0])) if session else np.ones((100, 2))
    names = [f"{i:03d}.png" for i in range(Size(len(values)).stimuli)]
    images = np.zeros((len(values), 2, 2), np.uint8)
    return Stimuli.from_arrays(images, names), Assembly.from_array(values, stimuli=names)
"""


class Server(BaseHTTPRequestHandler):
    """The first part of the path says how the server behaves."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        way = self.path.split("/")[1]
        if way in {"404", "500"}:
            self.send_error(int(way))
            return
        if way in {"file", "ftp"}:
            self.send_response(302)
            self.send_header("Location", f"{way}:///etc/hostname")
            self.end_headers()
            return
        body = CONTENT[::-1] if way == "wrong" else CONTENT
        self.send_response(200)
        if way == "encoded":  # as some servers label what lies there compressed
            self.send_header("Content-Encoding", "gzip")
        if way != "endless":
            claim = 2**41 if way == "large" else len(body)
            self.send_header("Content-Length", str(claim))
        self.end_headers()
        with suppress(OSError):  # the other side stops
            while way == "endless" and len(self.asked) < 500_000:
                self.asked.append("block")
                self.wfile.write(body)
        self.wfile.write(body[: len(body) // 2] if way == "cut" else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Server.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVERGENT_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def write(tmp_path, root):  # noqa: ARG001, as no test may touch the real data
    """Write a data set's folder and read its card."""

    def write(text, name="toy-set"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "card.toml").write_text(text)
        (folder / f"{name.replace('-', '_')}.py").write_text(LOADER)
        return cards.read_card(folder)

    return write


@pytest.fixture
def toy(write, server):
    """Toy data set whose server behaves in the given way."""
    return lambda way="good": write(CARD.replace("ADDRESS", f"{server}/{way}/"))


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


# Loading


def test_load_downloads_once(toy, root):
    card = toy()
    assert not catalog.present(card, "monday")
    for _ in range(2):
        stimuli, assembly = catalog.load(card, "monday")
    assert Server.asked == ["/good/day%201/monday.npy"]
    assert files_below(root) == [root / "toy-set" / "day 1" / "monday.npy"]
    np.testing.assert_array_equal(assembly.data, VALUES)
    assert assembly.stimuli.tolist() == list(stimuli.names)
    assert catalog.present(card, "monday")
    assert not catalog.present(card)


def test_load_says_where_the_data_come_from(toy):
    attrs = catalog.load(toy(), "tuesday")[1].data.attrs
    assert attrs == {
        "data_set": "toy-set",
        "version": "1",
        "session": "tuesday",
        "licence": "CC0-1.0",
        "citation": "Nobody 2025",
        "simulated": False,
    }


def test_fetch_without_session_gets_everything(toy, root):
    card = toy()
    here = [root / "toy-set" / path for path in card.files]
    assert catalog.fetch(card) == here
    assert sorted(files_below(root)) == sorted(here)


def test_download_says_nothing_off_a_terminal(toy, capfd, caplog):
    logger = pooch.get_logger()
    logger.addHandler(caplog.handler)  # its own writes to the stderr of when it was imported
    catalog.fetch(toy())
    logger.removeHandler(caplog.handler)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_download_is_told_on_a_terminal(toy, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    catalog.fetch(toy(), "tuesday")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fetching http://127.0.0.1:")


def test_download_may_be_read_by_whoever_may_read_the_folder(toy, root):
    folder = root / "toy-set"
    folder.mkdir(parents=True)
    folder.chmod(0o750)
    (place,) = catalog.fetch(toy(), "tuesday")
    assert place.stat().st_mode & 0o777 == 0o640


def test_data_set_without_sessions_and_files(write, root):
    card = write(WHOLE_CARD)
    assert catalog.present(card)
    assert catalog.fetch(card) == []
    _, assembly = catalog.load(card)
    assert assembly.data.attrs["simulated"] is True
    assert not root.exists()


def test_a_single_session_need_not_be_named(write, server):
    text = CARD.replace("ADDRESS", f"{server}/good")
    card = write(text.replace('[sessions.tuesday]\nsubject = "T"\nfiles = ["tuesday.npy"]', ""))
    assert catalog.load(card)[1].data.attrs["session"] == "monday"


def test_data_root_is_the_user_cache_by_default(monkeypatch):
    monkeypatch.delenv("CONVERGENT_DATA", raising=False)
    assert catalog.data_root().name == "convergent"
    monkeypatch.setenv("CONVERGENT_DATA", "~/somewhere")
    assert catalog.data_root() == Path.home() / "somewhere"


# Names


def test_unknown_data_set_lists_close_ones():
    with pytest.raises(InputError, match="no data set 'cowly2023': did you mean 'cowley2023'"):
        catalog.load("cowly2023")


@pytest.mark.parametrize("use", [catalog.load, catalog.fetch, catalog.present])
def test_unknown_session_lists_close_ones(toy, use):
    with pytest.raises(InputError, match="no session of toy-set 'munday': did you mean 'monday'"):
        use(toy(), "munday")


def test_several_sessions_and_none_chosen(toy):
    with pytest.raises(InputError, match="has 2 sessions: give one, session='monday', 'tuesday'"):
        catalog.load(toy())


def test_session_of_a_data_set_without(write):
    with pytest.raises(InputError, match=r"toy-set has no sessions.*'monday'.*leave it out"):
        catalog.load(write(WHOLE_CARD), "monday")


# Files


@pytest.mark.parametrize(
    ("way", "finding"),
    [
        ("404", "404 Client Error"),
        ("500", "500 Server Error"),
        ("cut", "IncompleteRead"),
        ("wrong", "does not match the known hash"),
        ("endless", r"sends \d+ bytes or more, and the card says 4928"),
        ("large", r"sends 2199023255552 bytes or more, and the card says 4928"),
        ("file", "No connection adapters were found for 'file:///etc/hostname'"),
        ("ftp", "No connection adapters were found"),
    ],
)
def test_failed_download_leaves_nothing(toy, root, way, finding):
    with pytest.raises(InputError, match=finding) as caught:
        catalog.load(toy(way), "tuesday")
    assert f"/{way}/tuesday.npy could not be downloaded" in str(caught.value)
    assert f"put it at {root / 'toy-set' / 'tuesday.npy'}" in str(caught.value)
    assert files_below(root) == []


def test_download_ends_at_the_size_on_the_card(toy):
    with pytest.raises(InputError, match="could not be downloaded"):
        catalog.fetch(toy("endless"), "tuesday")
    assert len(Server.asked) < 5000  # buffers of the system included


def test_files_are_downloaded_as_they_are(toy):
    assert catalog.fetch(toy("encoded"), "tuesday")[0].read_bytes() == CONTENT


def test_server_that_says_nothing(write, monkeypatch):
    monkeypatch.setattr(catalog, "_PATIENCE", 0.2)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match="timed out"):
            catalog.fetch(write(CARD.replace("ADDRESS", address)), "tuesday")


def test_interrupted_download_leaves_nothing(toy, root, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog._Download, "_check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        catalog.fetch(toy(), "tuesday")
    assert files_below(root) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk")
def test_disk_that_is_full(toy, root, monkeypatch):
    card, opened = toy(), Path.open

    def full(path, mode="r", *rest, **options):
        return opened(Path("/dev/full") if mode == "wb" else path, mode, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(InputError, match=r"data folder .*toy-set has no space for 0\.0 MiB"):
            catalog.fetch(card, "tuesday")
    assert files_below(root) == []
    usage = shutil.disk_usage(card.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(InputError, match=r"has no space .*set CONVERGENT_DATA"):
        catalog.fetch(card, "tuesday")
    assert len(Server.asked) == 1  # the second time it is known before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_are_no_files(toy, root, tmp_path):
    card = toy()
    (root / "toy-set").mkdir(parents=True)
    os.mkfifo(root / "toy-set" / "tuesday.npy")
    with pytest.raises(InputError, match=r"tuesday\.npy is a pipe"):
        catalog.fetch(card, "tuesday")
    os.mkfifo(tmp_path / "card.toml")
    with pytest.raises(InputError, match=r"card\.toml is a pipe, and no card"):
        cards.read_card(tmp_path)


def test_no_server(write):
    said = (
        r"http://127\.0\.0\.1:9/tuesday.npy could not be downloaded: no connection to 127\.0\.0\.1"
    )
    with pytest.raises(InputError, match=said) as caught:
        catalog.fetch(write(CARD.replace("ADDRESS", "http://127.0.0.1:9")), "tuesday")
    assert caught.value.__suppress_context__  # one message, not the frames of three libraries


def test_no_address(write):
    card = write(CARD.replace('base_url = "ADDRESS"', ""))
    with pytest.raises(InputError, match=r"no address to download 'tuesday.npy'.*put the file at"):
        catalog.load(card, "tuesday")


@pytest.mark.parametrize("content", [CONTENT[:-8], CONTENT[::-1]], ids=["truncated", "corrupt"])
def test_damaged_file_is_reported_and_kept(toy, root, content):
    place = root / "toy-set" / "tuesday.npy"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    card = toy()
    assert catalog.present(card, "tuesday") == (len(content) == len(CONTENT))
    with pytest.raises(InputError, match=r"damaged, cut short.*move it away") as caught:
        catalog.load(card, "tuesday")
    found = f"found {len(content)} bytes with SHA-256 {hashlib.sha256(content).hexdigest()}"
    assert found in str(caught.value)
    assert f"expected {len(CONTENT)} bytes with SHA-256 {SHA256}" in str(caught.value)
    assert place.read_bytes() == content
    assert Server.asked == []


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has no user ids")
def test_read_only_data_folder(toy, monkeypatch):
    card = toy()
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder.chmod(0o555)
    monkeypatch.setenv("CONVERGENT_DATA", str(folder))
    try:
        with nobody(), pytest.raises(InputError, match="Permission denied") as caught:
            catalog.fetch(card, "tuesday")
    finally:
        folder.rmdir()
    assert f"cannot write to the data folder {folder / 'toy-set'}" in str(caught.value)
    assert "set CONVERGENT_DATA to a folder that is" in str(caught.value)


def test_data_folder_is_a_file(toy, root):
    root.write_text("")
    with pytest.raises(InputError, match=r"cannot be read.*set CONVERGENT_DATA"):
        catalog.fetch(toy(), "tuesday")


def test_loader_asks_for_a_file_that_is_not_on_the_card(toy):
    card = toy()
    loader = card.folder / "toy_set.py"
    loader.write_text(LOADER.replace("card.sessions[session].files[0]", "'../tuesday.npy'"))
    with pytest.raises(InputError, match=r"no file of toy-set '../tuesday.npy'"):
        catalog.load(card, "tuesday")


@pytest.mark.parametrize(
    ("prepare", "finding"),
    [
        (lambda path: path.unlink(), "has no loader: write load"),
        (lambda path: path.write_text(""), "defines no function load"),
    ],
    ids=["no file", "no function"],
)
def test_data_set_without_loader(toy, prepare, finding):
    card = toy()
    prepare(card.folder / "toy_set.py")
    with pytest.raises(InputError, match=finding):
        catalog.load(card, "monday")


# Cards


def test_card_of_ones_own(write):
    card = write(CARD.replace("ADDRESS", "https://example.org"))
    assert (card.name, card.regions, card.subjects) == ("toy-set", ("V1",), ("M", "T"))
    assert card.sessions["monday"] == cards.Session("M", ("day 1/monday.npy",), stimuli=100)
    assert card.files["tuesday.npy"] == cards.File(SHA256, len(CONTENT))


@pytest.mark.parametrize(
    "path",
    ["../tuesday.npy", "/etc/x", "a/../../x", "a\\\\b", "C:/x", "", "a//b", "a\\u0000b", "a\\nb"],
)
def test_hostile_path_is_refused(write, path):
    with pytest.raises(InputError, match=r"card\.toml.*outside the data set's folder"):
        write(CARD.replace("tuesday.npy", path).replace("ADDRESS", "https://example.org"))


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("title", "titel", "lacks 'title'"),
        ("regions", "license = ''\nregions", "no key 'license': did you mean 'licence'"),
        ('"Toy"', "1", "title is 1, and should be a text"),
        ('["V1"]', "[1]", "regions is [1], and should be a list of texts"),
        ("stimuli = 100", "stimuli = true", "stimuli is True, and should be a whole number"),
        ('["tuesday.npy"]', '["x"]', "needs 'x': list them under [files]"),
        (SHA256, "0F", "sha256 is '0F', and should be 64"),
        (f", size = {len(CONTENT)}", "", "lacks 'size'"),
        ("[files]", "[files]\nx = 1", "file 'x' of the card"),
        ("[files]", "[files", "is not valid TOML"),
        ("stimuli = 100", "stimuli = -1", "stimuli is -1, and should be a number from 0 up"),
        (f"size = {len(CONTENT)}", "size = -1", "size is -1, and should be"),
        (f"size = {len(CONTENT)}", "size = 1e9", "size is 1000000000.0, and should be"),
        ("ADDRESS", "file:///etc", "base_url is 'file:///etc': give an address that begins with"),
        ("ADDRESS", "ftp://example.org", "begins with https:// or http://"),
        ("ADDRESS", "../data", "begins with https:// or http://"),
        ('"Toy"', "[" * 5000 + "]" * 5000, "is not valid TOML"),
        ('"Toy"', '["' + "x" * 10_000 + '"]', "..."),
    ],
)
def test_faulty_card_names_file_and_finding(write, tmp_path, old, new, finding):
    with pytest.raises(InputError) as caught:
        write(CARD.replace(old, new, 1).replace("ADDRESS", "https://example.org"))
    assert finding in str(caught.value)
    assert f"the card {tmp_path / 'toy-set' / 'card.toml'}" in str(caught.value)


def test_card_that_is_no_text(write, tmp_path):
    write(CARD.replace("ADDRESS", "https://example.org"))
    (tmp_path / "toy-set" / "card.toml").write_bytes(CARD.encode() + b"\xff")
    with pytest.raises(InputError, match=r"card\.toml is not valid TOML in UTF-8"):
        cards.read_card(tmp_path / "toy-set")


def test_session_that_is_a_path(toy):
    with pytest.raises(InputError, match=r"no session of toy-set '\.\./\.\.'"):
        catalog.load(toy(), "../..")


def test_no_card(tmp_path):
    with pytest.raises(InputError, match=r"there is no card .*/card\.toml"):
        cards.read_card(tmp_path)


# Loaders

LOADERS = sorted(ROOT.glob("datasets/*/*.py"))


def imported_by(path):
    """Names of all modules that a file imports from, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


@pytest.mark.parametrize("path", LOADERS, ids=lambda path: path.stem)
def test_loaders_import_from_convergent_itself_alone(path):
    found = set(imported_by(path))
    assert "convergent" in found
    assert not [name for name in found if name.startswith(("convergent.", "."))]


def test_every_data_set_has_a_loader():
    assert {path.parent.name for path in LOADERS} == set(catalog.cards())


HEAVY = ("torch", "sklearn", "ot", "nibabel", "matplotlib")
ALSO_SLOW = ("scipy", "xarray", "zarr", "pooch", "rich")


def heavy_modules_after(*modules, heavy=HEAVY):
    """Which heavy packages a new Python has loaded after it imported modules of this package."""
    program = f"""
import importlib, sys, types
package = types.ModuleType("convergent")  # without what the package itself imports
package.__path__ = [{str(ROOT / "src" / "convergent")!r}]
sys.modules["convergent"] = package
for name in {modules}:
    importlib.import_module(name)
print(*(name for name in {heavy} if name in sys.modules))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return run.stdout.split()


def test_listing_data_sets_loads_nothing_slow():
    assert heavy_modules_after("convergent.data.catalog", heavy=HEAVY + ALSO_SLOW) == []


def test_base_and_data_load_nothing_heavy():
    source = ROOT / "src"
    modules = [
        ".".join(path.relative_to(source).with_suffix("").parts)
        for part in ("base", "data")
        for path in sorted((source / "convergent" / part).glob("*.py"))
    ]
    assert len(modules) > 15
    assert heavy_modules_after(*modules) == []


# Where the cards are


def test_cards_are_found_from_the_checkout():
    assert set(catalog.cards()) == {path.parent.name for path in ROOT.glob("datasets/*/card.toml")}
    assert catalog.card("cowley2023").folder == ROOT / "datasets" / "cowley2023"


@pytest.mark.slow
def test_cards_are_found_from_a_wheel(tmp_path):
    source = tmp_path / "source"  # a build writes into the tree it reads
    for part in ("src", "datasets"):
        shutil.copytree(ROOT / part, source / part)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        tmp_path,
        source,
    ]
    subprocess.run(build, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("convergent/datasets/")}
        wheel.extractall(tmp_path / "unpacked")
    wanted = [path for path in (ROOT / "datasets").rglob("*") if path.suffix in {".py", ".toml"}]
    assert packed == {f"convergent/{path.relative_to(ROOT).as_posix()}" for path in wanted}

    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from convergent.data import catalog as c; "
        "print(*(card.folder for card in c.cards().values()), sep='\\n')"
    )
    listing = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "unpacked"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    folder = tmp_path / "unpacked" / "convergent" / "datasets"
    assert listing.stdout.split() == [str(folder / name) for name in sorted(catalog.cards())]
