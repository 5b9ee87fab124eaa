"""Runs the blocks of a page of the manual, as its reader would, against a worker.

As a program: `python pages.py PAGE...`, with the installed client and the worker of LATCHKEY_TO, or
the one on 127.0.0.1:5282. It needs nothing but the client.
"""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import latchkey
from latchkey.fake import Fake


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The language and the text of each fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S):
        yield match[1], match[2]


def run_page(page: Path, fixtures: Mapping[str, Any]) -> None:
    """Runs each block in Python in the order of the page, with the names of those before it.

    `fixtures`: what tests that the page shows may ask for, beside `latchkey_fake`."""
    names: dict[str, Any] = {}
    count = 0
    for language, text in blocks(page):
        if language == "python":
            count += 1
            exec(compile(text, str(page), "exec"), names)
            for name in [name for name in names if name.startswith("test_")]:
                _run_test(names.pop(name), fixtures)
        elif language == "pycon":
            _run_session(text, names, page)
    assert count > 0, f"{page} has no block in Python"
    for value in names.values():
        if isinstance(value, latchkey.Client):
            value.close()


def _run_session(text: str, names: dict[str, Any], page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
    found: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=found.append, clear_globs=False)
    names.update(test.globs)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(found)


def _run_test(test: Any, fixtures: Mapping[str, Any]) -> None:
    """A test that a page shows, with the fixtures that it names."""
    wanted = test.__code__.co_varnames[: test.__code__.co_argcount]
    fakes: list[Fake] = []

    def fake(transcript: str) -> Fake:
        fakes.append(Fake(transcript))
        return fakes[-1]

    known = {**fixtures, "latchkey_fake": fake}
    test(**{name: known[name] for name in wanted})
    for one in fakes:
        one.close()
        one.check()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        run_page(Path(path), {})
        print(f"{path}: every block runs")
