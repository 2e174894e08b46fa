"""README and documentation site: they name all that there is, and what they show is so."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import convergent as cv

ROOT = Path(__file__).parents[1]
DOCS, README = ROOT / ".docs", ROOT / "README.md"
INNER = ("features", "plot", "formats", "references", "distances", "simulate")
PUBLIC = {name for name in cv.__all__ if not inspect.ismodule(getattr(cv, name))} | {
    f"{module}.{name}" for module in INNER for name in getattr(cv, module).__all__
}
PAGES = sorted(
    str(page.relative_to(DOCS).with_suffix(""))
    for page in [*DOCS.rglob("*.md"), *DOCS.glob("*.rst")]
    if page.relative_to(DOCS).parts[0] not in ("made", "api")
)
INCLUDED = ("guide/command-line", "guide/data-sets", "index")  # in pages that are made; the root


def test_every_public_name_has_its_page():
    page = (DOCS / "api.rst").read_text(encoding="utf-8")
    listed = re.findall(r"^   ([A-Za-z_.0-9]+)$", page, re.MULTILINE)
    assert len(set(listed)) == len(listed)
    assert set(listed) == PUBLIC


@pytest.mark.parametrize("name", [page for page in PAGES if page not in INCLUDED])
def test_every_page_is_in_a_table_of_contents(name):
    texts = [(DOCS / f"{page}.md").read_text(encoding="utf-8") for page in PAGES if page != "api"]
    trees = re.findall(r"```\{toctree\}.*?```", "\n".join(texts), re.DOTALL)
    folder, _, stem = name.rpartition("/")
    wanted = {name, stem} if folder else {name}
    assert any(wanted & set(tree.split()) for tree in trees)


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def chain(node):
    """``cv.plot.scores`` as a text, where a node is that."""
    if isinstance(node, ast.Attribute) and (start := chain(node.value)):
        return f"{start}.{node.attr}"
    return "cv" if isinstance(node, ast.Name) and node.id == "cv" else ""


@pytest.mark.parametrize("name", ["README", *PAGES])
def test_code_on_pages_uses_names_that_exist(name):
    page = README if name == "README" else DOCS / f"{name}.md"
    if name == "api":
        page = DOCS / "api.rst"
    for code in blocks(page.read_text(encoding="utf-8"), "python"):
        for node in ast.walk(ast.parse(code)):
            first, *inner = chain(node).split(".")
            value = cv if first else None
            for part in inner:
                assert hasattr(value, part), chain(node)
                value = getattr(value, part)


@pytest.mark.parametrize("name", ["README", *PAGES])
def test_commands_on_pages_exist(name):
    from convergent.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    page = README if name == "README" else DOCS / f"{name}.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    for code in blocks(text, "bash"):
        for command in re.findall(r"(?:^|&& )convergent (\w+)", code, re.MULTILINE):
            assert command in known


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) < 800
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("https://") or (ROOT / link).is_file(), link


@pytest.mark.slow
@pytest.mark.skipif(
    not cv.present(cv.card("cowley2023"), "210325"),
    reason="needs the recording cowley2023/210325 under CONVERGENT_DATA",
)
def test_the_readme_shows_what_the_code_gives():
    made = subprocess.run(
        [sys.executable, DOCS / "readme.py", "--check"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
