"""The README's code runs, and prints what the README says."""

import contextlib
import io
import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
OUTPUT = re.findall(r"```text\n(.*?)```", README, re.DOTALL)


def run(code: str, names: dict) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)
    return out.getvalue()


def test_the_code_of_the_readme_prints_what_stands_there():
    classifier, first, training = CODE
    names: dict = {}
    assert run(classifier, names) == OUTPUT[0]
    assert run(first, names) == OUTPUT[1]
    printed = run(training, names)
    assert printed.count("Record(step=") >= 2
    assert 0 <= float(printed.splitlines()[-1]) <= 1


def test_the_output_of_the_demo_is_that_of_its_result_file():
    (shown,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    result = Path(__file__).parent.parent / "benchmarks" / "results" / "demo.md"
    assert shown in result.read_text()


def test_every_file_that_the_readme_links_to_is_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parent.parent / link).exists(), link
