"""What a notebook shows of a partition."""

import numpy as np
import pytest

from geocell.partitioners import KMeansPartitioner, Partition
from geocell.partitioners.notebook import partition_display, partition_map
from geocell.prediction.predictions import town_names
from tests.geo.test_thumbnails import dots


def test_a_partition_shows_its_cells() -> None:
    rng = np.random.default_rng(0)
    partition = KMeansPartitioner(k=7, seed=0).fit(rng.uniform([40, 0], [60, 20], (100, 2)))
    shown = partition_display(partition, partition.sha256)
    facts = dict(shown.facts)
    assert shown.title == "Partition kmeans: 7 cells"
    assert facts["training locations"] == "100"
    counts = partition.counts
    assert facts["in a cell"] == f"{counts.min()} to {counts.max()}, median {np.median(counts):g}"
    fullest = int(counts.argmax())
    assert shown.tables[0].header == ("fullest cells", "near", "locations")
    (town,) = town_names(partition.centroids[[fullest]])
    assert shown.tables[0].rows[0] == (partition.names[fullest], town, f"{counts[fullest]}")
    assert len(shown.tables[0].rows) == 5
    assert sum(len(spots) for colour, spots in dots(shown.picture).items() if colour != "#5b5f66") == 7
    assert shown.html() == partition._repr_html_()


def test_a_partition_of_centroids_says_so() -> None:
    centroids = np.array([[1.0, 2.0], [3.0, 4.0]])
    partition = Partition("centroids", ("a", "<b>"), ("A", "B"), centroids, np.zeros(2, np.int64), np.full(2, np.nan))
    facts = dict(partition_display(partition, partition.sha256).facts)
    assert facts["assigns locations"] == "no: only the centroids are known"
    assert facts["training locations"] == "unknown"
    assert facts["radius"] == facts["in a cell"] == ""
    assert len(dots(partition_map(partition))["#27508f"]) == 2
    assert "fullest cells" not in partition._repr_html_()


def test_without_the_gazetteer_there_are_no_towns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.geo.gazetteer.Gazetteer.installed", lambda: False)
    partition = KMeansPartitioner(k=2, seed=0).fit([[50.0, 1.0], [51.0, 2.0], [51.1, 2.0]])
    assert partition_display(partition, "").tables[0].header == ("fullest cells", "locations")
    assert partition_display(partition, "").tables[0].rows[0][-1] == "2"
