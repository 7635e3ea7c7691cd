"""The house stands: the wings import what the plan says, the door is light, the documents name what is there."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import wave_jax

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "wave_jax"

# What each module at the root, and each wing, imports from the house. docs/house.md shows the same table.
IMPORTS = {
    "disk": set(),
    "errors": set(),
    "numerics": set(),
    "tables": set(),
    "wave": {"numerics"},
    "data": {"disk", "errors"},
    "networks": {"errors", "numerics", "wave"},
    "training": {"data", "errors", "networks"},
    "study": {"data", "errors", "networks", "numerics", "tables", "training", "wave"},
    "runs": {"data", "disk", "errors", "networks", "training"},
    "serving": {"data", "disk", "errors", "networks", "runs", "training"},
    "classifier": {"data", "disk", "errors", "networks", "runs", "serving", "study", "training"},
    "cli": {"data", "disk", "errors", "networks", "runs", "serving", "study", "tables", "training"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem != "__init__"
}


def house_imports(source: str) -> set[str]:
    """Return the modules of wave_jax that a source text imports, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("wave_jax.")}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(f"wave_jax.a relative import in line {node.lineno}")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wave_jax":
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found


def wing(module: str) -> str:
    """Return the wing of a module, or its own name if it is at the root."""
    return module.split(".")[1]


@pytest.mark.parametrize("name", IMPORTS)
def test_a_wing_imports_exactly_what_the_plan_says(name):
    imported = set[str]()
    for module, path in MODULES.items():
        if wing(module) == name:
            imported |= {wing(other) for other in house_imports(path.read_text())}
    assert imported - {name} == IMPORTS[name]


def test_the_plan_names_every_wing():
    assert {wing(module) for module in MODULES} == set(IMPORTS)


def test_no_module_imports_itself_through_others():
    graph = {module: house_imports(path.read_text()) for module, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_an_unplanned_import_would_be_found():
    source = (
        "def f():\n    from wave_jax import wave\n    from wave_jax.training import loop\n"
        "    import wave_jax.cli.train\n    from . import x"
    )
    assert {wing(name) for name in house_imports(source)} == {
        "wave",
        "training",
        "cli",
        "a relative import in line 5",
    }


def test_every_module_has_a_test_and_a_row_in_the_plan():
    plan = (ROOT / "docs" / "house.md").read_text()
    for module in MODULES:
        *folders, stem = module.split(".")[1:]
        test = ROOT.joinpath("tests", *folders, f"test_{stem.strip('_')}.py")
        assert test.exists(), module
        assert f"`{stem}`" in plan, module


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
    used = "import wave_jax as wj; wj.encode; wj.count_parameters; wj.gradients; wj.wave_network; wj.bert"
    assert not loaded_after(used) & heavy


def test_text_loads_no_jax():
    assert not loaded_after("import wave_jax.data.tokenizer") & {"jax", "flax", "tensorflow_datasets"}


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


def test_pins_are_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    assert not any(mark in line for line in lines for mark in ("://", "@", "--"))
