"""The widgets of the demo, and what happens when they are used."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from geocell.decoders.base import decoder_label
from geocell.demo import fragments
from geocell.demo.answering import Answerer
from geocell.demo.quiz import Game, Points, Quiz, Round, parse_guess
from geocell.demo.quiz_page import guess_map, result_map
from geocell.demo.uploads import MOST_BYTES, MOST_PHOTOGRAPHS, Photograph, read_photographs
from geocell.geo.geodesy import distance_km
from geocell.images.opening import FORMATS

if TYPE_CHECKING:
    import gradio as gr

SESSION_S = 3600
"""Seconds after which what a visitor uploaded is forgotten: features and thumbnails, in memory alone."""

_UPLOAD_S = 600
"""Seconds after which an empty file is none of an upload that has begun and of which nothing has arrived."""

Photographs = tuple[Photograph, ...]

_HEAR_GUESSES = """
window.addEventListener("message", event => {
  const page = element.querySelector("iframe");
  const said = event.data;
  if (!page || event.source !== page.contentWindow || !said || said.geocell !== "guess") return;
  if (Number.isFinite(said.lat) && Number.isFinite(said.lon)) trigger("guess", {lat: said.lat, lon: said.lon});
});
"""


@dataclass(frozen=True, eq=False)
class Demo:
    """What the widgets do, without them: every method takes and returns what they show.

    Attributes:
        answerer: what answers.
        quiz: the quiz, where there is one.
        folder: the folder of uploads, in which Gradio leaves an empty file beside each; None without a server.
    """

    answerer: Answerer
    quiz: Quiz | None = None
    folder: Path | None = None

    def add(self, paths: list[str] | None, kept: Photographs) -> tuple[Photographs, str, list[str]]:
        """Return the photographs of a visitor with the uploaded ones, their thumbnails, and what was left out."""
        room = MOST_PHOTOGRAPHS - len(kept)
        found, left_out = read_photographs(paths or [], self.answerer.encoders, room)
        kept = (*kept, *found)
        self._tidy(paths or [])
        return kept, fragments.strip(kept), left_out

    def _tidy(self, paths: list[str]) -> None:
        """Remove what Gradio leaves of uploads: the folder of each, and empty files, unless one may just arrive."""
        if self.folder is None:
            return
        for path in map(Path, paths):
            if path.parent.parent == self.folder:
                with suppress(OSError):  # the same photograph is on its way again
                    path.parent.rmdir()
        before = time.time() - _UPLOAD_S
        for file in self.folder.iterdir():
            with suppress(OSError):  # it moves to where uploads are kept at any time
                found = file.stat()
                if S_ISREG(found.st_mode) and not found.st_size and found.st_mtime < before:
                    file.unlink()

    def answer(self, kept: Photographs, decode: str, withhold: bool, left_out: list[str]) -> tuple[str, str, str, str]:
        """Return warnings, the head's page, the zero-shot page and the table of neighbours; "" where there is none."""
        if not kept:
            return fragments.remarks(left_out), "", "", ""
        answer, beside = self.answerer.answer(kept, decode, withhold), self.answerer.answer_zero_shot(kept)
        pages, apart = [fragments.frame(answer.page, "The answer of the head on a map"), ""], ""
        if beside is not None:
            pages[1] = fragments.frame(beside.page, "The zero-shot answer on a map")
            points = [(item.prediction.lat, item.prediction.lon) for item in (answer, beside)]
            apart = fragments.apart(float(distance_km(*points)))
        said = fragments.remarks([*left_out, *fragments.warnings(answer)])
        return said + apart, pages[0], pages[1], fragments.neighbours_table(answer.neighbours)

    def begin(self) -> Game:
        """Return a new game, whose order nobody knows."""
        return self._quiz.new_game(secrets.randbelow(2**31))

    def ask(self, game: Game) -> tuple[Game, str, str, str]:
        """Return the game at its next location, its photographs, the map to click on, and the score so far."""
        game, asked = self._quiz.next_round(game)
        if asked is None:
            return game, "", "", fragments.remarks(["There are no more locations."]) + fragments.score(game)
        pictures = fragments.photographs(asked.pictures)
        return game, pictures, fragments.frame(guess_map(self._quiz.box), "Map to guess on"), fragments.score(game)

    def guess(self, game: Game, text: str) -> tuple[Game, str, str]:
        """Return the game after a guess, the map with the truth, and what everybody gets.

        Raises:
            ValueError: when the text is no position, or nothing is asked.
        """
        if not 0 <= game.at < len(game.order):
            raise ValueError("there is nothing to guess: begin a new game.")
        game, asked, you, head = self._quiz.play(game, parse_guess(text))
        return game, self._result(game, asked), self._points(game, asked, you, head)

    @property
    def _quiz(self) -> Quiz:
        if self.quiz is None:
            raise ValueError("this demo has no quiz: start it with --quiz and --splits.")
        return self.quiz

    def _place(self, asked: Round) -> str:
        names = self._quiz.names
        where = fragments.coordinates(*asked.truth)
        return f"{names([asked.truth])[0]} · {where}" if names is not None else where  # type: ignore[arg-type]

    def _result(self, game: Game, asked: Round) -> str:
        guess = game.guess or asked.truth
        page = result_map(asked.truth, guess, (asked.head.lat, asked.head.lon), self._place(asked))
        return fragments.frame(page, "Map of the truth, your guess and the answer of the head")

    def _points(self, game: Game, asked: Round, you: Points, head: Points) -> str:
        return fragments.round_table(you, head, asked.head.place) + fragments.score(game)


def one_sentence(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler whose failures are one sentence on the screen; nothing is printed, and no path is told."""

    @wraps(function)
    def handler(*args: Any) -> Any:  # noqa: ANN401 - of every handler
        import gradio as gr

        try:
            return function(*args)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:  # whatever happens inside is no business of a visitor
            raise gr.Error(f"That did not work ({type(error).__name__}): try again.", print_exception=False) from None

    return handler


def build(demo: Demo, title: str, about: str) -> Any:  # noqa: ANN401 - gr.Blocks, which is lazy
    """Return the demo as Gradio's blocks, which are not launched yet.

    Args:
        demo: what the widgets do.
        title: heading of the page.
        about: a line below it.
    """
    import gradio as gr

    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(300, 600), fill_width=True) as blocks:
        gr.HTML(f'<header><h1>{fragments.text(title)}</h1><p class="soft">{fragments.text(about)}</p></header>')
        if demo.quiz is None:
            _photographs(demo, gr)
        else:
            with gr.Tabs():
                with gr.Tab("Your photographs"):
                    _photographs(demo, gr)
                with gr.Tab("Quiz"):
                    _quiz(demo, gr, blocks)
    return blocks


_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}


def _photographs(demo: Demo, gr: Any) -> None:  # noqa: ANN401 - the module
    """Add the widgets of the answers."""
    kept = gr.State((), time_to_live=SESSION_S)
    with gr.Row(elem_classes="answers"):
        with gr.Column(scale=1, min_width=280):
            upload = gr.File(
                label=f"One to {MOST_PHOTOGRAPHS} photographs of one location",
                file_count="multiple",
                file_types=[suffix for suffixes in FORMATS.values() for suffix in suffixes],
                height=170,
                elem_id="upload",
            )
            gr.HTML(
                f'<p class="soft">At most {MOST_BYTES >> 20} MB each. Files are deleted once they are read, and '
                "positions in them are not looked at.</p>"
            )
            strip = gr.HTML("", elem_id="strip")
            clear = gr.Button("Start over", size="sm", elem_id="clear")
            specs = demo.answerer.decoders
            choices = [(decoder_label(spec), spec) for spec in specs]
            decode = gr.Dropdown(choices, value=specs[0], label="Decoder", elem_id="decode", filterable=False)
            summary = gr.HTML(fragments.decoder(specs[0]))
            below = demo.answerer.abstain_below
            withhold = gr.Checkbox(
                value=below is not None,
                visible=below is not None,
                label=f"Withhold answers with a confidence below {fragments.percent(below or 0.0)}",
                elem_id="withhold",
            )
        with gr.Column(scale=3, min_width=320):
            said = gr.HTML("", elem_id="said")
            with gr.Row():
                with gr.Column(min_width=300):
                    page = gr.HTML(_EMPTY, elem_id="answer")
                with gr.Column(min_width=300, visible=demo.answerer.zero_shot is not None):
                    beside = gr.HTML("", elem_id="zero-shot")
            near = gr.HTML("", elem_id="near")

    def add(paths: list[str] | None, photographs: Photographs, spec: str, hold: bool) -> tuple[Any, ...]:
        photographs, shown, left_out = demo.add(paths, photographs)
        said_, page_, *rest = demo.answer(photographs, spec, hold, left_out)
        return photographs, None, shown, said_, page_ or _EMPTY, *rest

    def again(photographs: Photographs, spec: str, hold: bool) -> tuple[Any, ...]:
        said_, page_, *rest = demo.answer(photographs, spec, hold, [])
        return said_, page_ or _EMPTY, *rest

    answers = [said, page, beside, near]
    one = {**_QUIET, "concurrency_limit": 1, "concurrency_id": "head"}
    upload.upload(one_sentence(add), [upload, kept, decode, withhold], [kept, upload, strip, *answers], **one)
    decode.input(one_sentence(fragments.decoder), [decode], [summary], **_QUIET)
    for choice in (decode, withhold):
        choice.input(one_sentence(again), [kept, decode, withhold], answers, **one)
    clear.click(lambda: ((), None, "", "", _EMPTY, "", ""), None, [kept, upload, strip, *answers], **_QUIET)


_EMPTY = '<div class="empty"><p>The answer appears here on a map.</p></div>'


def _quiz(demo: Demo, gr: Any, blocks: gr.Blocks) -> None:  # noqa: ANN401 - the module
    """Add the widgets of the quiz."""
    game = gr.State(None, time_to_live=SESSION_S)
    with gr.Row(elem_classes="quiz"):
        with gr.Column(scale=2, min_width=300):
            pictures = gr.HTML("", elem_id="pictures")
        with gr.Column(scale=3, min_width=320):
            page = gr.HTML("", elem_id="quiz-map", js_on_load=_HEAR_GUESSES)
            with gr.Row(elem_classes="guess"):
                text = gr.Textbox(
                    label="Your guess",
                    placeholder="click on the map, or type 48.137, 11.575",
                    max_lines=1,
                    elem_id="guess-text",
                    scale=3,
                )
                guess = gr.Button("Guess", variant="primary", elem_id="guess", scale=1, min_width=90)
                further = gr.Button("Next", elem_id="next", scale=1, min_width=90)
            score = gr.HTML("", elem_id="score")

    def ask(now: Game | None) -> tuple[Any, ...]:
        return (*demo.ask(now or demo.begin()), "", gr.Button(interactive=True))

    def play(now: Game | None, typed: str) -> tuple[Any, ...]:
        return (*demo.guess(now or Game(()), typed), gr.Button(interactive=False))

    def pinned(event: Any) -> str:  # noqa: ANN401 - EventData, whose class is lazy
        return f"{event.lat:.4f}, {event.lon:.4f}"

    pinned.__annotations__ = {"event": gr.EventData, "return": str}
    one = {**_QUIET, "concurrency_limit": 1, "concurrency_id": "head"}
    asked = [game, pictures, page, score, text, guess]
    blocks.load(one_sentence(ask), [game], asked, **one)
    further.click(one_sentence(ask), [game], asked, **one)
    gr.on([guess.click, text.submit], one_sentence(play), [game, text], [game, page, score, guess], **one)
    page.guess(pinned, None, [text], **{**_QUIET, "show_progress": "hidden"})
