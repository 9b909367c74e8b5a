"""`gan-divergence`: the printed formulas are those of the code, and every sub-command does what it says."""

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch
from PIL import Image
from sympy.parsing.sympy_parser import (
    implicit_multiplication_application,
    parse_expr,
    standard_transformations,
)

from gan_cli.commands.divergence import formulas, listing
from gan_cli.commands.divergence.calculus import slope
from gan_cli.commands.divergence.laws import RATIOS
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.divergences.strictly_convex import StrictlyConvex
from scripts import divergence_tables
from tests.helpers import figures
from tests.helpers.runs import tree

NAMES = options.names("divergence")
PAGE = Path(__file__).parents[2] / "docs" / "divergences.md"

SIGNS = {"−": "-", "½": "(1/2)", "²": "**2", "^": "**", "·": "*", "∞": "oo", "≥": ">=", "≤": "<=", "e**": "E**"}
PARAMETERS = {"π": "weight", "α": "alpha", "b": "real_label", "a": "fake_label", "c": "generator_label"}
KNOWN = {
    **{name: sympy.Symbol(name) for name in "utvpqm"},
    **{"W": sympy.LambertW, "max": sympy.Max, "min": sympy.Min, "σ": lambda x: 1 / (1 + sympy.exp(-x))},
    "k": lambda a, b: sum((1 + (a - b) ** 2 / (2 * alpha)) ** -alpha for alpha in (0.2, 0.5, 1, 2, 5)) / 5,
}


def parse(text: str, divergence: Divergence) -> sympy.Expr:
    """A printed formula, with the parameters of the divergence in place of their signs."""
    if piecewise := re.fullmatch(r"(.*) for (.*), else (.*)", text):
        first, condition, second = (parse(part, divergence) for part in piecewise.groups())
        return sympy.Piecewise((first, condition), (second, True))
    text = re.sub(r"\|([^|]+)\|", r"Abs(\1)", re.sub(r"√(\w)", r"sqrt(\1)", text.replace("√(", "sqrt(")))
    for sign, word in SIGNS.items():
        text = text.replace(sign, word)
    for sign in "πα":
        if hasattr(divergence, PARAMETERS[sign]):
            text = text.replace(sign, f"({getattr(divergence, PARAMETERS[sign])!r})")
    return parse_expr(
        text,
        local_dict=dict(KNOWN),
        transformations=(*standard_transformations, implicit_multiplication_application),
    )


def evaluate(text: str, divergence: Divergence, **values: torch.Tensor) -> torch.Tensor:
    """A printed formula at each of the values of its variables."""
    expression = parse(text, divergence)
    labels = {sign: getattr(divergence, PARAMETERS[sign]) for sign in "abc" if hasattr(divergence, PARAMETERS[sign])}
    expression = expression.subs(labels)
    rows = zip(*(value.tolist() for value in values.values()), strict=True)
    results = [float(expression.evalf(30, subs=dict(zip(map(KNOWN.get, values), row, strict=True)))) for row in rows]
    return torch.tensor(results, dtype=torch.float64)


def built(text: str) -> Divergence:
    divergence: Divergence = build(options.option("divergence", text), Divergence, text)
    return divergence


OTHER_BRANCHES = ["alpha:alpha=-1.0", "alpha:alpha=1.5", "alpha:alpha=3.0", "js_weighted:weight=0.3"]
F_DIVERGENCES = [name for name in NAMES if formulas.of(name).is_f_divergence] + OTHER_BRANCHES
OTHERS = [name for name in NAMES if not formulas.of(name).is_f_divergence]

P = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
Q = torch.tensor([0.125, 0.125, 0.25, 0.5], dtype=torch.float64)


@pytest.fixture(params=F_DIVERGENCES)
def stated(request) -> tuple[formulas.Formulas, FDivergence]:
    divergence = built(request.param)
    assert isinstance(divergence, FDivergence)
    return formulas.of(request.param), divergence


def test_printed_functions_are_those_of_the_code(stated):
    printed, divergence = stated
    divergence = replace(divergence, link="paper") if isinstance(divergence, StrictlyConvex) else divergence
    u, v = RATIOS[::7], torch.linspace(-3.3, 3.3, 7, dtype=torch.float64)
    t = divergence.activation(v)
    torch.testing.assert_close(evaluate(printed["f"], divergence, u=u), divergence.f(u))
    torch.testing.assert_close(evaluate(printed["g"], divergence, v=v), t)
    torch.testing.assert_close(evaluate(printed["f*"], divergence, t=t), divergence.conjugate(t))


def test_printed_critic_is_the_slope_of_f(stated):
    printed, divergence = stated
    torch.testing.assert_close(evaluate(printed["T"], divergence, p=P, q=Q), slope(divergence.f, P / Q))
    at_one = float(parse(printed["f′(1)"], divergence))
    assert at_one == pytest.approx(divergence.f_prime_at_one, abs=1e-15)


def test_printed_domain_is_that_of_the_code(stated):
    printed, divergence = stated
    end = re.sub(r"all t", "∞", re.sub(r"t [<≤] ", "", printed["domain"]))
    assert float(parse(end, divergence)) == pytest.approx(divergence.conjugate_domain[1])
    assert divergence.conjugate_domain[0] == -math.inf


def test_printed_integral_is_the_divergence(stated):
    printed, divergence = stated
    integrand = printed["value"].rpartition("∫ ")[2]
    weight = getattr(divergence, "weight", 0.0)
    computed = evaluate(integrand, divergence, p=P, q=Q, m=weight * P + (1 - weight) * Q)
    torch.testing.assert_close(computed, Q * divergence.f(P / Q))


def test_printed_descent_of_the_non_saturating_form_is_that_of_the_code(stated):
    printed, divergence = stated
    integrand = printed["non-saturating"].rpartition("∫ ")[2]
    weight = getattr(divergence, "weight", 0.0)
    computed = evaluate(integrand, divergence, p=P, q=Q, m=weight * P + (1 - weight) * Q)
    terms = [weight * (Q * term.f(P / Q)).sum() for weight, term in divergence.descended()]
    torch.testing.assert_close(computed.sum(), sum(terms))


def test_printed_extremes_are_those_of_the_code(stated):
    printed, divergence = stated
    at_one = divergence.f(torch.ones(1, dtype=torch.float64)).item()
    assert float(parse(printed["at P = Q"], divergence)) == pytest.approx(at_one, abs=1e-15)
    assert float(parse(printed["disjoint"], divergence)) == pytest.approx(divergence.of_disjoint)


@pytest.mark.parametrize(("field", "wrong"), [("f", "u log u + 1e−6"), ("g", "−v"), ("f*", "e^t−1")])
def test_a_wrong_printed_formula_is_noticed(field, wrong):
    printed, divergence = formulas.of("kl"), built("kl")
    with pytest.raises(AssertionError):
        test_printed_functions_are_those_of_the_code(
            (replace(printed, stated={**printed.stated, field: wrong}), divergence)
        )


@pytest.mark.parametrize("name", OTHERS)
def test_printed_objectives_are_those_of_the_code(name):
    """For two samples of each side that are alike."""
    printed, divergence = formulas.of(name), built(name)
    real, fake = torch.tensor([[-30.0, -0.7, 0.4, 2.5], [30.0, 0.9, -0.3, 1.7]], dtype=torch.float64)
    for field, computed in {"critic": divergence.estimate, "generator": divergence.generator_objective}.items():
        text = printed[field][: printed[field].rindex("]") + 1]
        text = re.sub(r"E_P\[(.*?)\]", lambda found: f"({found[1].replace('v', 'p')})", text)
        text = re.sub(r"E_Q\[(.*?)\]", lambda found: f"({found[1].replace('v', 'q')})", text)
        text = re.sub(r"E\[(.*?)\]", r"(\1)", re.sub("v_fake′?", "q", re.sub("v_real′?", "p", text)))
        values = evaluate(text, divergence, p=real, q=fake)
        pairs = zip(real, fake, strict=True)
        both = [(r.expand(2), f.expand(2)) for r, f in pairs]
        scores = [(r, f) if field == "critic" else (f, r) for r, f in both]
        torch.testing.assert_close(values, torch.stack([computed(*score) for score in scores]))


@pytest.mark.parametrize("name", ["lsgan", "hinge"])
def test_printed_best_critic_attains_the_printed_value(name):
    printed, divergence = formulas.of(name), built(name)
    factor, _, integrand = printed["value"].partition(" = ")[0].partition("∫ ")
    value = evaluate(f"({factor})", divergence, p=P[:1]) * evaluate(integrand, divergence, p=P, q=Q).sum()
    best = evaluate(printed["best"], divergence, p=P, q=Q)
    real, fake = (best.repeat_interleave((of * 8).long()) for of in (P, Q))
    torch.testing.assert_close(divergence.estimate(real, fake), value[0])
    torch.testing.assert_close(divergence.exact(P.log(), Q.log(), torch.ones_like(P)), value[0])


def rows(text: str) -> dict[str, str]:
    """The rows of all tables of divergences, by name."""
    tables = re.findall(r"^\| `divergence=` \|.*\n\|---.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    return {row.split("`")[1]: row for table in tables for row in table.splitlines()}


def test_every_row_of_the_page_is_what_the_command_prints(inside):
    """A divergence that is new may be missing until `make docs` writes its row."""
    listed, page = rows(inside("gan-divergence", "list", "--format", "markdown").out), rows(PAGE.read_text())
    assert listed.keys() == set(NAMES)
    stale = [name for name, row in page.items() if listed.get(name) != row]
    assert stale == [], "make docs writes them anew"
    assert len(page) >= 17
    assert [name for name in page if "source" not in formulas.of(name).stated] == []


def test_the_tables_are_written_into_the_page_in_the_order_of_the_list(inside):
    printed = inside("gan-divergence", "list", "--format", "markdown").out.strip().split("\n\n")
    damaged = re.sub(r"^\| `(kl|hinge)` \|.*\n", "", PAGE.read_text(), flags=re.MULTILINE)
    written = divergence_tables.with_tables(damaged)
    assert all(f"\n\n{table}\n\n" in written for table in printed)
    lines = set(written.splitlines()) ^ set(PAGE.read_text().splitlines())
    assert not [line for line in lines if not line.startswith("| `")]


def test_the_list_fits_a_terminal_and_has_every_field(inside):
    listed = inside("gan-divergence", "list")
    assert max(map(len, listed.out.splitlines())) <= listing.WIDTH
    assert re.findall(r"^(\w+) – ", listed.out, re.MULTILINE) == NAMES
    for name in NAMES:
        printed = formulas.of(name)
        required = formulas.FIELDS[:9] if printed.is_f_divergence else formulas.FIELDS[9:12]
        assert {*required, "value"} <= printed.stated.keys()
        assert all(text.split()[0] in listed.out for text in printed.stated.values())


def test_a_penalty_and_its_source_stand_beside_the_objective(inside):
    listed = inside("gan-divergence", "list", "wgan_gp").out
    assert "E_P[v] − E_Q[v], less interpolate\n" in listed
    assert "Gulrajani 2017" in listed
    assert "kl" not in listed


COMMAND = [sys.executable, "-c", "from gan_cli.cli import divergence; divergence()"]


def test_listing_does_not_import_torch():
    script = (
        "import sys; sys.argv = ['gan-divergence', 'list']; from gan_cli.cli import divergence; divergence();"
        " assert not {'torch', 'scipy', 'numpy', 'matplotlib'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_stops_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "list"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""


def test_a_terminal_without_the_signs_is_no_error():
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "list"], env=ascii_only, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_everything_passes_the_check(inside):
    checked = inside("gan-divergence", "check")
    assert checked.code == 0, checked.err
    assert checked.out.endswith("Every law holds.\n")
    assert max(map(len, checked.out.splitlines())) <= 100
    identity = {line.split()[0]: line.split()[1] for line in checked.out.split("\n\n")[0].splitlines()[2:]}
    both = {f"{name}:link=ratio" for name in NAMES if isinstance(built(name), StrictlyConvex)}
    assert {re.sub("link=paper", "link=ratio", name) for name in identity} == set(NAMES) | both
    of_f_divergences = {name for name, error in identity.items() if error != "–"}
    assert of_f_divergences == {name for name in identity if formulas.of(name).is_f_divergence}
    assert all(float(identity[name]) <= 1e-6 for name in of_f_divergences)


def test_the_check_takes_parameters(inside):
    checked = inside("gan-divergence", "check", "alpha:alpha=1.5", "js_weighted:weight=0.1:critic_steps=2")
    assert checked.code == 0, checked.err
    assert "alpha:alpha=1.5 " in checked.out


def test_a_plot_has_a_row_of_functions_for_each(inside, tmp_path):
    """Those of KL written out; a Wasserstein distance has no f, and its losses are lines."""
    out = tmp_path / "new" / "plot.png"
    figure = figures.caught(lambda: inside("gan-divergence", "plot", "kl:link=paper", "wgan_gp", "--out", str(out)))
    kl, wasserstein = figure.axes[:5], figure.axes[5:]
    for axes, title, formula in zip(
        kl[:3],
        ("f(u)", "f*(t)", "g_f(v)"),
        (lambda u: u * np.log(u), lambda t: np.exp(t - 1), lambda v: v),
        strict=True,
    ):
        (curve,) = axes.lines
        np.testing.assert_allclose(curve.get_ydata(), formula(np.asarray(curve.get_xdata())), rtol=1e-12)
        assert axes.get_title() == title
    critic, generator = map(figures.lines, kl[3:])
    for shown, curves in (
        (critic, {"real: −g_f(v)": lambda v: -v, "fake: f*(g_f(v))": lambda v: np.exp(v - 1)}),
        (generator, {"non-saturating": lambda v: -v, "minimax": lambda v: -np.exp(v - 1)}),
    ):
        assert shown.keys() == curves.keys()
        for name, formula in curves.items():
            v, values = shown[name]
            np.testing.assert_allclose(values, formula(v), rtol=1e-12)
    assert [axes.axison for axes in wasserstein] == [False, False, False, True, True]
    real, fake = (np.asarray(line.get_ydata()) for line in wasserstein[3].lines)
    (line,) = wasserstein[4].lines
    v = np.asarray(line.get_xdata())
    for values, factor in ((real, -1), (fake, 1), (np.asarray(line.get_ydata()), -1)):
        np.testing.assert_allclose(values, factor * v, atol=1e-12)
    assert [row[0].texts[0].get_text() for row in (kl, wasserstein)] == ["kl:link=paper", "wgan_gp"]


def test_a_plot_is_written_where_it_is_asked_for(inside, tmp_path):
    out = tmp_path / "new" / "plot.png"
    assert inside("gan-divergence", "plot", "hinge", "--out", str(out)).code == 0
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 20)}
    # The losses of the critic and of the generator, in matplotlib's orange, blue and purple.
    assert {(255, 127, 14), (31, 119, 180), (148, 103, 189)} <= colours


def test_exact_values_are_a_table(inside):
    gaussians = ["gaussian", "gaussian:mean=[1.0]:deviation=2.0"]
    named = inside("gan-divergence", "exact", *gaussians, "--divergence", "kl", "reverse_kl", "pearson")
    kl = math.log(2) + 2 / 8 - 0.5
    assert named.code == 0, named.err
    assert named.out.splitlines()[0].split() == ["kl", f"{kl:.6g}", "nats"]
    infinite = inside("gan-divergence", "exact", *reversed(gaussians), "--divergence", "pearson")
    assert infinite.out.split() == ["pearson", "infinite"]


def test_exact_distances_are_printed_with_the_error_that_samples_leave(inside):
    known = inside("gan-divergence", "exact", "gaussian", "gaussian:mean=[-2.5]", "--divergence", "wgan_gp", "wgan_lp")
    assert known.code == 0, known.err
    assert [line.split(maxsplit=1) for line in known.out.splitlines()] == [
        ["wgan_gp", "2.5 units of the data"],
        ["wgan_lp", "2.5 units of the data"],
    ]
    plane = ["gaussian:mean=[0.0,0.0]", "gaussian:mean=[0.0,4.0]"]
    sampled = inside("gan-divergence", "exact", *plane, "--divergence", "wgan_lp", "total_variation")
    (_, value, sign, error, *unit), (_, variation) = (line.split() for line in sampled.out.splitlines())
    assert (sign, unit) == ("±", ["units", "of", "the", "data"])
    assert abs(float(value) - 4) < float(error) < 0.5
    assert variation == f"{math.erf(2 / math.sqrt(2)):.6g}"


def test_exact_values_are_of_all_that_have_a_closed_form(inside):
    every = inside("gan-divergence", "exact", "gaussian", "gaussian:mean=[1.0]")
    names = [line.split()[0] for line in every.out.splitlines()]
    assert names[:2] == ["alpha", "gan"]
    assert {"hinge", "lsgan", "wgan_gp", "wgan_lp"} < set(names)
    assert not {"wgan_clip", "relativistic"} & set(names)


BAD = [
    ("list wgan_pg", "wgan_pg is not a divergence", "did you mean wgan_lp?"),
    ("check χ", "χ is not a divergence", "choose one of alpha"),
    ("check alpha:alpha=1", "alpha.alpha=1 is a limit", "use divergence=kl"),
    ("check alpha:alpha=x", "alpha.alpha=x must be", "a finite number"),
    ("check alpha:alpha", "alpha:alpha: alpha has no value", "write alpha:alpha=…"),
    ("check alpha:alpha=2:alpha=3", "alpha:alpha=2:alpha=3: alpha is given twice", "leave one out"),
    ("check alpha:beta=2", "beta is not a key of alpha", "choose one of alpha"),
    ("check kl:generator_loss=maximin", "kl.generator_loss=maximin", "one of minimax, non_saturating"),
    ("check kl --config-dir nowhere", "--config-dir nowhere is not a folder", "name the one"),
    ("check broken --config-dir mine", "mine/divergence/broken.yaml cannot be read", "mend it"),
    ("check lost --config-dir mine", "lost._target_=nowhere.Class is not found", "PYTHONPATH"),
    ("list lost --config-dir mine", "lost._target_=nowhere.Class is not found", "PYTHONPATH"),
    ("check nested --config-dir mine", "mine/divergence/nested.yaml cannot be read", "defaults name an option"),
    ("check raises --config-dir mine", "raises: identity cannot be computed", "of this kind"),
    ("plot kl --out file.txt/kl.png", "--out file.txt/kl.png cannot be written", "choose another place"),
    ("plot kl --out new/kl.jpg", "--out new/kl.jpg", "must end in .png"),
    ("plot kl --out mine.png", "--out mine.png cannot be written", "choose another place"),
    ("plot kl --out run/curves.png", "--out run/curves.png is where a run keeps its own", "choose another place"),
    ("plot lk --out new/kl.png", "lk is not a divergence", "choose one of"),
    ("plot kl", "required: --out", "--help lists the options"),
    ("exact ring", "required: Q", "--help lists the options"),
    ("exact ring mnist5k", "mnist5k has no density", "choose a toy"),
    ("exact ring circle", "circle is not a dataset", "choose one of"),
    ("exact ring gaussian", "ring and gaussian: P has points of 2", "choose two that agree"),
    ("exact ring ring --divergence wgan_pg", "wgan_pg is not a divergence", "did you mean wgan_lp?"),
    ("exact ring ring:deviation=0", "ring.deviation=0 must be", "above 0"),
    ("exact ring ring:deviation=0.1 --divergence relativistic", "relativistic of ring and ring:", "has no closed form"),
    ("exact ring ring --divergence wgan_clip", "wgan_clip of ring and ring: the slope", "is unknown"),
    ("", "required: COMMAND", "--help lists the options"),
]


class Raising(FDivergence):
    """A divergence whose formulas trip."""

    def f(self, u):
        raise IndexError("no tensor of this kind")

    conjugate = activation = conjugate_of_activation = f


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    (root / "file.txt").write_text("text")
    (root / "mine.png").mkdir()
    (root / "run" / ".hydra").mkdir(parents=True)
    (root / "run" / ".hydra" / "config.yaml").write_text("seed: 0")
    (root / "mine" / "divergence").mkdir(parents=True)
    target = f"_target_: {__name__}.Raising\ngenerator_loss: minimax\n"
    nested = f"defaults:\n  - penalty: nowhere\n{target}"
    options = {"broken": "a: [1\nb: 2", "lost": "_target_: nowhere.Class", "nested": nested, "raises": target}
    for name, text in options.items():
        (root / "mine" / "divergence" / f"{name}.yaml").write_text(text)
    return root


@pytest.mark.thorough
@pytest.mark.parametrize(("words", "wrong", "remedy"), BAD, ids=[words for words, _, _ in BAD])
def test_bad_input_ends_in_one_line_with_nothing_written(inside, monkeypatch, workspace, words, wrong, remedy):
    monkeypatch.chdir(workspace)
    before = tree(workspace)
    done = inside("gan-divergence", *words.split())
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("gan-divergence")
    assert done.err.count("\n") == 1
    assert wrong in done.err
    assert remedy in done.err
    assert tree(workspace) == before
