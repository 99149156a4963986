"""P(θ) of a named loss at its defaults: the target's probability against its angle, all other angles right."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hpstudy.catalog import MARGINS, LossInfo
from hpstudy.cli._curve import braille_curve
from hpstudy.theory import adacos_fixed_scale, right_angle_posterior, sphereface2_bias, sphereface2_posterior

NO_CURVE = "no P(θ) curve: it gives no class a probability"
_COLUMNS = 60
_HEIGHT = 10
_FINER = 25
_NORM = 20.0

_SCALES: Mapping[str, str] = {
    "fixed": "s = {s:.4g}",
    "learned": "s = {s:.4g} (its start)",
    "learned_temperature": "s = {s:.4g} (its start)",
    "feature_norm": "‖x‖ = {s:.4g} (an example)",
    "softmax": "‖x‖ = {s:.4g} and ‖W_j‖ = 1 (examples), b_j = 0 (its start)",
    "l2_softmax": "α = {s:.4g}, ‖W_j‖ = 1 (an example), b_j = 0 (its start)",
    "adacos_fixed": "s = {s:.4g}",
    "adacos_dynamic": "s = {s:.4g} (its start)",
    "adacos_capped": "s = {s:.4g} (its start)",
    "adacos_geometric": "s = {s:.4g} (its start)",
    "adacos_ema": "s = {s:.4g} (its start)",
}
_MARGINS: Mapping[str, str] = {
    "none": "",
    "additive_cosine": "m = {m:g} (cosine)",
    "additive_angle": "m = {m:g} rad",
    "multiplicative_angle": "m = {m:g} (factor)",
    "annealed_multiplicative_angle": "m = {m:g} (factor), λ = {lambda_min:g} (its end)",
    "divided_angle": "m = {m:g} (factor)",
    "combined": "m1 = {m1:g} (factor), m2 = {m2:g} rad, m3 = {m3:g} (cosine)",
    "adaface": "m = {m:g} (cosine; of average norms, ẑ = 0)",
    "magface": "m = {l_m:g} rad (of the shortest norms, ‖x‖ ≤ {l_a:g})",
    "curricular": "m = {m:g} rad",
    "mv_cosine": "m = {m:g} (cosine), t = {t:g}",
    "mv_angle": "m = {m:g} rad, t = {t:g}",
    "circle": "m = {m:g} (cosine)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LossCurve:
    """What is drawn."""

    given: str
    """The parameters and whatever else P depends on."""
    num_classes: int
    s: float
    m: float | None
    half_at_deg: float | None
    """The largest angle with P ≥ 1/2; None where there is none."""
    theta_deg: list[float]
    posterior: list[float]


def loss_curve(info: LossInfo, num_classes: int = 1000) -> LossCurve | None:
    """P(θ) at the defaults; None for a criterion that gives no class a probability."""
    theta = np.linspace(0, math.pi, 2 * _COLUMNS * _FINER)
    values = {name: parameter.default for name, parameter in info.parameters.items()}
    if info.criterion == "sphereface2":
        numbers = (num_classes, values["s"], values["m"], values["t"], values["balance"])
        scale, posterior = values["s"], sphereface2_posterior(theta, *numbers)
        values["b"] = float(sphereface2_bias(*numbers))
        given = "s = {s:g}, m = {m:g} (cosine), t = {t:g}, b = {b:.3g} (its start)".format(**values)
    elif info.criterion:
        return None
    else:
        scale = _starting_scale(info, values, num_classes)
        of_margin = {name: info.defaults[name] for name in MARGINS[info.margin].defaults}
        posterior = right_angle_posterior(theta, num_classes, scale, info.margin, **of_margin)
        settings = _SCALES[info.scale].format(s=scale), _MARGINS[info.margin].format(**of_margin)
        given = ", ".join(filter(None, settings))
    posterior = np.asarray(posterior)
    likely = np.flatnonzero(posterior >= 0.5)
    return LossCurve(
        given=given,
        num_classes=num_classes,
        s=scale,
        m=values.get("m"),
        half_at_deg=float(np.degrees(theta[likely[-1]])) if likely.size else None,
        theta_deg=np.degrees(theta[::_FINER]).tolist(),
        posterior=posterior[::_FINER].tolist(),
    )


def _starting_scale(info: LossInfo, values: Mapping[str, float], num_classes: int) -> float:
    if info.scale in ("softmax", "feature_norm"):
        return _NORM
    for name in ("s", "alpha"):
        if name in values:
            return values[name]
    return adacos_fixed_scale(num_classes)


def curve_lines(curve: LossCurve) -> list[str]:
    """The curve, with ● where P = 1/2, over its axis."""
    rows = braille_curve(curve.posterior, _HEIGHT)
    half, middle = curve.half_at_deg, _HEIGHT // 2
    if half is not None and half < curve.theta_deg[-1]:
        # Where the curve is drawn to fall: two angles a column.
        column = next(i for i, theta in enumerate(curve.theta_deg) if theta > half) // 2
        rows[middle] = f"{rows[middle][:column]}●{rows[middle][column + 1 :]}"
    axis = {0: "1.0", middle: "0.5", _HEIGHT - 1: "0.0"}
    ticks = "".join(f"{degrees}°".ljust(_COLUMNS // 4) for degrees in (0, 45, 90, 135)) + "180°"
    return [*(f"{axis.get(i, ''):>4} ┤{row}".rstrip("⠀") for i, row in enumerate(rows)), " " * 6 + ticks]


def half_text(curve: LossCurve) -> str:
    """Where P falls below 1/2, in words."""
    if curve.half_at_deg is None:
        return "P < 1/2 everywhere"
    return "P ≥ 1/2 everywhere" if curve.half_at_deg >= 180 else f"● P = 1/2 at {curve.half_at_deg:.1f}°"
