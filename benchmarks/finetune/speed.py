"""Steps per second of a contrastive training: LLMFineTuner and the trainer of sentence-transformers."""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.common.measure import Table, require_packages
from benchmarks.encode.texts import MODEL
from benchmarks.finetune.data import SETS, split
from skllmrec import LLMFineTuner, TextTemplate
from skllmrec._typing import Array, CsrMatrix, FloatArray
from skllmrec._weights import find_weights

N_TEXTS = 256  # of a step: that many items, or half as many pairs of items
MAX_LENGTH = 48
TEMPERATURE = 0.1
RATES: dict[str, Any] = {"learning_rate": 3e-4, "weight_decay": 0.01}


def _catalogue(options):
    """Texts of the items of a set, and who liked them."""
    name = "ml_latest_small"
    train, _ = split(options.data, name, options.seed)
    items = train.drop_duplicates("item_id")
    rows = train["item_id"].map({item: row for row, item in enumerate(items["item_id"])})
    liked = csr_matrix((np.ones(len(train)), (rows, train["user_id"].astype("category").cat.codes)))
    return TextTemplate(SETS[name].template).fit_transform(items), liked


@contextmanager
def _clock():
    """Wall and processor time after every step of any optimiser of torch, as rows of an array."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    times = [(time.perf_counter(), time.process_time())]
    handle = register_optimizer_step_post_hook(lambda *_: times.append((time.perf_counter(), time.process_time())))
    try:
        yield times
    finally:
        handle.remove()


def train_fine_tuner(texts: Array, liked: CsrMatrix, trainable: int | Literal["all"], n_steps: int) -> FloatArray:
    """Train with LLMFineTuner; wall and processor time at the start and after every step."""
    n_epochs = int(np.ceil(n_steps / np.ceil(len(texts) / N_TEXTS)))
    with tempfile.TemporaryDirectory() as folder, _clock() as times:
        LLMFineTuner(
            MODEL,
            objective="contrastive",
            trainable=trainable,
            max_length=MAX_LENGTH,
            batch_size=N_TEXTS,
            temperature=TEMPERATURE,
            max_epochs=n_epochs,
            validation_fraction=None,
            device="cpu",
            random_state=0,
            checkpoint_dir=folder,
            **RATES,
        ).fit(texts, liked)
    return np.array(times[: n_steps + 1])


def train_sentence_transformer(
    texts: Array, liked: CsrMatrix, trainable: int | Literal["all"], n_steps: int
) -> FloatArray:
    """Train with sentence-transformers on pairs of items that a user likes; result as of `train_fine_tuner`."""
    import datasets
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    datasets.disable_progress_bars()
    columns = zip(("anchor", "positive"), _pairs(liked, N_TEXTS // 2 * n_steps).T, strict=True)
    with tempfile.TemporaryDirectory() as folder, _clock() as times:
        model: Any = SentenceTransformer(str(find_weights(MODEL).path), device="cpu")
        model.max_seq_length = MAX_LENGTH
        if trainable != "all":
            model.requires_grad_(False)
            model[0].auto_model.encoder.layer[-trainable:].requires_grad_(True)
        arguments = Arguments(
            folder,
            max_steps=n_steps,
            per_device_train_batch_size=N_TEXTS // 2,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            warmup_steps=n_steps // 10,
            seed=0,
            **RATES,
        )
        SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=datasets.Dataset.from_dict({name: texts[rows].tolist() for name, rows in columns}),
            loss=MultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE),
        ).train()
    return np.array(times)


def _pairs(liked, n_pairs):
    """Pairs of items of one user each, drawn at random."""
    rng = np.random.default_rng(0)
    by_user = liked.T.tocsr()
    users = rng.choice(np.flatnonzero(np.diff(by_user.indptr) > 1), n_pairs)
    return np.array(
        [rng.choice(by_user.indices[by_user.indptr[u] : by_user.indptr[u + 1]], 2, replace=False) for u in users]
    )


def steps_per_second(options: argparse.Namespace) -> Iterator[Table]:
    """Both trainers in turns, all layers trained, and the last two of six."""
    require_packages("sentence-transformers", "datasets")
    texts, liked = _catalogue(options)
    rows = []
    for trainable in ("all", 2):
        found: dict[str, list[Array]] = {"sentence-transformers": [], "LLMFineTuner": []}
        for _ in range(options.rounds):
            found["sentence-transformers"].append(train_sentence_transformer(texts, liked, trainable, options.steps))
            found["LLMFineTuner"].append(train_fine_tuner(texts, liked, trainable, options.steps))
        # from the end of the first step to the end of the last one; and what comes before, the first step included
        steps = {name: _median([np.diff(run[1:], axis=0).mean(axis=0) for run in runs]) for name, runs in found.items()}
        before = {name: _median([run[1] - run[0] for run in runs]) for name, runs in found.items()}
        rows += [
            {
                "trainer": f"{name}, layers trained: {trainable}",
                "steps / s (processor)": f"{1 / steps[name][1]:.3f}",
                "ratio": f"{steps['sentence-transformers'][1] / steps[name][1]:.2f}",
                "steps / s (wall)": f"{1 / steps[name][0]:.3f}",
                "processor seconds to the first step": f"{before[name][1]:.0f}",
            }
            for name in found
        ]
    yield f"contrastive training on {N_TEXTS} texts a step, at most {MAX_LENGTH} tokens each", rows


def _median(times):
    return np.median(times, axis=0)
