"""The house holds: wings import what the plan says, functions stay short, documents name what is there."""

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import rooms
from packaging.requirements import Requirement
from rooms import MODULES, ROOT, house_imports, wing, wing_imports

import wave_jax

# What each wing, and each module at the root, imports from the house: exactly this.
IMPORTS = {
    "choices": set(),
    "disk": set(),
    "errors": set(),
    "numerics": set(),
    "tables": set(),
    "web": set(),
    "wave": {"choices", "numerics"},
    "__main__": {"cli"},
    "data": {"disk", "errors"},
    "networks": {"choices", "disk", "errors", "numerics", "wave"},
    "training": {"data", "errors", "networks"},
    "study": {"data", "errors", "networks", "numerics", "tables", "training", "wave", "web"},
    "runs": {"choices", "data", "disk", "errors", "networks", "study", "training", "tables"},
    "serving": {"choices", "data", "disk", "errors", "networks", "runs", "training", "web"},
    "classifier": {"data", "networks", "runs", "serving", "study", "training"},
    "cli": {
        "choices",
        "data",
        "disk",
        "errors",
        "networks",
        "runs",
        "serving",
        "study",
        "tables",
        "training",
    },
}
SOURCES = [path for name in ("wave_jax", "experiments", "benchmarks") for path in (ROOT / name).rglob("*.py")]


@pytest.mark.parametrize("name", IMPORTS)
def test_a_wing_imports_exactly_what_the_plan_says(name):
    assert wing_imports(name) == IMPORTS[name]


def test_the_plan_names_every_wing():
    assert {wing(module) for module in MODULES} == set(IMPORTS)


def test_no_module_imports_itself_through_others():
    graph = {module: house_imports(path.read_text()) for module, path in MODULES.items()}
    assert set(TopologicalSorter(graph).static_order()) >= set(MODULES)


def test_an_unplanned_import_would_be_found():
    source = (
        "def f():\n    from wave_jax import wave\n    from wave_jax.training import loop\n"
        "    import wave_jax.cli.train\n    from . import x"
    )
    found = {wing(name) for name in house_imports(source)}
    assert found == {"wave", "training", "cli", "a relative import in line 5"}


def test_only_the_two_of_tfds_orbax_and_matplotlib_import_them():
    homes = {
        "tensorflow_datasets": {"published", "dbpedia"},
        "orbax": {"steps"},
        "matplotlib": {"plots", "plot_style", "pictures"},
    }
    for package, allowed in homes.items():
        users = {path.stem for path in MODULES.values() if f"import {package}" in path.read_text()}
        users |= {path.stem for path in MODULES.values() if f"from {package}" in path.read_text()}
        assert users <= allowed, package


def test_every_module_has_a_test_file():
    for module in MODULES.keys() - {"wave_jax.__main__"}:  # a call of cli.__main__, tested with it
        *folders, stem = module.split(".")[1:]
        assert ROOT.joinpath("tests", *folders, f"test_{stem.strip('_')}.py").exists(), module


def test_the_plan_shows_the_code_as_it_is():
    page = rooms.PAGE.read_text()
    assert page == rooms.written(page), "run `python docs/rooms.py`"
    for module, path in MODULES.items():
        assert rooms.reason(path).endswith("."), f"{module}: its first line is no whole sentence"


def test_the_plan_without_a_marker_is_refused():
    with pytest.raises(ValueError, match="must hold the markers of 'ground' once"):
        rooms.written("a page")


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def public_functions(path: Path) -> list[ast.FunctionDef]:
    """Return the public functions of a module and the public methods of its classes."""
    tree = ast.parse(path.read_text())
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    defined = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    return [function for function in defined if not function.name.startswith("_")]


def body_lines(function: ast.FunctionDef) -> int:
    """Return the lines of a body, its docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_no_module_exceeds_300_lines_and_no_body_40():
    for path in SOURCES:
        assert len(path.read_text().splitlines()) <= 300, path
        for function in functions(path):
            assert body_lines(function) <= 40, f"{path}: {function.name}"


def test_a_public_function_of_four_parameters_explains_them():
    for path in MODULES.values():
        for function in public_functions(path):
            arguments = function.args
            names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
            if len(names - {"self", "cls"}) >= 4:
                assert "Args:" in (ast.get_docstring(function) or ""), f"{path}: {function.name}"


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in run.stdout.split()}


def test_import_wave_jax_is_light():
    heavy = {"tensorflow_datasets", "orbax", "matplotlib", "tokenizers", "flax", "jax", "tensorflow"}
    assert not loaded_after("import wave_jax as wj") & heavy
    heavy -= {"jax", "flax"}
    used = "import wave_jax as wj; wj.encode; wj.count_parameters; wj.wave_network; wj.transformer; wj.bert"
    assert not loaded_after(used) & heavy
    assert not loaded_after("import wave_jax as wj; wj.gradients; wj.fit") & (heavy - {"tokenizers"})


def test_text_and_settings_load_no_jax():
    heavy = {"jax", "flax", "tensorflow_datasets"}
    assert not loaded_after("import wave_jax.data.tokenizer") & heavy
    assert not loaded_after("import wave_jax as wj; wj.WaveConfig; wj.TrainConfig; wj.SMALL") & heavy


def test_every_name_of_the_face_is_there():
    assert set(wave_jax.__all__) == set(wave_jax._HOME)
    for name in (*wave_jax.__all__, *wave_jax._modules()):
        assert getattr(wave_jax, name) is not None
        assert name in dir(wave_jax)
    with pytest.raises(AttributeError, match="no attribute 'waves'"):
        wave_jax.waves  # noqa: B018


def test_the_readme_and_ci_agree_on_the_two_lines():
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for line in ("pip install -e . && wave-jax demo", "pip install -e '.[test]' && pytest"):
        assert line in readme
        assert line in ci


def pins(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-oldest.txt"])
def test_pins_are_names_and_versions_only(name):
    pinned = re.compile(r"[\w.-]+==[\w.]+(; python_version (<|>=) '3\.12')?")
    assert all(map(pinned.fullmatch, pins(name)))


def test_the_oldest_pins_are_the_lower_bounds_and_the_newest_lie_within_the_upper_ones():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    needed += [name for extra in project["project"]["optional-dependencies"].values() for name in extra]
    oldest = dict(line.split("==") for line in pins("constraints-oldest.txt"))
    for requirement in map(Requirement, needed):
        bound = next(part.version for part in requirement.specifier if part.operator == ">=")
        assert f"{oldest[requirement.name]}.".startswith(f"{bound}."), requirement
        newest = [Requirement(line) for line in pins("constraints.txt")]
        versions = [next(iter(pin.specifier)).version for pin in newest if pin.name == requirement.name]
        assert versions, requirement
        assert all(map(requirement.specifier.contains, versions)), requirement
