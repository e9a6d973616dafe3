"""What the adapter would answer, as a table: `tidegauge get`."""

from __future__ import annotations

from collections.abc import Sequence

from adapter.cli.asking import Asked, ask
from adapter.cli.explain import value_row
from adapter.cli.output import Format, Page, Streams, write_json
from adapter.cli.session import discover, open_session, with_spinner
from adapter.cli.words import Words, path_of
from adapter.rules.requests import ExternalMetricRequest


async def get(words: Words, *, flags: Sequence[str], format_: Format, streams: Streams) -> int:
    """Print the values, or the document that a client gets; the exit code is 0 for an answer of 200, else 1."""
    async with open_session(flags, streams) as session:
        path = path_of(words, session.runtime.provider.kinds)
        await discover(session, streams)
        asked = await with_spinner(ask(path, session), "asking Prometheus for the values", streams)
        now = session.runtime.clocks.wall()
    if asked.text:
        for line in asked.text.splitlines():
            Page(streams.out).line(line)
    elif format_ is Format.JSON:
        write_json(streams.out, asked.document)
    elif asked.failed:
        Page(streams.err).line(f"error {asked.status}: {asked.message}", style="bad")
        Page(streams.err).line("`tidegauge explain` with the same words says why")
    else:
        _write_table(asked, Page(streams.out), Page(streams.err), now_seconds=now)
    return 1 if asked.failed else 0


def _write_table(asked: Asked, page: Page, aside: Page, *, now_seconds: float) -> None:
    headers, rows = asked.use_table
    if headers:
        page.table(headers, rows)
        return
    if asked.is_use:
        aside.line("no values; `tidegauge explain` with the same words says why")
        return
    if asked.request is None:
        aside.line("this path asks for no metric; --format json shows the document")
        return
    items = asked.answer.items if asked.answer else ()
    if not items:
        aside.line("no values; `tidegauge explain` with the same words says why")
        return
    who = "LABELS" if isinstance(asked.request, ExternalMetricRequest) else "OBJECT"
    rule = str(asked.fact("rule") or "")
    page.table((who, "VALUE", "QUANTITY", "AGE", "RULE"), [(*value_row(item, now_seconds), rule) for item in items])
