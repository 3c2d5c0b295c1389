"""The systolic array: dataflows, folds, and two engines that compute the same."""
