"""A possible problem of a data set."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A possible problem of a data set; ``str(finding)`` describes it in one line.

    Parameters
    ----------
    what : str
        The kind of problem.
    where : str
        The column or the ids concerned.
    count : int
        Number of rows, texts, users or items with the problem.
    of : int
        Number of rows, texts, users or items examined.
    examples : list of str
        A few examples.
    advice : str
        What to do about it.
    """

    what: str
    where: str
    count: int
    of: int
    examples: list[str] = field(default_factory=list)
    advice: str = ""

    def __str__(self):
        share = f"{self.count / self.of:.1%}" if self.count >= 0.001 * self.of else "< 0.1%"
        text = f"{self.where}: {self.what} in {self.count:,} of {self.of:,} ({share}): {self.advice}"
        return text + (f" (e.g. {', '.join(map(repr, self.examples))})" if self.examples else "")
