"""The command line: `python -m skllmrec compare`."""

import argparse
import sys

from skllmrec import __version__
from skllmrec.comparison._main_job import UsageError, add_parser


def main(arguments=None):
    """Run a command.

    Parameters
    ----------
    arguments : list of str, default=None
        Without the program's name; None: those of this process.

    Returns
    -------
    status : int
        0; 2 where an option, the data or the model does not fit; 130 where the user stopped it.
    """
    parser = argparse.ArgumentParser(prog="python -m skllmrec", description=__doc__.partition(":")[0] + ".")
    parser.add_argument("--version", action="version", version=f"skllmrec {__version__}")
    add_parser(parser.add_subparsers(title="commands", required=True, metavar="COMMAND"))
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
