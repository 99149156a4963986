"""`hpstudy losses` on an app of its own."""

import json

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hpstudy.catalog import CRITERIA, LOSSES, MARGINS, SCALES
from hpstudy.cli import _loss_view, _losses_view
from hpstudy.cli._curve import braille_curve
from hpstudy.cli._flow import flow, hanging
from hpstudy.cli._loss_curve import curve_lines, half_text, loss_curve
from hpstudy.cli._theory import losses
from hpstudy.exceptions import InputError

REGULARISERS = [name for name in CRITERIA if name not in LOSSES]
DRAWN = [name for name, info in LOSSES.items() if info.criterion in ("", "sphereface2")]

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(losses)


def run(*arguments, columns=80):
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, arguments)
    assert result.exception is None, result.output
    return result.stdout


def as_json(*arguments):
    return json.loads(run(*arguments, "--json").splitlines()[-1])


def words(text):
    return " ".join(text.split())


def test_every_loss_is_in_one_group():
    listed = [info.name for group in _losses_view.groups().values() for info in group]
    assert sorted(listed) == sorted(LOSSES)
    assert all(_losses_view.groups().values())


def test_family_lists_every_loss_parameter_and_part():
    lines = run().splitlines()
    names = {line.split()[0] for line in lines if line and not line.startswith(" ")}
    assert names >= {*LOSSES, *CRITERIA}
    text = words(run(columns=200))
    for info in LOSSES.values():
        for parameter in info.parameters.values():
            low, high = parameter.plausible
            assert f"{parameter.name} {parameter.unit} {parameter.default:.4g} {low:g} … {high:g}" in text
        assert info.bound in text
    for part in (*MARGINS, *SCALES):
        assert part in text
    assert "weight dimensionless 0.01 0.001 … 10" in text


def test_family_has_each_paper_and_bound_once():
    text = words(run(columns=200))
    for info in (*LOSSES.values(), *CRITERIA.values()):
        assert text.count(str(info.paper)) == 1
    assert text.count("by CosFace's argument") == 1
    assert "as arcface" in text


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", [None, *LOSSES, *REGULARISERS])
def test_lines_fit_the_terminal(name, columns):
    lines = run(*filter(None, [name]), columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("name", LOSSES)
def test_one_loss(name):
    text, info = words(run(name)), LOSSES[name]
    for part in (info.title, info.formula, str(info.paper), info.bound):
        assert words(part) in text
    for row in (*info.parameters.values(), *info.options.values()):
        assert words(row.meaning) in text
    for kind, table in (("margin", MARGINS), ("scale", SCALES)):
        part = getattr(info, kind)
        assert not part or f"{kind} {part}: {words(table[part].formula)}" in text
    assert ("C = 1000" in text and "180°" in text) == (name in DRAWN)
    assert ("P = 1/2 at" in text) == (name in DRAWN)
    assert ("no P(θ) curve" in text) == (name not in DRAWN)


@pytest.mark.parametrize("name", CRITERIA)
def test_one_regulariser(name):
    text, info = words(run(name)), CRITERIA[name]
    assert words(info.formula) in text
    assert f"regularisers: {{{name}: {{weight: {info.weight.default:g}}}}}" in text
    if name in REGULARISERS:
        assert info.weight.meaning in text
        assert "no P(θ) curve" in text


def test_family_as_json():
    family = as_json()
    assert [row["name"] for row in family["losses"]] == list(LOSSES)
    assert [row["name"] for row in family["regularisers"]] == list(CRITERIA)
    assert [row["name"] for row in family["margins"]] == list(MARGINS)
    assert [row["name"] for row in family["scales"]] == list(SCALES)
    row = family["losses"][list(LOSSES).index("sphereface2")]
    assert (row["criterion"], row["margin"], row["norm_invariant"]) == ("sphereface2", "", True)
    assert family["regularisers"][0]["weight"]["default"] == 0.01


def test_one_as_json():
    row = as_json("arcface")
    assert row["parameters"]["m"]["unit"] == "rad"
    assert row["options"]["past_pi"]["default"] == "monotone"
    assert len(row["curve"]["theta_deg"]) == len(row["curve"]["posterior"])
    assert row["curve"]["posterior"][0] > 0.99
    # cos(θ + 1/2) = log(999)/64
    assert row["curve"]["half_at_deg"] == pytest.approx(55.1, abs=0.1)
    assert as_json("p2sgrad")["curve"] is None
    regulariser = as_json("intra")
    assert (regulariser["alone"], regulariser["curve"]) == (False, None)


def test_losses_of_installed_packages_are_listed(monkeypatch):
    for view in (_losses_view, _loss_view):
        monkeypatch.setattr(view, "installed_losses", lambda: {"my-loss": "my_package.losses:my_loss"})
    assert "my-loss my_package.losses:my_loss" in words(run())
    assert as_json()["installed"] == {"my-loss": "my_package.losses:my_loss"}
    assert "my_package.losses:my_loss, from an installed package" in run("my-loss")
    assert as_json("my-loss")["installed"] == "my_package.losses:my_loss"


def test_without_installed_packages_there_is_no_heading(monkeypatch):
    monkeypatch.setattr(_losses_view, "installed_losses", dict)
    assert "installed" not in run()


@pytest.mark.parametrize(
    ("name", "nearest"), [("cosfase", "cosface"), ("CosFace", "cosface"), ("intr", "intra"), ("", "")]
)
def test_an_unknown_name_gets_the_nearest(name, nearest):
    for arguments in ([name], [name, "--json"]):
        result = CliRunner().invoke(app, arguments)
        with pytest.raises(InputError, match=f"unknown loss or regulariser '{name}', did you mean '{nearest}"):
            raise result.exception
        assert result.stdout == ""


@pytest.mark.parametrize("name", DRAWN)
def test_curve_is_what_the_head_computes(name):
    torch = pytest.importorskip("torch")
    from hpstudy.losses import build_head
    from hpstudy.losses.criteria import SphereFace2

    classes, info = 6, LOSSES[name]
    curve = loss_curve(info, classes)
    theta = torch.tensor(curve.theta_deg, dtype=torch.float64).deg2rad()
    if info.criterion:
        criterion = SphereFace2(num_classes=classes, **info.defaults)
        similarity = 2 * ((theta.cos() + 1) / 2) ** criterion.t - 1
        posterior = torch.sigmoid(criterion.s * (similarity - criterion.m) + criterion.b.detach().double())
    else:
        head = build_head(name, num_classes=classes, embedding_dim=classes + 1).double().eval()
        with torch.no_grad():
            head.weight.copy_(torch.eye(classes, classes + 1))
        if name == "a_softmax":
            head.margin.steps.fill_(10**6)
        embeddings = torch.zeros(len(theta), classes + 1, dtype=torch.float64)
        embeddings[:, 0], embeddings[:, -1] = theta.cos(), theta.sin()
        embeddings *= 10.0 if name == "magface" else 20.0
        labels = torch.zeros(len(theta), dtype=torch.int64)
        posterior = head(embeddings, labels).logits.softmax(1)[:, 0].detach()
    # What the heads keep in float32 shows.
    assert posterior.numpy() == pytest.approx(curve.posterior, abs=1e-7)


def test_curve_marks_where_the_posterior_is_one_half():
    curve = loss_curve(LOSSES["cosface"])
    lines = curve_lines(curve)
    assert sum(line.count("●") for line in lines) == 1
    middle = next(line for line in lines if "●" in line)
    assert middle.startswith(" 0.5 ┤")
    assert middle.index("●") - middle.index("┤") - 1 == pytest.approx(curve.half_at_deg / 3, abs=1)
    assert half_text(curve) == "● P = 1/2 at 62.7°"
    assert half_text(loss_curve(LOSSES["normface"], 10**12)) == "P < 1/2 everywhere"
    assert half_text(loss_curve(LOSSES["normface"], 2)) == "● P = 1/2 at 90.0°"
    # With two classes the fixed AdaCos scale is 0.
    assert half_text(loss_curve(LOSSES["adacos"], 2)) == "P ≥ 1/2 everywhere"


@given(st.text("ab =−([{}]);,.·", max_size=200), st.integers(1, 60))
def test_flow_keeps_every_word(text, width):
    assert "".join("".join(flow(text, width)).split()) == "".join(text.split())


@given(st.text("ab ([{}]);,", max_size=200), st.integers(1, 60))
def test_flow_keeps_to_the_width_where_there_is_a_space(text, width):
    assert [line for line in flow(text, width) if len(line) > width and " " in line[1 : width + 1]] == []


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("s ≥ 1 (eq. 6); 0 ≤ m ≤ 1", 40, ["s ≥ 1 (eq. 6); 0 ≤ m ≤ 1"]),
        ("s ≥ 1 (eq. 6); 0 ≤ m ≤ 1", 20, ["s ≥ 1 (eq. 6);", "0 ≤ m ≤ 1"]),
        ("s ≥ log(a + b) / (cos m + 1)", 24, ["s ≥ log(a + b)", "/ (cos m + 1)"]),
        ("z = 1,  k = 2", 20, ["z = 1,  k = 2"]),
        ("z = 1,  k = 2", 10, ["z = 1,", "k = 2"]),
    ],
)
def test_flow_breaks_where_a_formula_can_bear_it(text, width, lines):
    assert flow(text, width) == lines


def test_hanging():
    assert hanging("a  ", "one; two", 9, indent=1) == " a  one;\n    two"


def test_braille_curve_fills_gaps_and_keeps_to_its_box():
    assert braille_curve([1.0, 1.0, 0.0, 0.0], 2) == ["⠉⡆", "⠀⣇"]
    assert braille_curve([2.0, -1.0], 1) == ["⢱"]
