"""Published rows: typed values, what they stand for, and who is shown them."""

from collections import Counter

import pytest

from hpstudy.catalog import LOSSES, PUBLISHED, PUBLISHED_CAVEAT, PublishedRow, published_rows


def found(loss: str, source: str, protocol: str, s: float | None, m: float | None = None) -> PublishedRow:
    rows = [
        row
        for row in PUBLISHED
        if (row.loss, row.protocol, row.s, row.m) == (loss, protocol, s, m) and source in row.source
    ]
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(
    ("loss", "source", "protocol", "s", "m", "score"),
    [
        ("arcface", "ArcFace (CVPR 2019), Table 2", "LFW verification", 64.0, 0.5, 99.53),
        ("arcface", "ArcFace (CVPR 2019), Table 2", "AgeDB-30 verification", 64.0, 0.5, 95.15),
        ("arcface", "ArcFace (CVPR 2019), Table 2", "CFP-FP verification", 64.0, 0.55, 95.32),
        ("cosface", "ArcFace (CVPR 2019), Table 2", "CFP-FP verification", 64.0, 0.35, 95.44),
        ("sphereface", "ArcFace (CVPR 2019), Table 2", "AgeDB-30 verification", 64.0, 1.35, 91.70),
        ("normface", "ArcFace (CVPR 2019), Table 2", "AgeDB-30 verification", 64.0, None, 88.72),
        ("normface", "ArcFace (T-PAMI), Table 2", "AgeDB-30 verification", 20.0, None, 92.65),
        ("normface", "ArcFace (T-PAMI), Table 2", "LFW verification", 20.0, None, 99.20),
        ("adacos", "ArcFace (T-PAMI), Table 6", "MegaFace rank 1, refined", None, None, 97.41),
        ("p2sgrad", "ArcFace (T-PAMI), Table 6", "MegaFace rank 1, refined", None, None, 97.25),
        ("cosface", "CosFace", "MegaFace rank 1", 64.0, None, 77.11),
        ("a_softmax", "CosFace", "LFW verification", None, None, 99.42),
        ("l2_softmax", "NormFace", "LFW verification", None, None, 98.72),
        ("normface", "NormFace", "LFW verification", None, None, 99.16),
        ("adacos", "FaceX-Zoo", "MegaFace rank 1", None, None, 82.95),
        ("adacos", "FaceX-Zoo", "LFW verification", None, None, 99.65),
        ("arcface", "FaceX-Zoo", "MegaFace rank 1", 32.0, 0.35, 88.39),
        ("cosface", "FaceX-Zoo", "CPLFW verification", 32.0, 0.35, 83.63),
    ],
)
def test_values(loss: str, source: str, protocol: str, s: float | None, m: float | None, score: float) -> None:
    assert found(loss, source, protocol, s, m).score == score


def test_the_seed_noise_of_sphereface() -> None:
    scores = [row.score for row in PUBLISHED if "README of the released code" in row.source]
    assert scores == [99.24, 99.20, 99.30, 99.27, 99.13]
    assert sum(scores) / 5 == pytest.approx(99.228)


def test_rows_are_whole() -> None:
    assert all(row.loss in LOSSES and 0 < row.score < 100 and row.source and row.named for row in PUBLISHED)
    keys = Counter((row.source, row.named, row.s, row.m, row.protocol) for row in PUBLISHED)
    assert max(keys.values()) == 1
    assert all(row.digits == 1 for row in PUBLISHED if row.protocol.startswith("YTF"))
    assert "not comparable" in PUBLISHED_CAVEAT


def test_the_losses_of_a_study_pick_the_rows() -> None:
    assert {row.loss for row in published_rows(["adacos", "normface"])} == {"adacos", "normface"}
    assert published_rows(["am_softmax"]) == published_rows(["cosface"]) == published_rows(["additive_cosine+fixed"])
    assert {row.loss for row in published_rows(["sphereface"])} == {"sphereface", "a_softmax"}
    assert published_rows(["adacos_fixed", "their.module:loss", "none"]) == ()
    assert published_rows(["none+adacos_dynamic"]) == published_rows(["adacos"])
