"""Run the command line in this process, as a user would type it."""

import contextlib
import io
import os
import subprocess
import sys

from maskdial.cli import main


def maskdial(*words):
    """(exit status, stdout, stderr) of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(w) for w in words])
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
    return status, out.getvalue(), err.getvalue()


def fresh(*words, **environment):
    """The same in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from maskdial.cli import main; main()", *map(str, words)],
        capture_output=True, text=True, env={**os.environ, **environment}, timeout=300,
    )  # fmt: skip
