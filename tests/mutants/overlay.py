"""Puts a mutant in the product's place: as the module that is imported, or into live functions."""

from __future__ import annotations

import ast
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

from mutants.changes import Mutant
from mutants.rooms import PACKAGES


def module_name(path: str) -> str:
    """Return a source's name among modules."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, path: str, source: str) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        loader = _Loader(name, self._path, self._source)
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


def install(root: Path, mutant: Mutant) -> None:
    """Have the mutant imported; nothing of the product may be loaded yet."""
    assert not set(PACKAGES) & sys.modules.keys()
    finder = _Finder(module_name(mutant.path), str(root / mutant.path), mutant.source)
    sys.meta_path.insert(0, finder)


def patch(root: Path, mutant: Mutant, function: str) -> bool:
    """Put the mutant's code into all live functions of this qualified name; whether there are any.

    Where their closures differ, nothing is done.
    """
    path = str(root / mutant.path)
    changed = compile(mutant.source, path, "exec", dont_inherit=True)
    new = next((code for code in _codes(changed) if code.co_qualname == function), None)
    live = [
        each
        for each in gc.get_objects()
        if isinstance(each, FunctionType)
        and each.__code__.co_qualname == function
        and each.__code__.co_filename == path
    ]
    if (
        new is None
        or not live
        or any(each.__code__.co_freevars != new.co_freevars for each in live)
    ):
        return False
    for each in live:
        each.__code__ = new
    return True


def set_constants(root: Path, mutant: Mutant) -> bool:
    """Give the module's constants the values that they would have; whether it assigns some there.

    Whoever imported one by its name gets the new one, but not what was made of it meanwhile.
    """
    path = str(root / mutant.path)
    statement = next(
        (
            node
            for node in ast.parse(mutant.source).body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and node.lineno <= mutant.first_line <= (node.end_lineno or 0)
        ),
        None,
    )
    if statement is None:
        return False
    module = sys.modules[module_name(mutant.path)]
    before = dict(vars(module))
    code = ast.Module([statement], type_ignores=[])
    exec(compile(code, path, "exec", dont_inherit=True), vars(module))
    changed = {
        name: value
        for name, value in vars(module).items()
        if name not in before or before[name] is not value
    }
    for other in list(sys.modules.values()):
        for name, value in changed.items():
            if name in before and getattr(other, "__dict__", {}).get(name) is before[name]:
                setattr(other, name, value)
    return True


def function_at(source: str, line: int) -> str | None:
    """Return the qualified name of the outermost function whose body has this line."""
    ahead: list[tuple[str, ast.stmt]] = [("", each) for each in ast.parse(source).body]
    for prefix, node in ahead:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        if node.lineno <= line <= (node.end_lineno or 0):
            if isinstance(node, ast.FunctionDef):
                return prefix + node.name if line >= node.body[0].lineno else None
            ahead += [(f"{prefix}{node.name}.", each) for each in node.body]
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)
