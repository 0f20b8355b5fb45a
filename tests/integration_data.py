"""Interactions with text that the tests of the whole chain share."""

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from skllmrec.encoders import EmbeddingWhitener, LLMTextEncoder
from skllmrec.preprocessing import TextTemplate
from skllmrec.recommenders import FeatureMFRecommender

N_USERS, N_ITEMS = 30, 18
NOUNS = ["star", "letter", "submarine", "cook", "robot", "wedding"]
GENRES = ["drama", "comedy", "war"]


def make_frame(seed=0):
    """Ratings of 30 users for 18 films, whose text says what they are about, and half of it is liked or not."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((N_USERS, N_ITEMS)) < 0.5)
    order = rng.permutation(len(users))
    users, items = users[order], items[order]
    titles = np.array([f"The {NOUNS[item % 6]} and the sea, part {item // 6}" for item in range(N_ITEMS)], dtype=object)
    columns = {
        "user_id": users + 100,
        "item_id": items,
        "title": titles[items],
        "genre": np.array(GENRES, dtype=object)[items % 3],
        "year": 1990.0 + items,
    }
    liked = (users + items) % 2
    y = 2.0 + 2 * liked + rng.integers(0, 2, len(users))
    return pd.DataFrame(columns), y


def llm(folder, **params):
    """A pipeline from columns of text to short vectors."""
    return make_pipeline(TextTemplate("{title}. {genre}"), LLMTextEncoder(folder, **params), EmbeddingWhitener(4))


def make_recommender(item_encoder, **params):
    """A small FeatureMFRecommender on the text of the items."""
    params = {"feedback": "explicit", "max_iter": 3, "random_state": 0, "item_features": ["title", "genre"], **params}
    return FeatureMFRecommender(4, user="user_id", item="item_id", item_encoder=item_encoder, **params)
