"""The entry of the command line: find the command, run it, report errors in a line."""

import argparse
import sys
from collections.abc import Sequence

from skllmrec import __version__
from skllmrec._cli import compare, store
from skllmrec._cli._program import UsageError, program

COMMANDS = (compare, store)  # each has a function add_parser(subparsers), which sets the default run=function(options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : list of str, default=None
        Without the program's name; None: those of this process.

    Returns
    -------
    status : int
        0; 1 where `store verify` finds damage; 2 where an option, the data, the model or the store does not fit;
        130 where the user stopped it.
    """
    names = " | ".join(command.__name__.rpartition(".")[2] for command in COMMANDS)
    parser = argparse.ArgumentParser(prog=program(), description=f"The command line of skllmrec: {names}.")
    parser.add_argument("--version", action="version", version=f"skllmrec {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    options, unknown = parser.parse_known_args(arguments)
    chosen = commands.choices[vars(options).pop("command")]
    if unknown:  # reported by the command, whose usage names the options that there are
        chosen.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(options.run(options))
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
