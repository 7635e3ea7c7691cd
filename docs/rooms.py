"""Write the tables of docs/house.md: every module with its one reason, and which wing imports which.

    python docs/rooms.py

A module's reason is the first line of its docstring, so the page cannot say anything else than the code.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "house.md"
WINGS = ("data", "networks", "training", "study", "runs", "serving", "cli")
GROUND = ("numerics", "errors", "choices", "disk", "tables", "web")
DOORS = ("wave", "classifier")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "wave_jax").rglob("*.py"))
    if path.stem != "__init__"
}


def wing(module: str) -> str:
    """Return the wing of a module, or its own name if it is at the root.

    >>> wing("wave_jax.data.batches"), wing("wave_jax.wave")
    ('data', 'wave')
    """
    return module.split(".")[1]


def reason(path: Path) -> str:
    """Return the first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]


def house_imports(source: str) -> set[str]:
    """Return the modules of wave_jax that a source text imports, also inside its functions."""
    imported = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names if alias.name.startswith("wave_jax.")}
        elif isinstance(node, ast.ImportFrom) and node.level:
            imported.add(f"wave_jax.a relative import in line {node.lineno}")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wave_jax":
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            imported |= {name if name in MODULES else str(node.module) for name in names}
    return imported


def wing_imports(name: str) -> set[str]:
    """Return the other wings, and modules at the root, that a wing imports."""
    paths = [path for module, path in MODULES.items() if wing(module) == name]
    return {wing(module) for path in paths for module in house_imports(path.read_text())} - {name}


def rooms(names: tuple[str, ...]) -> str:
    """Return a table of these modules, by their full names without the package."""
    rows = [f"| `{name.rpartition('.')[2]}` | {reason(MODULES[f'wave_jax.{name}'])} |" for name in names]
    return "\n".join(["| module | what it is |", "| --- | --- |", *rows])


def tables() -> dict[str, str]:
    """Return every generated part of the page, by the name of its marker."""
    parts = {"ground": rooms(GROUND), "doors": rooms(DOORS)}
    for name in WINGS:
        inside = [module.removeprefix("wave_jax.") for module in MODULES if wing(module) == name]
        about = reason(ROOT / "wave_jax" / name / "__init__.py")
        parts[name] = f"{about}\n\n{rooms(tuple(inside))}"
    order = (*GROUND, "wave", *WINGS[:-1], "classifier", "cli")
    rows = [f"| `{name}` | {', '.join(sorted(wing_imports(name))) or '-'} |" for name in order]
    parts["imports"] = "\n".join(["| wing or module | imports |", "| --- | --- |", *rows])
    return parts


def written(page: str) -> str:
    """Return the page with its generated parts brought up to date."""
    for name, table in tables().items():
        parts = re.split(f"(<!-- /?{name} -->)", page)
        if len(parts) != 5:
            raise ValueError(f"{PAGE.name} must hold the markers of {name!r} once.")
        parts[2] = f"\n{table}\n"
        page = "".join(parts)
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
