"""One text out of several columns, without holes where a field is missing."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import check_feature_names, check_n_features, is_frame, take_columns
from skllmrec.preprocessing._columns import OwnContainerMixin
from skllmrec.preprocessing._templates import join_fields, parse_template, render_value


class TextTemplate(OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Join several columns into one text per row, without holes where a field is missing.

    The first step before `LLMTextEncoder` and before ``TfidfVectorizer`` alike: a fair comparison needs
    identical text. A field is missing where its value is None, NaN, NaT, ``pandas.NA``, an empty list or a
    text without a visible character.

    Every field owns the literal text in front of it, back to the field before, and the closing bracket or
    quote right behind it (a suffix such as ``'s`` counts as one). What stands in front is a *separator*, up
    to the first letter, digit, opening bracket or quote, and a *label*. Then

    1. a missing field renders empty and takes all it owns along;
    2. the first field that is present drops its separator;
    3. the literal text before the first field is that field's label; the text behind the last field ends
       every text in which any field is present;
    4. a row in which every field is missing is "".

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

    Numbers are rendered plainly (1995.0 as ``1995``), lists and arrays with their members joined by ", ";
    white space around a value is dropped.

    Parameters
    ----------
    template : str, default="{0}"
        Text with fields in braces: a column name in a frame (``{title}``) or a position (``{0}``). Literal
        braces are doubled. Format specifications and conversions are not supported.

    Attributes
    ----------
    fields_ : list of str or int
        The columns of the template, in its order.
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns seen by `fit`, where they are all strings.

    See Also
    --------
    skllmrec.preprocessing.TextAnalyzer : TF-IDF tokens of text in every script.

    Notes
    -----
    The output is a 1-D object array of str whatever ``transform_output`` says: ``TfidfVectorizer`` would
    iterate over the columns of a frame and silently learn the column's name. A pair of brackets should enclose
    one field: of a pair around two, the closing one leaves with the second.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.preprocessing import TextTemplate
    >>> X = np.array([["Toy Story", "Comedy"], ["Heat", None], [None, "Drama"], [None, ""]], dtype=object)
    >>> TextTemplate("{0}. {1}").fit_transform(X)
    array(['Toy Story. Comedy', 'Heat', 'Drama', ''], dtype=object)
    """

    def __init__(self, template="{0}"):
        self.template = template

    def fit(self, X, y=None):
        """Check the template against the columns of X.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns), or (n_rows,) for a template of one field
            Rows whose columns the template names.
        y : object, default=None
            Ignored; may be a sparse matrix of targets.

        Returns
        -------
        self : TextTemplate

        Raises
        ------
        ValueError
            If the template is not valid or X lacks one of its columns.
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

    def transform(self, X):
        """Render the template for every row.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns), or (n_rows,) for a template of one field
            A frame may hold more columns than the one seen by `fit`, in any order: fields go by name.

        Returns
        -------
        ndarray of shape (n_rows,), dtype object
            One str per row, never None.

        Raises
        ------
        ValueError
            If X lacks a column of the template, or is an array of another width than the one seen by `fit`.
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

    def fit_transform(self, X, y=None):
        """Fit, then render the template for every row.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns), or (n_rows,) for a template of one field
            Rows whose columns the template names.
        y : object, default=None
            Ignored; may be a sparse matrix of targets.

        Returns
        -------
        ndarray of shape (n_rows,), dtype object

        Raises
        ------
        ValueError
            If the template is not valid or X lacks one of its columns.
        TypeError
            If X is sparse or a value is bytes.
        """
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features=None):
        """Name the only output.

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
        """Return X with a shape: a frame or a Series as it is, anything else as an object array."""
        if issparse(X):
            raise TypeError("TextTemplate got a sparse matrix; it needs a frame or an array with columns of text.")
        if not hasattr(X, "shape"):
            X = np.array(X, dtype=object)
        if len(X.shape) not in (1, 2):
            raise ValueError(f"TextTemplate needs rows and columns, got {len(X.shape)} dimensions: {X.shape}.")
        return X

    def _column(self, X, column, n_fields):
        """Return the one column that a field names, or say which columns there are."""
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
        if str(values.dtype).lower() == "float32":  # a Python float would show digits that float32 has not
            values = np.asarray(values, dtype=np.float32)
        else:
            values = values.to_list() if hasattr(values, "to_list") else values.tolist()
        try:
            return [render_value(value) for value in values]
        except TypeError as error:
            raise TypeError(f"Column {column!r} of X: {error}") from None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags
