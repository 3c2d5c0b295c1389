"""Calibrators against NumPy's percentile, an exhaustive search of scales, SciPy's entropy, and formulas by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import entropy

from hwsim import registry
from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule
from hwsim.quantize.calibrators import (
    Calibrator,
    Entropy,
    MeanSquaredError,
    MinMax,
    MovingAverage,
    Percentile,
    kl_divergence,
    without_zeros,
)
from hwsim.quantize.distribution import BINS, Distribution

INT8 = GridRule(IntFormat(8), symmetric=False)
WEIGHTS = {bits: GridRule(IntFormat(bits, narrow=bits > 2), symmetric=True) for bits in (2, 3, 4, 8)}
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=2000)
LONG_TAIL = RANDOM.laplace(size=100_000)
ALL = ("min_max", "moving_average", "percentile", "mse", "kl")


def range_of(calibrator: Calibrator, *batches: np.ndarray, grid: GridRule = INT8) -> tuple[float, float]:
    for batch in batches:
        calibrator.observe(batch)
    return calibrator.range(grid)


def test_all_calibrators_are_registered_by_name() -> None:
    assert registry.names(registry.CALIBRATORS) == sorted(ALL)


def test_min_max_keeps_every_value() -> None:
    assert range_of(MinMax(), np.array([1.0, 3.0]), np.array([-2.0])) == (-2.0, 3.0)


def test_a_moving_average_forgets_old_batches() -> None:
    """0.9 * 1 + 0.1 * 3 = 1.2, then 0.9 * 1.2 + 0.1 * 5 = 1.58."""
    batches = [np.array([0.0, high]) for high in (1.0, 3.0, 5.0)]
    assert range_of(MovingAverage(), *batches) == pytest.approx((0.0, 1.58))
    assert range_of(MovingAverage(momentum=0.0), *batches) == (0.0, 5.0)


@pytest.mark.parametrize("percentile", [50, 90, 99.9, 99.99, 100])
def test_percentiles_of_few_values_are_numpys(percentile: float) -> None:
    low, high = range_of(Percentile(percentile), NORMAL[:700], NORMAL[700:])
    assert (low, high) == pytest.approx(tuple(np.percentile(NORMAL, [100 - percentile, percentile])), rel=1e-12)


def test_percentiles_of_many_values_are_numpys_within_a_bin() -> None:
    batches = np.array_split(LONG_TAIL, 7)
    found = range_of(Percentile(99.9), *sorted(batches, key=lambda batch: float(batch.max())))
    bin_width = 4 * np.abs(LONG_TAIL).max() / BINS
    np.testing.assert_allclose(found, np.percentile(LONG_TAIL, [0.1, 99.9]), rtol=0, atol=2 * bin_width)


def test_many_values_keep_their_number_their_sum_and_their_ends() -> None:
    seen = Distribution()
    for batch in np.array_split(np.sort(LONG_TAIL), 9):
        seen.observe(batch)
    points = seen.points()
    assert points.counts.sum() == LONG_TAIL.size
    assert (points.low, points.high) == (LONG_TAIL.min(), LONG_TAIL.max())
    assert points.counts @ points.values == pytest.approx(LONG_TAIL.sum(), abs=0.1)
    assert np.all(np.diff(points.values) > 0)


def mean_squared_error(values: np.ndarray, scale: float, bits: int) -> float:
    """Plain NumPy: symmetric codes, narrow above 2 bits."""
    top = 2 ** (bits - 1) - 1
    bottom = -top if bits > 2 else -top - 1
    return float(np.mean((np.clip(np.round(values / scale), bottom, top) * scale - values) ** 2))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_mse_finds_the_scale_that_an_exhaustive_search_finds(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    _, high = range_of(MeanSquaredError(), NORMAL, grid=WEIGHTS[bits])
    low, high = range_of(MeanSquaredError(), NORMAL, grid=WEIGHTS[bits])
    found = mean_squared_error(NORMAL, max(-low, high) / top, bits)
    every = np.linspace(0.001, 1.0, 4000) * np.abs(NORMAL).max() / top
    best = min(mean_squared_error(NORMAL, scale, bits) for scale in every)
    assert best <= found <= 1.02 * best
    assert found < mean_squared_error(NORMAL, np.abs(NORMAL).max() / top, bits)


def test_mse_of_numbers_whose_squares_are_infinite_is_quiet() -> None:
    """An infinite error is only greater than the others."""
    calibrator = registry.make(registry.CALIBRATORS, "mse", {})
    calibrator.observe(np.array([-1e300, 0.5, 1e300]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = calibrator.range(GridRule(IntFormat(8), symmetric=False))
    assert -1e300 <= low < 0 < high <= 1e300


def test_mse_of_an_asymmetric_grid_moves_each_end_by_itself() -> None:
    """An outlier on one side only: clipping it costs less than a coarse grid for all."""
    values = np.concatenate([np.linspace(-1, 1, 3001), [30.0]])
    grid = GridRule(IntFormat(4), symmetric=False)
    low, high = range_of(MeanSquaredError(), values, grid=grid)

    def error(limits: tuple[float, float]) -> float:
        found = grid.over(*limits)
        return float(np.sum((found.dequantize(found.quantize(values)) - values) ** 2))

    every = [(-1 * a, 30 * b) for a in np.linspace(0.01, 1, 50) for b in np.linspace(0.01, 1, 200)]
    assert error((low, high)) <= 1.1 * min(map(error, every))


def test_kl_is_scipys_entropy_of_the_two_distributions() -> None:
    """P with what is clipped in its last bins, Q with each code's mass spread over the code's bins in use."""
    counts, edges = np.histogram(LONG_TAIL, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    grid, limits = WEIGHTS[4], (-3.0, 3.0)
    inside = np.flatnonzero((np.abs(centres) <= 3) & (counts > 0))
    p = counts[inside].astype(float)
    p[0] += counts[: inside[0]].sum()
    p[-1] += counts[inside[-1] + 1 :].sum()
    codes = np.clip(np.round(centres[inside] / (3 / 7)), -7, 7)
    q = np.array([counts[inside][codes == code].mean() for code in codes])
    expected = entropy(p, q)  # SciPy makes both sum to 1
    assert kl_divergence(centres, counts.astype(float), grid, limits) == pytest.approx(expected, rel=1e-12)


def test_kl_takes_the_least_of_all_ranges_that_it_tries() -> None:
    low, high = range_of(Entropy(bins=512, steps=50), LONG_TAIL, grid=WEIGHTS[4])
    seen = Distribution()
    seen.observe(LONG_TAIL)
    points = seen.points()
    counts, edges = np.histogram(points.values, 512, weights=points.counts)
    centres = (edges[:-1] + edges[1:]) / 2
    tried = [(points.low * factor, points.high * factor) for factor in np.linspace(1, 1 / 50, 50) if factor > 1 / 16]
    losses = [kl_divergence(centres, counts, WEIGHTS[4], limits) for limits in tried]
    assert kl_divergence(centres, counts, WEIGHTS[4], (low, high)) == pytest.approx(min(losses))
    assert high < points.high


def test_kl_does_not_let_the_zeros_of_a_relu_outweigh_the_rest() -> None:
    counts, centres = np.array([900.0, 5.0, 4.0, 3.0]), np.array([0.5, 1.5, 2.5, 3.5])
    assert without_zeros(centres, counts).tolist() == [5.0, 5.0, 4.0, 3.0]
    assert without_zeros(centres - 2, counts).tolist() == counts.tolist()
    rectified = np.maximum(LONG_TAIL, 0)
    assert range_of(Entropy(), rectified)[1] > 0.3 * LONG_TAIL.max()


def test_kl_leaves_the_range_where_codes_outnumber_bins() -> None:
    grid = GridRule(IntFormat(12), symmetric=False)
    assert range_of(Entropy(bins=2048), LONG_TAIL, grid=grid) == (LONG_TAIL.min(), LONG_TAIL.max())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [0.0, 1.5, -2.0])
def test_a_constant_tensor_has_a_range_that_holds_it(name: str, value: float) -> None:
    low, high = range_of(registry.make(registry.CALIBRATORS, name, {}), np.full(100, value))
    grid = INT8.over(low, high)
    assert grid.dequantize(grid.quantize(np.array([value])))[0] == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(name: str, bad: float) -> None:
    with pytest.raises(ConfigError) as refused:
        registry.make(registry.CALIBRATORS, name, {}).observe(np.array([1.0, bad]))
    assert str(refused.value) == "calibration data hold NaN or infinity; allowed: finite numbers"


@pytest.mark.parametrize("name", ALL)
def test_no_data_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        range_of(registry.make(registry.CALIBRATORS, name, {}), np.zeros(0))
    assert str(refused.value) == "no calibration data; allowed: one value or more"


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("percentile", {"percentile": 101}, "percentile: percentile 101; allowed: 50 to 100"),
        ("percentile", {"percentile": True}, "percentile: percentile must be a number, got True"),
        ("moving_average", {"momentum": -1}, "moving_average: momentum -1; allowed: 0 to 1"),
        ("mse", {"steps": 1}, "mse: steps 1; allowed: 2 to 10000"),
        ("kl", {"bins": 2.5}, "kl: bins must be a whole number, got 2.5"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        registry.make(registry.CALIBRATORS, name, options)
    assert str(refused.value) == problem
