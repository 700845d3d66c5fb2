"""Runs a notebook's cells one after the other, tells of each, and writes the notebook with their outputs to another file."""

import sys
import time

import nbformat
from nbclient import NotebookClient

source, target, folder = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
cells = sum(cell.cell_type == "code" for cell in notebook.cells)
done, begun = 0, time.monotonic()


def start(cell, **_):
    global begun
    begun = time.monotonic()


def executed(cell, **_):
    global done
    done += 1
    print(f"      cell {done}/{cells}, {cell.id}: {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)


client = NotebookClient(
    notebook,
    timeout=None,
    startup_timeout=300,
    kernel_name="rust",
    allow_errors=True,  # xtask looks for them, since the kernel does not call every failure one
    record_timing=False,
    resources={"metadata": {"path": folder}},
    on_cell_execute=start,
    on_cell_executed=executed,
)
client.execute()
nbformat.write(notebook, target)
