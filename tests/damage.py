"""Damaged files for property tests: JSON with any value replaced, removed or added, and bytes that are changed."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([10**30, -(10**400), 2**63])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "../..", "\x00", "a" * 300])
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """Return the path of every key and index in a JSON value."""
    if not isinstance(value, dict | list):
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path for key, child in items for path in ((key,), *((key, *rest) for rest in places(child)))]


@st.composite
def damaged_value(draw: st.DrawFn, value: Any) -> Any:
    """Draw a JSON value that differs from `value` at one or two places."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        found = places(value)
        if not found:
            return draw(ANYTHING)
        *parents, last = draw(st.sampled_from(found))
        where = value
        for key in parents:
            where = where[key]
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "remove":
            del where[last]
        elif what == "add" and isinstance(where, dict):
            where[draw(st.text(max_size=5))] = draw(ANYTHING)
        else:
            where[last] = draw(ANYTHING)
    return value


@st.composite
def damaged_json(draw: st.DrawFn, value: Any) -> bytes:
    """Draw the content of a JSON file that held `value` and was damaged."""
    if draw(st.booleans()):
        return json.dumps(draw(damaged_value(value))).encode()
    content = bytearray(json.dumps(value).encode())
    for _ in range(draw(st.integers(1, 4))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)
