"""The demo in a browser, and as a Space on the Hub."""

from __future__ import annotations

import sys
from pathlib import Path

from geocell.cli.answerers import open_answerer
from geocell.cli.output import UsageError, emit, note, usage_errors


def demo(
    head: str,
    /,
    *,
    port: int | None = None,
    share: bool = False,
    zero_shot: Path | None = None,
    quiz: Path | None = None,
    splits: Path | None = None,
    split: str = "test",
    images: str | None = None,
    encoder: str | None = None,
    device: str = "auto",
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Try a head in a browser, on this machine: photographs in, the page of its answer out. Ends with Ctrl-C.

    Uploaded files are deleted once they are read, and nothing is asked of the net.

    Args:
        head: folder of a head, a combination, an ensemble or a zero-shot classifier, or user/repo@revision on the Hub.
        port: port to listen on; the first free one from 7860 on when left out.
        share: also make the demo public for a week, by a tunnel of Gradio's servers.
        zero_shot: folder of a zero-shot classifier whose answers are shown beside those of the head.
        quiz: feature cache over whose test locations people guess against the head; needs `splits`.
        splits: splits.json of the quiz.
        split: which split of it people are asked about.
        images: table, folder or shards that the cache of the quiz was encoded from, where it is not there any more.
        encoder: where to load the head's encoder from; another one is refused.
        device: where encoder and head compute: auto, cpu, cuda or mps.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object once the demo runs.
    """
    from geocell.compute.devices import choose_device
    from geocell.demo.app import Demo
    from geocell.demo.opening import TITLE, about, open_quiz, place_names
    from geocell.demo.opening import open_answerer as with_zero_shot
    from geocell.demo.server import require_gradio, serving, wait
    from geocell.encoders import encoder_for
    from geocell.prediction.geolocator import Geolocator

    with usage_errors():
        choose_device(device)
    if (quiz is None) != (splits is None):
        raise UsageError("a quiz needs --quiz CACHE and --splits FILE, and one is lacking: pass both.")
    if images is not None and quiz is None:
        raise UsageError("--images says where the images of a quiz are: pass --quiz CACHE too, or leave it out.")
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"--port must be from 1 to 65535, got {port}.")
    require_gradio()
    loaded, _ = open_answerer(head, partitioner)
    asked = None
    if quiz is not None and splits is not None:
        asked = open_quiz(loaded, quiz, splits, split, source=images, device=device)
    note(f"loading the encoder {loaded.encoder.name}")
    locator = Geolocator(loaded, encoder_for(loaded.encoder, device, encoder), device, place_names())
    shown = Demo(with_zero_shot(locator, zero_shot), asked)
    with serving(shown, TITLE, about(loaded), port=port, share=share) as served:
        result = {"address": served.address, "public": served.public or None, "head": head}
        shared = f"; for everybody at {served.public}" if served.public else ""
        emit(result, f"the demo runs at {served.address}{shared} (Ctrl-C ends it)", json)
        sys.stdout.flush()  # whoever reads it through a pipe wants it before the demo ends
        wait()


def push_demo(
    head: str,
    space: str,
    /,
    *,
    private: bool = False,
    dry_run: bool = False,
    package: str = "",
    out: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Publish the demo of a head as a Space on the Hub: an app of a few lines, pinned requirements, the head.

    A head on the Hub is loaded from there at its commit; a folder becomes part of the Space, without what discloses the
    coordinates of its training locations. Log in once with `hf auth login`.

    Args:
        head: folder of a head or a combination, or user/repo@revision on the Hub.
        space: user/space, made if need be.
        private: make the Space private.
        dry_run: say what would be sent, and print it; the Space is not touched.
        package: what the Space installs geocell from, a URL of git say; the version here, from the package index, when
            left out.
        out: write the folder of the Space here instead, where `python app.py` runs it.
        overwrite: replace an existing folder, or the app of a Space that somebody wrote.
        json: print one JSON object.
    """
    from geocell.demo.space import APP_FILE, REQUIREMENTS_FILE, SPACE_MARKS, make_space, push_space
    from geocell.files import require_new
    from geocell.hub.client import CARD_FILE
    from geocell.hub.names import HubName

    with usage_errors():
        HubName.parse(space)
    if out is not None:
        require_new(out, overwrite, SPACE_MARKS)
    made = make_space(head, space, package=package)
    shown = {file: made.text(file) for file in (CARD_FILE, REQUIREMENTS_FILE, APP_FILE)}
    if out is not None:
        made.save(out, overwrite=overwrite)
    elif not dry_run:
        made = push_space(made, private=private, overwrite=overwrite)
    size = sum(made.sizes.values()) / 1e6
    text = f"{made.address or out}: {len(made.sizes)} files, {size:.1f} MB"
    if not made.address and out is None:
        rows = [f"{size:>12,} {file}" for file, size in made.sizes.items()]
        parts = [f"{file}:\n{content}" for file, content in shown.items()]
        text = "\n".join([f"{made.name.repo} would get {len(rows)} files, {size:.1f} MB:", *rows, "", *parts])
    result = {
        "space": made.name.repo,
        "files": made.sizes,
        "address": made.address or None,
        "folder": None if out is None else str(out),
        "readme": shown[CARD_FILE],
        "requirements": shown[REQUIREMENTS_FILE],
        "app": shown[APP_FILE],
    }
    emit(result, text, json)
