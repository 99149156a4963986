"""The codes that are called optimal exist: they are built here and their largest cosine is measured."""

import itertools
import math

import numpy as np
import pytest

from hpstudy.theory import margin_optimum, margin_upper_bound


def separation(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    return 1 - cosine.max()


def neighbours(code, cosine):
    """The vectors at that cosine to the first one, less their part along it."""
    unit = code / np.linalg.norm(code, axis=1, keepdims=True)
    inner = unit @ unit[0]
    return unit[np.isclose(inner, cosine)] - cosine * unit[0]


def e8_roots():
    pairs = [v for v in itertools.product((-1, 0, 1), repeat=8) if sum(map(abs, v)) == 2]
    halves = [v for v in itertools.product((-0.5, 0.5), repeat=8) if sum(x < 0 for x in v) % 2 == 0]
    return np.array([*pairs, *halves], dtype=float)


def snub_cube():
    t = (1 + (19 + 3 * math.sqrt(33)) ** (1 / 3) + (19 - 3 * math.sqrt(33)) ** (1 / 3)) / 3
    even = {(0, 1, 2), (1, 2, 0), (2, 0, 1)}
    return np.array(
        [
            (np.array([1, 1 / t, t]) * signs)[list(order)]
            for order in itertools.permutations(range(3))
            for signs in itertools.product((1, -1), repeat=3)
            if math.prod(signs) == (1 if order in even else -1)
        ]
    )


def square_antiprism():
    height = math.sqrt(1 / (2 * math.sqrt(2) + 1))
    turns = math.pi / 4 * np.arange(8)
    radius = math.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turns), radius * np.sin(turns), height * (-1.0) ** np.arange(8)], axis=1)


def six_hundred_cell():
    golden = (1 + math.sqrt(5)) / 2
    axes = np.vstack([np.eye(4), -np.eye(4)])
    halves = np.array(list(itertools.product((-0.5, 0.5), repeat=4)))
    base = np.array([golden / 2, 0.5, 1 / golden / 2, 0])
    even = [p for p in itertools.permutations(range(4)) if np.linalg.det(np.eye(4)[list(p)]) > 0]
    rest = np.array(
        [(base * (*s, 1))[np.argsort(p)] for p in even for s in itertools.product((1, -1), repeat=3)],
    )
    return np.vstack([axes, halves, rest])


def petersen():
    simplex = np.eye(5) - 0.2
    return np.array([simplex[i] + simplex[j] for i, j in itertools.combinations(range(5), 2)])


E8 = e8_roots()
E7 = neighbours(E8, 0.5)
E6 = neighbours(E7, 1 / 3)
D5 = neighbours(E6, 0.25)
D4 = np.array([v for v in itertools.product((-1, 0, 1), repeat=4) if sum(map(abs, v)) == 2], dtype=float)


@pytest.mark.parametrize(
    ("dim", "code"),
    [
        (8, E8),
        (7, E7),
        (6, E6),
        (5, D5),
        (4, D4),
        (4, six_hundred_cell()),
        (4, petersen()),
        (3, snub_cube()),
        (3, square_antiprism()),
    ],
    ids=["E8", "E7", "E6", "16 in R^5", "24-cell", "600-cell", "Petersen", "snub cube", "square antiprism"],
)
def test_an_optimal_code_attains_its_bound(dim, code):
    assert np.linalg.matrix_rank(code) == dim
    assert separation(code) == pytest.approx(margin_upper_bound(len(code), dim), abs=1e-12)
    assert margin_optimum(len(code), dim).exact


def kerdock_forms(m):
    """The 2^(m−1) quadratic forms f_a(x, e) = Q(a·x) + e·Tr(a·x) on GF(2^(m−1)) × GF(2), as tables of 2^m bits."""
    degree = m - 1
    polynomial = {3: 0b1011, 5: 0b100101, 7: 0b10000011}[degree]

    def product(a, b):
        result = 0
        while b:
            if b & 1:
                result ^= a
            a, b = a << 1, b >> 1
            if a >> degree:
                a ^= polynomial
        return result

    def power(a, times):
        for _ in range(times):
            a = product(a, a)
        return a

    def trace(a):
        total = 0
        for i in range(degree):
            total ^= power(a, i)
        return total

    def form(a):
        total = 0
        for i in range(1, (degree - 1) // 2 + 1):
            total ^= trace(product(a, power(a, i)))
        return total

    field = range(2**degree)
    forms, traces = [form(a) for a in field], [trace(a) for a in field]
    return np.array(
        [[forms[product(a, x)] ^ (e & traces[product(a, x)]) for x in field for e in (0, 1)] for a in field]
    )


@pytest.mark.parametrize("m", [4, 6, 8])
def test_kerdock_bases_are_unbiased(m):
    dim = 2**m
    signs = 1 - 2 * kerdock_forms(m).astype(np.int8)
    characters = np.array([[1]], dtype=np.int8)
    for _ in range(m):
        characters = np.block([[characters, characters], [characters, -characters]])
    # Inner products of two bases are the characters' transform of the two forms' product.
    for i, j in itertools.combinations(range(0, len(signs), max(1, len(signs) // 24)), 2):
        transform = characters.astype(np.int32) @ (signs[i].astype(np.int32) * signs[j])
        assert set(np.abs(transform)) == {2 ** (m // 2)}
    optimum = margin_optimum(2 * dim * (dim // 2 + 1), dim)
    assert (optimum.lower, optimum.exact) == (1 - dim**-0.5, True)
    assert len(signs) + 1 == dim // 2 + 1
