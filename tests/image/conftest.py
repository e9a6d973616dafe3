"""The image, built once without a container engine where this machine can."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rig.processes import scratch_folder

import adapter
from image.replay import Built, Replay, why_not

ROOT = Path(__file__).parents[2]
ARGUMENTS = {"VERSION": adapter.__version__, "REVISION": "0123abc", "PYTHON_DIGEST": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the Dockerfile made, and the folder with all its stages."""

    built: Built
    stages: dict[str, Built]
    scratch: Path


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """Carry out the Dockerfile; where that is not possible, fail in CI and skip with the reason elsewhere."""
    if reason := why_not():
        sentence = f"the Dockerfile cannot be replayed here: {reason}"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with scratch_folder("tidegauge-image-") as folder:
        folder.chmod(0o755)  # the user of the image walks through it
        replay = Replay(context=ROOT, scratch=folder, arguments=ARGUMENTS)
        built = replay.build()
        yield Image(built=built, stages=replay.done, scratch=folder)
