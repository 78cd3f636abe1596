"""`module:attribute`, and every name that is none."""

import math
from pathlib import Path

import pytest

from geocell.files import import_attribute


def test_an_attribute_is_imported_by_name() -> None:
    assert import_attribute("math:pi", "a number") == math.pi
    assert import_attribute("os.path:join", "a function")("a", "b") == str(Path("a") / "b")


@pytest.mark.parametrize(
    "name",
    ["no_such_module:X", "math:nothing", "math:", "math", ":X", ".math:pi", "..math:pi", "ma\0th:pi", "math:a.b", ""],
)
def test_a_name_that_leads_nowhere_is_one_sentence(name: str) -> None:
    with pytest.raises(ImportError) as caught:
        import_attribute(name, "a number")
    message = str(caught.value)
    assert message.startswith(f"expected a number at {name} (module:attribute), got: ")
    assert message.endswith(".")
    assert not message.endswith("..")
    assert "\n" not in message


@pytest.mark.parametrize("error", ["ImportError", "AttributeError", "TypeError", "ValueError"])
def test_a_module_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    (tmp_path / f"fails_with_{error}.py").write_text(f"raise {error}('needs a key.')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"got: needs a key\.$"):
        import_attribute(f"fails_with_{error}:X", "a number")
