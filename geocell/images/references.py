"""Which paths and URLs of images are opened: an allow-list that is checked before any library sees a URL.

fsspec opens many more schemes than image stores need, and some of them run code that the opened file names
(`reference://` with templates) or fetch one URL by means of another (chains with `::`). A table from somebody else must
not reach those.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

STORES = frozenset({"file", "s3", "gs", "gcs", "az", "abfs", "abfss", "hf"})
"""URL schemes that fsspec opens here; `http` and `https` are downloaded without it."""
HTTP = frozenset({"http", "https"})
MEMBER = "::"
"""What separates the name of a container from what is meant inside it; in fsspec's URLs, the links of a chain."""


def scheme_of(reference: str) -> str:
    """Return the scheme of a URL in lower case, "" for a path.

    >>> scheme_of("S3://bucket/a.jpg"), scheme_of("photos/a.jpg")
    ('s3', '')
    """
    scheme, separator, _ = reference.partition("://")
    return scheme.lower() if separator else ""


def is_url(reference: str) -> bool:
    """Return whether a reference is a URL of any scheme."""
    return "://" in reference


def is_http(reference: str) -> bool:
    """Return whether a reference is an `http(s)` URL."""
    return scheme_of(reference) in HTTP


def any_http(references: pyarrow.ChunkedArray) -> bool:
    """Return whether one of many texts is an `http(s)` URL, as `is_http` tells of each."""
    import pyarrow.compute as pc

    # letters of both cases, since Unicode's case folding would take "httpſ" for "https"
    found = pc.match_substring_regex(references, r"\A[hH][tT][tT][pP][sS]?://")
    return bool(pc.any(found).as_py())


def url_refusal(reference: str) -> str:
    """Return why a URL is not opened, "" when it may be; paths may.

    >>> url_refusal("s3://bucket/a.jpg"), url_refusal("photos/a::b.jpg")
    ('', '')
    >>> url_refusal("reference://k::http://host/gen.json")
    "URLs of the scheme 'reference' are not opened"
    >>> url_refusal("s3://bucket/a.zip::http://host/b")
    'chained URLs (::) are not opened'
    """
    if not is_url(reference):
        return ""
    scheme = scheme_of(reference)
    if scheme not in STORES | HTTP:
        return f"URLs of the scheme {scheme[:40]!r} are not opened"
    return "chained URLs (::) are not opened" if MEMBER in reference and scheme not in HTTP else ""


def require_openable(url: str) -> None:
    """Refuse a URL that is outside the allow-list.

    Raises:
        ValueError: when it is.
    """
    refusal = url_refusal(url)
    if refusal:
        allowed = ", ".join(sorted(STORES | HTTP))
        raise ValueError(f"expected a path or a URL of one of {allowed}, got {url}: {refusal}.")


def join(root: str, name: str) -> str:
    """Return the path or URL of `name` below a folder or URL; an absolute path or a URL stays as it is."""
    if is_url(name) or os.path.isabs(name):  # noqa: PTH117 - text in, text out, a million times
        return name
    return f"{root.rstrip('/')}/{name}" if is_url(root) else os.path.join(root, name)  # noqa: PTH118
