"""Runs mutmut with tests that are collected once: `python scripts/mutation.py NAME...`.

mutmut starts pytest for every mutant, which takes several times as long as the tests of a mutant.
Here one process collects the tests and makes the fixtures of the session, and each mutant is tested
in a fork of it. NAME is a pattern of mutants, such as "pipeline.metrics.*". Written for the version
of mutmut in constraints.txt.
"""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import mutmut.__main__
import pytest
from mutmut.configuration import config
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd
from mutmut.workers.isolation import ForkServerRunner, MutantRunner


class CollectedTests(PytestRunner):
    """Runs tests of an open pytest session, in a fork that ends afterwards."""

    session: pytest.Session

    def warm_up(self) -> None:
        """Makes the fixtures of the session, by running a test that needs them."""
        items = self.session.items
        item = next((one for one in items if "empty_database" in one.fixturenames), items[0])
        chain = set(item.listchain())
        other = min(items, key=lambda one: len(chain.intersection(one.listchain())))
        self._run(item, other)  # what the two do not share is torn down
        gc.freeze()  # a collection in a fork would copy the memory of all objects

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """Returns 1 if a test fails; fast tests are first, and the first failure is the last."""
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        self.session.config._tmp_path_factory._basetemp = folder
        by_id = {item.nodeid: item for item in self.session.items}
        durations = state().duration_by_test
        items = [by_id[test] for test in sorted(tests, key=lambda test: durations[test])]
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._run(item, following)
            if self.session.testsfailed:
                break
        shutil.rmtree(folder, ignore_errors=True)
        return int(self.session.testsfailed > 0)

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


class SessionServer(ForkServerRunner):
    """Serves mutants from within the test loop of a pytest session."""

    def _forkserver_main(self, work_fd: int, result_fd: int) -> None:
        serve = super()._forkserver_main

        class Loop:
            def pytest_runtestloop(self, session: pytest.Session) -> bool:
                CollectedTests.session = session
                serve(work_fd, result_fd)
                return True

        self.test_runner_class = CollectedTests
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 until the process ends
        settings = config()
        with change_cwd("mutants"):
            selection = settings.pytest_add_cli_args_test_selection
            pytest.main(
                ["-q", "--tb=no", *selection, *settings.pytest_add_cli_args], plugins=[Loop()]
            )
        os._exit(0)


def make_server(max_workers: int = 1) -> MutantRunner:
    """Returns what mutmut sends its mutants to."""
    return SessionServer(max_workers, PytestRunner, {})


if __name__ == "__main__":
    mutmut.__main__.get_mutant_runner = make_server
    mutmut.__main__._run(sys.argv[1:], max_children=1)
