"""What all pictures share."""

from pathlib import Path

from geocell.plots.style import new_figure, own_style, save_figure


def test_text_is_no_formula(tmp_path: Path) -> None:
    with own_style():
        import matplotlib as mpl

        mpl.rcParams["svg.fonttype"] = "none"  # text instead of outlines
        figure = new_figure(2.0, 1.0)
        figure.text(0.1, 0.5, r"$\foo$ and $x^2$")
        svg = save_figure(figure, tmp_path / "a.svg").read_text(encoding="utf-8")
    assert r"$\foo$ and $x^2$" in svg


def test_the_style_of_the_user_is_restored() -> None:
    import matplotlib as mpl

    with mpl.rc_context({"text.parse_math": True, "font.size": 17.0}):
        with own_style():
            assert mpl.rcParams["font.size"] == 9.0
        assert mpl.rcParams["font.size"] == 17.0
        assert mpl.rcParams["text.parse_math"] is True
