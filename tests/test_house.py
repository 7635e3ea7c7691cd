"""The house stands: imports go down only, the door is light, and the documents name what is there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wave_jax

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "wave_jax"

# Who may import whom inside the house, as in docs/house.md. Whatever is not listed is an upward arrow.
ALLOWED = {
    "numerics": set(),
    "wave": {"numerics"},
    "network": {"numerics"},
    "model": {"wave", "numerics", "network"},
    "baselines": {"numerics", "network"},
    "bert": {"numerics", "network"},
    "cleaning": set(),
    "disk": set(),
    "wordpiece": {"cleaning"},
    "pairs": set(),
    "text": {"cleaning", "disk", "pairs", "wordpiece"},
    "folders": set(),
    "planted": set(),
    "corpora": {"folders"},
    "datasets": {"corpora", "folders", "planted"},
    "batches": {"disk", "text"},
    "objective": set(),
    "parallel": {"network", "batches"},
    "programs": set(),
    "evaluate": {"objective", "batches", "parallel", "programs"},
    "optimizer": {"network"},
    "recipe": {"batches", "network"},
    "train": {"objective", "batches", "network", "evaluate", "optimizer", "parallel", "programs", "recipe"},
    "gradients": {"network", "objective"},
    "attribution": {"model", "network", "wave"},
    "measures": {"numerics"},
    "study": {"gradients", "measures", "numerics"},
    "settings": {"train", "network", "model", "baselines", "bert", "disk"},
    "store": {"disk", "settings"},
    "checkpoint": {"settings", "store", "disk", "objective", "text", "train"},
    "tables": set(),
    "explain": {"attribution", "batches", "network", "pairs", "tables", "text"},
    "plots": {"measures"},
    "presets": {"network", "model", "baselines", "bert", "recipe"},
    "run": {
        *("network", "model", "baselines", "bert", "presets", "text", "disk", "datasets", "batches"),
        *("evaluate", "train", "checkpoint"),
    },
    "predictor": {"text"},
    "export": {"batches", "checkpoint", "disk", "evaluate", "model", "network", "predictor", "text"},
    "classifier": {
        *("answers", "checkpoint", "datasets", "disk", "explain", "model", "presets", "recipe", "run"),
        *("text", "train"),
    },
    "answers": {"batches", "checkpoint", "datasets", "run", "text"},
    "report": {
        *("checkpoint", "disk", "evaluate", "explain", "export", "plots", "run", "tables", "train"),
    },
    "training": {"checkpoint", "corpora", "datasets", "network", "presets", "report", "run", "train"},
    "demo": {
        *("baselines", "batches", "checkpoint", "datasets", "disk", "explain", "model", "planted", "plots"),
        *("presets", "recipe", "report", "run", "study", "tables"),
    },
    "cli": {"answers", "checkpoint", "demo", "predictor", "report", "training"},
}
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def house_imports(source: str) -> set[str]:
    """Modules of wave_jax that a source text imports, anywhere in it: also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("wave_jax.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "wave_jax":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wave_jax."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(f"relative import in line {node.lineno}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_go_down(path):
    assert house_imports(path.read_text()) <= ALLOWED[path.stem]


def test_an_upward_import_would_be_found():
    source = "def f():\n    from wave_jax import wave, train\n    import wave_jax.cli\n    from . import x"
    assert house_imports(source) == {"wave", "train", "cli", "relative import in line 4"}


def test_every_module_has_a_test_and_a_row_in_the_plan():
    plan = (ROOT / "docs" / "house.md").read_text()
    for name in (path.stem for path in MODULES):
        assert (ROOT / "tests" / f"test_{name}.py").exists(), name
        assert f"`{name}`" in plan, name


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
    used = (
        "import wave_jax as wj; wj.encode; wj.count_parameters; wj.gradients; wj.model; wj.baselines; wj.bert"
    )
    assert not loaded_after(used) & heavy


def test_text_loads_no_jax():
    assert not loaded_after("import wave_jax.text") & {"jax", "flax", "tensorflow_datasets"}


def test_every_name_of_the_face_is_there():
    assert set(wave_jax.__all__) == set(wave_jax._HOME)
    for name in (*wave_jax.__all__, *wave_jax._MODULES):
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
