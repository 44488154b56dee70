"""Small plausible mistakes in a source: one mutant each, by mutmut's operators and some of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

_MANY = 3
"""Elements of a display from which one may be forgotten."""
_SWAPS = (
    ("min", "max"),
    ("any", "all"),
    ("floor", "ceil"),
    ("row_mm", "column_mm"),
    ("rows", "columns"),
    ("left", "right"),
    ("top", "bottom"),
    ("center_x_px", "center_y_px"),
    ("semi_axis_a_px", "semi_axis_b_px"),
    ("append", "extend"),
    ("is_", "is_not"),
    ("in_", "not_in"),
    ("asc", "desc"),
)
_SWAPPED = dict(_SWAPS) | {other: one for one, other in _SWAPS}
_TAKE_ANY = {"where", "order_by", "group_by", "and_", "or_", "min", "max", "get", "round", "strip"}
_LOGGED = m.Call(func=m.Attribute(value=m.Name("logger")))
_WORDS = m.Expr(m.SimpleString() | m.ConcatenatedString() | _LOGGED)
_NAMES = (
    cst.Annotation
    | cst.Assert
    | cst.AssignTarget
    | cst.Comment
    | cst.Decorator
    | cst.FormattedString
    | cst.Import
    | cst.ImportFrom
    | cst.Raise
)
_PASSED_OVER = (
    m.Call(func=m.Name("cast") | m.Name("TypeVar"))
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.Assign(targets=[m.AssignTarget(m.Name("__all__"))])
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the lines that it touches, as they stand and as they become."""

    path: str
    first_line: int
    last_line: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """Stays the same while other lines of the file change."""
        return f"{self.path}: `{self.before}` -> `{self.after}`"

    @property
    def name(self) -> str:
        """A short name to ask for it again."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:8]


def mutants_of(root: Path, path: str) -> list[Mutant]:
    """Return all mutants of a source, those that read alike once."""
    text = (root / path).read_text()
    wrapper = MetadataWrapper(cst.parse_module(text))
    visitor = _Visitor()
    wrapper.visit(visitor)
    found: dict[str, Mutant] = {}
    seen = {text}
    for position, new in visitor.changes:
        source = _replaced(wrapper.module, text, position, new)
        if source in seen or not _compiles(source):
            continue
        seen.add(source)
        first, last = position.start.line, position.end.line
        mutant = Mutant(path, first, last, *_difference(text, source), source)
        number = 1
        while mutant.key in found:  # equal lines of two functions
            number += 1
            mutant = Mutant(
                path, first, last, f"{mutant.before.split(' #')[0]} #{number}", mutant.after, source
            )
        found[mutant.key] = mutant
    return list(found.values())


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _replaced(module: cst.Module, text: str, position: Any, new: Any) -> str:
    """Return the text with a node's own characters exchanged."""
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: position.start.line - 1])) + position.start.column
    end = sum(map(len, lines[: position.end.line - 1])) + position.end.column
    code = new if isinstance(new, str) else module.code_for_node(new).strip()
    old = text[start:end]
    code = old[: len(old) - len(old.lstrip())] + code
    return text[:start] + code + text[end:]


def _difference(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ, without their indents."""
    one, other = before.splitlines(), after.splitlines()
    while one and other and one[0] == other[0]:
        del one[0], other[0]
    while one and other and one[-1] == other[-1]:
        del one[-1], other[-1]
    return " ".join(map(str.strip, one)), " ".join(map(str.strip, other))


def _numbers(node: cst.Integer | cst.Float) -> Iterator[cst.BaseExpression]:
    value = node.evaluated_value
    if isinstance(value, int):
        for other in (value + 1, value - 1):
            yield cst.parse_expression(str(other))
    else:
        for factor in (1.1, 0.9):
            yield cst.Float(repr(factor * value) if value else repr(factor - 1 + 0.1))


def _strings(node: cst.SimpleString) -> Iterator[cst.BaseExpression]:
    yield from [new for new in mutators.operator_string(node) if isinstance(new, cst.SimpleString)][
        :1
    ]


def _calls(node: cst.Call) -> Iterator[cst.BaseExpression]:
    """Forget an argument that may be missing; one that may not is an error at once."""
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    takes_any = isinstance(name, cst.Name) and name.value in _TAKE_ANY
    for place, argument in enumerate(node.args):
        if argument.keyword is not None or (takes_any and len(node.args) > 1):
            yield node.with_changes(args=[*node.args[:place], *node.args[place + 1 :]])


def _elements(node: cst.Tuple | cst.List | cst.Set | cst.Dict) -> Iterator[cst.CSTNode]:
    for place in range(len(node.elements)):
        if len(node.elements) >= _MANY:
            yield node.with_changes(elements=[*node.elements[:place], *node.elements[place + 1 :]])


def _filters(node: cst.CompFor) -> Iterator[cst.CSTNode]:
    if node.ifs:
        yield node.with_changes(ifs=node.ifs[1:])


def _names(node: cst.Name) -> Iterator[cst.CSTNode]:
    yield from mutators.operator_name(node)
    if node.value in _SWAPPED:
        yield node.with_changes(value=_SWAPPED[node.value])


OPERATORS: mutators.OPERATORS_TYPE = [
    (cst.Integer, _numbers),
    (cst.Float, _numbers),
    (cst.SimpleString, _strings),
    (cst.Name, _names),
    (cst.AugAssign, mutators.operator_augmented_assignment),
    (cst.UnaryOperation, mutators.operator_remove_unary_ops),
    (cst.Call, _calls),
    (cst.Call, mutators.operator_symmetric_string_methods_swap),
    (cst.Call, mutators.operator_unsymmetrical_string_methods_swap),
    (cst.CSTNode, mutators.operator_keywords),
    (cst.CSTNode, mutators.operator_swap_op),
    (cst.IfExp, mutators.operator_if_exp),
    (cst.Tuple, _elements),
    (cst.List, _elements),
    (cst.Set, _elements),
    (cst.Dict, _elements),
    (cst.CompFor, _filters),
]


class _Visitor(cst.CSTVisitor):
    """Collects what may be changed, and passes over what decides nothing.

    That is: types, imports, decorators, docstrings, words of errors and of the log, and what
    asserts tell the type checker.
    """

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[Any, Any]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _NAMES) or m.matches(node, _PASSED_OVER):
            return False
        if isinstance(node, cst.Param | cst.Arg):  # not the names of parameters
            value = node.default if isinstance(node, cst.Param) else node.value
            if value is not None:
                value.visit(self)
            return False
        if isinstance(node, cst.SimpleStatementLine):
            self._drop(node)
            return not m.matches(node.body[0], _WORDS)
        if isinstance(node, cst.If):
            self._note(node.test, "False")
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                self._all(node, operator(node))
        return True

    def _drop(self, node: cst.SimpleStatementLine) -> None:
        """Forget a call or a raise."""
        if len(node.body) != 1:
            return
        statement = node.body[0]
        is_call = m.matches(statement, m.Expr(m.Call())) and not m.matches(statement, _WORDS)
        if is_call or isinstance(statement, cst.Raise):
            self._note(statement, "pass")

    def _all(self, node: cst.CSTNode, changed: Iterable[cst.CSTNode]) -> None:
        for each in changed:
            self._note(node, each)

    def _note(self, node: cst.CSTNode, new: cst.CSTNode | str) -> None:
        position = self.get_metadata(PositionProvider, node, None)
        if position is not None:
            self.changes.append((position, new))
