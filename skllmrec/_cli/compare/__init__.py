"""`skllmrec compare`: read tables, build the estimators, compare them, write the report."""

from skllmrec._cli.compare.command import add_parser

__all__ = ["add_parser"]
