"""The command `compare`: the main job."""

import math
import os
import shlex
import sys
from argparse import ArgumentParser, ArgumentTypeError, HelpFormatter, Namespace, _SubParsersAction
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np

from skllmrec._cli._program import UsageError, program
from skllmrec._cli.compare import report as output
from skllmrec._cli.compare.data import ML_100K, load_job_data
from skllmrec._cli.compare.estimators import BUILT_IN, IDS, TFIDF, make_estimators, make_llm_encoder, make_protocol
from skllmrec._cli.compare.files import LAST_ITEM, NEXT_ITEM, TIME
from skllmrec._cli.compare.next_item import as_questions
from skllmrec._cli.compare.user_file import load_own_estimators
from skllmrec._cli.compare.verdict import best_estimator, verdict
from skllmrec._files import replacing
from skllmrec._optional import import_optional
from skllmrec._terminal import say
from skllmrec._times import codes_of_times
from skllmrec.comparison._compare import compare_recommenders, find_baselines
from skllmrec.comparison._fold import FoldError, accepted_tables
from skllmrec.comparison._plots import save_png
from skllmrec.comparison._progress import seconds
from skllmrec.datasets import get_data_home
from skllmrec.metrics._ranking import relevant_rows

_FILES = ("report.html", "results.csv", "results.json", "picture.png", "best_pipeline.joblib")
_FOLDS = "folds"  # folder of the results of single folds
_METRICS = ("ndcg", "recall", "precision", "hit_rate", "mrr", "coverage", "gini", "novelty", "ild")
_RESUMED = "Comparing (what was there already is not counted)"
_DESCRIPTION = """\
Compare recommenders on one data set: popularity, ids alone, ids + TF-IDF, ids + LLM, ids + both. All are tuned
with the same number of candidates inside each training fold; every metric is tested over users. Prints the table
and a verdict, and writes report.html, results.csv, results.json, picture.png and best_pipeline.joblib."""


class _ShowDefaults(HelpFormatter):
    """Show the default of every option whose help does not do so itself."""

    def _get_help_string(self, action):
        if action.default in (None, [], "==SUPPRESS==") or not action.option_strings:
            return action.help
        return f"{action.help} (default: %(default)s)"


def _count(minimum):
    """Make an argparse type: a whole number from `minimum` up."""

    def parse(text):
        if not text.isdecimal() or int(text) < minimum:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {minimum} up")
        return int(text)

    return parse


def _finite(text):
    """Parse a finite number, as argparse asks for it."""
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def _delimiter(text):
    """Parse a delimiter, as shells let people write it."""
    if not text:
        raise ArgumentTypeError("a delimiter has at least one character, such as ';' or tab")
    return {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(text.lower(), text)


def _names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the `compare` command.

    Parameters
    ----------
    subparsers : argparse subparsers
    """
    parser = subparsers.add_parser(
        "compare",
        help="compare LLM, TF-IDF and id-only recommenders on a data set",
        description=_DESCRIPTION,
        formatter_class=_ShowDefaults,
        allow_abbrev=False,
    )
    _add_task(parser.add_argument)
    _add_models(parser.add_argument)
    _add_run(parser.add_argument)
    parser.set_defaults(run=run)


def _add_task(add):
    """Add the options of the data and the protocol."""
    add(
        "--data",
        default=ML_100K,
        metavar="ml-100k|FOLDER",
        help="MovieLens 100K, fetched once, or a folder with interactions.parquet and items.parquet (or .csv)",
    )
    _add_files(add)
    add(
        "--target",
        default="rating",
        metavar="COLUMN",
        help="column of the interactions that holds the ratings or weights, or 'none'; ignored for ml-100k",
    )
    add(
        "--protocol",
        default="warm",
        choices=["warm", "cold-items", "temporal", NEXT_ITEM, LAST_ITEM],
        help="known items; new items, ranked among themselves; the last 20%% in time; or what comes next after a "
        "history: the last 20%% in time, or the last row of each user",
    )
    add(
        "--text",
        metavar="TEMPLATE",
        help="the text of an item, as in '{title}. {genres}' (default: all columns that hold text, which are named "
        "in the output; tags are left out, because the users under test wrote them)",
    )
    add(
        "--user-text",
        metavar="TEMPLATE",
        help="the text of a user, as in '{about}' (default: all columns of --users that hold text)",
    )
    add(
        "--feedback",
        default="implicit",
        choices=["implicit", "explicit"],
        help="train on the positives alone, or on all ratings (which adds RMSE and MAE)",
    )
    add(
        "--threshold",
        type=_finite,
        help="values of --target at or above it are positives (default: on a rating scale 4 of 5, else 70%% of the "
        "highest, e.g. 7 of 10; every value above 0 where they are counts, hours or the like)",
    )
    add(
        "--weights",
        choices=["log", "bm25", "quantile"],
        help="train on --target as counts (plays, hours, money), weighted this way; all counts above 0 are positives "
        "(default: every positive weighs the same)",
    )
    add("--exclude-columns", type=_names, default=[], metavar="A,B", help="columns that no model may read")
    add("--k", type=_count(1), default=20, help="length of the lists")
    add("--folds", type=_count(2), default=5, help="outer folds; a temporal protocol has one")
    add("--max-users", type=_count(2), help="use a random part of the users (default: all)")
    add("--seed", type=_count(0), default=0, help="of splits, searches, factors, ties and tests")


def _add_files(add):
    """Add the options of files that are no folder of a data set."""
    formats = "csv, tsv, JSON lines or parquet, perhaps compressed as gz, zst or zip"
    add(
        "--interactions",
        metavar="FILE",
        help=f"a file with one row for each interaction ({formats}), instead of --data; it needs the columns --user "
        "and --item, and may have --target and --time",
    )
    add(
        "--items",
        metavar="FILE",
        help=f"a file with one row for each item ({formats}): the column --item and columns of text; without it, the "
        "text columns of --interactions that are the same in all rows of an item",
    )
    add(
        "--users",
        metavar="FILE",
        help=f"a file with one row for each user ({formats}): the column --user and columns of text",
    )
    add("--user", default="user_id", metavar="COLUMN", help="column of the user ids, with --interactions or a folder")
    add("--item", default="item_id", metavar="COLUMN", help="column of the item ids, in both files")
    add(
        "--time",
        default="timestamp",
        metavar="COLUMN",
        help="column of the times, numbers or dates, if there is one",
    )
    add(
        "--delimiter",
        type=_delimiter,
        metavar="CHARACTER",
        help="separates the columns of text files; 'tab' is one (default: detected)",
    )
    add("--decimal", choices=[".", ","], help="decimal sign of --target in text files (default: detected)")
    add("--encoding", metavar="NAME", help="of text files, such as cp1252, gb18030 or shift_jis (default: detected)")


def _add_models(add):
    """Add the options of the estimators."""
    add("--trials", type=_count(1), default=6, help="candidates of each search, the defaults included")
    add("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="language model: a name or a directory")
    add("--max-length", type=_count(4), default=64, help="tokens of a text that the language model reads")
    add(
        "--estimators",
        metavar="FILE.py",
        help="estimators of your own: a Python file with a function make_estimators(data, options) that returns a dict "
        "of name: estimator, whose user and item columns are user_id and item_id; the file is run",
    )


def _add_run(add):
    """Add the options of the run and its results."""
    add("--n-jobs", type=_count(1), default=min(4, joblib.cpu_count()), help="processes")
    add(
        "--store",
        default=str(get_data_home() / "store"),
        metavar="FOLDER",
        help="keeps the vector of every text, so that it is encoded once",
    )
    add(
        "--out",
        "--output",
        "-o",
        default="skllmrec-report",
        metavar="FOLDER",
        help="for the results; files in it are replaced",
    )
    add(
        "--resume",
        action="store_true",
        help="go on where an earlier run into the same --out stopped: results of the same data, split, parameters, "
        "metrics, seed and versions are read, the others computed",
    )


def _prepare(options):
    """Read the data and make the estimators; whatever is wrong with the options is found here, before the long part."""
    for module in ("pandas", "matplotlib"):
        import_optional(module, extra="demo", purpose=f"{program()} compare")
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {options.out} is a file: name a folder")
    say(f"Data: {options.interactions or options.data}")
    data = load_job_data(options)
    _check_times(data, options)
    protocol = make_protocol(options.protocol, folds=options.folds, seed=options.seed, columns=data.X.columns)
    data, protocol = as_questions(data, protocol)
    for key, value in [*data.describe()[1:], ("Protocol", protocol.text), ("Feedback", options.feedback)]:
        say(f"  {key}: {value}")
    for note in data.notes:
        say(f"  - {note}")
    say("Quality of the data, as it was read")
    for finding in data.quality.findings or ["nothing found"]:
        say(f"  - {finding}")
    _check_splits(data, protocol, options)
    estimators = make_estimators(data, options, protocol)
    if options.estimators:
        own = load_own_estimators(options.estimators, data, options, taken=estimators)
        say(f"Your own: {', '.join(own)}")
        estimators |= own
    with _folder(out):
        _encode(data, options)
    return data, protocol, estimators, out


def _check_times(data, options):
    """Raise an error where the temporal protocol lacks times that can be ordered."""
    if options.protocol not in ("temporal", NEXT_ITEM, LAST_ITEM) or TIME not in data.X.columns:
        return
    n_missing = int(data.X[TIME].isna().sum())
    if n_missing:
        raise ValueError(
            f"--protocol {options.protocol} needs every time, but {n_missing:,} interactions have none in "
            f"{options.time!r}: remove these rows, or use another --protocol"
        )
    codes_of_times(data.X[TIME].to_numpy(), name=f"--time: the column {options.time!r}")


def _check_splits(data, protocol, options):
    """Raise an error where there is too little data for the outer or the inner splits, or a fold has no positive."""
    try:
        outer = list(protocol.outer.split(data.X))
        inner = [list(protocol.inner.split(data.X.iloc[train])) for train, _ in outer]
    except ValueError as error:
        raise ValueError(
            f"{len(data.X):,} interaction(s) are too few for --protocol {options.protocol} with --folds "
            f"{options.folds}, and for validation inside each fold: {error}"
        ) from error
    if data.y is None:  # every row is a positive
        return
    positive = relevant_rows(data.y, data.threshold, len(data.y))
    above = "above 0" if data.threshold is None else f"of at least {data.threshold:g}"
    for place, (train, test) in enumerate(outer):
        tested = [(positive[test], "test"), *((positive[train][part], "validation") for _, part in inner[place])]
        for found, kind in tested:
            if not found.any():
                raise ValueError(
                    f"none of the {len(found):,} {kind} rows of fold {place + 1} of {len(outer)} has "
                    f"{options.target!r} {above}: lower --threshold, or use fewer --folds"
                )


@contextmanager
def _folder(folder):
    """Make the folder of the results before the long part, not after it; where that fails no new one is left."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out {folder}: this folder cannot be made ({error.strerror}): name another") from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"--out {folder}: you may not write to this folder: name another")
    try:
        yield
    except BaseException:
        if is_new:
            folder.rmdir()
        raise


def _encode(data, options):
    """Encode every text once; all that follows reads the store."""
    texts = np.concatenate([data.texts, data.user_texts])
    say(
        f"\nEncoding {len(set(texts)):,} distinct texts with {options.model} (known ones are read from {options.store})"
    )
    start = perf_counter()
    make_llm_encoder(options).set_params(verbose=sys.stderr.isatty()).fit_transform(texts)
    say(f"  done in {seconds(perf_counter() - start)}")


def _compare(data, protocol, options, estimators, folder):
    explicit, new_items = options.feedback == "explicit", protocol.candidates == "test"
    metrics = [m for m in _METRICS if not (new_items and m == "novelty")]  # all new items are equally new
    if protocol.history is not None:  # of one relevant item, recall is the hit rate, and precision a part of it
        metrics = [m for m in metrics if m not in ("recall", "precision")]
    say(
        f"\nComparing {len(estimators)} estimators; each search tries {options.trials} candidate(s) "
        f"inside each training fold; what is done is kept in {folder} (--resume goes on from there)"
    )
    try:
        return compare_recommenders(
            estimators,
            data.X,
            data.y,
            cv=protocol.outer,
            metrics=[*metrics, *(["rmse", "mae"] if explicit else [])],
            k=options.k,
            threshold=data.threshold if explicit else None,
            reference=TFIDF,
            baselines=[*find_baselines(estimators), *([IDS] if new_items else [])],
            **protocol.ranking,
            item_vectors=data.item_vectors,
            **data.fit_tables,
            checkpoint_dir=folder,
            resume=options.resume,
            n_jobs=options.n_jobs,
            random_state=options.seed,
            verbose=True,
        )
    except FoldError as error:
        if error.estimator in BUILT_IN:
            raise
        raise UsageError(str(error)) from error  # an estimator of the user's own: no traceback of this package
    except BrokenProcessPool as error:
        raise UsageError(
            f"a worker process was ended from outside or ran out of memory; what is done is in {folder}: go on with "
            "--resume, after memory ran out with --n-jobs 1"
        ) from error


def _refit(comparison, data, estimators, n_jobs):
    """Tune and fit the best estimator on everything; what is kept does not need the store."""
    name = best_estimator(comparison)
    say(f"\nFitting the best estimator, {name!r}, on all interactions")
    estimator = estimators[name]
    if "n_jobs" in estimator.get_params(deep=False):
        estimator.set_params(n_jobs=n_jobs)  # its candidates; in the comparison, folds and estimators share the cores
    fitted = estimator.fit(data.X, data.y, **accepted_tables(estimator, data.fit_tables))
    fitted = getattr(fitted, "best_estimator_", fitted)
    stores = [key for key in fitted.get_params() if key.endswith("__memory") and "llmtextencoder" in key]
    return name, fitted.set_params(**dict.fromkeys(stores))


def run(options: Namespace) -> int:
    """Run the job.

    Parameters
    ----------
    options : argparse.Namespace
        See `add_parser`.

    Returns
    -------
    status : int
        0.

    Raises
    ------
    UsageError
        If an option, the data or the model does not fit.
    """
    start = perf_counter()
    try:
        data, protocol, estimators, out = _prepare(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise UsageError(str(error)) from error
    prepared = perf_counter()
    comparison = _compare(data, protocol, options, estimators, out / _FOLDS)
    compared = perf_counter()
    found = verdict(comparison, new_items=protocol.candidates == "test")
    say(f"\n{comparison!r}\n\nVerdict")
    for sentence in found.sentences:
        say(f"  {sentence}")
    say("In figures")
    for line in found.details:
        say(f"  {line}")
    ends = {"Preparing and encoding": prepared - start, "Comparing": compared - prepared}
    shared = {
        "data": data,
        "protocol": protocol,
        "options": options,
        "found": found,
        "command": shlex.join([*program().split(), *sys.argv[1:]]),
    }
    _write(out, comparison, None, ends, shared)  # what took hours is safe before anything else can fail
    try:
        name, fitted = _refit(comparison, data, estimators, options.n_jobs)
    except Exception as error:
        error.add_note(f"The results and the report are in {out}; --resume repeats this last fit alone.")
        raise
    user = output.pick_user(data)
    shown = (user, name, *output.lists_of_user(data, fitted, user))
    for line in output.side_by_side(*shown[2:], (f"What user {user} liked", f"What {name!r} recommends")):
        say(line)
    ends |= {"Fitting the best on everything": perf_counter() - compared, "Together": perf_counter() - start}
    _write(out, comparison, shown, ends, shared)
    with replacing(out / "best_pipeline.joblib") as temporary:
        joblib.dump(fitted, temporary)
    say(f"\nWrote {', '.join(_FILES)} to {out}/")
    say(f"\nDone in {seconds(ends['Together'])}. Load the best pipeline, fitted on everything, with")
    say(f'  model = joblib.load("{out / "best_pipeline.joblib"}"); model.recommend([{user!r}], n_items=10)')
    return 0


def _write(out, comparison, shown, ends, shared):
    """Write the files of the comparison; each replaces its predecessor as a whole."""
    labels = {"Comparing": _RESUMED} if shared["options"].resume else {}
    times = [(labels.get(key, key), seconds(value)) for key, value in ends.items()]
    comparison.to_csv(out / "results.csv")
    comparison.to_json(out / "results.json", job=output.job_document(seconds=ends, **shared))
    page = output.report(comparison, shown=shown, times=times, **shared)
    with replacing(out / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    with replacing(out / "picture.png") as temporary:
        save_png(lambda ax: comparison.plot("coverage", "ndcg", ax=ax), temporary)
