"""One thing that is wrong with data, and how it is told."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One thing that may be wrong with data.

    Parameters
    ----------
    what : str
        What it is.
    where : str
        The column or the ids it is in.
    count : int
        How many rows, texts, users or items have it.
    of : int
        How many were looked at.
    examples : list of str
        A few of them.
    advice : str
        What to do.
    """

    what: str
    where: str
    count: int
    of: int
    examples: list = field(default_factory=list)
    advice: str = ""

    def __str__(self):
        share = f"{self.count / self.of:.1%}" if self.count >= 0.001 * self.of else "< 0.1%"
        text = f"{self.where}: {self.what} in {self.count:,} of {self.of:,} ({share}): {self.advice}"
        return text + (f" (e.g. {', '.join(map(repr, self.examples))})" if self.examples else "")
