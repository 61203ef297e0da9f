"""What the kernel says about processes and processors."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def process_tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    tree = [pid]
    for member in tree:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            tree.extend(int(child) for child in _read(children).split())
    return tree


def cpu_seconds(pid: int) -> float:
    """User and system time of the process tree, io_uring's kernel workers included."""
    ticks = 0
    for member in process_tree(pid):
        fields = _read(Path(f"/proc/{member}/stat")).rpartition(")")[2].split()
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_SECOND


def memory_bytes(pid: int) -> dict[str, int]:
    """Resident, proportional and private user memory of the process tree."""
    total = {"rss": 0, "pss": 0, "private": 0}
    for member in process_tree(pid):
        for line in _read(Path(f"/proc/{member}/smaps_rollup")).splitlines():
            name, _, value = line.partition(":")
            if name in ("Rss", "Pss"):
                total[name.lower()] += int(value.split()[0]) * 1024
            elif name in ("Private_Clean", "Private_Dirty"):
                total["private"] += int(value.split()[0]) * 1024
    return total


@dataclass(frozen=True)
class CpuTimes:
    """Seconds that one processor has spent since boot."""

    busy: float
    idle: float
    stolen: float

    @classmethod
    def of(cls, cpu: int) -> "CpuTimes":
        for line in _read(Path("/proc/stat")).splitlines():
            name, *fields = line.split()
            if name == f"cpu{cpu}":
                user, nice, system, idle, iowait, irq, softirq, steal = (
                    int(field) / TICKS_PER_SECOND for field in fields[:8]
                )
                return cls(user + nice + system + irq + softirq, idle + iowait, steal)
        raise RuntimeError(f"/proc/stat does not list cpu {cpu}")

    def since(self, earlier: "CpuTimes") -> "CpuTimes":
        return CpuTimes(self.busy - earlier.busy, self.idle - earlier.idle, self.stolen - earlier.stolen)

    @property
    def total(self) -> float:
        return self.busy + self.idle + self.stolen


def machine_facts() -> list[str]:
    """What a reader needs to know to compare results."""
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in _read(Path("/proc/cpuinfo")).splitlines()
        if ":" in line
    )
    virtual = ", virtual machine" if "hypervisor" in fields.get("flags", "").split() else ""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return [
        f"{fields.get('model name', platform.machine())}, {os.cpu_count()} processors{virtual}",
        f"{platform.system()} {platform.release()}",
        f"{memory_gib:.0f} GiB",
    ]


def version_of(command: list[str]) -> str:
    """First line that the program prints about itself, or that it is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "missing"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "unknown"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
