"""Tests against one mutant, in a fork of a process that has loaded and collected them already."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

from mutants import overlay
from mutants.changes import Mutant
from mutants.rooms import PACKAGES, Room

NOTICED, LIVED, TOO_LONG, BROKEN = "noticed", "lived", "too long", "broken"
_LEAST_S = 20.0
_TIMES_SLOWER = 10.0
_OPTIONS = (
    "-q",
    "-x",
    *("-p", "no:cacheprovider"),
    *("-p", "no:xdist"),
    "--hypothesis-seed=0",
    "--assert=plain",
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-k", "not postgresql"),
    *("-o", "tmp_path_retention_policy=none"),
)


@dataclass(slots=True)
class Reach:
    """Which tests run which lines; how long each test takes."""

    tests_of: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    at_import: set[tuple[str, int]] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that run a mutant's lines, quick ones first."""
        lines = range(mutant.first_line, mutant.last_line + 1)
        found = set[str]().union(*(self.tests_of.get((mutant.path, line), ()) for line in lines))
        return self.quick_first(found)

    def quick_first(self, tests: set[str] | None = None) -> list[str]:
        """Return these, or all of them."""
        return sorted(self.seconds if tests is None else tests, key=lambda each: self.seconds[each])

    def is_imported(self, mutant: Mutant) -> bool:
        """Whether its lines run as soon as the module is loaded."""
        lines = range(mutant.first_line, mutant.last_line + 1)
        return any((mutant.path, line) in self.at_import for line in lines)


class _Observer:
    """A pytest plugin that notes which test runs which line."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.measured.switch_context(item.nodeid)
        start_s = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.monotonic() - start_s
            self.measured.switch_context("import")


class _Chosen:
    """A pytest plugin that runs some tests in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.order = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (each for each in items if each.nodeid in self.order),
            key=lambda each: self.order[each.nodeid],
        )


class _Waiting:
    """A pytest plugin that, with all tests collected, runs those that it is asked for in forks."""

    def __init__(self, root: Path, asks: Connection) -> None:
        self.root, self.asks = root, asks

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self.asks.send("ready")
        while True:
            try:
                mutant, function, tests, limit_s = self.asks.recv()
            except EOFError:
                return True

            chosen = [items[test] for test in tests]
            attempt = partial(self._attempt, session, mutant, function, chosen)
            self.asks.send(_forked(attempt, limit_s))

    def _attempt(
        self,
        session: pytest.Session,
        mutant: Mutant,
        function: str | None,
        chosen: list[pytest.Item],
    ) -> str:
        if function is None:
            is_done = overlay.set_constants(self.root, mutant)
        else:
            is_done = overlay.patch(self.root, mutant, function)
        if not is_done:
            return BROKEN
        for item, after in zip(chosen, [*chosen[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed:
                return NOTICED
        return LIVED


class Trials:
    """The tests of a room, against one mutant after the other."""

    def __init__(self, root: Path, room: Room) -> None:
        self.root, self.room = root, room
        self.reach: Reach = _forked(self._observe, 900.0)
        if not isinstance(self.reach, Reach):
            raise SystemExit(f"{room.name}: its tests fail without a mutant")
        self._ours, theirs = Pipe()
        self._pid = os.fork()
        if not self._pid:
            self._ours.close()
            os.setsid()
            _quiet()
            self._pytest([_Waiting(root, theirs)])
            os._exit(0)
        theirs.close()
        self._ours.recv()

    def close(self) -> None:
        """End the process that waits."""
        self._ours.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def judge(self, mutant: Mutant) -> str:
        """Return whether a test noticed."""
        source = (self.root / mutant.path).read_text()
        function = overlay.function_at(source, mutant.first_line)
        tests = self.reach.quick_first()
        if function is not None and not self.reach.is_imported(mutant):
            tests = self.reach.of(mutant)
            if not tests:
                return LIVED
            verdict = self._ask(mutant, function, tests)
            if verdict != BROKEN:
                return verdict
        elif function is None and self._ask(mutant, None, tests) == NOTICED:
            return NOTICED

        def attempt() -> str:
            overlay.install(self.root, mutant)
            done = self._pytest([_Chosen(tests)])
            return LIVED if done is pytest.ExitCode.OK else NOTICED

        return str(_forked(attempt, self._limit_s(tests) + _LEAST_S))

    def _ask(self, mutant: Mutant, function: str | None, tests: Sequence[str]) -> str:
        self._ours.send((mutant, function, tests, self._limit_s(tests)))
        verdict: str = self._ours.recv()
        return verdict

    def _limit_s(self, tests: Sequence[str]) -> float:
        return _LEAST_S + _TIMES_SLOWER * sum(self.reach.seconds[test] for test in tests)

    def _pytest(self, plugins: list[Any]) -> int | pytest.ExitCode:
        # Nothing is shrunk or kept of what a mutant breaks.
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutants", database=None, phases=phases, deadline=None, max_examples=25
        )
        hypothesis.settings.load_profile("mutants")
        return pytest.main([*_OPTIONS, *self.room.test_paths], plugins=plugins)

    def _observe(self) -> Reach | str:
        include = [str(self.root / package / "*") for package in PACKAGES]
        measured = coverage.Coverage(data_file=None, include=include, messages=False)
        observer = _Observer(measured)
        measured.start()
        measured.switch_context("import")
        done = self._pytest([observer])
        measured.stop()
        if done is not pytest.ExitCode.OK:
            return BROKEN
        reach = Reach(seconds=observer.seconds)
        data = measured.get_data()
        for file in data.measured_files():
            path = str(Path(file).relative_to(self.root))
            for line, contexts in data.contexts_by_lineno(file).items():
                tests = set(contexts) - {"import", ""}
                reach.tests_of[path, line] = tests
                if len(tests) < len(contexts):
                    reach.at_import.add((path, line))
        return reach


def _quiet() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if not os.environ.get("MUTANTS_LOUD"):
        for number in (0, 1, 2):
            os.dup2(nothing, number)


def _forked(work: Callable[[], Any], limit_s: float) -> Any:
    """Return what is returned in a fork; its processes end with it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        os.setsid()
        _quiet()
        answer: Any = NOTICED  # also where the mutant cannot even be loaded
        try:
            answer = work()
        except BaseException:
            traceback.print_exc()
        with open(writing, "wb") as file:
            pickle.dump(answer, file)
        os._exit(0)
    os.close(writing)
    received = b""
    end_s = time.monotonic() + limit_s
    in_time = False
    while (left_s := end_s - time.monotonic()) > 0:
        if select.select([reading], [], [], left_s)[0]:
            part = os.read(reading, 1 << 16)
            received += part
            if not part:
                in_time = True
                break
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not in_time:
        return TOO_LONG
    return pickle.loads(received) if received else NOTICED
