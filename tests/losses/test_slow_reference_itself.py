"""The slow references against numbers known beforehand: closed forms of the papers, polynomials, worked examples."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

TINY_COSINES = np.array([[0.9, 0.1, -0.2], [0.0, 0.8, 0.3], [0.2, -0.1, 0.7], [0.6, 0.5, 0.1]])
TINY_LABELS = np.array([0, 1, 2, 1])


def given_cosines(cos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings with these cosines to the first axes, and the axes as prototypes."""
    rest = np.sqrt(1 - (cos**2).sum(axis=1, keepdims=True))
    num_classes = cos.shape[1]
    return np.hstack([cos, rest]), np.eye(num_classes, num_classes + 1)


def simplex(num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prototypes with cosine −1/(C − 1) to each other, an embedding on each."""
    w = np.eye(num_classes) - 1 / num_classes
    return 3.0 * w, w, np.arange(num_classes)


def random_batch(seed: int = 0, n: int = 4, c: int = 5, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(n, k)), rng.normal(size=(c, k)), rng.integers(0, c, n)


@pytest.mark.parametrize(
    ("m", "degrees", "value"),
    [
        (4, 0, 1), (4, 15, 0.5), (4, 30, -0.5), (4, 45, -1), (4, 60, -1.5), (4, 75, -2.5), (4, 90, -3), (4, 180, -7),
        (2, 45, 0), (2, 90, -1), (2, 180, -3),
        (1.35, 90, -0.522499), (1.35, 180, -1.546010), (1.7, 90, -0.891007), (1.7, 180, -2.587785),
    ],
)  # fmt: skip
def test_psi(reference: ModuleType, m: float, degrees: float, value: float) -> None:
    assert reference.psi(m * math.radians(degrees)) == pytest.approx(value, abs=5e-7)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_psi_is_the_polynomial_of_the_released_code(reference: ModuleType, m: int) -> None:
    for theta in np.linspace(0.01, 3.13, 50):
        c = math.cos(theta)
        sign0, sign1 = np.sign(c), np.sign(abs(c) - 0.5)
        sign3 = sign0 * np.sign(2 * c**2 - 1)
        polynomial = {
            2: 2 * sign0 * c**2 - 1,
            3: sign1 * (4 * c**3 - 3 * c) + sign0 * (1 + sign1) - 2,
            4: sign3 * (8 * c**4 - 8 * c**2 + 1) + 2 * sign0 + sign3 - 3,
        }[m]
        assert reference.psi(m * theta) == pytest.approx(polynomial, abs=1e-12)


@pytest.mark.parametrize(
    ("iteration", "value"), [(1, 892.857143), (10, 454.545455), (100, 76.923077), (1000, 8.264463), (1659, 5.0)]
)
def test_annealing(reference: ModuleType, iteration: int, value: float) -> None:
    assert reference.annealing(iteration) == pytest.approx(value, abs=5e-7)


def test_annealing_reaches_its_floor_at_the_known_steps(reference: ModuleType) -> None:
    assert reference.annealing(1658) > 5.0
    assert reference.annealing(131_421, gamma=1e-4, power=2.0) > 5.0
    assert reference.annealing(131_422, gamma=1e-4, power=2.0) == 5.0


@pytest.mark.parametrize(
    ("name", "params", "value"),
    [
        ("cosface", {"s": 64.0, "m": 0.35}, 31.666153),
        ("arcface", {"s": 64.0, "m": 0.5}, 39.949388),
        ("normface", {"s": 64.0}, 9.266248),
        ("normface", {"s": 1.0}, 9.266248),
    ],
)
def test_loss_when_every_cosine_is_zero(
    reference: ModuleType, name: str, params: dict[str, float], value: float
) -> None:
    x, w = np.array([[0.0, 3.0]]), np.tile([2.0, 0.0], (10575, 1))
    assert reference.REFERENCES[name](x, w, np.array([7]), **params) == pytest.approx(value, abs=5e-7)


@pytest.mark.parametrize(("num_classes", "posterior"), [(10, 0.450853), (1000, 0.007342)])
def test_worst_posterior_at_scale_one(reference: ModuleType, num_classes: int, posterior: float) -> None:
    w = np.array([[1.0]] + [[-1.0]] * (num_classes - 1))
    loss = reference.normface(np.array([[5.0]]), w, np.array([0]), s=1.0)
    assert math.exp(-loss) == pytest.approx(posterior, abs=5e-7)


@pytest.mark.parametrize(
    ("name", "params", "value"),
    [
        ("normface", {"s": 1.0}, 1.376935),
        ("normface", {"s": 4.0}, 0.100472),
        ("normface", {"s": 16.0}, 1.71180e-7),
        ("normface", {"s": 3.955004}, -math.log(0.9)),
        ("normface", {"s": 6.113110}, -math.log(0.99)),
        ("cosface", {"s": 5.773729, "m": 0.35}, -math.log(0.9)),
        ("arcface", {"s": 4.444702, "m": 0.5}, -math.log(0.9)),
    ],
)
def test_loss_of_a_collapsed_simplex(reference: ModuleType, name: str, params: dict[str, float], value: float) -> None:
    assert reference.REFERENCES[name](*simplex(10), **params) == pytest.approx(value, rel=3e-6)


def test_l2_softmax_at_its_lower_bound(reference: ModuleType) -> None:
    """The bound counts the C − 2 classes at right angles and neglects the opposite one."""
    x, w, y = np.array([[0.1, 0.0]]), np.array([[1.0, 0.0]] + [[0.0, 1.0]] * 8), np.array([0])
    assert math.exp(-reference.l2_softmax(x, w, y, alpha=4.276666)) == pytest.approx(0.9, abs=1e-6)


def test_softmax_with_bias(reference: ModuleType) -> None:
    x, w, y = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0])
    assert reference.softmax(x, w, y, bias=np.array([1.0, 0.0])) == pytest.approx(math.log(2))
    assert reference.softmax(x, w, y) == pytest.approx(math.log(1 + math.e))


def test_losses_meet_where_their_margins_vanish(reference: ModuleType) -> None:
    x, w, y = random_batch()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    plain = reference.normface(x, w, y, s=1.0)
    assert reference.modified_softmax(x, w, y) == pytest.approx(plain)
    assert reference.a_softmax(x, w, y, m=4.0, lam=1e12) == pytest.approx(plain)
    assert reference.l2_softmax(x, w / np.linalg.norm(w, axis=1, keepdims=True), y, alpha=1.0) == pytest.approx(plain)
    for past_pi in ("monotone", "clamp", "wrap", "linear", "easy"):
        assert reference.arcface(x, w, y, s=1.0, m=0.0, past_pi=past_pi) == pytest.approx(plain)
    for name in ("sphereface", "sphereface_r_v1", "sphereface_r_v2"):
        assert reference.REFERENCES[name](x, w, y, s=1.0, m=1.0) == pytest.approx(plain)
    for kind in ("am", "arc"):
        assert reference.mv_softmax(x, w, y, s=1.0, m=0.0, t=0.0, kind=kind) == pytest.approx(plain)
    arcface = reference.arcface(x, w, y, s=9.0, m=0.4)
    assert reference.combined(x, w, y, s=9.0, m2=0.4) == pytest.approx(arcface)
    assert reference.combined(x, w, y, s=9.0, m1=1.7) == pytest.approx(reference.sphereface(x, w, y, s=9.0, m=1.7))
    assert reference.combined(x, w, y, s=9.0, m3=0.4) == pytest.approx(reference.cosface(x, w, y, s=9.0, m=0.4))


@pytest.mark.parametrize(("m", "jump"), [(0.3, 0.043993), (0.5, 0.117295), (1.0, 0.381773)])
def test_arcs_past_pi(reference: ModuleType, m: float, jump: float) -> None:
    seam = math.cos(math.pi - m)
    above, below = math.nextafter(seam, 1.0), math.nextafter(seam, -1.0)
    assert reference.arc(above, m, "linear") - reference.arc(below, m, "linear") == pytest.approx(jump, abs=5e-7)
    for past_pi in ("monotone", "clamp", "wrap"):
        assert reference.arc(above, m, past_pi) == pytest.approx(reference.arc(below, m, past_pi), abs=1e-12)
    assert reference.arc(-1.0, m, "wrap") == pytest.approx(-math.cos(m))
    assert reference.arc(-1.0, m, "clamp") == -1.0
    assert reference.arc(-1.0, m, "monotone") == pytest.approx(math.cos(m) - 2)
    assert reference.arc(1e-12, m, "easy") == pytest.approx(-math.sin(m))
    assert reference.arc(-1e-12, m, "easy") == pytest.approx(0.0, abs=1e-9)


def test_sphereface_r_at_right_angles(reference: ModuleType) -> None:
    """Every angle is π/2: v1 takes the target to the angle π, v2 the others to π/4."""
    x, w, y = np.array([[0.0, 1.0]]), np.tile([1.0, 0.0], (2, 1)), np.array([0])
    assert reference.sphereface_r_v1(x, w, y, s=1.0, m=3.0) == pytest.approx(math.log(1 + math.e))
    assert reference.sphereface_r_v2(x, w, y, s=1.0, m=2.0) == pytest.approx(math.log(1 + math.exp(math.sqrt(0.5))))


def test_adaface_is_arcface_and_cosface_at_its_ends(reference: ModuleType) -> None:
    x, w, y = random_batch()
    x *= 5 / np.linalg.norm(x, axis=1, keepdims=True)
    low = reference.adaface(x, w, y, mean_norm=50.0, std_norm=1.0, s=9.0, m=0.4, eps=0.0)
    assert low == pytest.approx(reference.arcface(x, w, y, s=9.0, m=0.4, past_pi="clamp"))
    high = reference.adaface(x, w, y, mean_norm=1.0, std_norm=0.0, s=9.0, m=0.4, eps=0.0)
    assert high == pytest.approx(reference.combined(x, w, y, s=9.0, m2=-0.4, m3=0.8))
    middle = reference.adaface(x, w, y, mean_norm=5.0, std_norm=1.0, s=9.0, m=0.4, eps=0.0)
    assert middle == pytest.approx(reference.cosface(x, w, y, s=9.0, m=0.4))


def test_adaface_statistics(reference: ModuleType) -> None:
    x = np.array([[3.0, 4.0], [0.0, 7.0], [900.0, 0.0]])  # norms 5, 7 and, cut, 100
    found = reference.adaface_update(x, mean_norm=20.0, std_norm=100.0, t_alpha=0.01)
    norms = np.array([5.0, 7.0, 100.0])
    assert found == pytest.approx((0.99 * 20 + 0.01 * norms.mean(), 0.99 * 100 + 0.01 * norms.std(ddof=1)))


def test_magface(reference: ModuleType) -> None:
    assert reference.magface_margin(30.0) == pytest.approx(0.52)
    assert reference.magface_margin(60.0) == pytest.approx(0.625)
    x, w, y = random_batch()
    x *= 30 / np.linalg.norm(x, axis=1, keepdims=True)
    expected = reference.arcface(x, w, y, s=64.0, m=0.52, past_pi="easy") + 35.0 * (30 / 110**2 + 1 / 30)
    assert reference.magface(x, w, y) == pytest.approx(expected)
    assert reference.magface(x / 100, w, y) == pytest.approx(reference.magface(x / 3, w, y))  # both norms count as 10


def test_curricularface_worked_out(reference: ModuleType) -> None:
    x, w = given_cosines(np.array([[0.5, 0.6, -0.3]]))
    y = np.array([0])
    t = reference.curricularface_update(x, w, y, t=0.2)
    assert t == pytest.approx(0.01 * 0.5 + 0.99 * 0.2)
    target = math.cos(math.pi / 3 + 0.5)  # 0.024: the second class is hard, the third is not
    expected = math.log(1 + math.exp(2 * (0.6 * (t + 0.6) - target)) + math.exp(2 * (-0.3 - target)))
    assert reference.curricularface(x, w, y, t=t, s=2.0) == pytest.approx(expected)


def test_mv_softmax_worked_out(reference: ModuleType) -> None:
    x, w = given_cosines(np.array([[0.5, 0.6, -0.3]]))
    expected = math.log(1 + math.exp(2 * (1.2 * 0.6 + 0.2 - 0.15)) + math.exp(2 * (-0.3 - 0.15)))
    assert reference.mv_softmax(x, w, np.array([0]), s=2.0) == pytest.approx(expected)
    # A target behind the prototype: no margin if easy, and the bar for the others is the full margin all the same.
    logits = np.array([1.2 * 0.5 + 0.2, 1.2 * 0.6 + 0.2])
    for easy, target in ((True, -0.3), (False, -0.65)):
        expected = math.log(1 + np.exp(2 * (logits - target)).sum())
        assert reference.mv_softmax(x, w, np.array([2]), s=2.0, easy=easy) == pytest.approx(expected)


def test_circle_worked_out(reference: ModuleType) -> None:
    x, w = given_cosines(np.array([[0.75, 0.25, 0.25]]))
    assert reference.circle(x, w, np.array([0])) == pytest.approx(math.log(3))
    x, w = given_cosines(np.array([[0.5, 0.1, -0.6]]))  # logits −0.1875γ, −0.0525γ, and 0 as its weight is 0
    expected = math.log(1 + math.exp(0.1875 - 0.0525) + math.exp(0.1875))
    assert reference.circle(x, w, np.array([0]), gamma=1.0) == pytest.approx(expected)


@pytest.mark.parametrize(("num_classes", "bias"), [(10, 12.950178), (10575, 5.581365), (85742, 3.488239)])
def test_sphereface2_bias(reference: ModuleType, num_classes: int, bias: float) -> None:
    assert reference.sphereface2_bias(num_classes) == pytest.approx(bias, abs=5e-7)


@pytest.mark.parametrize("kind", ["C", "A"])
def test_sphereface2_starts_stationary_in_its_bias(reference: ModuleType, kind: str) -> None:
    x, w, y = np.array([[0.0, 1.0]]), np.tile([1.0, 0.0], (10, 1)), np.array([0])
    b = reference.sphereface2_bias(10, kind=kind)

    def loss(bias: float) -> float:
        return reference.sphereface2(x, w, y, b=bias, kind=kind)

    assert (loss(b + 1e-4) - loss(b - 1e-4)) / 2e-4 == pytest.approx(0.0, abs=1e-6)
    assert loss(b) < min(loss(b + 0.1), loss(b - 0.1))


def test_sphereface2_worked_out(reference: ModuleType) -> None:
    x, w = given_cosines(np.array([[0.5, -0.2]]))
    own, other = 2 * 0.75**3 - 1, 2 * 0.4**3 - 1
    expected = 0.7 * math.log(1 + math.exp(-4 * (own - 0.4) - 0.3))
    expected += 0.3 * math.log(1 + math.exp(4 * (other + 0.4) + 0.3))
    found = reference.sphereface2(x, w, np.array([0]), b=0.3, r=4.0, lw=50.0)
    assert found == pytest.approx(50 / 4 * expected)


def test_a_softmax_worked_out(reference: ModuleType) -> None:
    """Norm 3; θ = 60°, so 4θ = 240° is in the second interval: ψ = −cos 240° − 2 = −1.5."""
    x, w = given_cosines(np.array([[0.5, 0.1]]))
    expected = math.log(1 + math.exp(3 * (0.1 - (5 * 0.5 - 1.5) / 6)))
    assert reference.a_softmax(3 * x, 7 * w, np.array([0]), m=4.0, lam=5.0) == pytest.approx(expected)


def test_p2sgrad_has_the_papers_gradient(reference: ModuleType) -> None:
    """Σ_j (c_j − 1[j = y]) ∂c_j/∂x and the like for the prototypes, of unit vectors times 1/norm."""
    x, w, y = random_batch()
    norms_x, norms_w = np.linalg.norm(x, axis=1), np.linalg.norm(w, axis=1)
    cos = x @ w.T / norms_x[:, None] / norms_w
    gap = (cos - np.eye(len(w))[y]) / len(y)
    unit_x, unit_w = x / norms_x[:, None], w / norms_w[:, None]
    by_x = (gap @ unit_w - (gap * cos).sum(1)[:, None] * unit_x) / norms_x[:, None]
    by_w = (gap.T @ unit_x - (gap * cos).sum(0)[:, None] * unit_w) / norms_w[:, None]
    gradient = reference.numerical_gradient
    np.testing.assert_allclose(gradient(lambda z: reference.p2sgrad(z, w, y), x), by_x, atol=1e-9)
    np.testing.assert_allclose(gradient(lambda z: reference.p2sgrad(x, z, y), w), by_w, atol=1e-9)


def test_metric_losses_worked_out(reference: ModuleType) -> None:
    """Squared distances 2 − 2c: 0.65 to the own class, 0.83 and 2.36 to the others."""
    x, w = given_cosines(np.array([[0.675, 0.585, -0.18]] * 2))
    y = np.array([0, 0])
    own, near, far = 0.65, 0.83, 2.36
    np.testing.assert_allclose(reference.squared_distances(4 * x, 2 * w)[1], [own, near, far])
    assert reference.c_contrastive(x, w, y, m=1.0) == pytest.approx(own + 1.0 - near)
    assert reference.c_contrastive(x, w, y, m=2.4) == pytest.approx(own + 2.4 - near + 2.4 - far)
    assert reference.c_triplet(x, w, y, m=0.8) == pytest.approx(own + 0.8 - near)
    assert reference.c_triplet(x, w, y, m=2.0) == pytest.approx(2 * own + 4.0 - near - far)
    assert reference.c_triplet(x, w, y, m=2.0, hardest_only=True) == pytest.approx(own + 2.0 - near)


def test_intra_and_inter_on_a_simplex(reference: ModuleType) -> None:
    x, w, y = simplex(10)
    plain = reference.normface(x, w, y, s=4.0)
    assert reference.intra(x, w, y, s=4.0) == pytest.approx(plain, abs=1e-7)
    assert reference.intra(x, w, np.roll(y, 1), s=4.0) == pytest.approx(
        reference.normface(x, w, np.roll(y, 1), s=4.0) + math.acos(-1 / 9) / math.pi
    )
    assert reference.inter(x, w, y, s=4.0) == pytest.approx(plain - math.acos(-1 / 9) / math.pi)


def test_angular_triplet_worked_out(reference: ModuleType) -> None:
    degrees = np.radians([0.0, 10.0, 30.0, 40.0, 35.0])
    x, w = np.stack([np.cos(degrees), np.sin(degrees)], axis=1), np.eye(2)
    # Positives 30, 20, 30 and negatives 35, 25, 5 degrees away; the other classes have one sample each.
    hinges = np.radians([0.0, 0.0, 25.0]) + np.array([0.35 - np.radians(5.0), 0.35 - np.radians(5.0), 0.35])
    found = reference.angular_triplet(x, w, np.array([0, 0, 0, 1, 2]), m=0.35)
    assert found == pytest.approx(hinges.mean())
    assert reference.angular_triplet(x, w, np.arange(5), m=0.35) == 0.0
    assert reference.angular_triplet(x, w, np.zeros(5), m=0.35) == 0.0


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("arcface", {"s": 7.0, "m": 0.5}),
        ("sphereface", {"s": 7.0, "m": 1.7}),
        ("sphereface_r_v1", {"s": 7.0, "m": 1.5}),
        ("sphereface_r_v2", {"s": 7.0, "m": 1.5}),
    ],
)
def test_detached_gradient_is_that_of_plain_logits(reference: ModuleType, name: str, params: dict[str, Any]) -> None:
    """The posteriors are those of the margin, and dlogit/dcos = s: Σ_j (p_j − 1[j = y]) s ∂c_j/∂x."""
    x, w, y = random_batch(n=1)
    loss = reference.REFERENCES[name]
    assert loss(x, w, y, at=(x, w), **params) == pytest.approx(loss(x, w, y, **params), rel=1e-12)
    detached = reference.numerical_gradient(lambda z: loss(z, w, y, at=(x, w), **params), x)
    exact = reference.numerical_gradient(lambda z: loss(z, w, y, **params), x)
    assert not np.allclose(detached, exact, rtol=1e-3)
    (cos,) = np.array(reference.cosines(x, w))
    margin = {
        "arcface": (lambda c: reference.psi(math.acos(c) + 0.5), lambda c: c),
        "sphereface": (lambda c: reference.psi(1.7 * math.acos(c)), lambda c: c),
        "sphereface_r_v1": (lambda c: math.cos(min(1.5 * math.acos(c), math.pi)), lambda c: c),
        "sphereface_r_v2": (lambda c: c, lambda c: math.cos(math.acos(c) / 1.5)),
    }[name]
    logits = 7.0 * np.array([margin[0](c) if j == y[0] else margin[1](c) for j, c in enumerate(cos)])
    gap = np.exp(logits) / np.exp(logits).sum() - np.eye(len(w))[y[0]]
    unit_w = w / np.linalg.norm(w, axis=1, keepdims=True)
    norm = np.linalg.norm(x)
    expected = 7.0 * (gap @ unit_w - (gap @ cos) * x[0] / norm) / norm
    np.testing.assert_allclose(detached[0], expected, atol=1e-7)


@pytest.mark.parametrize(("num_classes", "scale"), [(10, 3.107345), (100, 6.498481), (10575, 13.104320), (3, 0.980258)])
def test_fixed_adacos(reference_scales: ModuleType, num_classes: int, scale: float) -> None:
    assert reference_scales.adacos_fixed_scale(num_classes) == pytest.approx(scale, abs=5e-7)


def test_adacos_on_the_tiny_batch(reference_scales: ModuleType) -> None:
    x, w = given_cosines(TINY_COSINES)
    s = reference_scales.adacos_fixed_scale(3)
    b = np.exp(reference_scales.log_b_of_samples(x, w, TINY_LABELS, s))
    np.testing.assert_allclose(b, [1.924961, 2.341888, 2.123215, 2.903654], atol=5e-7)
    assert math.exp(reference_scales.adacos_log_b(x, w, TINY_LABELS, s)) == pytest.approx(2.323430, abs=1e-6)
    assert reference_scales.theta_med(x, w, TINY_LABELS) == pytest.approx(0.643501, abs=5e-7)
    published = reference_scales.adacos_scale(x, w, TINY_LABELS, s=s)
    assert published == pytest.approx(1.053805, abs=1e-6)
    geometric = reference_scales.adacos_geometric_scale(x, w, TINY_LABELS, s=s)
    assert geometric == pytest.approx(np.log(b).mean() / 0.8)
    assert geometric < published
    assert reference_scales.adacos_capped_scale(x, w, TINY_LABELS, s=s, cap=1.0) == 1.0
    assert reference_scales.adacos_capped_scale(x, w, TINY_LABELS, s=s, cap=2.0) == published
    start = {"s": s, "log_b": math.log(2), "theta": math.pi / 4}
    for momentum, expected in ((0.0, published), (1.0, s)):
        found, *_ = reference_scales.adacos_ema_scale(x, w, TINY_LABELS, momentum=momentum, **start)
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(("num_classes", "limit"), [(10, 1.977502), (100, 4.549169)])
def test_adacos_at_a_collapsed_simplex(
    reference: ModuleType, reference_scales: ModuleType, num_classes: int, limit: float
) -> None:
    x, w, y = simplex(num_classes)
    s = reference_scales.adacos_fixed_scale(num_classes)
    for _ in range(12):
        s = reference_scales.adacos_scale(x[:5], w, y[:5], s=s)
    assert s == pytest.approx(limit, abs=5e-7)
    assert reference.normface(x[:5], w, y[:5], s=s) == pytest.approx(math.log(2), abs=1e-6)
