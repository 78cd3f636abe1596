"""Commands between heads and the Hub, and heads that others published: push, pull, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.heads.card_metadata import CardSettings

if TYPE_CHECKING:
    from geocell.publishing.repository import Publication

Flat = Parameter(name="*")


def push(
    head: Path,
    repo: str,
    /,
    *,
    private: bool = False,
    revision: str | None = None,
    pr: bool = False,
    dry_run: bool = False,
    with_neighbours: bool = False,
    with_places: bool = False,
    settings: Annotated[CardSettings, Flat] = CardSettings(),
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Publish a head on the Hub: one head, one repository, one commit, with its model card.

    So is a combination, a zero-shot classifier, and a model that pretrain trained. Log in once with `hf auth login`.
    The folder is checked first: weights, cells, shapes, and that the scores are its own.

    Args:
        head: folder of the head, the combination, the zero-shot classifier or the trained model.
        repo: user/repo, made if need be.
        private: make the repository private.
        revision: branch to commit to, made if need be; main otherwise.
        pr: open a pull request instead of a commit.
        dry_run: say what would be sent, and print the card; without the network.
        with_neighbours: publish the index of training features too; it discloses the coordinates of the training
            locations.
        with_places: publish the training places too, which are these coordinates.
        settings: what the card says beside what the folder knows.
        overwrite: replace the text that a person wrote in the card on the Hub by the one in the folder's card.
        json: print one JSON object.
    """
    from geocell.hub.names import HubName
    from geocell.publishing.push import push_head

    if revision is not None and "@" in repo:
        raise UsageError(f"expected the branch once, got {repo} and --revision {revision}: leave one of them out.")
    name = repo if revision is None else f"{repo}@{revision}"
    with usage_errors():
        HubName.parse(name)
    done = push_head(
        head,
        name,
        private=private,
        pr=pr,
        dry_run=dry_run,
        overwrite=overwrite,
        with_neighbours=with_neighbours,
        with_places=with_places,
        settings=settings,
    )
    if done.left_out:
        note(f"not sent: {', '.join(done.left_out)}")
    result = {
        "repo": done.name.repo,
        "revision": done.name.revision,
        "files": dict(done.files),
        "left_out": list(done.left_out),
        "address": done.address or None,
        "card": done.card,
    }
    emit(result, _text(done), json)


def _text(done: Publication) -> str:
    size = sum(done.files.values()) / 1e6
    if done.address:
        return f"{done.address}: {len(done.files)} files, {size:.1f} MB"
    lines = [f"{size:>12,} {name}" for name, size in done.files.items()]
    return "\n".join([f"{done.name} would get {len(lines)} files, {size:.1f} MB:", *lines, "", done.card])


def pull(repo: str, /, *, out: Path | None = None, overwrite: bool = False, json: bool = False) -> None:
    """Fetch a head, or what else push publishes, from the Hub and check it.

    Args:
        repo: user/repo, or user/repo@revision with a branch, tag or commit.
        out: folder to put it in; without it the head stays in huggingface_hub's cache, where every command finds it.
        overwrite: replace an existing folder.
        json: print one JSON object.
    """
    from geocell.hub.names import HubName
    from geocell.publishing.push import pull_head

    with usage_errors():
        HubName.parse(repo)
    place = pull_head(repo, out, overwrite=overwrite)
    if place.remark:
        note(place.remark)
    commit = place.snapshot.commit if place.snapshot else None
    result = {"head": str(place.folder), "repo": repo, "commit": commit}
    emit(result, f"{place.folder}: {repo} at commit {commit}", json)


def import_(
    checkpoint: str,
    cells: str | None = None,
    /,
    *,
    out: Path,
    head: str | None = None,
    encoder: str = "geolocal/StreetCLIP",
    revision: str | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Make a head of a checkpoint that somebody published: best.pt and geocell_info.json, here or on the Hub.

    The pickle is read without running anything in it. The encoder is recorded by
    its name, with its commit when the Hub answers; its weights are not loaded.

    Args:
        checkpoint: best.pt; or user/repo@revision on the Hub, with --head.
        cells: its geocell_info.json; in a repository its path there, which is known for the heads that geocell knows.
        out: folder of the head.
        head: folder of the checkpoint in the repository: ablation_v13_weighted/lam_0.05, say.
        encoder: the encoder whose features the head reads, by its authors' word: Hub id or folder.
        revision: branch, tag or commit of the encoder on the Hub.
        overwrite: replace an existing head.
        json: print one JSON object.
    """
    from geocell.encoders.info import NOT_PINNED
    from geocell.files import require_new
    from geocell.heads.folder import HEAD_FILES, HEAD_MARKS
    from geocell.hub.names import HubName
    from geocell.publishing.checkpoints import fetch_published, import_head, published_files, read_published
    from geocell.publishing.named_encoder import named_encoder

    require_new(out, overwrite, HEAD_MARKS, HEAD_FILES)
    if head is None and cells is None:
        raise UsageError("expected best.pt and geocell_info.json, or user/repo and --head: pass what is missing.")
    if head is None:
        published = published_files(Path(checkpoint), Path(cells or ""))
    else:
        with usage_errors():
            name = HubName.parse(checkpoint)
        published = fetch_published(name, head, cells or "")
    weights = read_published(published)
    made = import_head(weights, named_encoder(encoder, revision, weights.dim))
    if not made.encoder.is_pinned:
        at = "" if made.encoder.revision == NOT_PINNED else f" at commit {made.encoder.revision}"
        note(f"the encoder {made.encoder.name}{at} is recorded by its name, and pinned when the head is first used")
    made.save(out, overwrite=overwrite)
    origin = made.training["origin"]
    result = {"head": str(out), "n_cells": len(made.partition), "encoder": made.encoder.to_dict(), "origin": origin}
    where = dict.fromkeys((origin["source"], origin["checkpoint"]))  # one and the same for a file here
    text = f"{out}: {len(made.partition):,} cells from {', '.join(where)}"
    if origin["published"]:
        text += f"\n  published balscore {origin['published']['balscore']}, not measured here"
    emit(result, text, json)
