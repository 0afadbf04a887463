"""What was done, with what result: a table of rows (clients) and columns (steps), printed as it grows."""

import sys
import time
from contextlib import contextmanager

from talk import Failed


class Table:
    def __init__(self):
        self.cells = {}  # (section, row, column) -> text
        self.failures = []
        self.done = 0  # steps that were gone through

    @contextmanager
    def step(self, section, row, column):
        """Runs a step: what it raises of what can fail is a failure of this step, and the next one goes on. Gives a list for what there
        is to tell of it besides its time."""
        began, told = time.monotonic(), []
        try:
            yield told
            self.cells[section, row, column] = ", ".join([f"{time.monotonic() - began:.1f} s", *told])
            self.done += 1
        except Failed as failure:
            self.cells[section, row, column] = "FAILED"
            self.failures.append(f"{row} × {column}")
            print(f"FAILED {row} × {column}: {failure}", flush=True)
        else:
            print(f"ok     {row} × {column}, {self.cells[section, row, column]}", file=sys.stderr, flush=True)

    def leave_out(self, section, row, column, why):
        """A step that this broker cannot be asked for."""
        self.cells[section, row, column] = "left out"
        print(f"left out {row} × {column}: {why}", flush=True)

    def skip(self, section, row, why):
        self.cells[section, row, "skipped"] = why
        print(f"skipped {row}: {why}", flush=True)

    def print(self):
        for section in dict.fromkeys(section for section, _, _ in self.cells):
            here = [(row, column) for s, row, column in self.cells if s == section]
            rows, columns = list(dict.fromkeys(r for r, _ in here)), list(dict.fromkeys(c for _, c in here))
            lines = [[section, *columns]]
            lines += [[row, *(self.cells.get((section, row, column), "-") for column in columns)] for row in rows]
            widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
            print()
            for line in lines:
                print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
