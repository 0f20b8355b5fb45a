"""Steps per second of a contrastive training: LLMFineTuner and the trainer of sentence-transformers."""

import tempfile
import time

import numpy as np
from _encode_texts import MODEL
from _finetune_data import SETS, split
from scipy.sparse import csr_matrix

from skllmrec import LLMFineTuner, TextTemplate
from skllmrec._weights import find_weights

N_TEXTS = 256  # of a step: that many items, or half as many pairs of items
MAX_LENGTH = 48
TEMPERATURE = 0.1
RATES = {"learning_rate": 3e-4, "weight_decay": 0.01}


def _catalogue(options):
    """Texts of the items of a set, and who liked them."""
    name = "ml_latest_small"
    train, _ = split(options.data, name, options.seed)
    items = train.drop_duplicates("item_id")
    rows = train["item_id"].map({item: row for row, item in enumerate(items["item_id"])})
    liked = csr_matrix((np.ones(len(train)), (rows, train["user_id"].astype("category").cat.codes)))
    return TextTemplate(SETS[name].template).fit_transform(items), liked


class _Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self):
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self):
        return np.array([time.perf_counter() - self._wall, time.process_time() - self._cpu])


def ours(texts, liked, trainable, n_steps):
    """Seconds (wall, processor) of each step, and of what comes before the first and after the last."""
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for n_epochs in (1, 1 + round(n_steps * N_TEXTS / len(texts))):
            clock = _Clock()
            tuner = LLMFineTuner(
                MODEL, objective="contrastive", trainable=trainable, max_length=MAX_LENGTH, batch_size=N_TEXTS,
                temperature=TEMPERATURE, max_epochs=n_epochs, validation_fraction=None, device="cpu",
                random_state=0, checkpoint_dir=f"{folder}/{n_epochs}", **RATES,
            ).fit(texts, liked)  # fmt: skip
            times.append((clock.read(), tuner.history_[-1]["step"]))
    (short, few), (long, many) = times
    step = (long - short) / (many - few)
    return step, short - few * step


def theirs(texts, liked, trainable, n_steps):
    """Measure sentence-transformers on pairs of items that a user likes; result as of `ours`."""
    import datasets
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    datasets.disable_progress_bars()
    pairs = _pairs(liked, N_TEXTS // 2 * (n_steps + 1))
    times = []
    for n in (1, 1 + n_steps):
        clock = _Clock()
        model = SentenceTransformer(str(find_weights(MODEL).path), device="cpu")
        model.max_seq_length = MAX_LENGTH
        if trainable != "all":
            model.requires_grad_(False)
            model[0].auto_model.encoder.layer[-trainable:].requires_grad_(True)
        columns = zip(("anchor", "positive"), pairs.T, strict=True)
        with tempfile.TemporaryDirectory() as folder:
            arguments = Arguments(
                folder, max_steps=n, per_device_train_batch_size=N_TEXTS // 2, report_to="none", save_strategy="no",
                logging_strategy="no", disable_tqdm=True, use_cpu=True, warmup_steps=n // 10, seed=0, **RATES,
            )  # fmt: skip
            SentenceTransformerTrainer(
                model=model,
                args=arguments,
                train_dataset=datasets.Dataset.from_dict({name: texts[rows].tolist() for name, rows in columns}),
                loss=MultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE),
            ).train()
        times.append(clock.read())
    step = (times[1] - times[0]) / n_steps
    return step, times[0] - step


def _pairs(liked, n_pairs):
    """Pairs of items of one user each, drawn at random."""
    rng = np.random.default_rng(0)
    by_user = liked.T.tocsr()
    users = rng.choice(np.flatnonzero(np.diff(by_user.indptr) > 1), n_pairs)
    return np.array(
        [rng.choice(by_user.indices[by_user.indptr[u] : by_user.indptr[u + 1]], 2, replace=False) for u in users]
    )


def steps_per_second(options):
    """Both trainers in turns, all layers trained, and the last two of six."""
    texts, liked = _catalogue(options)
    rows = []
    for trainable in ("all", 2):
        found = {"sentence-transformers": [], "LLMFineTuner": []}
        for _ in range(options.rounds):
            found["sentence-transformers"].append(theirs(texts, liked, trainable, options.steps))
            found["LLMFineTuner"].append(ours(texts, liked, trainable, options.steps))
        steps = {name: np.median([step for step, _ in runs], axis=0) for name, runs in found.items()}
        reference = steps["sentence-transformers"]
        rows += [
            {
                "trainer": f"{name}, layers trained: {trainable}",
                "steps / s (processor)": f"{1 / steps[name][1]:.2f}",
                "ratio": f"{reference[1] / steps[name][1]:.2f}",
                "steps / s (wall)": f"{1 / steps[name][0]:.2f}",
                "processor seconds around the steps": f"{np.median([around[1] for _, around in runs]):.0f}",
            }
            for name, runs in found.items()
        ]
    yield f"contrastive training on {N_TEXTS} texts a step, at most {MAX_LENGTH} tokens each", rows
