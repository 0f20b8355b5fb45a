"""Run code in a fresh interpreter that finds the package and the modules of the tests."""

import os
import subprocess
import sys
import textwrap


def start_python(code, *arguments, helpers=None, environment=None, flags=(), **options):
    """Start a fresh interpreter.

    Parameters
    ----------
    code : str
        What it runs; may be indented.
    *arguments : object
        Its `sys.argv[1:]`, as texts.
    helpers : str or None, default=None
        A module of the tests all of whose names the code can use, and `sys`.
    environment : dict or None, default=None
        Variables that differ from those of this process.
    flags : sequence of str, default=()
        Of the interpreter.
    **options : object
        Of `subprocess.Popen`.

    Returns
    -------
    subprocess.Popen
    """
    head = "" if helpers is None else f"import sys\nfrom {helpers} import *\n"
    command = [sys.executable, *flags, "-c", head + textwrap.dedent(code), *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **(environment or {})}
    return subprocess.Popen(command, env=variables, **options)


def run_python(code, *arguments, status=0, timeout=300, **options):
    """Run code in a fresh interpreter to its end, see `start_python`; return what it printed.

    Parameters
    ----------
    code, *arguments, **options : object
        See `start_python`.
    status : int, default=0
        The exit status that is expected, negative for a signal.
    timeout : float, default=300
        Seconds.

    Returns
    -------
    output, errors : str
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with start_python(code, *arguments, **pipes, **options) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    assert process.returncode == status, errors
    return output, errors
