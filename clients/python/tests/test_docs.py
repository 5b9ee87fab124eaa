"""The pages that show the client at work: each block is run, in the order of its page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks, run_page

import latchkey
from latchkey.testing import Worker

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "docs" / "python.md",
    ROOT / "docs" / "tutorial.md",
    ROOT / "clients" / "python" / "README.md",
    ROOT / "docs" / "platforms" / "lambda.md",
    ROOT / "docs" / "platforms" / "cloud-run.md",
    ROOT / "docs" / "replacing" / "serverless-bot.md",
    ROOT / "docs" / "replacing" / "multi-user-agent.md",
    ROOT / "docs" / "replacing" / "workspace.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_block_of_a_page_runs(
    page: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATCHKEY_TO", worker.to)
    with worker.client() as client:
        run_page(page, {"latchkey_worker": worker, "latchkey_client": client})


_CALLS_TWICE = """
import * as page from './handler.js';
const url = Deno.env.get('LATCHKEY_URL');
const env = { LATCHKEY_URL: url, LATCHKEY_SECRET: Deno.env.get('LATCHKEY_SECRET') };
const handle = page.POST ?? ((request) => page.default.fetch(request, env));
for (const id of ['m-1', 'm-1']) {
  const body = JSON.stringify({ id, device: "Ada's phone", text: 'Tuesday?' });
  const response = await handle(new Request('https://app.example/', { method: 'POST', body }));
  console.log(response.status, await response.text());
}
"""


@pytest.mark.parametrize("name", ["vercel", "cloudflare"])
def test_the_handler_of_an_edge_platform_answers_each_message_once(
    name: str, tmp_path: Path
) -> None:
    deno = shutil.which("deno", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert deno, "deno is not installed: scripts/tools.txt has it"
    found = blocks(ROOT / "docs" / "platforms" / f"{name}.md")
    (handler,) = [text for language, text in found if language == "js"]
    (tmp_path / "handler.js").write_text(handler, "utf-8")
    (tmp_path / "main.js").write_text(_CALLS_TWICE, "utf-8")
    program = os.environ.get("LATCHKEY_BINARY", "latchkey")
    made = subprocess.run([program, "secret", "edge"], capture_output=True, text=True, check=True)
    (tmp_path / "principals").write_text(made.stdout, "utf-8")
    options = ["--threads", "1", "--http", "127.0.0.1:0", "--auth", str(tmp_path / "principals")]
    with Worker(tmp_path / "worker", options=options) as worker:
        variables = {
            "LATCHKEY_URL": f"http://{worker.http}",
            "LATCHKEY_SECRET": made.stderr.split(": ")[-1].strip(),
            "DENO_DIR": str(tmp_path / "deno"),
            "NO_COLOR": "1",
        }
        run = subprocess.run(
            [deno, "run", "--allow-net", "--allow-env", "main.js"],
            cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert run.stdout.splitlines() == [
        '200 {"status":"answered","text":"You said: Tuesday?"}',
        '200 {"status":"handled before"}',
    ], run


def test_the_page_lists_each_error() -> None:
    text = PAGES[0].read_text("utf-8")
    errors = {
        name
        for name in latchkey.__all__
        if isinstance(value := getattr(latchkey, name), type) and issubclass(value, Exception)
    }
    section = text.split("\n## Errors\n")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", section, re.M))
    assert listed | {"LatchkeyError"} == errors


def test_all_that_is_exported_is_there() -> None:
    for name in latchkey.__all__:
        assert getattr(latchkey, name)
    with pytest.raises(AttributeError):
        latchkey.Nothing  # noqa: B018


def test_the_blocking_client_does_not_load_asyncio() -> None:
    # Nor what else takes long to import and is used by some only.
    code = (
        "import sys, latchkey; latchkey.Client(); "
        "print(*{'asyncio', 'ssl', 'decimal', 'subprocess', 'email'} & set(sys.modules))"
    )
    path = str(Path(latchkey.__file__).parents[1])
    made = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert (made.stdout, made.stderr) == ("\n", "")
