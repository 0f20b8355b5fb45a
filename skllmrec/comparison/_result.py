"""The result of a comparison: frames, tables, pictures and files."""

from typing import Any

import numpy as np

from skllmrec._files import replacing
from skllmrec._optional import import_optional
from skllmrec._terminal import printable
from skllmrec._typing import Frame, Path
from skllmrec.comparison._formatting import COSTS, lower_is_better, significant_digits, stars, unit_of
from skllmrec.comparison._summary import compare_columns, pool_users


class Comparison:
    """What `compare_recommenders` found.

    Parameters
    ----------
    frame, per_user, per_fold : pandas.DataFrame
        See Attributes.
    chosen : pandas.DataFrame
        See Attributes.
    settings : dict
        ``k, threshold, reference, baselines, candidates, n_folds, n_rows, level, n_permutations, n_resamples,
        seed``,
        ``relevant`` (which test rows were relevant and why, in words), ``exclude_seen``, ``repeated_rows`` (how many
        test rows have a user and an item that are in a training row as well: ``rows, of, by_fold``; None where the
        columns of the ids are unknown), ``history`` (the column that makes test rows questions of the next item, or
        None),
        ``diversity`` (the name of the space of ``ild`` and ``serendipity``), ``versions`` (a dict) and ``metrics`` (for
        each a dict of ``name, label, description, per, greater_is_better``).
    by_popularity : pandas.DataFrame or None, default=None
        See Attributes.

    Attributes
    ----------
    frame : pandas.DataFrame
        A row per estimator and metric. Columns: ``estimator``, ``metric`` (as in ``"ndcg@20"``), ``mean``;
        ``ci_low``, ``ci_high`` (bootstrap over users); ``gain`` over the reference as a fraction (.05 is
        5 %), ``gain_low``, ``gain_high``; ``effect_size`` (Cohen's d of paired samples), ``p_value`` (paired
        permutation test over users), ``p_holm`` (Holm-adjusted over the estimators of this metric);
        ``n_users``, ``n_folds``. What exists once per fold (coverage, Gini index, rmse, mae, costs) has the
        mean over folds, and NaN for intervals and tests. The costs: ``fit_seconds`` and ``recommend_seconds`` of wall
        time; ``fit_peak_mb``, by how much the resident memory of the process grew at most during `fit`, in units of
        1,000,000 bytes (NaN where the system does not report it; child processes of `fit` do not count).
    per_user : pandas.DataFrame or None
        A row per estimator, fold and test user: ``estimator, fold, user`` and a column per metric. Where questions of
        the next item were compared, a row per question, and ``user`` is its row of X, here as in ``n_users`` of the
        other frames. None after `from_json`.
    per_fold : pandas.DataFrame
        A row per estimator and fold, with the quantities that exist once per fold.
    chosen : pandas.DataFrame
        A row per estimator and fold for the searches among the estimators: ``params`` (dict), ``score``.
    settings : dict
        How the comparison was made.
    by_popularity : pandas.DataFrame
        A row per estimator, fold and group of items, from the least known (``bin`` 0) to the best known (9), each
        with a tenth of the relevant test pairs: ``mean`` and ``error`` (half width of the 95 % interval over users) of
        the recall of the relevant items in it, ``n_users``, and ``low, high``, the numbers of training users of its
        items. Empty for new items.

    Examples
    --------
    >>> import pandas as pd
    >>> from skllmrec import PopularityRecommender, compare_recommenders
    >>> X = pd.DataFrame({"user": list("aaabbbccc"), "item": list("xyzxywxzw")})
    >>> comparison = compare_recommenders({"count": PopularityRecommender(feedback="implicit")}, X, cv=3, k=2)
    >>> comparison.metrics[:2]
    ['ndcg@2', 'recall@2']
    """

    def __init__(
        self,
        frame: Frame,
        per_user: Frame | None,
        per_fold: Frame,
        chosen: Frame,
        settings: dict[str, Any],
        by_popularity: Frame | None = None,
    ) -> None:
        self.frame = frame
        self.per_user = per_user
        self.per_fold = per_fold
        self.chosen = chosen
        self.settings = settings
        pd = import_optional("pandas", extra="demo", purpose="Comparison")
        self.by_popularity = pd.DataFrame(columns=["estimator", "fold"]) if by_popularity is None else by_popularity

    @property
    def estimators(self) -> list[str]:
        """Names of the estimators, in the order given."""
        return list(dict.fromkeys(self.frame["estimator"]))

    @property
    def metrics(self) -> list[str]:
        """Labels of the metrics, e.g. ``"ndcg@20"``, in the order of `frame`."""
        return list(dict.fromkeys(self.frame["metric"]))

    def label(self, metric: str) -> str:
        """Label of a metric in `frame`: ``"ndcg"`` and ``"ndcg@20"`` both give ``"ndcg@20"``.

        Parameters
        ----------
        metric : str
            Name with or without the ``@k``.

        Returns
        -------
        label : str

        Raises
        ------
        ValueError
            If the comparison does not have this metric.
        """
        for label in self.metrics:
            if metric in (label, label.partition("@")[0]):
                return label
        raise ValueError(f"metric={metric!r} is not in this comparison, which has {self.metrics}")

    def value(self, estimator: str, metric: str, column: str = "mean") -> float:
        """Look up one cell of `frame`.

        Parameters
        ----------
        estimator : str
            Name of an estimator.
        metric : str
            With or without ``@k``.
        column : str, default="mean"
            Column of `frame`.

        Returns
        -------
        value : float

        Raises
        ------
        ValueError
            If the estimator or the metric is not in the comparison.
        """
        rows = self.frame[(self.frame["estimator"] == estimator) & (self.frame["metric"] == self.label(metric))]
        if rows.empty:
            raise ValueError(f"estimator={estimator!r} is not in this comparison, which has {self.estimators}")
        return rows[column].iloc[0]

    def contrast(self, estimator: str, reference: str, metric: str = "ndcg") -> dict[str, float]:
        """Compare any two of the estimators on a metric that exists per user.

        Parameters
        ----------
        estimator, reference : str
            Names of two estimators.
        metric : str, default="ndcg"
            A metric that exists per user, with or without ``@k``.

        Returns
        -------
        contrast : dict of str to float
            ``mean, ci_low, ci_high, gain, gain_low, gain_high, effect_size, p_value`` of `estimator` against
            `reference`, as in `frame`; one test, so without a correction.

        Raises
        ------
        ValueError
            If a name is unknown, the metric exists only once per fold, or the comparison was read from a file, which
            does not hold the values of the users.
        """
        label = self.label(metric)
        if self.per_user is None:
            raise ValueError("a comparison from a file has no values per user, which a test needs: compare again")
        if label not in self.per_user.columns:
            raise ValueError(f"metric={metric!r} exists once per fold, not per user: there is nothing to test")
        for name in (estimator, reference):
            self.value(name, label)
        values = pool_users(self.per_user, [reference, estimator], [label])[label].to_numpy(float)
        options = {key: self.settings[key] for key in ("level", "n_permutations", "n_resamples")}
        (result,) = compare_columns([values], 0, random_state=self.settings["seed"], **options)
        return {key: float(column[1]) for key, column in result.items() if key not in ("p_holm", "n_users")}

    def table(self, *, metrics: list[str] | None = None) -> Frame:
        """Lay the comparison out for reading: a row per metric, a column per estimator.

        Parameters
        ----------
        metrics : list of str or None, default=None
            Which metrics, with or without ``@k``; None: all.

        Returns
        -------
        table : pandas.DataFrame of str
            Cells such as ``"0.2641 +4.0% **"``: mean, gain over the reference, stars of the Holm-adjusted
            p-value (``*`` below .05, ``**`` below .01, ``***`` below .001).
        """
        labels = self.metrics if metrics is None else [self.label(metric) for metric in metrics]
        rows = self.frame.set_index(["metric", "estimator"])
        pd = import_optional("pandas", extra="demo", purpose="Comparison.table")
        cells = {
            name: [self._cell(rows.loc[(metric, name)], metric, name) for metric in labels] for name in self.estimators
        }
        return pd.DataFrame(cells, index=pd.Index(labels, name="metric"))

    def _cell(self, row, metric, name):
        text = significant_digits(row["mean"], metric)
        if name != self.settings["reference"] and np.isfinite(row["gain"]) and metric not in COSTS:
            text += f" {row['gain']:+z.1%} {stars(row['p_holm'])}"
        return text.strip()

    def legend(self) -> str:
        """Explain the signs in `table`.

        Returns
        -------
        text : str
        """
        lower = [metric for metric in self.metrics if lower_is_better(self, metric)]
        text = (
            f"Percentages: gain over {self.settings['reference']!r}. Stars: paired permutation test over "
            f"{unit_of(self)}, Holm-adjusted (* p < .05, ** p < .01, *** p < .001)."
        )
        return text + (f" Lower is better: {', '.join(lower)}." if lower else "")

    def plot(self, x: str = "coverage", y: str = "ndcg", *, ax: Any = None) -> Any:
        """Draw accuracy against diversity: one point per estimator, with confidence bars where they exist.

        Parameters
        ----------
        x, y : str, default="coverage", "ndcg"
            Metrics, with or without ``@k``.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ax : matplotlib Axes

        Raises
        ------
        ValueError
            If the comparison does not have a metric.
        ImportError
            If matplotlib is missing.
        """
        from skllmrec.comparison._plots import scatter_plot

        return scatter_plot(self, self.label(x), self.label(y), ax=ax)

    def to_csv(self, path: Path) -> None:
        """Write `frame` as a CSV file: a row per estimator and metric.

        Parameters
        ----------
        path : str or Path
            The file; replaced as a whole.
        """
        with replacing(path) as temporary:
            self.frame.to_csv(temporary, index=False)

    def to_json(self, path: Path, *, job: dict[str, Any] | None = None) -> None:
        """Write everything but the values per user as a JSON file.

        The keys, which later versions only add to: ``schema`` (``"skllmrec.comparison/1"``), ``settings``, and the rows
        of ``frame``, ``per_fold``, ``by_popularity`` and ``chosen`` as lists of objects with the columns as keys. NaN
        is null, infinity the text ``"inf"``; a chosen parameter that is no number, text or list is its repr.

        Parameters
        ----------
        path : str or Path
            The file; replaced as a whole.
        job : dict or None, default=None
            What else is to be kept, under the key ``job``.
        """
        from skllmrec.comparison._json import to_document, write_document

        write_document(to_document(self, job), path)

    @classmethod
    def from_json(cls, path: Path) -> "Comparison":
        """Read what `to_json` wrote.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        comparison : Comparison
            Its tables and pictures are those of the first one. It has no `per_user`, so no new tests.

        Raises
        ------
        FileFormatError
            If the file is not JSON of this schema.
        """
        from skllmrec.comparison._json import read_document

        parts = read_document(path)
        del parts["job"]
        return cls(per_user=None, **parts)

    def to_html(self, path: Path | None = None, *, title: str = "Comparison of recommenders") -> str:
        """Write a self-contained page: the table, the pictures, the protocol.

        Parameters
        ----------
        path : str, Path or None, default=None
            The file, replaced as a whole; None only returns the page.
        title : str
            Heading of the page.

        Returns
        -------
        html : str
        """
        from skllmrec.comparison._report import comparison_page

        page = comparison_page(self, title=title)
        if path is not None:
            with replacing(path) as temporary:
                temporary.write_text(page, encoding="utf-8")
        return page

    def _repr_html_(self):
        from skllmrec.comparison._report import metric_table

        return metric_table(self, style=True)

    def __repr__(self) -> str:
        s = self.settings
        units = int(self.frame["n_users"].max())
        head = (
            f"Comparison of {len(self.estimators)} estimators, {s['n_folds']} fold(s), {units} test {unit_of(self)}, "
            f"k={s['k']}, candidates={s['candidates']!r}"
        )
        head += f"\nRelevant: {s['relevant']}" if "relevant" in s else ""
        return printable(f"{head}\n{self.table().to_string()}\n{self.legend()}")
