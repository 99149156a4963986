"""Every loss of the family as its formula reads: sample by sample, class by class, in float64, with no clever step.

x (N, K) embeddings, w (C, K) prototypes, y (N,) labels; every loss is the mean over the batch. Losses with a state take
the state that goes into the value; `…_update` gives the state after a batch, which is the one these losses use.
`at=(x0, w0)` evaluates there what the gradient takes as a constant, so that the numerical gradient in (x, w) at
(x0, w0) is the gradient that training uses.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

Array = np.ndarray
At = tuple[Array, Array] | None
LogitsOf = Callable[[list[float], int], list[float]]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(float(p) * float(q) for p, q in zip(a, b, strict=True))


def norm(a: Sequence[float]) -> float:
    return math.hypot(*(float(p) for p in a))


def cosines(x: Array, w: Array) -> list[list[float]]:
    return [[max(-1.0, min(1.0, dot(x_i, w_j) / (norm(x_i) * norm(w_j)))) for w_j in w] for x_i in x]


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def softplus(z: float) -> float:
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def log_sum_exp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(z - top) for z in values))


def cross_entropy(logits: Sequence[float], label: int) -> float:
    """−log softmax at the label, exact also where the loss is tiny."""
    return softplus(log_sum_exp([z - logits[label] for j, z in enumerate(logits) if j != label]))


def cosine_loss(
    x: Array, w: Array, y: Array, logits_of: LogitsOf, *, at: At = None, slope: float | None = None
) -> float:
    """Mean cross-entropy of logits made from cosines; with `at`, of their value there + slope × (c − c there)."""
    total = []
    there = cosines(x, w) if at is None else cosines(*at)
    for here, fixed, label in zip(cosines(x, w), there, y, strict=True):
        logits = logits_of(fixed, label)
        if at is not None:
            assert slope is not None
            logits = [z + slope * (c - c0) for z, c, c0 in zip(logits, here, fixed, strict=True)]
        total.append(cross_entropy(logits, label))
    return mean(total)


def margin_logits(s: float, target: Callable[[float], float], other: Callable[[float], float] = float) -> LogitsOf:
    def logits_of(cos: list[float], label: int) -> list[float]:
        return [s * (target(c) if j == label else other(c)) for j, c in enumerate(cos)]

    return logits_of


def psi(phi: float) -> float:
    """(−1)^k cos φ − 2k for φ in [kπ, (k+1)π], found by walking the intervals."""
    k = 0
    while phi > (k + 1) * math.pi:
        k += 1
    return (-1) ** k * math.cos(phi) - 2 * k


def arc(cos: float, m: float, past_pi: str = "monotone") -> float:
    """cos(θ + m), and what takes its place where θ + m > π (or, for `easy`, where θ ≥ π/2)."""
    shifted = math.acos(cos) + m
    if past_pi == "monotone":
        return psi(shifted)
    if past_pi == "clamp":
        return math.cos(min(shifted, math.pi))
    if past_pi == "wrap":
        return math.cos(shifted)
    if past_pi == "linear":
        return math.cos(shifted) if cos > math.cos(math.pi - m) else cos - m * math.sin(m)
    assert past_pi == "easy"
    return math.cos(shifted) if cos > 0 else cos


def numerical_gradient(function: Callable[[Array], float], point: Array, step: float = 1e-5) -> Array:
    """Central differences, element by element."""
    gradient = np.zeros_like(point, dtype=float)
    for index in np.ndindex(point.shape):
        bump = np.zeros_like(point, dtype=float)
        bump[index] = step
        gradient[index] = (function(point + bump) - function(point - bump)) / (2 * step)
    return gradient


# Losses on logits


def softmax(x: Array, w: Array, y: Array, *, bias: Array | None = None) -> float:
    b = np.zeros(len(w)) if bias is None else bias
    return mean(
        [
            cross_entropy([dot(w_j, x_i) + float(b_j) for w_j, b_j in zip(w, b, strict=True)], y_i)
            for x_i, y_i in zip(x, y, strict=True)
        ]
    )


def l2_softmax(x: Array, w: Array, y: Array, *, alpha: float, bias: Array | None = None) -> float:
    return softmax(np.array([alpha * x_i / norm(x_i) for x_i in x]), w, y, bias=bias)


def annealing(t: int, *, base: float = 1000.0, gamma: float = 0.12, power: float = 1.0, least: float = 5.0) -> float:
    """λ of SphereFace's released training at the t-th step, counted from 1."""
    return max(least, base * (1 + gamma * t) ** -power)


def a_softmax(x: Array, w: Array, y: Array, *, m: float = 4.0, lam: float = 0.0) -> float:
    total = []
    for x_i, cos, label in zip(x, cosines(x, w), y, strict=True):
        logits = [norm(x_i) * c for c in cos]
        theta = math.acos(cos[label])
        logits[label] = norm(x_i) * (lam * cos[label] + psi(m * theta)) / (1 + lam)
        total.append(cross_entropy(logits, label))
    return mean(total)


def modified_softmax(x: Array, w: Array, y: Array) -> float:
    return a_softmax(x, w, y, m=1.0)


def normface(x: Array, w: Array, y: Array, *, s: float) -> float:
    return cosine_loss(x, w, y, lambda cos, label: [s * c for c in cos])


def cosface(x: Array, w: Array, y: Array, *, s: float = 64.0, m: float = 0.35) -> float:
    return cosine_loss(x, w, y, margin_logits(s, lambda c: c - m))


def arcface(
    x: Array, w: Array, y: Array, *, s: float = 64.0, m: float = 0.5, past_pi: str = "monotone", at: At = None
) -> float:
    return cosine_loss(x, w, y, margin_logits(s, lambda c: arc(c, m, past_pi)), at=at, slope=s)


def combined(
    x: Array, w: Array, y: Array, *, s: float = 64.0, m1: float = 1.0, m2: float = 0.0, m3: float = 0.0
) -> float:
    return cosine_loss(x, w, y, margin_logits(s, lambda c: psi(m1 * math.acos(c) + m2) - m3))


def sphereface(
    x: Array, w: Array, y: Array, *, s: float = 64.0, m: float = 1.35, lam: float = 0.0, at: At = None
) -> float:
    """On normalised features; λ as in `a_softmax`."""
    logits_of = margin_logits(s, lambda c: (lam * c + psi(m * math.acos(c))) / (1 + lam))
    return cosine_loss(x, w, y, logits_of, at=at, slope=s)


def sphereface_r_v1(x: Array, w: Array, y: Array, *, s: float = 30.0, m: float = 1.5, at: At = None) -> float:
    logits_of = margin_logits(s, lambda c: math.cos(min(m * math.acos(c), math.pi)))
    return cosine_loss(x, w, y, logits_of, at=at, slope=s)


def sphereface_r_v2(x: Array, w: Array, y: Array, *, s: float = 30.0, m: float = 1.5, at: At = None) -> float:
    logits_of = margin_logits(s, lambda c: c, lambda c: math.cos(math.acos(c) / m))
    return cosine_loss(x, w, y, logits_of, at=at, slope=s)


# Margins that depend on the norm, and losses that reweigh the other classes


def adaface_update(x: Array, *, mean_norm: float, std_norm: float, t_alpha: float = 0.01) -> tuple[float, float]:
    norms = [max(1e-3, min(100.0, norm(x_i))) for x_i in x]
    batch_mean = mean(norms)
    batch_std = math.sqrt(math.fsum((a - batch_mean) ** 2 for a in norms) / (len(norms) - 1))
    return t_alpha * batch_mean + (1 - t_alpha) * mean_norm, t_alpha * batch_std + (1 - t_alpha) * std_norm


def adaface(
    x: Array,
    w: Array,
    y: Array,
    *,
    mean_norm: float,
    std_norm: float,
    s: float = 64.0,
    m: float = 0.4,
    h: float = 0.333,
    eps: float = 1e-3,
    at: At = None,
) -> float:
    """With the statistics after the batch. `eps` bounds cosines and angles of all classes, as in the released code."""
    total = []
    for x_i, cos, label in zip(x if at is None else at[0], cosines(x, w), y, strict=True):
        a = max(1e-3, min(100.0, norm(x_i)))
        z = max(-1.0, min(1.0, (a - mean_norm) / (std_norm + 1e-3) * h))
        logits = []
        for j, c in enumerate(cos):
            theta = math.acos(max(-1 + eps, min(1 - eps, c))) + (-m * z if j == label else 0.0)
            clipped = max(eps, min(math.pi - eps, theta))
            logits.append(s * (math.cos(clipped) - (m + m * z if j == label else 0.0)))
        total.append(cross_entropy(logits, label))
    return mean(total)


def magface_margin(a: float, l_a: float = 10.0, u_a: float = 110.0, l_m: float = 0.45, u_m: float = 0.8) -> float:
    return (u_m - l_m) / (u_a - l_a) * (a - l_a) + l_m


def magface(
    x: Array,
    w: Array,
    y: Array,
    *,
    s: float = 64.0,
    l_a: float = 10.0,
    u_a: float = 110.0,
    l_m: float = 0.45,
    u_m: float = 0.8,
    lambda_g: float = 35.0,
    past_pi: str = "easy",
) -> float:
    total = []
    for x_i, cos, label in zip(x, cosines(x, w), y, strict=True):
        a = max(l_a, min(u_a, norm(x_i)))
        m = magface_margin(a, l_a, u_a, l_m, u_m)
        logits = [s * (arc(c, m, past_pi) if j == label else c) for j, c in enumerate(cos)]
        total.append(cross_entropy(logits, label) + lambda_g * (a / u_a**2 + 1 / a))
    return mean(total)


def curricularface_update(x: Array, w: Array, y: Array, *, t: float, momentum: float = 0.99) -> float:
    return (1 - momentum) * mean([cos[label] for cos, label in zip(cosines(x, w), y, strict=True)]) + momentum * t


def curricularface(
    x: Array, w: Array, y: Array, *, t: float, s: float = 64.0, m: float = 0.5, past_pi: str = "linear"
) -> float:
    """With t after the batch. An other class is hard against cos(θ + m) itself, whatever holds past π."""

    def logits_of(cos: list[float], label: int) -> list[float]:
        bar = math.cos(math.acos(cos[label]) + m)
        logits = [s * (c * (t + c) if c > bar else c) for c in cos]
        logits[label] = s * arc(cos[label], m, past_pi)
        return logits

    return cosine_loss(x, w, y, logits_of)


def mv_softmax(
    x: Array,
    w: Array,
    y: Array,
    *,
    s: float = 32.0,
    m: float = 0.35,
    t: float = 0.2,
    kind: str = "am",
    easy: bool = True,
) -> float:
    def logits_of(cos: list[float], label: int) -> list[float]:
        c_y = cos[label]
        bar = c_y - m if kind == "am" else math.cos(math.acos(c_y) + m)
        logits = [s * ((t + 1) * c + t if c > bar else c) for c in cos]
        logits[label] = s * (c_y if easy and c_y <= 0 else bar)
        return logits

    return cosine_loss(x, w, y, logits_of)


def circle(x: Array, w: Array, y: Array, *, gamma: float = 256.0, m: float = 0.25, at: At = None) -> float:
    total = []
    weights_from = cosines(x, w) if at is None else cosines(*at)
    for cos, fixed, label in zip(cosines(x, w), weights_from, y, strict=True):
        logits = [gamma * max(0.0, c0 + m) * (c - m) for c, c0 in zip(cos, fixed, strict=True)]
        logits[label] = gamma * max(0.0, 1 + m - fixed[label]) * (cos[label] - (1 - m))
        total.append(cross_entropy(logits, label))
    return mean(total)


# Losses without a softmax


def sphereface2_adjust(z: float, t: float) -> float:
    return 2 * ((z + 1) / 2) ** t - 1


def sphereface2_scores(c: float, is_target: bool, r: float, m: float, t: float, kind: str) -> float:
    if kind == "C":
        return r * (sphereface2_adjust(c, t) + (-m if is_target else m))
    theta = math.acos(c) + (m if is_target else 0.0)
    return r * sphereface2_adjust(math.cos(min(theta, math.pi)), t)


def sphereface2_bias(
    num_classes: int, *, lam: float = 0.7, r: float = 40.0, m: float = 0.4, t: float = 3.0, kind: str = "C"
) -> float:
    """The bias at which the loss is stationary in the bias when every cosine is 0."""
    z = lam / ((1 - lam) * (num_classes - 1))
    target, other = (sphereface2_scores(0.0, flag, r, m, t, kind) for flag in (True, False))
    root = math.sqrt((1 - z) ** 2 + 4 * z * math.exp(target - other))
    return math.log(2 * z) - other - math.log(1 - z + root)


def sphereface2(
    x: Array,
    w: Array,
    y: Array,
    *,
    b: float,
    lam: float = 0.7,
    r: float = 40.0,
    m: float = 0.4,
    t: float = 3.0,
    lw: float = 50.0,
    kind: str = "C",
    at: At = None,
) -> float:
    total = []
    there = cosines(x, w) if at is None else cosines(*at)
    for cos, fixed, label in zip(cosines(x, w), there, y, strict=True):
        for j, (c, c0) in enumerate(zip(cos, fixed, strict=True)):
            logit = sphereface2_scores(c0, j == label, r, m, t, kind) + r * (c - c0) + b
            total.append(lam * softplus(-logit) if j == label else (1 - lam) * softplus(logit))
    return lw / r * math.fsum(total) / len(y)


def p2sgrad(x: Array, w: Array, y: Array) -> float:
    return mean(
        [
            0.5 * math.fsum((c - (j == label)) ** 2 for j, c in enumerate(cos))
            for cos, label in zip(cosines(x, w), y, strict=True)
        ]
    )


def squared_distances(x: Array, w: Array) -> list[list[float]]:
    """‖x̃ − w̃‖² of the normalised vectors, from the vectors."""
    return [
        [
            math.fsum((float(p) / norm(x_i) - float(q) / norm(w_j)) ** 2 for p, q in zip(x_i, w_j, strict=True))
            for w_j in w
        ]
        for x_i in x
    ]


def c_contrastive(x: Array, w: Array, y: Array, *, m: float = 1.0) -> float:
    return mean(
        [
            math.fsum(d if j == label else max(0.0, m - d) for j, d in enumerate(row))
            for row, label in zip(squared_distances(x, w), y, strict=True)
        ]
    )


def c_triplet(x: Array, w: Array, y: Array, *, m: float = 0.8, hardest_only: bool = False) -> float:
    total = []
    for row, label in zip(squared_distances(x, w), y, strict=True):
        hinges = [max(0.0, row[label] + m - d) for j, d in enumerate(row) if j != label]
        total.append(max(hinges) if hardest_only else math.fsum(hinges))
    return mean(total)


def intra(x: Array, w: Array, y: Array, *, s: float = 64.0) -> float:
    angles = [math.acos(cos[label]) for cos, label in zip(cosines(x, w), y, strict=True)]
    return normface(x, w, y, s=s) + mean(angles) / math.pi


def inter(x: Array, w: Array, y: Array, *, s: float = 64.0) -> float:
    between = cosines(w, w)
    sums = [math.fsum(math.acos(between[label][j]) for j in range(len(w)) if j != label) for label in y]
    return normface(x, w, y, s=s) - mean(sums) / (math.pi * (len(w) - 1))


def angular_triplet(x: Array, w: Array, y: Array, *, m: float = 0.35) -> float:
    """Batch-hard: farthest positive, nearest negative; mean over the anchors that have both (0 if none has)."""
    total = []
    for i, cos in enumerate(cosines(x, x)):
        positives = [math.acos(cos[j]) for j in range(len(y)) if j != i and y[j] == y[i]]
        negatives = [math.acos(cos[j]) for j in range(len(y)) if y[j] != y[i]]
        if positives and negatives:
            total.append(max(0.0, max(positives) + m - min(negatives)))
    return mean(total) if total else 0.0


NAMES = """softmax modified_softmax a_softmax normface l2_softmax cosface arcface combined sphereface sphereface_r_v1
sphereface_r_v2 adaface magface curricularface mv_softmax circle sphereface2 p2sgrad c_contrastive c_triplet intra inter
angular_triplet"""
REFERENCES: dict[str, Callable[..., float]] = {name: globals()[name] for name in NAMES.split()}
"""Name -> loss(x, w, y, **parameters)."""
