"""Rendered characters: which are identities, and what their pictures are."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from hpstudy.data import Dataset, load_dataset
from hpstudy.data._faces import Face, built_in_faces, extra_faces
from hpstudy.data._glyphs import render_glyphs
from hpstudy.data._lookalikes import lookalikes, merge
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec


def render(characters: str, faces: tuple[Path, ...] = built_in_faces(), min_faces: int = 12) -> Dataset:
    return render_glyphs(faces, 32, min_faces=min_faces, characters=characters)


def code_points(dataset: Dataset) -> list[str]:
    return [name.split()[0] for name in dataset.identity_names]


def pictures_of(dataset: Dataset, identity: int) -> np.ndarray:
    return dataset.images[dataset.identities == identity, 0].numpy()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(DataSpec(), tmp_path_factory.mktemp("cache"))


def test_the_full_set_has_the_expected_size(full: Dataset) -> None:
    count = len(full.identity_names)
    assert 2150 <= count <= 2320
    assert 0.98 * 12 * count <= len(full.images) <= 12 * count
    assert full.images.shape[1:] == (1, 32, 32)
    assert full.identities.unique().tolist() == list(range(count))
    assert np.bincount(full.identities.numpy()).min() >= 2


def test_no_picture_is_found_under_two_identities(full: Dataset) -> None:
    pictures = full.images.numpy().reshape(len(full.images), -1)
    owners: dict[bytes, set[int]] = {}
    for picture, identity in zip(pictures, full.identities.tolist(), strict=True):
        owners.setdefault(picture.tobytes(), set()).add(identity)
    assert [identities for identities in owners.values() if len(identities) > 1] == []


def test_no_picture_is_blank_or_the_missing_glyph_box(full: Dataset) -> None:
    images = full.images.numpy()[:, 0]
    assert images.max(axis=(1, 2)).min() > 100
    for path in built_in_faces():
        box = Face(path, 32).missing_glyph
        assert box.any()
        assert not (images == box).all(axis=(1, 2)).any()


def test_no_identity_is_a_separator_or_a_control(full: Dataset) -> None:
    characters = [chr(int(name.split()[0][2:], 16)) for name in full.identity_names]
    assert {unicodedata.category(character)[0] for character in characters}.isdisjoint("ZC")
    assert characters == sorted(characters)


@pytest.mark.parametrize(
    ("alike", "name"),
    [
        ("AΑА", "U+0041 LATIN CAPITAL LETTER A (also U+0391, U+0410)"),
        ("ËЁ", "U+00CB LATIN CAPITAL LETTER E WITH DIAERESIS (also U+0401)"),
        ("oοоօ", "U+006F LATIN SMALL LETTER O (also U+03BF, U+043E, U+0585)"),
    ],
)
def test_characters_that_look_alike_are_one_identity(alike: str, name: str) -> None:
    dataset = render(alike)
    assert dataset.identity_names == (name,)
    assert len(dataset.images) == 12


@pytest.mark.parametrize("different", ["Aa", "',", ".·", "xˣ", "ἀἁ", "ÛȖ"])
def test_characters_that_look_different_stay_apart(different: str) -> None:
    dataset = render(different)
    assert len(dataset.identity_names) == 2
    assert len(dataset.images) == 24


def test_a_lookalike_in_few_faces_loses_only_those_pictures() -> None:
    dataset = render("mт")
    assert code_points(dataset) == ["U+006D", "U+0442"]
    assert np.bincount(dataset.identities.numpy()).tolist() == [12, 10]  # one shape in the two serif italics


def test_blanks_and_unassigned_characters_are_left_out() -> None:
    assert code_points(render("A \u00a0\u200b\u00ad\u2003\ufffc\U0010ffff\n")) == ["U+0041"]


def test_rendering_is_deterministic_and_keeps_code_point_order() -> None:
    first, second = render("zgA%"), render("A%gz")
    assert first.content_hash == second.content_hash
    assert code_points(first) == ["U+0025", "U+0041", "U+0067", "U+007A"]


def test_a_wide_glyph_is_shrunk_to_fit() -> None:
    picture = Face(built_in_faces()[0], 16).draw("‱")
    columns = np.flatnonzero(picture.any(axis=0))
    assert (columns[0], columns[-1]) == (0, 15)


def test_no_character_left() -> None:
    with pytest.raises(InputError, match="12 font faces have no drawable character that 12 of them share"):
        render(" ")


def write_font(path: Path, characters: str, offset: int = 0) -> None:
    """A font whose characters are rectangles of different heights, with a mapped character shown as .notdef too."""
    names = [f"u{ord(character):04X}" for character in characters]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap(dict(zip(map(ord, characters), names, strict=True)))
    glyphs = {}
    for height, name in enumerate([".notdef", *names]):
        pen = TTGlyphPen(None)
        corners = [(50, 0), (50, 300 + 90 * height + offset), (450, 300 + 90 * height + offset), (450, 0)]
        pen.moveTo(corners[0])
        for corner in corners[1:]:
            pen.lineTo(corner)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (500, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def test_extra_fonts_add_faces_and_characters(tmp_path: Path) -> None:
    write_font(tmp_path / "one.ttf", "A㐀㐁")
    write_font(tmp_path / "two.ttf", "A㐀", offset=40)
    (tmp_path / "README.txt").write_text("not a font")
    extra = extra_faces(tmp_path)
    assert [path.name for path in extra] == ["one.ttf", "two.ttf"]
    dataset = render("AB㐀㐁", built_in_faces() + extra, min_faces=2)
    assert code_points(dataset) == ["U+0041", "U+0042", "U+3400"]  # U+3401 is in one face only
    assert np.bincount(dataset.identities.numpy()).tolist() == [14, 12, 2]


def test_extra_fonts_change_the_cached_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    write_font(fonts / "one.ttf", "㐀㐁")
    write_font(fonts / "two.ttf", "㐀㐁", offset=40)
    monkeypatch.setattr("hpstudy.data._glyphs.built_in_faces", lambda: built_in_faces()[:1])
    monkeypatch.setattr("hpstudy.data._glyphs.is_drawable", lambda code: code > 0x3000)
    spec = DataSpec(fonts=str(fonts))
    first = load_dataset(spec, tmp_path)
    write_font(fonts / "two.ttf", "㐀㐁", offset=80)
    second = load_dataset(spec, tmp_path)
    assert first.identity_names == second.identity_names
    assert first.content_hash != second.content_hash


def test_a_broken_font_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.otf").write_bytes(b"OTTO and nothing more")
    with pytest.raises(InputError, match=r"broken\.otf must be an outline font"):
        load_dataset(DataSpec(fonts=str(tmp_path)), tmp_path)


def test_a_folder_without_fonts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.fonts must be a folder of \.ttf or \.otf files, but .* has none"):
        extra_faces(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        extra_faces(tmp_path / "absent")


def test_matplotlib_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="matplotlib is not installed"):
        built_in_faces()


def test_lookalikes_agree_with_comparing_all_pairs() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (5, 32, 32))
    noisy = np.clip(np.repeat(base, 3, axis=0) + rng.integers(-16, 17, (15, 32, 32)), 0, 255)
    pictures = np.concatenate([noisy, rng.integers(0, 256, (5, 32, 32))]).astype(np.uint8)
    wide = pictures.astype(int)
    expected = [(a, b) for a in range(20) for b in range(a + 1, 20) if np.abs(wide[a] - wide[b]).max() <= 32]
    assert len(expected) > 0
    for block_size in (3, 1024):
        assert sorted(map(tuple, lookalikes(pictures, block_size).tolist())) == expected


def test_merging_needs_half_of_the_shared_faces() -> None:
    has = np.ones((4, 4), bool)
    has[3, 2:] = False
    none = np.empty((0, 2), np.int64)
    first = np.array([[0, 1], [1, 2], [2, 3]])
    second = np.array([[0, 1]])
    assert merge([first, second, none, none], has).tolist() == [0, 0, 1, 1]
