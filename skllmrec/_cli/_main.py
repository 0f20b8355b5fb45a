"""The entry of the command line: find the command, run it, report errors in a line."""

import argparse
import sys
import warnings
from collections.abc import Sequence

from skllmrec import __version__
from skllmrec._cli import compare, store
from skllmrec._cli._program import UsageError, program
from skllmrec._terminal import complain, say, show_error, show_warning

COMMANDS = (compare, store)  # each has a function add_parser(subparsers), which sets the default run=function(options)


class _Parser(argparse.ArgumentParser):
    """A parser, as are those of its commands, whose messages cannot control the terminal."""

    color = False  # colours of Python 3.14 would be shown as escapes

    def _print_message(self, message, file=None):
        if message:
            say(message.removesuffix("\n"), file=sys.stderr if file is None else file)


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
    parser = _Parser(prog=program(), description=f"The command line of skllmrec: {names}.")
    parser.add_argument("--version", action="version", version=f"skllmrec {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    options, unknown = parser.parse_known_args(arguments)
    chosen = commands.choices[vars(options).pop("command")]
    if unknown:  # reported by the command, whose usage names the options that there are
        chosen.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            return int(options.run(options))
    except UsageError as error:
        complain(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        complain("stopped")
        return 130
    except Exception:  # a fault of the program: the process ends, and its last words are shown without effect
        sys.excepthook = show_error
        raise
