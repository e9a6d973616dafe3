"""HorizontalPodAutoscalers of autoscaling/v2 and their metrics, with comments that say what the numbers mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapter.kube.commented_yaml import Noted
from adapter.kube.measure import Measure
from adapter.kube.quantity import MILLI_LIMIT, Quantity, milli_text
from adapter.kube.selectors import Op, Requirement, Selector

_MILLI: Final = 10**6  # units of 10^-9 in a thousandth
_PERCENT_AT_MOST: Final = 2**31 - 1  # an int32 in the API

__all__ = ["Measure", "Scaling", "Target", "autoscaler", "identifier", "label_selector", "metric", "read_amount"]

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target; `amount` is a quantity as Kubernetes prints it, or a whole number of percent."""

    measure: Measure
    amount: str | int

    def document(self) -> Document:
        """Return it as it stands in a metric."""
        key, kind = _TARGET_FIELDS[self.measure]
        return {"type": kind, key: Noted(self.amount, beside=self._reading())}

    def _reading(self) -> str:
        if isinstance(self.amount, int):
            return f"{self.amount} % of what the containers request"
        milli = Quantity.parse(self.amount).milli_value()
        return f"{self.amount} is {milli / 1000:g}" if self.amount.endswith("m") else ""


_TARGET_FIELDS: Final = {
    Measure.AVERAGE: ("averageValue", "AverageValue"),
    Measure.VALUE: ("value", "Value"),
    Measure.UTILIZATION: ("averageUtilization", "Utilization"),
}


def read_amount(text: str, measure: Measure) -> str | int:
    """Return a target's number as Kubernetes prints it; a ValueError says why it can be none."""
    if measure is Measure.UTILIZATION:
        number = text.removesuffix("%")
        if not (number.isascii() and number.isdigit() and 0 < int(number[:11]) <= _PERCENT_AT_MOST):
            raise ValueError("a utilization is a whole number of percent above 0")
        return int(number)
    quantity = Quantity.parse(text)
    if quantity.nano <= 0:
        raise ValueError("a target must be more than 0")
    if quantity.nano % _MILLI:
        read = milli_text(quantity.milli_value())
        raise ValueError(f"an autoscaler reads thousandths, and would take it for {read}")
    if quantity.milli_value() > MILLI_LIMIT:
        raise ValueError(f"an autoscaler can read {milli_text(MILLI_LIMIT)} at most")
    return str(quantity)


def label_selector(selector: Selector) -> Document:
    """Return a selector as a LabelSelector; a ValueError names a condition that it has no word for."""
    requirements = selector.requirements
    equal = {one.key: one.values[0] for one in requirements if _is_equality(one)}
    expressions = [_expression(one) for one in requirements if not _is_equality(one) or equal[one.key] != one.values[0]]
    document: dict[str, Any] = {"matchLabels": equal} if equal else {}
    return {**document, "matchExpressions": expressions} if expressions else document


def _is_equality(one: Requirement) -> bool:
    return one.op in (Op.EQUALS, Op.DOUBLE_EQUALS)


_OPERATORS: Final[Mapping[Op, str]] = {
    Op.EQUALS: "In",
    Op.DOUBLE_EQUALS: "In",
    Op.IN: "In",
    Op.NOT_EQUALS: "NotIn",
    Op.NOT_IN: "NotIn",
    Op.EXISTS: "Exists",
    Op.NOT_EXISTS: "DoesNotExist",
}


def _expression(one: Requirement) -> Document:
    operator = _OPERATORS.get(one.op)
    if operator is None:
        raise ValueError(f'an autoscaler\'s selector has no word for "{one}"')
    values = {"values": list(one.values)} if one.values else {}
    return {"key": one.key, "operator": operator, **values}


def metric(kind: str, fields: Document, *, why: Iterable[str] = ()) -> Noted:
    """Return one metric: its type, such as Pods, and the fields below the key of that name."""
    return Noted({"type": kind, kind[0].lower() + kind[1:]: fields}, above=tuple(why))


def identifier(name: str, selector: Document) -> Document:
    """Return the name of a metric and which of its series count."""
    return {"name": name, "selector": selector} if selector else {"name": name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What is scaled and how far."""

    deployment: str
    namespace: str  # empty: that of whoever applies it
    minimum: int
    maximum: int


def autoscaler(scaling: Scaling, metrics: Sequence[Noted]) -> Document:
    """Return a whole HorizontalPodAutoscaler of a Deployment."""
    named = {"namespace": scaling.namespace} if scaling.namespace else {}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": scaling.deployment, **named},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": scaling.deployment},
            "minReplicas": scaling.minimum,
            "maxReplicas": scaling.maximum,
            "metrics": list(metrics),
            "behavior": dict(_behavior()),
        },
    }


def _behavior() -> Iterator[tuple[str, Any]]:
    yield (
        "scaleUp",
        Noted(
            {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [_policy("Percent", 100), _policy("Pods", 4)],
            },
            above=("Up at once, in a minute to twice the pods, or by four if that is more.",),
        ),
    )
    yield (
        "scaleDown",
        Noted(
            {"stabilizationWindowSeconds": 300, "policies": [_policy("Percent", 50)]},
            above=(
                "Down to the most that was wanted within five minutes, so that a dip costs no pods,",
                "and in a minute to no less than half.",
            ),
        ),
    )


def _policy(kind: str, value: int) -> Document:
    return {"type": kind, "value": value, "periodSeconds": 60}
