"""Masked language modelling: the choice of the hidden tokens, and of the tokens that replace them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MASKED, _RANDOM = 0.8, 0.1  # shares of the hidden tokens; the others are unchanged, but also predicted


def mask_tokens(
    ids: "torch.Tensor",
    maskable: "torch.Tensor",
    *,
    probability: float,
    mask_id: int,
    ordinary: "torch.Tensor",
    starts: "torch.Tensor | None" = None,
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Hide random tokens, at least one in each row.

    Of the hidden tokens, 80 % are replaced by the mask, 10 % by another token, and 10 % are unchanged.

    Parameters
    ----------
    ids : torch.Tensor of shape (n_rows, n_tokens), int64
        Tokens, on the CPU, whose generator draws the random numbers.
    maskable : torch.Tensor of shape (n_rows, n_tokens), bool
        Tokens that may be hidden: neither padding nor special.
    probability : float
        Probability that a token, or a word, is hidden.
    mask_id : int
        Id of the mask token.
    ordinary : torch.Tensor of shape (n_ordinary,), int64
        Tokens that may replace a hidden token.
    starts : torch.Tensor of shape (n_rows, n_tokens), bool, default=None
        Tokens that begin a word: words are hidden as a whole. None: tokens are hidden independently.

    Returns
    -------
    inputs : torch.Tensor of shape (n_rows, n_tokens), int64
        A copy of `ids` with the hidden tokens replaced.
    hidden : torch.Tensor of shape (n_rows, n_tokens), bool

    References
    ----------
    .. [1] J. Devlin et al., "BERT: pre-training of deep bidirectional transformers for language understanding", NAACL
       2019, section 3.1 and appendix A.1.

    Examples
    --------
    >>> import torch
    >>> from skllmrec.language_models.pretraining._masking import mask_tokens
    >>> ids = torch.tensor([[1, 7, 8, 2]])
    >>> _, hidden = mask_tokens(ids, ids > 2, probability=1.0, mask_id=3, ordinary=torch.arange(4, 9))
    >>> hidden.tolist()
    [[False, True, True, False]]
    """
    import torch

    draw = torch.rand(ids.shape)
    if starts is not None:  # a token shares the number of the token that begins its word
        place = torch.arange(ids.shape[1]).expand(ids.shape)
        draw = draw.gather(1, torch.where(starts, place, 0).cummax(dim=1).values)
    draw = draw.masked_fill(~maskable, torch.inf)
    # the smallest number of a row is always hidden, so that every row has a loss
    hidden = maskable & ((draw < probability) | (draw == draw.amin(dim=1, keepdim=True)))
    kind = torch.rand(ids.shape)
    others = ordinary[torch.randint(len(ordinary), ids.shape)]
    inputs = torch.where(hidden & (kind < _MASKED), mask_id, ids)
    return torch.where(hidden & (kind >= _MASKED) & (kind < _MASKED + _RANDOM), others, inputs), hidden
