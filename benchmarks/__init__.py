"""Benchmarks: every claim of the documentation about speed or accuracy is the output of one of these modules.

Run them from the root of the repository: ``python -m benchmarks.quality --help``. Some compare with other packages;
``make bench-env`` installs those into ``.venv-bench``.

Everything runs on one thread unless ``OMP_NUM_THREADS`` is set: importing this package sets the variables of BLAS, of
compiled loops and of tokenizers, which are read when numpy and torch are imported.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
os.environ.setdefault("RAYON_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
