"""Laws of reading a list of series as it comes in: any body, in any pieces, is an answer or one of our errors."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.clients.series import SeriesNames, SeriesReader
from adapter.errors import PrometheusUnavailable, QueryRejected

NUMBERS = st.sampled_from(
    ["0", "-1", "9" * 18, "9" * 19, "9" * 5000, "1e5", "1e400", "-1e-99999999999999999999", "0." + "1" * 5000]
)
TEXTS = st.text(st.characters()).map(json.dumps) | st.sampled_from(
    ['"\\ud800"', '"\\u0000"', '"\\udc00\\ud800"', '"\\q"']
)
KEYS = (
    st.sampled_from(["status", "data", "error", "errorType", "warnings", "infos", "__name__", "pod"]).map(json.dumps)
    | TEXTS
)
LEAVES = NUMBERS | TEXTS | st.sampled_from(["null", "true", '"success"', '"error"', "NaN", ""])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda found: "[" + ",".join(found) + "]")
        | st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=20,
)
ANSWERS = st.tuples(VALUES, VALUES).map(
    lambda two: f'{{"status":"success","data":[{{"__name__":"m","x":{two[0]}}}],"warnings":{two[1]}}}'
)
BODIES = (VALUES | ANSWERS).map(lambda text: text.encode(errors="surrogatepass")) | st.binary()


def ending(body: bytes, size: int) -> SeriesNames | str:
    """Return what a body says that comes in pieces of a size, or the kind of our error."""
    reader = SeriesReader()
    try:
        for start in range(0, len(body), size):
            reader.feed(body[start : start + size])
        return reader.finish(http_status=200)
    except PrometheusUnavailable as error:
        return error.kind
    except QueryRejected:
        return "rejected"


@settings(deadline=None, max_examples=400)
@given(BODIES, st.integers(1, 100))
def test_any_body_in_any_pieces_is_an_answer_or_an_error_of_ours(body: bytes, size: int) -> None:
    """No body escapes as another error, and how it was cut into pieces changes nothing."""
    whole = ending(body, len(body) + 1)

    assert ending(body, size) == whole
    assert not isinstance(whole, str) or whole in ("bad_answer", "rejected")
