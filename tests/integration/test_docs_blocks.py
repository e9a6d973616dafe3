"""The commands of pages that ask a Prometheus, run as they stand beside a real one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.blocks import ROOT, Block, Runner, runner_of, shell_blocks
from docs.scratch import Scratch
from rig.processes import Child, free_port, wait_until
from rig.prometheus import StartPrometheus

BLOCKS = shell_blocks()
PAGES = sorted({one.file for one in BLOCKS if runner_of(one) is Runner.PROMETHEUS})
# What the applications of the pages export.
SERIES = (
    'http_requests_total{namespace="shop",pod="web-1",code="200"} counter 4',
    'http_requests_total{namespace="shop",pod="web-2",code="200"} counter 6',
    'queue_messages_ready{namespace="shop",queue="orders"} gauge 12',
    'checkout_seconds_bucket{namespace="shop",deployment="checkout",le="0.5"} counter 1',
    'checkout_seconds_bucket{namespace="shop",deployment="checkout",le="+Inf"} counter 2',
)
_DEMO_SECONDS = 90.0
# For machines without curl: what the pages use of it.
_CURL = """#!{python}
import httpx, sys
assert sys.argv[1] == "-k", sys.argv
print(httpx.get(sys.argv[2], verify=False).text)
"""


@pytest.mark.parametrize("page", PAGES)
def test_blocks_that_ask_prometheus_work(page: str, prometheus: StartPrometheus, tmp_path: Path) -> None:
    """The blocks of a page, in order; whatever address they say, a Prometheus with the page's series is there."""
    # It takes requests that are meant for a proxy as its own.
    environment = {"http_proxy": prometheus(SERIES), "no_proxy": ""}
    scratch = Scratch.open(tmp_path, ROOT / page, environment)

    for one in BLOCKS:
        if one.file == page and runner_of(one) is Runner.PROMETHEUS:
            scratch.check(one)


def test_the_demo_answers_what_the_page_asks(prometheus_binaries: Path, tmp_path: Path) -> None:
    """While the demo runs, the page's question gets values of the pods."""
    (asking,) = [one for one in BLOCKS if runner_of(one) is Runner.DEMO]
    scratch = Scratch.open(tmp_path, ROOT / asking.file)
    programs = scratch.folder.parent / "bin"
    if not shutil.which("curl"):
        (programs / "curl").write_text(_CURL.format(python=sys.executable))
        (programs / "curl").chmod(0o755)
    port = free_port()
    asked = Block(file=asking.file, line=asking.line, kind=asking.kind, text=_with_port(asking.text, port))
    path = f"{prometheus_binaries}{os.pathsep}{os.environ['PATH']}"
    demo = [sys.executable, "-m", "demo", "--port", str(port)]

    with Child("demo", demo, log=tmp_path / "demo.log", environment={"PATH": path, "PYTHONPATH": str(ROOT / "tests")}):
        items = wait_until("values", lambda: _items(scratch.run(asked)), timeout_seconds=_DEMO_SECONDS)

    assert {one["describedObject"]["name"].partition("-")[0] for one in items} == {"web"}


def _with_port(text: str, port: int) -> str:
    return re.sub(r"\bPORT\b", str(port), text)


def _items(done: subprocess.CompletedProcess[str]) -> list[dict[str, dict[str, str]]]:
    return list(json.loads(done.stdout)["items"])
