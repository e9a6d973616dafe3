"""What a process has used so far, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB = 1024
_ESTABLISHED = "01"


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS  # utime and stime; the state is field 0 here


def resident_mib(pid: int) -> float:
    """Return the resident memory now."""
    return _status(pid, "VmRSS")


def peak_resident_mib(pid: int) -> float:
    """Return the greatest resident memory so far; unlike getrusage's, it starts anew with the program."""
    return _status(pid, "VmHWM")


def callers(port: int) -> frozenset[str]:
    """Return the far ends of the established TCP connections to a port of this machine (IPv4)."""
    here = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return frozenset(row[2] for row in rows if row[1].endswith(here) and row[3] == _ESTABLISHED)


def _status(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / _KIB_PER_MIB
