"""How fast a CLIP is trained, and in how much memory, beside a plain loop of transformers on the same batch.

One step on images and captions that are in memory, of a small CLIP of random weights: (a) the plain loop, the whole
batch through `model(…, return_loss=True)`, (b) a step of `geocell pretrain` on the same batch at once, (c) in pieces of
32 with the gradient of the whole (GradCache), (d) with gradient checkpointing as well. Every method lives in a process
of its own, and they take turns, a step each. On a CPU a step takes processor time of one thread, which other work on
the machine does not change much; on a GPU it takes time by the clock. Peak memory is that of the process, or of the
GPU, less what it had before the first step. A GPU, where there is one, adds its rows.

Run: python -m benchmarks.pretrain_speed [--quick] [--json]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks.common import conditions, finish, parse_flags
from geocell.pretraining.clip_model import ClipModel
from geocell.pretraining.config import PretrainConfig
from geocell.pretraining.trainer import Piece, Trainer

PIECE, SIDE, TOKENS, VOCABULARY = 32, 96, 20, 1000
METHODS = ("plain loop", "whole batch", "pieces", "pieces, checkpointing")


def small_clip() -> Any:  # noqa: ANN401 - a class of transformers
    """Return a CLIP of 6 and 3 layers, 128 wide, on images of 96 pixels in patches of 16."""
    import transformers

    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4}
    vision = {**sizes, "num_hidden_layers": 6, "image_size": SIDE, "patch_size": 16}
    ids = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": VOCABULARY - 1, "pad_token_id": 1}
    text = {**sizes, **ids, "num_hidden_layers": 3, "max_position_embeddings": TOKENS}
    config: Any = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=128)
    return transformers.CLIPModel(config)


def piece_of(batch: int) -> int:
    """Return how many images of a batch are in memory at a time."""
    return min(PIECE, batch // 2)


def make_step(method: str, batch: int, device: str) -> Callable[[], float]:
    """Return a function that makes one step and returns its loss."""
    model = small_clip().to(device)
    random = torch.Generator().manual_seed(1)
    pixels = torch.randn((batch, 3, SIDE, SIDE), generator=random).to(device)
    words = torch.randint(2, VOCABULARY - 1, (batch, TOKENS), generator=random)
    words[:, -1] = VOCABULARY - 1
    tokens = {"input_ids": words.to(device), "attention_mask": torch.ones_like(words).to(device)}
    if method == "plain loop":
        optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-6)

        def plain() -> float:
            optimizer.zero_grad(set_to_none=True)
            loss = model(pixel_values=pixels, **tokens, return_loss=True).loss
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return plain
    size = batch if method == "whole batch" else piece_of(batch)
    config = PretrainConfig(
        batch=size, accumulate=batch // size, positives="own", device=device, precision="float32",
        gradient_checkpointing=method.endswith("checkpointing"),
    )  # fmt: skip
    trainer = Trainer(ClipModel(model, None, None, None, "benchmark", ""), config, torch.device(device))  # type: ignore[arg-type]
    fields = torch.arange(batch)[:, None]
    pieces = [
        Piece(pixels[start : start + size], {name: value[start : start + size] for name, value in tokens.items()})
        for start in range(0, batch, size)
    ]
    return lambda: trainer.step(pieces, fields, torch.ones_like(fields).bool(), lr=1e-6)


def serve(method: str, batch: int, device: str) -> None:
    """Make a step for every line of standard input, and print its seconds, the loss and the peak memory so far."""
    torch.set_num_threads(1)
    step, cuda = make_step(method, batch, device), device == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    before = _memory_mb(cuda)
    for _ in sys.stdin:
        start = clock()
        loss = step()
        if cuda:
            torch.cuda.synchronize()
        seconds = clock() - start
        print(json.dumps({"seconds": seconds, "loss": loss, "peak_mb": _memory_mb(cuda) - before}), flush=True)


def _memory_mb(cuda: bool) -> float:
    """Return the peak so far."""
    if cuda:
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(batch: int, steps: int, device: str) -> dict[str, dict[str, float]]:
    """Return for every method seconds of a step (the median after a first one), peak MB, and the loss of the first."""
    command = [sys.executable, "-m", "benchmarks.pretrain_speed", "--serve"]
    workers = {
        method: subprocess.Popen(
            [*command, method, str(batch), device], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for method in METHODS
    }
    found: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for _ in range(1 + steps):
        for method, worker in workers.items():
            if worker.stdin is None or worker.stdout is None:
                raise RuntimeError("a worker has no pipes.")
            worker.stdin.write("step\n")
            worker.stdin.flush()
            found[method].append(json.loads(worker.stdout.readline()))
    for worker in workers.values():
        worker.communicate()
    return {
        method: {
            "seconds": median(step["seconds"] for step in made[1:]),
            "peak_mb": made[-1]["peak_mb"],
            "loss": made[0]["loss"],
        }
        for method, made in found.items()
    }


def main() -> None:
    """Measure every method, on the CPU and on a GPU where there is one."""
    if len(sys.argv) == 5 and sys.argv[1] == "--serve":  # a process of its own
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    flags = parse_flags(__doc__ or "")
    batch, steps = (16, 1) if flags.quick else (384, 3)
    shared = conditions("torch", "transformers")
    rows: list[dict[str, Any]] = []
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        found = measure(batch, steps, device)
        plain = found[METHODS[0]]
        for method, values in found.items():
            rows.append(
                {
                    "device": torch.cuda.get_device_name() if device == "cuda" else device,
                    "method": method,
                    "batch": batch,
                    "piece": batch if method in METHODS[:2] else piece_of(batch),
                    "images_per_s": round(batch / values["seconds"], 1),
                    "times_the_loop": round(plain["seconds"] / values["seconds"], 2),
                    "peak_mb": round(values["peak_mb"]),
                    "share_of_its_memory": round(values["peak_mb"] / plain["peak_mb"], 3),
                    "loss": round(values["loss"], 5),
                    "steps": steps,
                    "threads": 1,
                    **shared,
                }
            )
    summary = {f"{row['device']} {row['method']}": row["times_the_loop"] for row in rows}
    finish("pretrain_speed", rows, summary, flags)


if __name__ == "__main__":
    main()
