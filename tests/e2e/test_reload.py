"""Are rules reloaded under load without a failed request, and are broken ones left alone?"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from rig.processes import wait_until

from e2e.rig.load import Load, ask
from e2e.rig.registration import CUSTOM
from e2e.rig.stage import RULES, Stage, values

_RELOADS = 50
_BROKEN = 3  # every so many-th file is broken
_SECONDS = 30.0
SPACE = "default"
LOAD = f"{CUSTOM.path}/namespaces/{SPACE}/metrics/load"
GENERATION = f"{CUSTOM.path}/namespaces/{SPACE}/metrics/generation"
_LAST_RELOAD = re.compile(r"^\w*config_last_reload_successful(?:\{[^}]*\})? ([01])", re.MULTILINE)
_MANNERS = ("rules: [", "rules: [{seriesQuery: 'up{'}]", "nonsense: 1", "- a list")  # of being broken


def rules(generation: int) -> str:
    """Return the stage's rules with one more, whose value says which file is in force."""
    more = f"""- id: generation
  seriesQuery: e2e_load{{namespace!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}}}}}
  name: {{as: generation}}
  metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>) * 0 + {generation}
  cacheTTL: 0s
externalRules:"""
    return RULES.replace("externalRules:", more)


@pytest.fixture
def load(stage: Stage) -> Iterator[Load]:
    """Requests through kube-apiserver for as long as the test runs."""
    stage.series.set({f'e2e_load{{namespace="{SPACE}"}}': 1})
    stage.adapter.write_rules(rules(0))
    stage.adapter.reload()
    wait_until(GENERATION, lambda: _generation(stage) == 0, timeout_seconds=_SECONDS)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(stage.admin()) for _ in range(3)]
        with Load(clients, [LOAD, GENERATION, CUSTOM.path]) as load:
            yield load
    stage.adapter.write_rules(RULES)
    stage.adapter.reload()
    stage.series.clear()


def _generation(stage: Stage) -> float | None:
    answer = stage.api.get(GENERATION)
    return values(answer.json())[SPACE] if answer.status_code == httpx.codes.OK else None


def _is_in_force(stage: Stage, number: int) -> bool:
    return _generation(stage) == number


def test_reloads_under_load(stage: Stage, load: Load) -> None:
    """Of fifty files each good one comes into force, each broken one leaves the last good one there, and no request fails."""
    in_force = 0
    with stage.adapter.client(pair=stage.cluster.plane.admin) as direct:

        def last_reload() -> str:
            found = _LAST_RELOAD.search(direct.get("/metrics").raise_for_status().text)
            return found[1] if found else ""

        for number in range(1, _RELOADS + 1):
            if number % _BROKEN:
                stage.adapter.write_rules(rules(number))
                stage.adapter.reload()
                in_force = number
                wait_until(f"file {number}", partial(_is_in_force, stage, number), timeout_seconds=_SECONDS)
            else:
                stage.adapter.write_rules(_MANNERS[number // _BROKEN % len(_MANNERS)])
                stage.adapter.reload()
                wait_until(f"file {number} to be refused", lambda: last_reload() == "0", timeout_seconds=_SECONDS)
                assert _generation(stage) == in_force
            assert ask(stage.api, LOAD).status == httpx.codes.OK

    lost = [one for one in load.answers if one.path == CUSTOM.path and '"namespaces/load"' not in one.text]
    print(f"{_RELOADS} reloads: {load.summary()}")  # noqa: T201 - figures
    assert load.failures == []
    assert lost == []
