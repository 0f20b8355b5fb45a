"""The figures that others have published."""

# recommenders-team/recommenders (MIT), README.md: MAP, NDCG@10, P@10, R@10 on MovieLens 100K. Two versions of it have
# different rows of SAR; both come out to the digit, the first of items' rows split, the second of users'. The README
# says one split for all rows; the notebooks of BPR and BiVAE split at random, and print what stands under "random".
MOVIELENS: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "item": {
        "SAR": (0.113028, 0.388321, 0.333828, 0.183179),
        "NCF": (0.107720, 0.396118, 0.347296, 0.180775),
        "LightGCN": (0.088526, 0.419846, 0.379626, 0.144336),
        "BPR": (0.132478, 0.441997, 0.388229, 0.212522),
        "BiVAE": (0.146126, 0.475077, 0.411771, 0.219145),
    },
    "user": {"SAR": (0.110591, 0.382461, 0.330753, 0.176385)},
    "random": {
        "BPR": (0.109077, 0.403395, 0.354989, 0.180183),
        "BiVAE": (0.146552, 0.474124, 0.412527, 0.225064),
    },
}
MOVIELENS_METRICS = ("MAP", "NDCG@10", "P@10", "R@10")
