"""The rounding profiles by name."""

from __future__ import annotations

from typing import Literal, get_args

from hwsim.errors import ConfigError, UnsupportedError, did_you_mean

TfliteProfile = Literal["tflm", "litert_reference", "litert_optimized", "xnnpack"]
Profile = TfliteProfile | Literal["onnxruntime"]
PROFILES: tuple[TfliteProfile, ...] = get_args(TfliteProfile)
ALL_PROFILES: tuple[Profile, ...] = (*PROFILES, "onnxruntime")
LITERT: tuple[Profile, ...] = ("litert_reference", "litert_optimized", "xnnpack")


def check_profile(profile: str, operator: str, allowed: tuple[Profile, ...] = PROFILES) -> None:
    """Refuse a profile that does not exist, or whose arithmetic of ``operator`` is not known bit by bit.

    Raises:
        ConfigError: no such profile.
        UnsupportedError: not in ``allowed``.
    """
    if profile not in ALL_PROFILES:
        hint = did_you_mean(profile, ALL_PROFILES)
        raise ConfigError(f"unknown rounding profile '{profile}'; allowed: {', '.join(ALL_PROFILES)}{hint}")
    if profile not in allowed:
        raise UnsupportedError(f"{operator} in profile '{profile}'; available: {', '.join(allowed)}")
