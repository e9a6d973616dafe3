"""`make demo`: watch it live, or check one round with `--once`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from rich.console import Console
from rig.find_prometheus import NOT_FOUND, PrometheusMissingError
from rig.processes import ChildEndedError

from demo.autoscaler import read_hpas
from demo.checks import TOLERANCE, run_once
from demo.questions import path_of
from demo.scene import COMMAND, HPAS, open_scene
from demo.show import run_live
from demo.workload import Load

_RISE_AND_FALL = Load(low=200, high=1500, period_seconds=75)
_STEADY = Load(low=560, high=560, period_seconds=75)  # so that an answer may be compared a second later


def main(argv: Sequence[str]) -> int:
    """Run the demo; return 0 when it was ended by hand, or when every answer of `--once` was right."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="one round, checked; exit code 0 if all is right")
    parser.add_argument("--port", type=int, help="of the adapter; a free one if not given")
    options = parser.parse_args(argv)
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        return _run(console, once=options.once, port=options.port)
    except KeyboardInterrupt:
        console.print("stopped")
        return 1 if options.once else 0
    except PrometheusMissingError as error:
        console.print(str(error), markup=False)
        return NOT_FOUND
    except (ChildEndedError, TimeoutError) as error:
        console.print(str(error), markup=False)
        return 1


def _run(console: Console, *, once: bool, port: int | None) -> int:
    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    if not COMMAND.exists():
        say(f"{COMMAND} is missing: run `make demo`, which installs it")
        return 1
    with open_scene(load=_STEADY if once else _RISE_AND_FALL, port=port, say=say) as scene:
        curl = f"curl -k '{scene.adapter_url}{path_of(read_hpas(HPAS)[0])}'"
        say(curl)
        if once:
            say(f"values may be {TOLERANCE:.0%} off what the workload really did")
            return 0 if run_once(scene, say) else 1
        run_live(scene, console, curl=curl)
    return 0


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
