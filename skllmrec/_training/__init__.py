"""The one gradient-training loop of the package: seeded, resumable, validated epoch by epoch."""

from skllmrec._training._batches import index_batches as index_batches
from skllmrec._training._callbacks import check_callbacks as check_callbacks
from skllmrec._training._checkpoint import Checkpoint as Checkpoint
from skllmrec._training._loop import Training as Training
from skllmrec._training._loop import train as train
from skllmrec._training._parameters import training_constraints as training_constraints
from skllmrec._training._recipe import Recipe as Recipe
from skllmrec.exceptions import DivergenceError as DivergenceError
