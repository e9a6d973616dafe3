"""No garbage is collected while something large is made, and it is again afterwards."""

from __future__ import annotations

import gc
import weakref

import pytest

from adapter.runtime.garbage import collect_seldom, collection_paused


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


class _Ring:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_cycles_are_freed_all_the_same() -> None:
    """Collections come seldom for who serves long, and they do come."""
    before = gc.get_threshold()
    try:
        collect_seldom()
        seen = weakref.ref(_Ring())
        kept: list[list[object]] = [[] for _ in range(2 * gc.get_threshold()[0])]

        assert gc.get_threshold() > before
        assert gc.get_freeze_count() > 0
        assert seen() is None
        assert kept
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
