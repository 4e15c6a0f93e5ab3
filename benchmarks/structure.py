"""How large the code is: `python benchmarks/structure.py` prints files, code lines, import lines and circles.

A code line holds something besides comments and docstrings. A circle is a set of files that import each other, in any
way: at the top, inside functions, or for the type checker only.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_LARGE_FILE_LINES = 400


def docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            lines.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def code_lines(source: str, tree: ast.Module) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in _NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    return lines - docstring_lines(tree)


def import_nodes(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def imported_modules(tree: ast.Module, modules: set[str]) -> set[str]:
    """Those of the package's modules that a file imports; a name from a package's `__init__` counts as that file."""
    found = set()
    for node in import_nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in names]
        found.update(name for name in names if name in modules)
    return found


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Circles of modules; each is reported once, and its last import left out to look for further ones."""
    imports = {module: set(others) - {module} for module, others in imports.items()}
    found = []
    while True:
        try:
            tuple(TopologicalSorter(imports).static_order())
            return found
        except CycleError as error:
            circle = error.args[1]
            found.append(circle)
            imports[circle[1]].discard(circle[0])


def count(folder: Path) -> Counter[str]:
    numbers: Counter[str] = Counter()
    imports: dict[str, set[str]] = {}
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    names = {
        path: ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__") for path in sources
    }
    for path, source in sources.items():
        tree = ast.parse(source)
        numbers["files"] += 1
        numbers["code lines"] += len(code_lines(source, tree))
        numbers["import lines"] += sum((node.end_lineno or 0) - node.lineno + 1 for node in import_nodes(tree))
        numbers[f"files over {_LARGE_FILE_LINES} lines"] += source.count("\n") > _LARGE_FILE_LINES
        imports[names[path]] = imported_modules(tree, set(names.values()))
    found = circles(imports)
    numbers["circles"] = len(found)
    for circle in found:
        print("circle:", " -> ".join(circle))
    twice = [
        name for name, times in Counter(path.name for path in sources).items() if times > 1 and name != "__init__.py"
    ]
    numbers["file names that occur more than once"] = len(twice)
    return numbers


def main() -> None:
    for folder in ("notesearch", "tests"):
        numbers = count(_ROOT / folder)
        print(f"{folder}/")
        for name, number in numbers.items():
            share = f"  ({number / numbers['code lines']:.1%} of code)" if name == "import lines" else ""
            print(f"  {name:<40}{number:>8,}{share}")


if __name__ == "__main__":
    main()
