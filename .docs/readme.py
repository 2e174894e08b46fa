"""Makes what the README shows: the output and the figure of its example, pictures of tutorials.

``python .docs/readme.py`` writes them; with ``--check`` it compares them, and fails where they no
longer agree. It needs the recording of the example: see ``convergent fetch cowley2023/210325``.
"""

import argparse
import contextlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import made_pages

ROOT = Path(__file__).parents[1]
README, IMAGES = ROOT / "README.md", ROOT / ".docs" / "images"
THUMBNAIL = (360, 240)
A_ROW = 4  # pictures
LEAST_SHARE = 0.99  # of pixels that agree: fonts differ a little between machines
ROUNDING = 0.011  # of a number with two decimals


def main() -> None:
    """Write or compare the output, the figure and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, and change nothing")
    check = parser.parse_args().check
    text, pictures = README.read_text(encoding="utf-8"), thumbnails()
    output, pictures["scores.png"] = run(example(text))
    new = with_gallery(with_output(text, output))
    if not check:
        IMAGES.mkdir(exist_ok=True)
        for name, picture in pictures.items():
            picture.save(IMAGES / name, optimize=True)
        README.write_text(new, encoding="utf-8")
        return
    wrong = [name for name, picture in pictures.items() if not same_picture(IMAGES / name, picture)]
    if not same_text(text, new):
        wrong.append("the output in README.md")
    if wrong:
        sys.exit(f"no longer what the code gives: {', '.join(wrong)}. Run: python .docs/readme.py")


def example(text: str) -> str:
    """The first Python block of the README."""
    return re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]


def run(code: str) -> tuple[str, Image.Image]:
    """What the example prints, and the figure that it saves."""
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), {})
        if not Path("report.html").stat().st_size:
            sys.exit("the example wrote no report")
        with Image.open("scores.png") as picture:
            return printed.getvalue(), picture.convert("RGB")


def with_output(text: str, output: str) -> str:
    """The README with the output of its example in the text block after it."""
    before, after = re.split(r"```text\n.*?```", text, maxsplit=1, flags=re.DOTALL)
    lines = "\n".join(line.rstrip() for line in output.rstrip().splitlines())
    return f"{before}```text\n{lines}\n```{after}"


def notebooks() -> dict[str, dict]:
    """The tutorials, by the name of their file."""
    files = sorted((ROOT / "tutorials").glob("*.ipynb"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def thumbnails() -> dict[str, Image.Image]:
    """A small picture of each tutorial: its first figure."""
    pictures = {}
    for name, notebook in notebooks().items():
        data = made_pages.first_picture(notebook)
        if data is None:
            sys.exit(f"tutorials/{name}.ipynb has no figure among its outputs: run it first.")
        with Image.open(io.BytesIO(data)) as whole:
            whole = whole.convert("RGB")
        whole.thumbnail(THUMBNAIL)
        pictures[f"{name}.png"] = picture = Image.new("RGB", THUMBNAIL, "white")
        picture.paste(
            whole, ((THUMBNAIL[0] - whole.width) // 2, (THUMBNAIL[1] - whole.height) // 2)
        )
    return pictures


def with_gallery(text: str) -> str:
    """The README with a table of the tutorials, a picture and a link each."""
    titles = {name: made_pages.title(notebook) for name, notebook in notebooks().items()}
    cells = [
        f"[![A figure of it](.docs/images/{name}.png)<br>{title}](tutorials/{name}.ipynb)"
        for name, title in titles.items()
    ]
    rows = [cells[start : start + A_ROW] for start in range(0, len(cells), A_ROW)]
    head = ["|" + " |" * A_ROW, "|" + "---|" * A_ROW]
    table = "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])
    before, after = re.split(
        r"(?<=## Tutorials\n\n).*?(?=\n\n## )", text, maxsplit=1, flags=re.DOTALL
    )
    return before + table + after


def same_text(one: str, other: str) -> bool:
    """Whether texts agree, but for the last digit of numbers with decimals."""
    number = r"-?\d+\.\d+"
    values = [[float(found) for found in re.findall(number, text)] for text in (one, other)]
    words = [re.sub(rf" *{number}", " #", text) for text in (one, other)]
    return words[0] == words[1] and np.allclose(*values, rtol=0, atol=ROUNDING)


def same_picture(path: Path, new: Image.Image) -> bool:
    """Whether a picture is kept, has the same size and nearly the same pixels."""
    if not path.is_file():
        return False
    with Image.open(path) as kept:
        old = np.asarray(kept.convert("RGB"), int)
    pixels = np.asarray(new, int)
    return old.shape == pixels.shape and np.mean(abs(old - pixels).max(-1) < 64) >= LEAST_SHARE


if __name__ == "__main__":
    main()
