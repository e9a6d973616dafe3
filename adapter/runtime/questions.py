"""The questions of a discovery: which may share a call, how a failure takes an answer's place, what a refusal says."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from adapter.clients.prometheus import EndpointUnsupported, Names
from adapter.errors import PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.promql.matchers import is_legacy_label_name

T = TypeVar("T")

log = logging.getLogger(__name__)

# The longest list of match[] in one GET: a request line of 8 kB passes every proxy that we know of.
_MAX_BATCH_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class Ask:
    """One question for metric names: the selector, and the one metric it takes if that is known."""

    selector: str
    metric: str


Answer = Names | UpstreamError | EndpointUnsupported


async def asked(asking: Awaitable[T], what: str) -> T | UpstreamError | EndpointUnsupported:
    """Return an answer or the error in its place; an accident of ours is one selector's failure, and the log has it."""
    try:
        return await asking
    except (UpstreamError, EndpointUnsupported) as error:
        return error
    except Exception as error:
        log.exception("discovery failed by an accident of the adapter's own: %s", what)
        ours = PrometheusUnavailable(f"the answer could not be read ({type(error).__name__})", kind="bad_answer")
        ours.__cause__ = error
        return ours


def upstream(error: UpstreamError | EndpointUnsupported) -> UpstreamError:
    """Return the error of a question that can be asked in no other way."""
    return error if isinstance(error, UpstreamError) else PrometheusUnavailable(str(error), kind="status")


def is_unsure(asks: Mapping[str, Ask], answers: Mapping[Ask, Answer]) -> bool:
    """Say whether only an odd label was refused, and nothing shows yet that the selector itself is understood."""
    odd = any(is_odd_refusal(label, answers[ask]) for label, ask in asks.items())
    return odd and "" not in asks and not any(isinstance(answers[ask], Names) for ask in asks.values())


def is_odd_refusal(label: str, answer: Answer) -> bool:
    """Say whether a question was refused that has a label beyond the classic alphabet in it.

    Servers before 3.0 cannot read such a label, and have none.
    """
    return isinstance(answer, QueryRejected) and label != "" and not is_legacy_label_name(label)


def batches_of(asks: Sequence[Ask]) -> list[list[Ask]]:
    """Put questions that name different metrics into shared calls; two on one metric never share one."""
    batches: list[list[Ask]] = []
    for ask in asks:
        home = next((batch for batch in batches if _fits(batch, ask)), None) if ask.metric else None
        if home is None:
            batches.append([ask])
        else:
            home.append(ask)
    return batches


def _fits(batch: Sequence[Ask], ask: Ask) -> bool:
    if not batch[0].metric or any(one.metric == ask.metric for one in batch):
        return False
    return sum(len(one.selector) for one in batch) + len(ask.selector) <= _MAX_BATCH_CHARACTERS
