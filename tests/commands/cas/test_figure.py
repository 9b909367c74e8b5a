"""The pictures."""

from unittest.mock import ANY

import numpy as np
import pytest

from gan_cli.commands.cas import figure
from gan_cli.commands.cas.findings import concluded, of_real, of_synthetic
from tests.helpers.cas import CLASSES, plan, results
from tests.helpers.figures import caught, lines

FOUND = concluded(
    plan().conditions,
    results(
        {
            "real": [0.99, 0.991],
            "synthetic": [0.97, 0.972],
            "real,per_class=50": [0.9, 0.91],
            "both,per_class=50": [0.95, 0.94],
            "both,ratio=1": [0.992, 0.99],
        }
    ),
    CLASSES,
)


def test_accuracy_is_drawn_over_the_real_images_and_joined_where_as_many_were_seen():
    (axes,) = caught(lambda: figure.accuracy(FOUND)).axes
    drawn = lines(axes)
    for name, ends in {"real": [0.905, 0.9905], "real + synthetic": [0.945, 0.991]}.items():
        few, all_of_them = (line for line in axes.lines if line.get_label().strip("_") == name)
        np.testing.assert_allclose([few.get_xdata(), all_of_them.get_xdata()], [[150], [6000]])
        np.testing.assert_allclose([few.get_ydata(), all_of_them.get_ydata()], [[end] for end in ends], atol=1e-12)
    np.testing.assert_allclose(drawn["6,000 synthetic"][1], 0.971, atol=1e-12)
    low, high = axes.get_ylim()
    ticks = axes.yaxis.get_majorticklocs()
    assert len([tick for tick in ticks if low <= tick <= high]) >= 4


def test_each_end_of_an_accuracy_can_be_drawn():
    for values in ([1.0, 1.0], [0.0, 0.0], [1.0]):
        found = concluded(plan().conditions, results({"real": values}), CLASSES)
        assert figure.pictures(found) == {"accuracy.png": ANY}


def test_the_confusions_leave_out_what_is_right():
    drawn = caught(lambda: figure.confusions(of_real(FOUND), of_synthetic(FOUND), CLASSES))
    for axes, wrong in zip(drawn.axes[:2], (0.0095, 0.029), strict=True):
        (image,) = axes.images
        shown = np.asarray(image.get_array().filled(np.nan))
        assert np.isnan(np.diag(shown)).all()
        assert shown[0, 1] ** 2 == pytest.approx(wrong, abs=1e-3)
        assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASSES)
    assert drawn.axes[0].images[0].get_clim() == drawn.axes[1].images[0].get_clim()


def test_all_three_are_pictures():
    assert {png[:4] for png in figure.pictures(FOUND).values()} == {b"\x89PNG"}
    assert sorted(figure.pictures(FOUND)) == ["accuracy.png", "classes.png", "confusion.png"]
