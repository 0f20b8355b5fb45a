"""The one gradient-training loop of the package: seeded, resumable, validated epoch by epoch."""

from ._batches import index_batches as index_batches
from ._callbacks import check_callbacks as check_callbacks
from ._checkpoint import Checkpoint as Checkpoint
from ._loop import DivergenceError as DivergenceError
from ._loop import Training as Training
from ._loop import train as train
from ._recipe import Recipe as Recipe
