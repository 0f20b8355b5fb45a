"""The command line: `skllmrec compare | store`, or `python -m skllmrec`."""

import argparse
import sys
from pathlib import Path

from skllmrec import __version__
from skllmrec._cli import store
from skllmrec._cli.compare import command as compare


def main(arguments: list[str] | None = None) -> int:
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
    script = Path(sys.argv[0]).stem == "skllmrec"  # the installed command, not the module
    parser = argparse.ArgumentParser(
        prog="skllmrec" if script else "python -m skllmrec", description=__doc__.partition(":")[0] + "."
    )
    parser.add_argument("--version", action="version", version=f"skllmrec {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, dest="command", metavar="COMMAND")
    for module in (compare, store):
        module.add_parser(commands)
    options, unknown = parser.parse_known_args(arguments)
    command = commands.choices[vars(options).pop("command")]
    if unknown:  # said by the command, whose usage names the options that there are
        command.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return options.run(options)
    except compare.UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
