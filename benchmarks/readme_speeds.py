"""The generated parts of the READMEs that are about speed and cost."""

from __future__ import annotations

from benchmarks.common import read_results
from geocell.reports.tables import markdown


def speeds() -> str:
    """Return the table: partitions beside other libraries, and by themselves."""
    rows = read_results("partition_speed")
    beside = []
    for row in rows:
        if row["times_faster"]:
            seconds = [f"{float(row[key]):.3g}" for key in ("ours_s", "other_s", "times_faster")]
            inertia = f"{float(row['inertia_ratio']):.3f}" if row["inertia_ratio"] else "–"
            beside.append([row["case"], f"{int(row['n']):,}", *seconds, inertia])
    header = ["kind", "points", "cells", "fit s", "of it ids s", "rest in sorts", "assign s", "assign in H3 loops"]
    header += ["peak GiB", "of it the points"]
    lines = []
    for row in rows:
        if row["fit_s"]:
            keys = ("fit_s", "index_s", "rest_in_sorts", "assign_s", "assign_per_h3_loop", "peak_gib", "points_gib")
            numbers = [f"{float(row[key]):.2g}" if row.get(key) else "–" for key in keys]
            numbers[2] = f"{float(row['rest_in_sorts']):,.1f}" if row.get("rest_in_sorts") else "–"
            texts = [f"{int(row['n']):,}", f"{int(row['cells']):,}", *numbers]
            lines.append([f"`{row['case']}`", *texts])
    where = f"{rows[0]['cores']} cores of an {rows[0]['cpu']}, Python {rows[0]['python']}, numpy {rows[0]['numpy']}"
    note = (
        f"On {where}, scikit-learn {rows[0]['scikit-learn']}, h3 {rows[0]['h3']}, beside other work. Seconds are of "
        "processor time where a fit is given in sorts, and in the row of faiss, else of the clock. A sort is that of "
        "the points by latitude, then longitude, in the same process; ids are those of H3 and S2. The inertia is that "
        "of K-Means here, in those of the other."
    )
    first = markdown(["beside", "points", "here s", "other s", "times faster", "inertia"], beside)
    return f"{first}\n\n{markdown(header, lines)}\n\n{note}"


def quickstart_times() -> str:
    """Return the table: processor time of the stages of the quickstart."""
    rows = read_results("quickstart")
    lines = [[row["stage"], row["processor_s"], row["shared"], row["idle_s"]] for row in rows]
    totals = [f"{sum(float(row[key]) for row in rows):.1f}" for key in ("processor_s", "idle_s")]
    table = markdown(
        ["stage", "processor s", "all cores", "s on idle cores"], [*lines, ["all", totals[0], "", totals[1]]]
    )
    first = rows[0]
    note = (
        f"Processor time of the process and its children beside other work, and the same divided by the "
        f"{first['cores']} cores where all of them work, of an {first['cpu']}; torch {first['torch']}, Pillow "
        f"{first['pillow']}."
    )
    return f"{table}\n\n{note}"


def fits() -> str:
    """Return the table: an epoch of a fit beside a plain loop."""
    header = ["cells", "batch", "ours s per epoch", "plain loop / ours", "plain loop / two bf16 products"]
    header += ["ours / bf16 products", "ours / fp32 products"]
    lines = []
    rows = read_results("fit_speed")
    for row in rows:
        keys = ["plain_per_ours_bfloat16", "plain_per_two_products_bfloat16"]
        keys += ["ours_per_products_bfloat16", "ours_per_products_float32"]
        seconds = f"{float(row['ours_bfloat16_s_per_epoch']):.1f}"
        ratios = [f"{float(row[key]):.2f}" for key in keys]
        lines.append([f"{int(row['cells']):,}", f"{int(row['batch']):,}", seconds, *ratios])
    where = f"{rows[0]['threads']} threads on {rows[0]['cores']} cores of an {rows[0]['cpu']}, torch {rows[0]['torch']}"
    note = f"{int(rows[0]['locations']):,} locations; ours in bfloat16, in float32 in the last column. {where}."
    table = markdown(header, lines, left=0)
    return f"{table}\n\n{note}"


def fit_terms() -> str:
    """Return the table: an epoch with further terms of the loss."""
    rows = read_results("fit_terms")
    lines = [[f"`{row['fit']}`", f"{float(row['per_default']):.2f}"] for row in rows if row["fit"]]
    first = rows[0]
    note = (
        f"{int(first['locations']):,} locations with four views in {int(first['cells']):,} cells of a k-d tree, batch "
        f"{int(first['batch']):,}; an epoch without takes {float(first['seconds_per_epoch']):.2f} s. Medians of "
        f"{first['turns']} turns on {first['cores']} cores of an {first['cpu']}, torch {first['torch']}."
    )
    table = markdown(["with", "epoch / epoch without"], lines)
    return f"{table}\n\n{note}"


IN_TURN = "pixels, then model"


def encode_speeds() -> str:
    """Return the table: encoding beside loops and pipelines."""
    rows = read_results("encode_speed")
    header = ["tower", "device", "method", "arithmetic", "images/s", "times the loop", "of the model alone"]
    header += ["GFLOP per image", "of matmul peak", "least cosine"]
    keys = ["tower", "device", "method", "dtype", "images_per_s", "times_the_loop", "share_of_model_alone"]
    keys += ["gflop_per_image", "share_of_matmul_peak", "least_cosine_to_the_loop"]
    lines = [[row[key] for key in keys] for row in rows]
    where = dict.fromkeys(
        f"{row['tower']} {row['device']}: {row['threads']} of {row['cores']} cores of an {row['cpu']}, "
        f"{row.get('clock', 'wall')} time, torch {row['torch']}, transformers {row['transformers']}, "
        f"Pillow {row['pillow']}"
        for row in rows
    )
    note = (
        f"Beside other work. {'; '.join(where)}. Medians over turns in which every method runs once. Shares are "
        "fractions; the peak is a large matrix product in the same arithmetic."
    )
    rates = {(row["tower"], row["device"], row["dtype"], row["method"]): float(row["images_per_s"]) for row in rows}
    ours = {key[:3]: rate for key, rate in rates.items() if key[3] == "geocell encode"}
    done = {key: rate / rates[*key, IN_TURN] for key, rate in ours.items() if (*key, IN_TURN) in rates}
    if done:
        said = ", ".join(f"{tower} {device} {dtype} {share:.0%}" for (tower, device, dtype), share in done.items())
        note += f" `geocell encode` of what pixels and then the model reach: {said}."
    sizes = dict.fromkeys(f"{row['tower']} {row['turns']} x {row['images']}" for row in rows)
    note += f" Turns and images: {', '.join(sizes)}; ratios of a single turn on a busy machine are rough."
    gpu = "" if any(row["device"] != "cpu" for row in rows) else " No GPU was measured: there was none."
    table = markdown(header, lines, left=4)
    return f"{table}\n\n{note}{gpu}"


def costs() -> str:
    """Return the table: what encoding a hundred million images takes."""
    rows = [row for row in read_results("encode_speed") if row["method"] == "geocell encode"]
    header = ["tower", "device", "arithmetic", "images/s", "device days for 100 M images"]
    lines = []
    for row in rows:
        days = 1e8 / float(row["images_per_s"]) / 86400
        device = f"{row['device']}, {row['threads']} threads"
        lines.append([row["tower"], device, row["dtype"], row["images_per_s"], f"{days:,.0f}"])
    gpu = ""
    if all(row["device"] == "cpu" for row in rows):
        flops = max(float(row["gflop_per_image"]) for row in rows)
        gpu = (
            f" No GPU rate was measured, so none is given. An image of the largest tower takes {flops:,.0f} GFLOP; "
            "`python -m benchmarks.encode_speed` on your card measures its images per second."
        )
    note = f"100 M images at the measured rates, on one device.{gpu}"
    table = markdown(header, lines, left=3)
    return f"{table}\n\n{note}"


def decode_speeds() -> str:
    """Return the table: reading photographs by each backend."""
    rows = read_results("decode_speed")
    header = ["photograph", "input", "`pil` ms", "`pil-draft` ms", "times as fast", "pixels differ by", "least cosine"]
    lines = []
    for row in rows:
        numbers = [row[key] for key in ("pil_ms", "draft_ms", "times_as_fast", "mean_pixel_difference", "least_cosine")]
        texts = [f"{row['width']} x {row['height']}", row["input"], *(number or "–" for number in numbers)]
        lines.append(texts)
    first, again = rows[0], [float(row["least_cosine_saved_again"]) for row in rows if row["least_cosine_saved_again"]]
    note = (
        f"From a file to pixels, one core of an {first['cpu']} beside other work, Pillow {first['pillow']}; medians "
        f"over {first['photographs']} mosaics of real photographs (JPEG quality {first['quality']}) x {first['turns']} "
        "turns, in which both backends take every file in turn. Pixels differ by so many of 255 steps in the mean; the "
        f"cosine is between features, and {min(again):.5f} for the files saved again at quality "
        f"{first['quality_again']}."
    )
    table = markdown(header, lines, left=2)
    return f"{table}\n\n{note}"


def cache_speeds() -> str:
    """Return the table: reading and writing a cache."""
    rows = read_results("cache_speed")
    header = ["a cache of float16 features", "seconds", "GB/s", "times as fast as"]
    lines = []
    for row in rows:
        beside = f"{row['times_as_fast']} x {row['beside']}" if row["beside"] else "–"
        lines.append([row["what"], row["seconds"], row["gb_per_s"] or "–", beside])
    load = next(row for row in rows if row["what"] == "load")
    note = (
        f"{int(load['rows']):,} views x {load['dim']}, from the page cache, {load['cores']} cores of an {load['cpu']} "
        f"beside other work, medians of {load['turns']} turns, and of the ratios in each."
    )
    table = markdown(header, lines)
    return f"{table}\n\n{note}"


def rows_memory() -> str:
    """Return the table: memory that reading the table of views takes, before row groups and with them."""
    rows = read_results("rows_memory")
    found = {(row["state"], row["stage"], row["rows"]): row for row in rows}
    lines = []
    for stage, n in dict.fromkeys((row["stage"], row["rows"]) for row in rows if row["state"] == "row groups"):
        pair = [found.get((state, stage, n)) for state in ("before", "row groups")]
        peaks = [f"{int(row['peak_mb']):,}" if row else "–" for row in pair]
        each = [f"{int(row['mb_per_million']):,}" if row else "–" for row in pair]
        lines.append([f"`{stage}`", f"{int(n):,}", *peaks, *each])
    header = ["stage", "rows", "peak MB, whole", "by row groups", "MB per million rows, whole", "by row groups"]
    first = rows[0]
    note = (
        "Two views per location, 8 features per view, no image decoded. Peak resident memory of a process of its own; "
        "per million rows it is what exceeds the same on 10,000 rows, buffers of fixed size included. "
        f"Python {first['python']}, numpy {first['numpy']}, pandas {first['pandas']}, pyarrow {first['pyarrow']}."
    )
    table = markdown(header, lines)
    return f"{table}\n\n{note}"


def export_speeds() -> str:
    """Return the table: an exported encoder beside torch."""
    rows = read_results("export_speed")
    header = ["encoder", "images at a time", "torch", "ONNX Runtime", "times as fast", "of all rounds"]
    lines = [
        [
            row["encoder"],
            row["batch"],
            row["torch_images_per_s"],
            row["onnxruntime_images_per_s"],
            row["ratio"],
            f"{row['ratio_low']} to {row['ratio_high']}",
        ]
        for row in rows
    ]
    first = rows[0]
    note = (
        f"Images per second of processor time from pixels to features, float32, one core of an {first['cpu']} beside "
        f"other work, torch {first['torch']}, ONNX Runtime {first['onnxruntime']}; medians over {first['rounds']} "
        "rounds in which the two alternate, and the least and greatest ratio of a round."
    )
    table = markdown(header, lines)
    return f"{table}\n\n{note}"


def fuzzed() -> str:
    """Return the table: mutated files by kind."""
    rows = read_results("fuzz")
    lines = []
    for family in dict.fromkeys(row["target"].split("-")[0] for row in rows):
        own = [row for row in rows if row["target"].split("-")[0] == family]
        inputs, seconds = (sum(float(row[key]) for row in own) for key in ("inputs", "seconds"))
        findings, accepted = (sum(int(row[key]) for row in own) for key in ("findings", "accepted"))
        rates = [f"{100 * accepted / inputs:.0f} %", f"{inputs / seconds:,.0f}"]
        lines.append([f"`{family}`", str(len(own)), f"{inputs:,.0f}", *rates, str(findings)])
    first, total = rows[0], sum(int(row["inputs"]) for row in rows)
    found = sum(int(row["findings"]) for row in rows)
    hours = sum(float(row["seconds"]) for row in rows) / int(first["jobs"]) / 3600
    note = (
        f"{total:,} inputs, {found} findings in {hours:.2f} hours of {first['jobs']} processes, seed {first['seed']}. "
        f"On {first['cores']} cores of an {first['cpu']}, Python {first['python']}, pyarrow {first['pyarrow']}, pillow "
        f"{first['pillow']}."
    )
    return f"{markdown(['files', 'targets', 'inputs', 'accepted', 'inputs/s', 'findings'], lines)}\n\n{note}"


def starts() -> str:
    """Return the table: what starting a command costs."""
    rows = read_results("start_speed")
    header = ["what", "processor s", "least", "times as long", "as", "modules", "of the heavy ones"]
    lines = []
    for row in rows:
        numbers = [f"{float(row[key]):.2f}" for key in ("cpu_s", "least_cpu_s")]
        rest = [row[key] or "–" for key in ("times_beside", "beside", "modules", "heavy")]
        named = f"`{row['command']}`" if row["command"].startswith("geocell") else row["command"]
        lines.append([named, *numbers, *rest])
    first = rows[0]
    versions = ", ".join(f"{name} {first[name]}" for name in ("torch", "transformers", "cyclopts"))
    note = (
        f"One thread on a core of an {first['cpu']} beside other work, Python {first['python']}, {versions}; medians "
        f"of {first['turns']} turns, in which each runs once, after one that compiles the "
        "modules; one turn alone is rough. "
        "The plain script loads the same CLIP (ViT-B/32, random "
        "weights) and head by transformers and safetensors, and prints the centroid of the most probable cell; "
        "`predict` also checks by their hash that the weights are those of the head, and names places where the extra "
        "`gazetteer` is installed."
    )
    return f"{markdown(header, lines)}\n\n{note}"


def pixels_speeds() -> str:
    """Return the tables: pixels of CLIP by three libraries, and how they agree on kinds of files."""
    rows = read_results("pixels_speed")
    timed = [row for row in rows if row["ms"]]
    first = rows[0]
    lines = [[row["file"], row["method"], row["ms"], row["of_transformers"]] for row in timed]
    names = [name for name in dict.fromkeys(row["method"] for row in rows) if not name.startswith("transformers")]
    found = {(row["file"], row["method"]): row["pixels"] for row in rows if not row["ms"]}
    kinds = [[kind, *(found[kind, name] for name in names)] for kind in dict.fromkeys(kind for kind, _ in found)]
    note = (
        f"Processor time of one thread of an {first['cpu']} beside other work, from the bytes of a file to normalised "
        f"pixels of CLIP@224; medians over {first['files']} mosaics of real photographs x {first['turns']} turns, "
        f"Pillow {first['pillow']}, transformers {first['transformers']}, hf-processors-rs "
        f"{first['hf-processors-rs']}. The second table has the greatest difference from the normalised pixels of "
        "transformers."
    )
    first_table = markdown(["photograph", "by", "ms", "of transformers"], lines, left=2)
    return f"{first_table}\n\n{markdown(['file', *names], kinds, left=3)}\n\n{note}"
