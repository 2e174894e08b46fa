"""Pages that are made from the code when the site is built: commands, data cards, tutorials."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import typer

import convergent as cv
from convergent.cli import app

ROOT = Path(__file__).parents[1]


def write(folder: Path) -> None:
    """Write the pages into the folder of the site; git ignores them."""
    made = folder / "made"
    made.mkdir(exist_ok=True)
    (made / "commands.md").write_text(commands(), encoding="utf-8")
    (made / "datasets.md").write_text(data_cards(), encoding="utf-8")
    tutorials(made)


def commands() -> str:
    """Describe every command of the command line, its arguments and its options."""
    page = (ROOT / ".docs/guide/command-line.md").read_text(encoding="utf-8")
    head, heading, notes = page.partition("## Names in CSV files")
    parts = [head]
    for name, command in typer.main.get_command(app).commands.items():
        context = typer.Context(command, info_name=f"convergent {name}")
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"## convergent {name}\n\n{_prose(command.help)}\n")
        parts.append(f"```text\nconvergent {name} {usage}\n```\n")
        shown = [one for one in command.params if not one.hidden and one.name != "help"]
        for group in dict.fromkeys(one.rich_help_panel for one in shown):
            rows = [_row(one) for one in shown if one.rich_help_panel == group]
            parts += [f"| {group or 'option'} | meaning | default |", "|---|---|---|", *rows, ""]
    return "\n".join([*parts, heading + notes])


def _row(parameter: Any) -> str:
    """One row of a table of options, for an argument or option."""
    name = parameter.name.upper()
    if parameter.param_type_name == "option":
        name = ", ".join(parameter.opts)
    shown, default = parameter.show_default, parameter.default
    told = shown if isinstance(shown, str) else ""
    if not told and isinstance(default, str | int | float) and not isinstance(default, bool):
        told = f"`{default}`"
    return f"| `{name}` | {_prose(parameter.help).replace('|', '/')} | {told} |"


def _prose(text: str | None) -> str:
    """Text of a help, in which signs of markup stay signs."""
    return (text or "").strip().replace("\b", "").replace("<", "&lt;").replace("*", "\\*")


def data_cards() -> str:
    """Describe the data sets, by their cards."""
    parts = [(ROOT / ".docs/guide/data-sets.md").read_text(encoding="utf-8")]
    for name in cv.cards():
        card = cv.card(name)
        parts += [f"## {name}: {card.title}\n", f"{card.description.strip()}\n"]
        parts += [f"- Licence: {card.licence}", f"- Citation: {card.citation}"]
        if card.doi:
            parts.append(f"- DOI: [{card.doi}](https://doi.org/{card.doi})")
        parts += [f"- Regions: {', '.join(card.regions)}", f"- Version: {card.version}", ""]
        parts += ["| session | subject | stimuli | units | repeats |", "|---|---|---|---|---|"]
        parts += [
            f"| {key} | {one.subject} | {one.stimuli or ''} | {one.units or ''} | "
            f"{one.repeats or ''} |"
            for key, one in card.sessions.items()
        ]
        parts.append("")
    return "\n".join(parts)


def tutorials(folder: Path) -> None:
    """Copy the notebooks, and write the gallery with the first picture of each."""
    target = folder / "tutorials"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    cards, names = [], []
    for path in sorted((ROOT / "tutorials").glob("*.ipynb")):
        shutil.copy(path, target)
        notebook = json.loads(path.read_text(encoding="utf-8"))
        image = f"{path.stem}.png"
        picture = first_picture(notebook)
        if picture:
            (target / image).write_bytes(picture)
        cards.append(
            f":::{{grid-item-card}} {title(notebook)}\n:link: {path.stem}\n:link-type: doc\n"
            + (f":img-top: {image}\n" if picture else "")
            + f"\n{opening(notebook)}\n:::\n"
        )
        names.append(path.stem)
    head = "# Tutorials\n\nNotebooks that run from top to bottom, with their outputs.\n\n"
    grid = "::::{grid} 1 2 2 3\n:gutter: 3\n:class-container: gallery\n\n"
    tree = "\n```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n"
    text = head + grid + "\n".join(cards) + "::::\n" + tree
    (target / "index.md").write_text(text, encoding="utf-8")


def title(notebook: dict) -> str:
    """Title of a notebook: its first heading."""
    return "".join(notebook["cells"][0]["source"]).split("\n")[0].lstrip("# ")


def opening(notebook: dict) -> str:
    """First paragraph of a notebook, on one line."""
    text = "".join(notebook["cells"][0]["source"]).split("\n\n")[1]
    return " ".join(text.split())


def first_picture(notebook: dict) -> bytes | None:
    """Bytes of the first PNG among the outputs of a notebook."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                return base64.b64decode("".join(output["data"]["image/png"]))
    return None
