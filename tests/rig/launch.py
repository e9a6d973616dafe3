"""Become the command given, and die with whoever started it.

    python -I -S launch.py PARENT_PID COMMAND ARGUMENT...

The kernel sends SIGKILL when the thread that started us ends, so a child never outlives a harness that was killed. This
is a program and not a `preexec_fn`, because that is unsafe (and warned about) in a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(argv: list[str]) -> int:
    """Replace this process by the command; return 127 if it cannot be run."""
    parent, command = int(argv[1]), argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1  # the parent died before the kernel knew of our wish
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted between the command and its signals
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv))
