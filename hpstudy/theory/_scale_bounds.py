"""Lower bounds on the scale s, and their inverses."""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.exceptions import InputError
from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats
from hpstudy.theory._kernel import kernel_gap
from hpstudy.theory._posterior import MarginKind
from hpstudy.theory._roots import bisect, bracket


def _log_odds(num_classes: Floats, posterior: Floats) -> Floats:
    """ln((C−1)P/(1−P)) without rounding 1 − P."""
    return np.log(num_classes - 1) + (np.log(posterior) - np.log1p(-posterior))


@overload
def cosface_scale_bound(num_classes: float, posterior: float) -> float: ...
@overload
def cosface_scale_bound(num_classes: ArrayLike, posterior: ArrayLike) -> Floats: ...
def cosface_scale_bound(num_classes: ArrayLike, posterior: ArrayLike) -> float | Floats:
    """The scale below which no prototypes give every class centre the posterior P_W: s ≥ (C−1)/C·ln((C−1)P_W/(1−P_W)).

    CosFace (Wang et al., CVPR 2018, arXiv:1801.09414), eq. 6. A necessary condition: s ≥ bound(min_i P_i) holds for any
    unit prototypes, whatever K. It is attained by the simplex alone, so only for C ≤ K+1; `dimension_aware_scale_bound`
    is sharper in few dimensions, and `joint_scale_bound` knows of the margin, which this bound ignores. Below
    P_W = 1/C the bound is negative: every scale will do. `scale_bound_of_log_odds` is the same where P_W is too near to
    1 to be a number.

    Args:
        num_classes: Number of classes C.
        posterior: P_W, the expected minimum posterior of a class centre.

    Returns:
        The bound on s (dimensionless), in the broadcast shape of the arguments.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2 or `posterior` is not in (0, 1).
    """
    wanted = checks.posteriors(posterior)
    return scale_bound_of_log_odds(num_classes, np.log(wanted) - np.log1p(-wanted))


@overload
def scale_bound_of_log_odds(num_classes: float, log_odds: float) -> float: ...
@overload
def scale_bound_of_log_odds(num_classes: ArrayLike, log_odds: ArrayLike) -> Floats: ...
def scale_bound_of_log_odds(num_classes: ArrayLike, log_odds: ArrayLike) -> float | Floats:
    """CosFace's bound on s by the log odds of P_W: s ≥ (C−1)/C·(ln(C−1) + ln(P_W/(1−P_W))).

    `cosface_scale_bound` (CosFace, eq. 6) of P_W = 1/(1 + e^{−log_odds}). At the scales that are in use P_W is 1 to all
    digits, its log odds s·cos θ_y − ln Σ_{j≠y} e^{s cos θ_j} are not, so that the bound can be held against any trial.

    Args:
        num_classes: Number of classes C.
        log_odds: ln(P_W/(1−P_W)) in nats, of either sign.

    Returns:
        The bound on s (dimensionless), in the broadcast shape of the arguments; not positive for log odds of at most
        −ln(C−1), which every scale gives.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2 or `log_odds` is not finite.
    """
    count, odds = checks.classes(num_classes), checks.finite("log_odds", log_odds)
    return checks.as_given((count - 1) / count * (np.log(count - 1) + odds))


@overload
def normface_loss_bound(num_classes: float, scale: float) -> float: ...
@overload
def normface_loss_bound(num_classes: ArrayLike, scale: ArrayLike) -> Floats: ...
def normface_loss_bound(num_classes: ArrayLike, scale: ArrayLike) -> float | Floats:
    """The least mean loss at a scale (nats): log(1 + (C−1)·e^{−sC/(C−1)}).

    NormFace (Wang et al., ACM Multimedia 2017, arXiv:1704.06369), Proposition 2, with s = ℓ². It holds for a training
    set with equally many samples of each class, not for a mini-batch or an imbalanced set. The same inequality as
    CosFace's eq. 6: `normface_loss_bound(C, cosface_scale_bound(C, P))` is −ln P.

    Args:
        num_classes: Number of classes C.
        scale: Scale s. Negative values, which eq. 6 gives for P < 1/C, are taken as they are.

    Returns:
        The loss (nats), in the broadcast shape of the arguments.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2 or `scale` is not finite.
    """
    return checks.as_given(_loss_floor(checks.classes(num_classes), checks.finite("scale", scale)))


def _loss_floor(num_classes: Floats, scale: Floats) -> Floats:
    # logaddexp takes log1p of the smaller part, so that neither a tiny nor a huge exponential is lost.
    return np.logaddexp(0.0, np.log(num_classes - 1) - scale * (num_classes / (num_classes - 1)))


@overload
def implied_posterior(num_classes: float, scale: float) -> float: ...
@overload
def implied_posterior(num_classes: ArrayLike, scale: ArrayLike) -> Floats: ...
def implied_posterior(num_classes: ArrayLike, scale: ArrayLike) -> float | Floats:
    """The P_W that CosFace's bound grants a scale: 1/(1 + (C−1)·e^{−sC/(C−1)}), the largest minimum posterior there is.

    The inverse in P_W of `cosface_scale_bound` (CosFace, eq. 6), attained by a simplex of prototypes.

    Args:
        num_classes: Number of classes C.
        scale: Scale s, of either sign as in `normface_loss_bound`.

    Returns:
        P_W in (0, 1], in the broadcast shape of the arguments.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2 or `scale` is not finite.
    """
    return checks.as_given(np.exp(-_loss_floor(checks.classes(num_classes), checks.finite("scale", scale))))


def _separation(count: Floats, margin: ArrayLike, kind: MarginKind) -> Floats:
    """What a simplex leaves between a target logit with the margin and the others, over s: g(0) + 1/(C−1)."""
    if kind == "cosine":
        return count / (count - 1) - checks.between("margin", margin, 0.0, 2.0, "[0, 2]")
    if kind == "angle":
        return np.cos(checks.angles("margin", margin)) + 1 / (count - 1)
    if kind == "factor":
        return count / (count - 1) + 0.0 * checks.factors("margin", margin)
    raise InputError(f"kind must be 'cosine', 'angle' or 'factor', but got {kind!r}")


@overload
def joint_scale_bound(num_classes: float, posterior: float, margin: float, kind: MarginKind = "cosine") -> float: ...
@overload
def joint_scale_bound(
    num_classes: ArrayLike, posterior: ArrayLike, margin: ArrayLike, kind: MarginKind = "cosine"
) -> Floats: ...
def joint_scale_bound(
    num_classes: ArrayLike, posterior: ArrayLike, margin: ArrayLike, kind: MarginKind = "cosine"
) -> float | Floats:
    """The scale below which no class centre reaches the posterior P with the margin in its logit.

    CosFace's argument for eq. 6 (arXiv:1801.09414) with the margin kept, which the paper's own bound leaves out: at its
    centre θ = 0 a class has the logit s·g(0), so that s ≥ ln((C−1)P/(1−P)) / (g(0) + 1/(C−1)).
    `cosine`: g(0) = 1 − m, s ≥ ln((C−1)P/(1−P)) / (C/(C−1) − m); `angle`: g(0) = cos m; `factor`: g(0) = 1, the margin
    vanishes at the centre and eq. 6 itself remains. A combined margin cos(m1·θ + m2) − m3 has the bound of the `cosine`
    1 − cos m2 + m3.

    It equals eq. 6 without a margin and grows without limit as the margin nears what the simplex itself has between its
    classes: from there on no scale reaches a posterior above 1/C and the bound is infinite (and 0 for a posterior of at
    most 1/C). Below P = 1/C it is negative: every scale will do.

    Args:
        num_classes: Number of classes C.
        posterior: P, the margin included.
        margin: m, a cosine in [0, 2], an angle in [0, π] (rad) or a factor of at least 1.
        kind: What the margin acts on: CosFace's `cosine`, ArcFace's `angle` or SphereFace's `factor`.

    Returns:
        The bound on s (dimensionless, infinite where no scale will do), in the broadcast shape of the arguments.

    Raises:
        InputError: If an argument is outside its range.
    """
    count, wanted = checks.classes(num_classes), checks.posteriors(posterior)
    log_odds, separation = np.broadcast_arrays(_log_odds(count, wanted), _separation(count, margin, kind))
    apart = separation > 0
    without = np.where(log_odds > 0, np.inf, 0.0)
    return checks.as_given(np.where(apart, log_odds / np.where(apart, separation, 1.0), without))


@overload
def margin_loss_bound(num_classes: float, scale: float, margin: float, kind: MarginKind = "cosine") -> float: ...
@overload
def margin_loss_bound(
    num_classes: ArrayLike, scale: ArrayLike, margin: ArrayLike, kind: MarginKind = "cosine"
) -> Floats: ...
def margin_loss_bound(
    num_classes: ArrayLike, scale: ArrayLike, margin: ArrayLike, kind: MarginKind = "cosine"
) -> float | Floats:
    """The least mean loss at a scale and a margin (nats): log(1 + (C−1)·e^{−s·(g(0) + 1/(C−1))}).

    NormFace's Proposition 2 (arXiv:1704.06369) with the margin kept. `cosine` (CosFace, LMCL):
    log(1 + (C−1)·e^{−s(C/(C−1) − m)}); `angle` (ArcFace): log(1 + (C−1)·e^{−s(cos m + 1/(C−1))}); `factor`
    (SphereFace): NormFace's own bound, because ψ(m·θ) ≤ cos θ with equality at θ = 0. The counterpart of
    `joint_scale_bound`: `margin_loss_bound(C, joint_scale_bound(C, P, m), m)` is −ln P.

    It holds for a training set with equally many samples of each class, wherever the features are (for `angle`, where
    θ + m ≤ π), not for a mini-batch or an imbalanced set, and is attained by a simplex with every feature at its
    prototype, so only for C ≤ K+1.

    Args:
        num_classes: Number of classes C.
        scale: Scale s, of either sign as in `normface_loss_bound`.
        margin: m, a cosine in [0, 2], an angle in [0, π] (rad) or a factor of at least 1.
        kind: What the margin acts on.

    Returns:
        The loss (nats), in the broadcast shape of the arguments.

    Raises:
        InputError: If an argument is outside its range.
    """
    count, s = checks.classes(num_classes), checks.finite("scale", scale)
    return checks.as_given(np.logaddexp(0.0, np.log(count - 1) - s * _separation(count, margin, kind)))


@overload
def l2softmax_scale_bound(num_classes: float, posterior: float) -> float: ...
@overload
def l2softmax_scale_bound(num_classes: ArrayLike, posterior: ArrayLike) -> Floats: ...
def l2softmax_scale_bound(num_classes: ArrayLike, posterior: ArrayLike) -> float | Floats:
    """L2-softmax's lower bound on the feature norm: α ≥ ln(P(C−2)/(1−P)).

    L2-constrained softmax (Ranjan, Castillo, Chellappa 2017, arXiv:1703.09507). It takes one class to be opposite and
    the others at right angles, a weaker packing than the simplex, so that it lies above `cosface_scale_bound`; the two
    meet as C grows.

    Args:
        num_classes: Number of classes C, at least 3.
        posterior: Wanted posterior P of a class centre.

    Returns:
        The bound on α (dimensionless), in the broadcast shape of the arguments.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 3 or `posterior` is not in (0, 1).
    """
    count, wanted = checks.classes(num_classes, minimum=3), checks.posteriors(posterior)
    return checks.as_given(np.log(count - 2) + np.log(wanted) - np.log1p(-wanted))


@overload
def dimension_aware_scale_bound(num_classes: float, dim: float, posterior: float) -> float: ...
@overload
def dimension_aware_scale_bound(num_classes: ArrayLike, dim: ArrayLike, posterior: ArrayLike) -> Floats: ...
def dimension_aware_scale_bound(num_classes: ArrayLike, dim: ArrayLike, posterior: ArrayLike) -> float | Floats:
    """CosFace's bound on s sharpened by the dimension: min_i P_i ≥ P needs e^s/A_K(s) ≥ C·P.

    CosFace's proof of eq. 6 uses only that Σ_{i,j} W_i·W_j ≥ 0. The kernel e^{s W_i·W_j} is positive definite, so that
    Σ_{i,j} e^{s W_i·W_j} ≥ C²·A_K(s) (`log_kernel_mean`), which is stronger when C is large for K. The value is the
    larger of both bounds, and never negative.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        posterior: Wanted minimum posterior P of a class centre.

    Returns:
        The bound on s (dimensionless), in the broadcast shape of the arguments.

    Raises:
        InputError: If `num_classes` or `dim` is not a whole number of at least 2 or `posterior` is not in (0, 1).
    """
    count, dims, wanted = checks.classes(num_classes), checks.dimensions(dim), checks.posteriors(posterior)
    count, dims, wanted = np.broadcast_arrays(count, dims, wanted)
    needed = np.maximum(np.log(count) + np.log(wanted), 0.0)

    def lacking(scale: Floats) -> Floats:
        return kernel_gap(dims, scale) - needed

    # A_K(s) ≥ 1, so that no root lies below what is needed.
    energy = bisect(lacking, needed, bracket(lacking, 2 * needed))
    return checks.as_given(np.maximum(energy, (count - 1) / count * _log_odds(count, wanted)))
