"""Numbers with their spread, tables for the terminal and for docs/figures.md, and the JSON files."""

import datetime
import json
import os
import platform
import statistics
import subprocess


class Spread:
    """The median of some runs, with the smallest and the largest."""

    def __init__(self, values):
        self.values = [value for value in values if value is not None]
        self.missing = len(values) - len(self.values)

    @property
    def median(self):
        return statistics.median(self.values) if self.values and not self.missing else None

    def text(self, digits=2, scale=1.0, nothing="–"):
        if self.median is None:
            return nothing
        low, middle, high = (f"{value * scale:,.{digits}f}"
                             for value in (min(self.values), self.median, max(self.values)))
        return middle if low == high else f"{middle} ({low}–{high})"

    def to_json(self):
        if self.median is None:
            return None
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "runs": self.values}


def verdict(reached):
    return "yes" if reached else "no"


def table(header, rows):
    """A Markdown table whose columns line up in a terminal too."""
    cells = [header] + rows
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        memory_kib = int(meminfo.readline().split()[1])
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory_kib / 2**20, 1),
            "kernel": platform.release(), "system": _system_name()}


def _system_name():
    try:
        with open("/etc/os-release", encoding="utf-8") as release:
            fields = dict(line.rstrip("\n").split("=", 1) for line in release if "=" in line)
        return fields.get("PRETTY_NAME", "unknown").strip('"')
    except OSError:
        return "unknown"


def commit(repository):
    done = subprocess.run(["git", "-C", repository, "describe", "--always", "--dirty", "--abbrev=12"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def stolen_ticks():
    """Hundredths of a second that the hypervisor took from all cores so far."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8])


def write_json(path, content):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.write("\n")


def write_docs(path, figure, title, text):
    """Replaces the text between the figure's markers; adds a section if there are none."""
    begin, end = f"<!-- figure:{figure} -->", f"<!-- /figure:{figure} -->"
    section = f"{begin}\n{text.rstrip()}\n{end}"
    content = "# Figures\n"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            content = file.read()
    if begin in content and end in content:
        before, rest = content.split(begin, 1)
        content = before + section + rest.split(end, 1)[1]
    else:
        content = f"{content.rstrip()}\n\n## {title}\n\n{section}\n"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
