"""A small catalogue in which texts tell what users like, once a model has learned which of their words matter."""

import numpy as np
from scipy.sparse import csr_matrix
from tiny_models import SENTENCES

N_USERS = 60


def make_catalogue(n_texts=160, *, seed=0):
    """Texts of one of two kinds, the interactions of users who like one kind, and the kinds."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n_texts) % 2
    words = [SENTENCES[0].split() + SENTENCES[1].split(), SENTENCES[2].split() + SENTENCES[3].split()]
    others = " ".join(SENTENCES[4:]).split()
    texts = [" ".join([*rng.choice(words[kind], 4), *rng.choice(others, 3)]) for kind in kinds]
    tastes = np.arange(N_USERS) % 2
    rates = np.where(kinds[:, None] == tastes, 0.3, 0.02)
    return texts, csr_matrix((rng.random(rates.shape) < rates).astype(float)), kinds
