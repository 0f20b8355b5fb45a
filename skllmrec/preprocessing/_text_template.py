"""TextTemplate: joins several columns into one text per row and leaves out missing fields."""

from typing import Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skllmrec._foreign import as_table
from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import check_feature_names, check_n_features, is_frame, take_columns
from skllmrec._typing import Array, Ids, Rows
from skllmrec.preprocessing._columns import OwnContainerMixin, to_list
from skllmrec.preprocessing._templates import join_fields, parse_template, render_value


class TextTemplate(OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator):
    """Join several columns into one text per row and leave out missing fields.

    It is a transformer of single rows: a table with columns of any kind becomes a column of texts. Use it as the first
    step before `LLMTextEncoder` and before ``TfidfVectorizer`` alike: a fair comparison needs
    identical texts. A field is missing if its value is None, NaN, NaT, ``pandas.NA``, an empty list or a text without
    a visible character.

    The literal text between two fields belongs to the second one, except for a closing bracket or quote right after
    the first one (a suffix such as ``'s`` counts as one), which belongs to the first. The part before a field consists
    of a *separator*, up to the first letter, digit, opening bracket or quote, and a *label*. The rules are:

    1. a missing field is left out together with the literal text that belongs to it;
    2. the first field that is present is rendered without its separator;
    3. the literal text before the first field is the label of that field; the literal text after the last field is
       appended to every text with at least one field;
    4. a row without any field becomes "".

    ======================================  ================  ==========================================
    template                                missing           text
    ======================================  ================  ==========================================
    ``{title}. {genres}``                                     ``Toy Story. Comedy``
    ``{title}. {genres}``                   genres            ``Toy Story``
    ``{title}. {genres}``                   title             ``Comedy``
    ``{title}. {genres}``                   both
    ``{title} ({year}): {genres}``          year              ``Toy Story: Comedy``
    ``{title} ({year}): {genres}``          title             ``(1995): Comedy``
    ``{title}. Genres: {genres}.``          genres            ``Toy Story.``
    ``{title}. Genres: {genres}.``          title             ``Genres: Comedy.``
    ======================================  ================  ==========================================

    Whole numbers are rendered without decimals (1995.0 as ``1995``), the elements of lists and arrays are joined by
    ", ", and white space around a value is removed.

    Parameters
    ----------
    template : str, default="{0}"
        Text with fields in braces: a column name of a frame (``{title}``) or a position (``{0}``). Literal
        braces are doubled. Format specifications and conversions are not supported.

    Attributes
    ----------
    fields_ : list of str or int
        Columns of the template, in the order of the template.
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns seen by `fit`, if all of them are strings.

    See Also
    --------
    skllmrec.preprocessing.TextAnalyzer : TF-IDF tokens of text in every script.

    Notes
    -----
    The output is a 1-D object array of str under every setting of ``transform_output``: ``TfidfVectorizer`` would
    iterate over the columns of a frame and learn the name of the column without a warning. A pair of brackets should
    enclose one field: of a pair around two fields, the closing one is left out together with the second field.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.preprocessing import TextTemplate
    >>> X = np.array([["Toy Story", "Comedy"], ["Heat", None], [None, "Drama"], [None, ""]], dtype=object)
    >>> TextTemplate("{0}. {1}").fit_transform(X)
    array(['Toy Story. Comedy', 'Heat', 'Drama', ''], dtype=object)
    """

    def __init__(self, template: str = "{0}") -> None:
        self.template = template

    def fit(self, X: Rows, y: object = None) -> Self:
        """Check the template against the columns of X.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns), or (n_rows,) for a template of one field
            Rows with the columns of the template.
        y : object, default=None
            Ignored; may be a sparse matrix of targets.

        Returns
        -------
        self : TextTemplate

        Raises
        ------
        ValueError
            If the template is not valid, X lacks one of its columns, or X is complex.
        TypeError
            If X is sparse.
        """
        fields, _ = parse_template(self.template)
        X = self._as_table(X)
        for field in fields:
            self._column(X, field.column, len(fields))
        check_feature_names(self, X, reset=True)
        self.n_features_in_ = X.shape[1] if len(X.shape) == 2 else 1
        self.fields_ = [field.column for field in fields]
        return self

    def transform(self, X: Rows) -> Array:
        """Render the template for every row.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns), or (n_rows,) for a template of one field
            A frame may have other columns than the one seen by `fit`, in any order: fields are looked up by name.

        Returns
        -------
        ndarray of shape (n_rows,), dtype object
            One str per row.

        Raises
        ------
        ValueError
            If X lacks a column of the template, or is an array with another number of columns than the one seen
            by `fit`.
        TypeError
            If X is sparse or a value is bytes.
        """
        check_is_fitted(self, "fields_")
        fields, ending = parse_template(self.template)
        X = self._as_table(X)
        if len(X.shape) == 2 and not is_frame(X):
            check_n_features(self, X, reset=False)
        columns = [self._texts(X, field.column, len(fields)) for field in fields]
        texts = np.empty(X.shape[0], dtype=object)
        texts[:] = [join_fields(row, fields, ending) for row in zip(*columns, strict=True)]
        return texts

    def get_feature_names_out(self, input_features: Ids | None = None) -> Array:
        """Return the name of the only output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        ndarray of shape (1,), dtype object
            ``["text"]``.
        """
        check_is_fitted(self, "fields_")
        return np.array(["text"], dtype=object)

    def _as_table(self, X):
        """Return a frame or a Series as it is, anything else as an array with a shape."""
        X = as_table(X)
        if issparse(X):
            raise TypeError("TextTemplate got a sparse matrix; it needs a frame or an array with columns of text.")
        if not hasattr(X, "shape"):
            X = np.asarray(X) if hasattr(X, "__array__") else np.array(X, dtype=object)
        if len(X.shape) not in (1, 2):
            raise ValueError(f"TextTemplate needs rows and columns, got {len(X.shape)} dimensions: {X.shape}.")
        if getattr(getattr(X, "dtype", None), "kind", "") == "c":
            raise ValueError(f"Complex data not supported: TextTemplate got an array of dtype {X.dtype}.")
        return X

    def _column(self, X, column, n_fields):
        """Return the column of a field; an error lists the columns of X."""
        if len(X.shape) == 1:
            if n_fields == 1:
                return X
            raise ValueError(
                f"The template {self.template!r} has {n_fields} fields, but X has one dimension: pass a frame or "
                "a 2-D array, i.e. a list of columns instead of a single one."
            )
        if isinstance(column, int):
            if column >= X.shape[1]:
                raise ValueError(
                    f"The template {self.template!r} asks for column {column}, but X has {X.shape[1]} columns "
                    f"(positions 0 to {X.shape[1] - 1})."
                )
            return take_columns(X, column)
        if not is_frame(X):
            raise ValueError(
                f"The template {self.template!r} names the column {column!r}, but X is an array of "
                f"{X.shape[1]} columns without names: use positions, as in {{0}}."
            )
        names = list(X.columns)
        if names.count(column) != 1:
            problem = "twice in X" if column in names else "not in X"
            raise ValueError(
                f"The template {self.template!r} names the column {column!r}, which is {problem}; "
                f"the columns are {names}."
            )
        return X[column]

    def _texts(self, X, column, n_fields):
        """Render the column of one field: a list of n_rows str."""
        values = self._column(X, column, n_fields)
        # str() of a Python float shows more digits than float32 has
        is_float32 = str(values.dtype).lower() == "float32"
        values = np.asarray(values, dtype=np.float32) if is_float32 else to_list(values)
        try:
            return [render_value(value) for value in values]
        except TypeError as error:
            raise TypeError(f"Column {column!r} of X: {error}") from None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        # scikit-learn compares outputs as numbers, these are texts; tests/test_sklearn_checks.py runs what applies
        tags._skip_test = True
        return tags
