"""Write the tables of docs/fasttext.md: rows and columns of committed results, and no number of their own.

python docs/beside_fasttext.py
"""

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "fasttext.md"
MODELS = ("SMALL", "fastText", "fastText, quantized")


def cells(line: str) -> list[str]:
    """Return the cells of a row of a table.

    >>> cells("| a | b c |")
    ['a', 'b c']
    """
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(page: str, first: str) -> list[dict[str, str]]:
    """Return the rows of the first table whose header begins with these cells."""
    lines = page.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    names, rows = cells(lines[start]), []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, cells(line), strict=True)))
    return rows


def written_as(rows: Sequence[dict[str, str]], names: Sequence[str]) -> str:
    """Write these columns of rows as Markdown; a column that no row has is left out."""
    known = [name for name in names if any(name in row for row in rows)]
    lines = [known, ["---"] * len(known), *([row.get(name, "") for name in known] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def small() -> str:
    """Return accuracy, parameters, bytes and seconds of SMALL and fastText on all corpora."""
    rows = table((ROOT / "experiments/results/small/report.md").read_text(), "data | model")
    names = ("data", "model", "test accuracy", "seeds", "parameters", "file, MB", "seconds")
    return written_as([row for row in rows if row["model"] in MODELS], names)


def whole() -> str:
    """Return the times of whole processes."""
    path = ROOT / "benchmarks/results/whole.md"
    if not path.exists():
        return "Not measured yet: `python -m benchmarks.whole FOLDER`."
    rows = table(path.read_text(), "process")
    return f"{written_as(rows, list(rows[0]))}\n\nFrom [whole.md](../benchmarks/results/whole.md)."


def predictor() -> str:
    """Return the rates of exported files, and fastText's beside each."""
    rows = table((ROOT / "benchmarks/results/predictor.md").read_text(), "dtype")
    return written_as(
        rows, ("dtype", "MB", "accuracy", "answers changed", "both, first", "both, again", "fastText")
    )


def written(page: str) -> str:
    """Return the page with its tables as the results have them."""
    for name, make in {"small": small, "whole": whole, "predictor": predictor}.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page = pattern.sub(lambda found, made=make: f"{found[1]}{made()}\n{found[2]}", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
