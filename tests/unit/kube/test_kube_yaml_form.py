"""Documents as YAML."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapter.kube.yaml_form import encode_yaml


def test_status_is_written_as_go_does() -> None:
    """Keys are sorted, an empty map is `{}`, and the text ends with one newline."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server could not find the metric missing for pods",
        "reason": "NotFound",
        "code": 404,
    }
    assert encode_yaml(document).decode() == (
        "apiVersion: v1\ncode: 404\nkind: Status\n"
        "message: the server could not find the metric missing for pods\n"
        "metadata: {}\nreason: NotFound\nstatus: Failure\n"
    )


def test_quantities_stay_text() -> None:
    """A quantity that looks like a number is quoted, one with a suffix is not."""
    assert encode_yaml({"a": "42", "b": "1500m", "c": "1e3"}) == b'a: "42"\nb: 1500m\nc: "1e3"\n'


def test_what_occurs_twice_is_written_twice() -> None:
    """A part that two items share has no anchor: the readers of the reference know none in JSON."""
    shared = {"name": "m"}
    assert encode_yaml({"items": [shared, shared]}) == b"items:\n- name: m\n- name: m\n"


@given(st.dictionaries(st.text(), st.text() | st.none() | st.integers() | st.lists(st.text())))
def test_reads_back(document: dict[str, object]) -> None:
    """Whatever a document holds is read back from its YAML."""
    assert yaml.safe_load(encode_yaml(document)) == document
