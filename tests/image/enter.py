"""Run a command in another root, as a container runtime would start it: own mounts, one user, given variables.

    unshare --mount -- python -I -S enter.py JOB.json

The mounts belong to this process's namespace, so that they are gone with it. JOB is {"root", "mounts": [[source, target,
options]], "read_only", "user", "cwd", "env", "argv"}; a mount's source `tmpfs` or `proc` is that file system.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def mount(*words: str) -> None:
    """Add a mount; a failure ends us, with what the command said."""
    subprocess.run(["mount", *words], check=True)


def main(argv: list[str]) -> int:
    """Replace this process by the job's command; return 127 if it cannot be run."""
    job = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    root = job["root"]
    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    if job["read_only"]:
        mount("-o", "remount,bind,ro", root)
    for source, target, options in job["mounts"]:
        if source in ("tmpfs", "proc"):
            mount("-t", source, "-o", options, source, root + target)
            continue
        mount("--bind", source, root + target)
        mount("-o", f"remount,bind,{options}", root + target)
    os.chroot(root)
    os.chdir(job["cwd"])
    if job["user"]:
        os.setgroups([])
        os.setgid(job["user"])
        os.setuid(job["user"])
    try:
        os.execvpe(job["argv"][0], job["argv"], job["env"])  # noqa: S606 - no shell is wanted between
    except OSError as error:
        sys.stderr.write(f"{job['argv'][0]}: {error.strerror}\n")
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv))
