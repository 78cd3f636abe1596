"""Pieces of HTML of the demo: pages in frames of their own, thumbnails, warnings, tables. All text is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from geocell.decoders.table import parse_decoder
from geocell.files import printable

if TYPE_CHECKING:
    from geocell.demo.answering import Answer, Neighbour
    from geocell.demo.quiz import Game, Points
    from geocell.demo.uploads import Photograph


def text(value: str) -> str:
    """Return text as HTML that shows it and does nothing else."""
    return html.escape(printable(value))


def frame(page: str, title: str) -> str:
    """Return a page in a frame: its scripts run, and reach neither the demo around it nor the network.

    Args:
        page: a whole HTML page that asks for nothing.
        title: what a screen reader calls it.
    """
    return f'<iframe class="page" sandbox="allow-scripts" title="{text(title)}" srcdoc="{html.escape(page)}"></iframe>'


def picture(jpeg: bytes, alt: str) -> str:
    """Return a JPEG file as an image."""
    return f'<img alt="{text(alt)}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode("ascii")}">'


def strip(photographs: Sequence[Photograph]) -> str:
    """Return the thumbnails of photographs side by side."""
    shown = [picture(item.thumbnail, f"photograph {i + 1}") for i, item in enumerate(photographs) if item.thumbnail]
    return f'<div class="strip">{"".join(shown)}</div>' if shown else ""


def remarks(sentences: Sequence[str]) -> str:
    """Return sentences that a user must see, "" for none."""
    if not sentences:
        return ""
    return f'<div class="remarks" role="alert">{"".join(f"<p>{text(line)}</p>" for line in sentences)}</div>'


def warnings(answer: Answer, who: str = "The head") -> list[str]:
    """Return why an answer is withheld or doubted, one sentence each."""
    item = answer.prediction
    found = []
    if item.outside_region:
        found.append(f"Probably outside the region of the head: {item.doubt}.")
    elif item.doubt:
        found.append(f"{who} may be wrong here: {item.doubt}.")
    if item.abstained:
        near = percent(item.confidence or 0.0)
        found.append(f"{who} would withhold this answer: only {near} of its probability lies within 200 km of it.")
    return found


def neighbours_table(neighbours: Sequence[Neighbour]) -> str:
    """Return the nearest training locations as a table, "" for none."""
    if not neighbours:
        return ""
    rows = "".join(
        f"<tr><td>{text(item.place or coordinates(item.lat, item.lon))}</td>"
        f'<td class="soft">{coordinates(item.lat, item.lon)}</td>'
        f"<td>{item.similarity:.2f}</td><td>{kilometres(item.away_km)}</td></tr>"
        for item in neighbours
    )
    head = "<tr><th>Place</th><th>Coordinates</th><th>Similarity</th><th>From the answer</th></tr>"
    return (
        "<h3>Nearest training locations</h3>"
        f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
        '<p class="soft">Those whose features are most like those of the photographs: the cosine, after centring.</p>'
    )


def photographs(pictures: Sequence[bytes]) -> str:
    """Return the photographs of a round of the quiz, one large or several in two columns."""
    shown = "".join(picture(jpeg, f"photograph {i + 1} of the place") for i, jpeg in enumerate(pictures))
    return f'<div class="pictures{" several" if len(pictures) > 1 else ""}">{shown}</div>'


def round_table(you: Points, head: Points, place: str) -> str:
    """Return what a round is worth for the player and the head, whose answer is given in words too."""
    rows = "".join(
        f"<tr><td>{who}</td><td>{kilometres(of.km)}</td><td>{of.points:,}</td></tr>"
        for who, of in (("You", you), (f"The head{f': {text(place)}' if place else ''}", head))
    )
    head_row = "<tr><th></th><th>From the truth</th><th>GeoScore</th></tr>"
    return f'<div class="wide"><table class="round"><thead>{head_row}</thead><tbody>{rows}</tbody></table></div>'


def score(game: Game) -> str:
    """Return the score so far."""
    if not game.played:
        return '<p class="score soft">5,000 points for the exact place, less with the distance (GeoScore).</p>'
    rounds = "1 round" if game.played == 1 else f"{game.played:,} rounds"
    return f'<p class="score">After {rounds}: <b>you {game.you:,}</b>, the head {game.head:,} points.</p>'


def apart(km: float) -> str:
    """Return how far the answers of head and zero-shot are from each other."""
    return f'<p class="apart">The two answers are {kilometres(km)} apart.</p>'


def decoder(spec: str) -> str:
    """Return what a decoder does, its line of help.

    >>> decoder("within:200")
    '<p class="soft">centroid with the largest probability within that many km</p>'

    Raises:
        ValueError: for an unknown one.
    """
    return f'<p class="soft">{text(parse_decoder(spec).summary)}</p>'


def coordinates(lat: float, lon: float) -> str:
    """Return a position for people.

    >>> coordinates(-33.9, 18.4241)
    '33.900°S 18.424°E'
    """
    return f"{abs(lat):.3f}°{'S' if lat < 0 else 'N'} {abs(lon):.3f}°{'W' if lon < 0 else 'E'}"


def kilometres(km: float) -> str:
    """Return a distance for people, as the page of answers writes it.

    >>> kilometres(3.14159), kilometres(1234.5)
    ('3.1 km', '1,234 km')
    """
    return f"{km:.1f} km" if km < 9.95 else f"{km:,.0f} km"


def percent(share: float) -> str:
    """Return a fraction as percent."""
    return f"{100 * share:.0f} %"
