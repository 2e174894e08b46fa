"""The documentation site names all that there is."""

import inspect
import re
from pathlib import Path

import pytest

import convergent as cv

DOCS = Path(__file__).parents[1] / ".docs"
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
