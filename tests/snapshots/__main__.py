"""Write the snapshots anew."""

from tests.snapshots import HERE, SNAPSHOTS

for name, make in SNAPSHOTS.items():
    (HERE / name).write_text(make(), encoding="utf-8")
