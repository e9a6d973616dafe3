"""What a client does that asks the series endpoint and keeps the answers as they come: the cost of a relist without care.

    python -m bench.kept_whole PROMETHEUS_URL RULES_FILE

For each line on standard input it relists once and prints a JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence

import httpx
import yaml

from bench.usage import cpu_seconds, peak_resident_mib, resident_mib

_KINDS = {"pod": "pods", "namespace": "namespaces"}
_AGE_SECONDS = 3600.0


def main(argv: Sequence[str]) -> int:
    """Relist as often as told, and print what each relist gave and took."""
    url, rules = argv
    with open(rules, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is an import more
        queries = [rule["seriesQuery"] for rule in yaml.safe_load(file)["rules"]]
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        while sys.stdin.readline():
            begin, used = time.perf_counter(), cpu_seconds(os.getpid())
            contents = [_ask(client, query) for query in queries]
            series = [labels for content in contents for labels in json.loads(content)["data"]]
            listed = {(_KINDS[label], one["__name__"]) for one in series for label in _KINDS if label in one}
            line = {
                "seconds": time.perf_counter() - begin,
                "cpu_seconds": cpu_seconds(os.getpid()) - used,
                "resident_mib": resident_mib(os.getpid()),
                "peak_mib": peak_resident_mib(os.getpid()),
                "plain_bytes": sum(map(len, contents)),
                "listed": sorted(f"{kind}/{name.removesuffix('_total')}_per_second" for kind, name in listed),
            }
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    return 0


def _ask(client: httpx.Client, query: str) -> bytes:
    parameters: dict[str, str | float] = {"match[]": query, "start": time.time() - _AGE_SECONDS}
    return client.get("/api/v1/series", params=parameters).raise_for_status().content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
