"""
From raw text to a better recommender
=====================================

A shop sells books on six subjects. New books arrive that nobody has bought: they can be recommended by their texts
only. This example leads from raw pages through cleaning, pre-training and fine-tuning to recommendations, and
evaluates each step on new books: TF-IDF, a small BERT with random weights, the same BERT pre-trained on texts, and
tuned on purchases.

Everything is small, so that the page is built in a minute. The catalogues are synthetic
(:func:`skllmrec.make_interactions`): the truth is known, and so is the difficulty. Books on one subject are described
in one of three vocabularies (a ship, a vessel, a boat), so that their words often differ where their meaning does
not.
"""

# %%
# Raw pages
# ---------
# The page of a book holds its title and its description, and then advertises two books on other subjects. To a
# count of words, and to a language model that was not tuned, the advertisements are as important as the description.

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from skllmrec import (
    LLMFineTuner,
    LLMPretrainer,
    LLMTextEncoder,
    NeighborsRecommender,
    TextCleaner,
    make_interactions,
    make_ranking_scorer,
)
from skllmrec.inspection import LearningHistoryDisplay

SEED = 0
rng = np.random.default_rng(SEED)

shop = make_interactions(n_users=1000, n_items=800, n_topics=6, n_interactions=32_000, random_state=SEED)
wholesaler = make_interactions(n_users=2, n_items=6000, n_topics=12, n_interactions=2, random_state=SEED + 1000)
subjects = wholesaler.item_topics.argmax(axis=1)

advertised = wholesaler.item_table["description"][subjects >= 6].to_numpy()
pages = [
    f"<h1>{title}</h1><p>{description}</p><p>{'&nbsp;'.join(rng.choice(advertised, 2))}!!!</p>"
    for title, description in zip(shop.item_table["title"], shop.item_table["description"], strict=True)
]
print(pages[0])

# %%
# Cleaning
# --------
# :class:`~skllmrec.TextCleaner` needs no language-specific rules. It could be the first step of the pipelines below;
# the texts are cleaned once here, because they are needed several times.

cleaner = TextCleaner()
texts = cleaner.fit_transform(pages)
print(texts[0])

# %%
# New books
# ---------
# 300 books are new. They are recommended to readers of similar books, by the cosine of the vectors. The first 25
# readers of every other book are known; the readers of the new books are to be predicted. (With all readers, a few
# popular books would decide the comparison.)

purchases = shop.frame.groupby("item_id").head(25)[["user_id", "item_id"]]
purchases["text"] = texts[purchases["item_id"]]
is_new = purchases["item_id"].isin(rng.choice(800, 300, replace=False))
train, test = purchases[~is_new], purchases[is_new]
test = test[test["user_id"].isin(train["user_id"])]


def evaluate(item_encoder):
    """Fit a recommender of books similar to those a user has read; return it and its NDCG@10 on new books."""
    recommender = NeighborsRecommender(
        user="user_id",
        item="item_id",
        feedback="implicit",
        item_features="text",
        item_encoder=item_encoder,
        by="content",
    ).fit(train)
    return recommender, make_ranking_scorer("ndcg", k=10, candidates="test")(recommender, test)


ndcg = {}
_, ndcg["TF-IDF"] = evaluate(TfidfVectorizer(sublinear_tf=True))

# %%
# Pre-training
# ------------
# A small BERT learns from a wholesaler's catalogue, whose entries are lines of key words. It has two
# objectives: to predict masked words from the others, and to predict whether two segments belong together. It uses no
# purchases and no texts of the shop. If the perplexity of held-out texts is below that of a model of word frequencies
# alone, the model has learned which words occur together.

filler = {"the", "last", "my", "and", "or"}
titles = [" ".join(wholesaler.item_table["title"][subjects == subject]).lower() for subject in range(12)]
key_words = [[word for word in re.findall(r"\w+", title) if word not in filler] for title in titles]
entries = [
    " ".join(" ".join(rng.choice(key_words[entry % 12], 6)).capitalize() + "." for _ in range(4))
    for entry in range(5000)
]
print(entries[0])

pretrainer = LLMPretrainer(
    hidden_size=64,
    n_layers=1,
    vocab_size=1000,
    max_length=64,
    learning_rate_init=5e-3,
    max_iter=12,
    random_state=SEED,
).fit(entries)
print({name: round(value, 2) for name, value in pretrainer.scores_.items()})

display = LearningHistoryDisplay.from_estimator(pretrainer, keys=["held_out_mlm_perplexity", "held_out_nsp_accuracy"])
display.ax_[0].set_yscale("log")

# %%
# The vectors of this model are compared with those of a model of the same size that has learned nothing: it was
# trained for one step, with a learning rate that changes nothing.


def encode(model):
    """Make an encoder with a model that is not tuned."""
    return LLMTextEncoder(model.checkpoint_, max_length=64, normalize=True)


untrained = clone(pretrainer).set_params(learning_rate_init=1e-12, max_steps=1).fit(entries)
_, ndcg["BERT, random weights"] = evaluate(encode(untrained))
_, ndcg["BERT, pre-trained"] = evaluate(encode(pretrainer))

# %%
# Fine-tuning
# -----------
# :class:`~skllmrec.LLMFineTuner` replaces the encoder. The recommender passes it the purchases of the training rows,
# and it trains the model so that books bought by the same users get similar vectors. A fifth of the known books is held
# out; the epoch with the best recommendations of these is kept, or the original model, if no epoch is significantly
# better.

tuned, ndcg["BERT, pre-trained and tuned"] = evaluate(
    LLMFineTuner(
        pretrainer.checkpoint_,
        trainable="all",
        max_length=64,
        learning_rate_init=1e-3,
        max_iter=12,
        validation_fraction=0.2,
        random_state=SEED,
    )
)
tuner = tuned.item_encoder_
print("better on held-out books:", tuner.improved_, "- by", tuner.objective_)
LearningHistoryDisplay.from_estimator(tuner)

# %%
# The gain of each step
# ---------------------
# All figures are for new books, which neither the recommenders nor the trainings have seen. With each of the seeds 0
# to 5 the pre-trained model was better than TF-IDF, the tuned model was better than the pre-trained one or equal to it
# (where tuning did not help significantly on the held-out books), and the model with random weights was far worse. The
# size of the differences varied with the seed: try several seeds before you choose by such a table, and your own data
# before you choose by this one.
#
# Why cosines? They compare the vectors themselves. `FeatureMFRecommender` learns a weight of each dimension from the
# purchases, with any encoder: with it and these books, TF-IDF came within a few per cent of the tuned model. Replace
# `NeighborsRecommender` above by it to see.

table = pd.Series(ndcg, name="NDCG@10").sort_values().to_frame()
table["over TF-IDF"] = (table["NDCG@10"] / ndcg["TF-IDF"] - 1).map("{:+.1%}".format)
table.iloc[::-1].round(4)

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.barh(table.index, table["NDCG@10"], color=["#c44e52" if "tuned" in name else "#8c8c8c" for name in table.index])
ax.axvline(ndcg["TF-IDF"], color="black", linewidth=1, linestyle="--")
ax.set_xlabel("NDCG@10, new books")
ax.spines[["top", "right"]].set_visible(False)
