"""Why a request is answered as it is: `tidegauge explain`."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from itertools import zip_longest

from adapter.cli.asking import Asked, ask
from adapter.cli.diagnosis import hints
from adapter.cli.explanation import Explanation, document, missing, sample_rows
from adapter.cli.output import Format, Page, Streams, age_text, labels_text, number_text, plural, write_json
from adapter.cli.session import Session, discover, open_session, with_spinner
from adapter.cli.words import Words, path_of
from adapter.kube.documents import ExternalItem, MetricItem
from adapter.kube.quantity import milli_text
from adapter.promql.model import OtherResult, Scalar
from adapter.rules.requests import ByName, CustomMetricRequest, ExternalMetricRequest
from adapter.rules.trail import Step

_TITLE_WIDTH = 10


async def explain(words: Words, *, flags: Sequence[str], format_: Format, streams: Streams) -> int:
    """Print the whole way from a request to its answer; the exit code is 0 for an answer of 200, else 1."""
    async with open_session(flags, streams) as session:
        path = path_of(words, session.runtime.provider.kinds)
        await discover(session, streams)
        explanation = await with_spinner(explained(path, session), "asking Prometheus for the values", streams)
        now = session.runtime.clocks.wall()
    if format_ is Format.JSON:
        write_json(streams.out, document(explanation))
    else:
        write_text(explanation, Page(streams.out), now_seconds=now)
    return 1 if explanation.asked.failed else 0


async def explained(path: str, session: Session) -> Explanation:
    """Ask for a path and find out what there is to say about its answer."""
    asked = await ask(path, session)
    found = await hints(asked, session.runtime)
    return Explanation(asked=asked, hints=found, prometheus_url=session.runtime.rules.choice.options.url)


def write_text(explanation: Explanation, page: Page, *, now_seconds: float) -> None:
    """Write everything for people, in the order in which it was decided."""
    asked = explanation.asked
    _entry(page, "Request", request_text(asked))
    _more(page, asked.path)
    for step, after in zip_longest(asked.steps, asked.steps[1:]):
        if after is None or (after.name, after.ok) != (step.name, False):  # of two failures the last says more
            _STEPS.get(step.name, _write_step)(step, explanation, page)
    _write_values(explanation, page, now_seconds)
    _write_use(asked, page)
    _write_missing(explanation, page)
    _write_status(explanation, page)
    for hint in explanation.hints:
        _entry(page, "Hint", hint)
    _entry(page, "By hand", explanation.kubectl)


def request_text(asked: Asked) -> str:
    """Return what was understood, as a sentence."""
    request = asked.request
    match request:
        case CustomMetricRequest(metric=metric, resource=resource, target=target):
            if isinstance(target, ByName):
                what = f"{resource}/{target.name}"
            else:
                what = f"all {resource}" + (f" with the labels {target.selector}" if target.selector else "")
            where = f" in the namespace {request.namespace}" if request.namespace else ""
            series = f", from series with {request.metric_selector}" if request.metric_selector else ""
            return f"custom metric {metric} of {what}{where}{series}"
        case ExternalMetricRequest(metric=metric, namespace=namespace, selector=selector):
            labels = f", from series with {selector}" if selector else ""
            return f"external metric {metric} in the namespace {namespace}{labels}"
        case None if asked.is_use:
            return "cpu and memory"
        case None:
            return "not understood as one for a metric" if asked.failed else "this path asks for no metric"


# ---- the parts


def _entry(page: Page, title: str, text: str, *, style: str = "title") -> None:
    page.entry(title.ljust(_TITLE_WIDTH), text, style=style)


def _more(page: Page, text: str) -> None:
    page.line(text, indent=_TITLE_WIDTH)


def _write_step(step: Step, explanation: Explanation, page: Page) -> None:
    del explanation
    _entry(page, step.name.capitalize(), step.text, style="title" if step.ok else "bad")


def _write_objects(step: Step, explanation: Explanation, page: Page) -> None:
    _write_step(step, explanation, page)
    names = step.facts.get("names") or ()
    if len(names) > 1 or (names and names[0] not in step.text):
        _more(page, ", ".join(map(str, names)))


def _write_rule(step: Step, explanation: Explanation, page: Page) -> None:
    if not step.ok or "rule" not in step.facts:
        _write_step(step, explanation, page)
        return
    _entry(page, "Rule", f"{step.facts['rule']} ({step.facts['place']})")
    series, label = step.facts.get("series"), step.facts.get("label")
    if series:
        _more(page, f"series {series}" + (f", whose label {label} names the object" if label else ""))
    elif label:
        _more(page, f"the label {label} names the object")


def _write_query(step: Step, explanation: Explanation, page: Page) -> None:
    _entry(page, "Query", str(step.facts.get("promql", step.text)))
    if explanation.link:
        _more(page, explanation.link)


def _write_answer(step: Step, explanation: Explanation, page: Page) -> None:
    if not step.ok:
        _write_step(step, explanation, page)
        return
    rows = sample_rows(explanation)
    match step.facts.get("result"):
        case OtherResult(kind=kind):
            count = f"a {kind}"
        case Scalar():
            count = "a scalar"
        case _:
            count = plural(len(rows), "sample")
    _entry(page, "Answer", f"{count}, {step.text}")
    for annotation in step.facts.get("annotations") or ():
        _more(page, str(annotation))
    if rows:
        headers = ("SAMPLE", "VALUE", "GOES TO") if rows[0][2] else ("SAMPLE", "VALUE")
        page.table(headers, [row[: len(headers)] for row in rows], indent=_TITLE_WIDTH)


def _write_value(step: Step, explanation: Explanation, page: Page) -> None:
    """Write what a policy put in the place of a value; what stays without one has a table of its own."""
    if step.ok:
        _write_step(step, explanation, page)


_STEPS = {
    "objects": _write_objects,
    "rule": _write_rule,
    "query": _write_query,
    "answer": _write_answer,
    "value": _write_value,
}


def _write_values(explanation: Explanation, page: Page, now_seconds: float) -> None:
    asked = explanation.asked
    if asked.answer is None or not asked.answer.items:
        return
    external = isinstance(asked.request, ExternalMetricRequest)
    _entry(page, "Values", plural(len(asked.answer.items), "item"))
    headers = ("LABELS" if external else "OBJECT", "VALUE", "QUANTITY", "AGE")
    page.table(headers, [value_row(item, now_seconds) for item in asked.answer.items], indent=_TITLE_WIDTH)


def _write_use(asked: Asked, page: Page) -> None:
    headers, rows = asked.use_table
    if rows:
        _entry(page, "Values", plural(len(rows), "item"))
        page.table(headers, rows, indent=_TITLE_WIDTH)


def value_row(item: MetricItem | ExternalItem, now_seconds: float) -> tuple[str, str, str, str]:
    """Return whose a value is, the number, the quantity on the wire, and how old it is."""
    who = item.name if isinstance(item, MetricItem) else labels_text((item.labels or {}).items())
    age = age_text(now_seconds - item.timestamp_seconds)
    return (who, number_text(item.milli / 1000), milli_text(item.milli), age)


def _write_missing(explanation: Explanation, page: Page) -> None:
    found = [one for one in missing(explanation) if one.object]
    if found:
        _entry(page, "Missing", plural(len(found), "object"), style="bad")
        page.table(("OBJECT", "WHY"), [(one.object, one.reason) for one in found], indent=_TITLE_WIDTH)
    elif not explanation.asked.failed:
        for one in missing(explanation):
            _entry(page, "Missing", one.reason, style="bad")


def _write_status(explanation: Explanation, page: Page) -> None:
    asked = explanation.asked
    text = f"{asked.status} {phrase(asked)}"
    _entry(
        page, "Status", f"{text}: {asked.message}" if asked.failed else text, style="bad" if asked.failed else "good"
    )
    for cause in explanation.causes:
        _more(page, f"because {cause}")


def phrase(asked: Asked) -> str:
    """Return the reason that Kubernetes gives, else the words that go with the code."""
    return str(asked.document.get("reason") or HTTPStatus(asked.status).phrase)
