"""Add what lies outside of docs/ to the site: README, results, notebooks, the API and a page to try.

Links are kept whole.

MkDocs calls `on_files` and `on_page_markdown`. A link to a file of the repository becomes a link to its page.
A link to a file without a page becomes its text.
"""

import logging
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import rooms
import try_page
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = rooms.ROOT
log = logging.getLogger("mkdocs.hooks.site_pages")
# [text](path) or ![text](path); the text may hold brackets of its own, as [CLS] does.
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
PLAIN = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LISTS = {
    "results/experiments.md": ("experiments/results", "What the experiments found"),
    "results/benchmarks.md": ("benchmarks/results", "Speed and memory"),
}
WINGS = ("wave", "classifier", *rooms.GROUND, *rooms.WINGS)


def results() -> dict[str, str]:
    """Return the page of each report and each figure under experiments/results and benchmarks/results."""
    pages = {"experiments/results/claims.md": "results/claims.md"}
    for folder in ("experiments/results", "benchmarks/results"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".md", ".png") and path.name != "claims.md":
                source = path.relative_to(ROOT).as_posix()
                pages[source] = "results/" + source.replace("/results", "")
    return pages


def pages() -> dict[str, str]:
    """Return the page of every file of the repository that has one."""
    found = PLAIN | results()
    found |= {
        f"notebooks/{path.name}": f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")
    }
    for module, path in rooms.MODULES.items():
        found[path.relative_to(ROOT).as_posix()] = f"api/{rooms.wing(module)}.md"
    found |= {f"wave_jax/{wing}/": f"api/{wing}.md" for wing in rooms.WINGS} | {"notebooks": "notebooks"}
    return found


def api_page(wing: str) -> str:
    """Write the reference of one wing, or of a module at the root: a heading and a section per module."""
    about = ROOT / "wave_jax" / wing / "__init__.py"
    head = f"# {wing}\n\n{rooms.reason(about)}\n" if about.exists() else f"# {wing}\n"
    return "\n".join([head, *(f"::: {module}\n" for module in modules_of(wing))])


def modules_of(wing: str) -> list[str]:
    """Return the modules of one wing that can be imported without running."""
    return [name for name in rooms.MODULES if rooms.wing(name) == wing and "__main__" not in name]


def api_index() -> str:
    """Write the list of wings and modules."""
    parts = [
        "# API\n\nEvery module is an attribute of the package: `wj.batches` is `wave_jax.data.batches`.\n"
    ]
    for wing in WINGS:
        rows = [
            f"| [`{name.removeprefix('wave_jax.')}`]({wing}.md#{name}) | {reason} |"
            for name in modules_of(wing)
            for reason in [rooms.reason(rooms.MODULES[name])]
        ]
        parts.append("\n".join([f"## {wing}\n", "| module | what it is |", "| --- | --- |", *rows, ""]))
    return "\n".join(parts)


def list_page(folder: str, title: str) -> str:
    """Write the list of the reports in a folder of results."""
    lines = [f"# {title}\n"]
    for path in sorted((ROOT / folder).rglob("*.md")):
        if path.name != "claims.md":
            source = path.relative_to(ROOT).as_posix()
            heading = path.read_text().split("\n")[0].lstrip("# ")
            target = posixpath.relpath(results()[source], "results")
            name = path.parent.name if path.name == "report.md" else path.stem
            lines.append(f"- [{name}: {heading}]({target})")
    return "\n".join(lines) + "\n"


@event_priority(100)  # before mkdocs-jupyter, which takes over the notebooks that it finds
def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and the files from outside of docs/."""
    for source, target in (PLAIN | results()).items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        uri = f"notebooks/{path.name}"
        files.append(File(uri, str(ROOT), config.site_dir, config.use_directory_urls))
    for target, (folder, title) in LISTS.items():
        files.append(File.generated(config, target, content=list_page(folder, title)))
    files.append(File.generated(config, "api/index.md", content=api_index()))
    for wing in WINGS:
        files.append(File.generated(config, f"api/{wing}.md", content=api_page(wing)))
    files.append(File.generated(config, "try.html", content=try_page.page()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point every link at the page of its file, or leave its text if the file has no page."""
    back = {target: source for source, target in (PLAIN | results()).items()}
    here = page.file.src_uri
    generated = here.startswith("api/") or here in LISTS
    source = back.get(here, f"docs/{here}")
    known = pages()

    def rewritten(match: re.Match[str]) -> str:
        mark, text, link = match.groups()
        if re.match(r"[a-z]+:|#", link):
            return match[0]
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if target in known or f"{target}/" in known:
            to = known.get(target) or known[f"{target}/"]
        elif target.startswith("docs/"):
            to = target.removeprefix("docs/")
        else:
            if not (ROOT / target).exists():
                log.warning("%s links to %s, which does not exist.", source, link)
            return text
        if to == "notebooks":
            to = "notebooks/1_a_text_as_a_wave.ipynb"
        relative = posixpath.relpath(to, posixpath.dirname(here) or ".")
        return f"{mark}[{text}]({relative}{'#' + anchor if anchor else ''})"

    return markdown if generated else LINK.sub(rewritten, markdown)
