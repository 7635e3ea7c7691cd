"""The code of the documentation's pages runs, from top to bottom, as it stands there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ["extending.md", "questions.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(block, names)
