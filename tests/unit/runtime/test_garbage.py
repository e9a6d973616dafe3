"""No garbage is collected while something large is made, and it is again afterwards."""

from __future__ import annotations

import gc

import pytest

from adapter.runtime.garbage import collection_paused


def test_collection_is_paused_inside_and_goes_on_afterwards() -> None:
    """Also when one pause lies in another, and when what is made fails."""
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()

    with pytest.raises(ValueError, match="no"), collection_paused():
        raise ValueError("no")
    assert gc.isenabled()
