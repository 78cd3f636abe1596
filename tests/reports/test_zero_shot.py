"""Zero-shot as text."""

from geocell.evaluation.zero_shot import score_zero_shot
from geocell.prediction.classify import Classification, Classified
from geocell.reports.zero_shot import classification_text, zero_shot_text
from tests.zeroshot.worlds import made, places


def test_accuracies_stand_with_their_intervals() -> None:
    value = score_zero_shot(made(), places(50)).to_dict()
    text = zero_shot_text("zs", value)
    share = value["zero_shot"]["accuracies"]["country"]
    low, high = value["zero_shot"]["intervals"]["country"]
    line = next(line for line in text.splitlines() if line.startswith("country "))
    assert line.split(maxsplit=2)[1:] == [f"{100 * share:.1f}", f"[{100 * low:.1f}, {100 * high:.1f}]"]
    assert "city, given the right country" in text
    assert "lie in countries without a candidate, and count as misses" in text
    assert "balscore" in text


def test_labels_of_images() -> None:
    found = Classification(("dry", "wet"), (Classified("a.jpg", (0.25, 0.75)), Classified("b.jpg", (), "no such file")))
    lines = [line.split() for line in classification_text(found).splitlines()]
    assert lines[2] == ["a.jpg", "75.0", "wet"]
    assert lines[3] == ["25.0", "dry"]
    assert lines[4][:2] == ["b.jpg", "–"]
    assert "do not add up" in classification_text(Classification(("a", "b"), (), independent=True))
