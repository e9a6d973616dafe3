"""What a query may be made of to be fused: tables of what is allowed, and what to write instead of the rest.

Allowed is what works on the samples of each object by itself. `proof` says what that means; whatever is not named here
is not fused.
"""

from __future__ import annotations

from collections.abc import Mapping

AGGREGATIONS = frozenset({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"})

# Each sample of such an operator comes from one sample of either side.
ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^", "atan2"})
COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SETS = frozenset({"and", "or", "unless"})

# Functions that answer for each series by itself and keep its labels (but for the metric's name), by the place of the
# argument that holds the series; all other arguments are numbers.
FUNCTIONS: Mapping[str, int] = {
    **dict.fromkeys(
        (
            *("rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "changes", "resets"),
            *("avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time"),
            *("stddev_over_time", "stdvar_over_time", "last_over_time", "present_over_time"),
            *("abs", "ceil", "floor", "round", "sgn", "sqrt", "exp", "ln", "log2", "log10"),
            *("clamp", "clamp_min", "clamp_max", "timestamp"),
            *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
            *("deg", "rad"),
            *("minute", "hour", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "month", "year"),
        ),
        0,
    ),
    "quantile_over_time": 1,
    "histogram_quantile": 1,  # puts the series together that differ by `le` alone
}
NUMBERS = frozenset({"time", "pi"})  # functions without arguments that give one number

# Labels that allowed functions take away, so that no object can be told by them.
TAKEN_AWAY = frozenset({"__name__", "le"})

HINTS: Mapping[str, str] = {
    "vector": "leave it out and set onEmpty, such as onEmpty: zero",
    "absent": "set onEmpty instead",
    "absent_over_time": "set onEmpty instead",
    "scalar": "aggregate by the same labels on both sides instead",
    "label_replace": "map the label in the rule's resources, or by a recording rule",
    "label_join": "map the label in the rule's resources, or by a recording rule",
    "topk": "use max by the object's label",
    "bottomk": "use min by the object's label",
    "quantile": "use histogram_quantile over buckets, or avg",
    "sort": "leave it out: the order of samples does not matter",
    "sort_desc": "leave it out: the order of samples does not matter",
    "hour": "use a number: time() % 86400 / 3600",
    "minute": "use a number: time() % 3600 / 60",
    "day_of_week": "use a number: (time() / 86400 + 4) % 7",
}
