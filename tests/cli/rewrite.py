"""Write down again what the commands print: `python tests/cli/rewrite.py`, then read the difference.

The transcripts of cases/ and the examples of docs/cli.md keep their commands and files; their outputs and exit codes are
replaced. What a test of them would say is then what `git diff` says.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
TOP = HERE.parents[1]
sys.path.insert(0, str(TOP))

from canned_prometheus import CannedPrometheus, read_canned  # noqa: E402 - found through the path above
from transcript import URL, Transcript, read_transcript, steady  # noqa: E402 - the same
from walkthrough import BLOCK, files_of, steps_of  # noqa: E402 - the same

from adapter.cli.main import main  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Mapping


def run(case: Transcript, files: Mapping[str, str]) -> tuple[str, str, int]:
    """Run a command among files; return both outputs and the exit code."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        for name, text in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)
        url = URL
        if case.prometheus is not None:
            url = stack.enter_context(CannedPrometheus(read_canned(case.prometheus))).url
        out = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        err = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        code = main(case.argv(url))
    return steady(out.getvalue()), steady(err.getvalue()), code


def rewritten_transcript(text: str) -> str:
    """Return a transcript with what its command prints now."""
    case = read_transcript(text)
    out, err, code = run(case, case.files)
    told = [f"--- $ {case.command}\n{out}", f"--- err\n{err}" if err else "", f"--- exit {code}\n" if code else ""]
    return text[: text.index("--- $ ")] + "".join(told)


def rewritten_page(text: str, prometheus: str) -> str:
    """Return a page with what the commands of its console blocks print now."""
    return BLOCK.sub(lambda block: _rewritten_block(block, text, prometheus), text)


def _rewritten_block(block: re.Match[str], page: str, prometheus: str) -> str:
    if block["kind"] != "console":
        return block[0]
    files, code, told = files_of(page), 0, ""
    for step in steps_of(block["body"]):
        out, err = f"{code}\n", ""
        if step.command != "echo $?":
            case = Transcript(story="", command=step.command, prometheus=prometheus)
            out, err, code = run(case, files)
        if step.target:
            files[step.target], out = out, ""
        told += f"$ {step.written}\n{out}{err}"
    return f"```console\n{told}```"


if __name__ == "__main__":
    os.environ["COLUMNS"] = "120"
    for path in sorted((HERE / "cases").glob("*.txt")):
        path.write_text(rewritten_transcript(path.read_text()))
    page = TOP / "docs" / "cli.md"
    page.write_text(rewritten_page(page.read_text(), (HERE / "docs.prometheus").read_text()))
