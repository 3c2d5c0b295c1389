"""Codebooks: weights share few values, so that memory holds an index into a table for each of them."""

from __future__ import annotations

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.rounding import FloatArray

STARTS = 4
SEED = 0


def cluster_weights(reals: FloatArray, entries: int, *, per_channel: bool) -> FloatArray:
    """Return the weights, each replaced by the nearest of the ``entries`` centres that k-means finds.

    Args:
        reals: finite weights, the last axis the output channel.
        entries: size of the table; fewer are used where there are fewer different weights.
        per_channel: a table for each output channel, or one for all.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    if not per_channel:
        return _clustered(reals.reshape(-1), entries).reshape(reals.shape)
    columns = [_clustered(column, entries) for column in reals.reshape(-1, reals.shape[-1]).T]
    return np.stack(columns, axis=1).reshape(reals.shape)


def _clustered(values: FloatArray, entries: int) -> FloatArray:
    centres = np.unique(values)
    if len(centres) > entries:
        centres = _k_means(values, entries)
    nearest = np.abs(values[:, None] - centres[None, :]).argmin(axis=1)
    return centres[nearest]


def _k_means(values: FloatArray, entries: int) -> FloatArray:
    """Return the centres, ascending; the best of ``STARTS`` starts by a fixed seed."""
    try:
        from sklearn.cluster import KMeans  # here, as scikit-learn is optional
    except ImportError as error:
        raise ConfigError(
            "codebooks need scikit-learn, which is not installed; allowed: pip install 'hwsim[codebook]'"
        ) from error
    found = KMeans(entries, n_init=STARTS, random_state=SEED).fit(values[:, None])
    return np.sort(found.cluster_centers_[:, 0])
