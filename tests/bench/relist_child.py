"""One way to learn the metric names, in a process of its own so that its memory is its own.

    python -m bench.relist_child VARIANT PROMETHEUS_URL RULES_FILE RELISTS

Variants: `labels` (the adapter as it is), `series` (the adapter where the label endpoints do not work), `plain` (what a
client does that keeps the answer of the series endpoint as it comes). For each line on standard
input it relists once and prints a JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench.usage import cpu_seconds, peak_resident_mib, resident_mib


def main(argv: Sequence[str]) -> int:
    """Relist as often as asked, and print what each one gave and took."""
    variant, url, rules, rounds = argv[0], argv[1], argv[2], int(argv[3])
    if variant == "plain":
        _plain(url, rules, rounds)
    else:
        asyncio.run(_adapter(url, rules, rounds, by_labels=variant == "labels"))
    return 0


async def _adapter(url: str, rules: str, rounds: int, *, by_labels: bool) -> None:
    from adapter.config.settings import parse_flags  # noqa: PLC0415 - the plain variant must not carry our imports
    from adapter.runtime.wiring import open_runtime  # noqa: PLC0415 - the same

    flags = ["--config", rules, "--prometheus-url", url, "--metrics-max-age", "1h"]
    async with open_runtime(parse_flags(flags, {}).settings, environment={}, relisting=False) as runtime:
        if not by_labels:
            runtime.relist.backend = _WithoutLabelEndpoints(runtime.relist.backend)
        for _ in range(rounds):
            sys.stdin.readline()
            begin, used = time.perf_counter(), cpu_seconds(os.getpid())
            await runtime.relist.relist()
            listed = sorted(f"{one.resource}/{one.metric}" for one in runtime.relist.catalog.custom)
            _say(begin, used, listed)


class _WithoutLabelEndpoints:
    """A backend whose label endpoints are not to be used."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    async def label_endpoints_work(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _plain(url: str, rules: str, rounds: int) -> None:
    import httpx  # noqa: PLC0415 - what this variant needs and no more
    import yaml  # noqa: PLC0415 - the same

    with open(rules, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is an import more
        queries = [rule["seriesQuery"] for rule in yaml.safe_load(file)["rules"]]
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for _ in range(rounds):
            sys.stdin.readline()
            begin, used = time.perf_counter(), cpu_seconds(os.getpid())
            start = time.time() - 3600
            answers = [
                json.loads(client.get("/api/v1/series", params={"match[]": query, "start": start}).content)["data"]
                for query in queries
            ]
            kinds = {"pod": "pods", "namespace": "namespaces"}
            series = [labels for answer in answers for labels in answer]
            listed = {(kinds[label], one["__name__"]) for one in series for label in kinds if label in one}
            _say(begin, used, sorted(f"{kind}/{name.removesuffix('_total')}_per_second" for kind, name in listed))


def _say(begin: float, used: float, listed: Sequence[str]) -> None:
    pid = os.getpid()
    line = {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": cpu_seconds(pid) - used,
        "resident_mib": resident_mib(pid),
        "peak_mib": peak_resident_mib(pid),
        "listed": listed,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
