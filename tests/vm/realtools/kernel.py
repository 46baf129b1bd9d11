"""What is in the kernel, as bpftool tells it; attach points in the words of a policy."""

import functools
import glob
import json
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

VMLINUX = "/sys/kernel/btf/vmlinux"
FENTRY = {"trace_fentry": "fentry", "trace_fexit": "fexit", "modify_return": "fmod_ret"}
# Bytes behind a type's 12, by kind: fixed, and for each of its members.
BTF_SIZES = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0),
             15: (0, 12), 17: (4, 0), 19: (0, 12)}
FUNCTION = 12
CGROUP_PLACES = {"cgroup_inet4_connect": "cgroup/connect4", "cgroup_inet_sock_create": "cgroup/sock_create",
                 "cgroup_device": "cgroup/dev", "cgroup_sock_ops": "sockops", "cgroup_sysctl": "cgroup/sysctl"}


@dataclass
class Program:
    info: dict
    links: list[dict] = field(default_factory=list)
    attach: list[str] = field(default_factory=list)
    pins: set[str] = field(default_factory=set)
    pids: set[int] = field(default_factory=set)


def bpftool(*arguments: str) -> list[dict]:
    done = subprocess.run(["bpftool", "-jf", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout or "[]")


@functools.cache
def btf_functions() -> dict[int, str]:
    """The functions in the kernel's BTF, by the number of their type."""
    with open(VMLINUX, "rb") as file:
        data = file.read()
    header, types, types_size, strings = struct.unpack_from("<4xIIII", data)
    at, end, names, number = header + types, header + types + types_size, {}, 1
    while at < end:
        name, info = struct.unpack_from("<II", data, at)
        kind = info >> 24 & 0x1f
        if kind == FUNCTION:
            start = header + strings + name
            names[number] = data[start:data.index(b"\0", start)].decode()
        fixed, each = BTF_SIZES.get(kind, (0, 0))
        at += 12 + fixed + each * (info & 0xffff)
        number += 1
    return names


def function_of(link: dict, programs: dict[int, Program]) -> str:
    """What a tracing link is on: a function of the kernel, or of another program (freplace)."""
    number = link["target_btf_id"]
    if link["prog_type"] != "ext":
        return f"{FENTRY[link['attach_type']]}/{btf_functions()[number]}"
    target = programs[link["target_obj_id"]].info
    types = bpftool("btf", "dump", "id", str(target["btf_id"]))["types"]
    return "freplace/" + next(one["name"] for one in types if one["id"] == number)


def tracepoint(name: str) -> str:
    found = [os.path.basename(os.path.dirname(path)) for path in glob.glob(f"/sys/kernel/tracing/events/*/{name}")]
    return f"tp/{found[0]}/{name}"


def event(kind: str, one: dict) -> str:
    """An event that `bpftool perf` or a link of type perf_event tells of."""
    if kind in ("kprobe", "kretprobe"):
        return f"{kind}/{one['func']}" + (f"+{one['offset']:#x}" if one["offset"] else "")
    if kind in ("uprobe", "uretprobe"):
        return f"{kind}/{one['filename']}:{one['offset']:#x}"
    return tracepoint(one["tracepoint"])


def place_of_link(link: dict, programs: dict[int, Program]) -> str:
    kind = link["type"]
    if kind == "tracing":
        return function_of(link, programs)
    if kind == "raw_tracepoint":
        traced = programs[link["prog_id"]].info["type"] == "tracing"
        return ("tp_btf/" if traced else "raw_tp/") + link["tp_name"]
    if kind == "xdp":
        return f"xdp@{link['devname']}"
    if kind == "perf_event":
        if "tracepoint" in link:
            return tracepoint(link["tracepoint"])
        probe = "kprobe" if "func" in link else "uprobe"
        name = probe.replace("probe", "retprobe") if link["retprobe"] else probe
        return event(name, {"filename": link.get("file"), **link})
    return f"a {kind} link, which this test does not know"


def places_without_link(wanted: set[int]) -> Iterator[tuple[int, str]]:
    """Of these programs; those with a link may be among them."""
    for device in bpftool("net", "show"):
        yield from ((one["id"], f"xdp@{one['devname']}") for one in device["xdp"] if one["id"] in wanted)
        yield from ((one["id"], f"tc@{one['devname']}") for one in device["tc"] if one["id"] in wanted)
    for one in bpftool("perf", "show"):
        if one["prog_id"] in wanted and one["fd_type"] != "raw_tracepoint":  # of which there is a link
            yield one["prog_id"], event(one["fd_type"], one)
    for cgroup in bpftool("cgroup", "tree"):
        for one in cgroup["programs"]:
            if one["id"] in wanted:
                kind = CGROUP_PLACES.get(one["attach_type"], one["attach_type"])
                yield one["id"], f"{kind}@{cgroup['cgroup'].removeprefix('/sys/fs/cgroup') or '/'}"


def holders(one: dict) -> set[int]:
    return {process["pid"] for process in one.get("pids", []) if process["comm"] != "bpftool"}


def is_of_bpftool(info: dict) -> bool:
    """bpftool lists holders with an iterator of its own."""
    return bool(info.get("pids")) and not holders(info)


def program_ids() -> set[int]:
    return {info["id"] for info in bpftool("prog", "show") if not is_of_bpftool(info)}


def read(known: set[int]) -> dict[int, Program]:
    """All programs but those that are known, by id."""
    programs = {info["id"]: Program(info, pins=set(info.get("pinned", [])), pids=holders(info))
                for info in bpftool("prog", "show") if info["id"] not in known and not is_of_bpftool(info)}
    for link in bpftool("link", "show"):
        if (program := programs.get(link.get("prog_id", 0))) is None:
            continue
        program.links.append(link)
        program.attach.append(place_of_link(link, programs))
        program.pins |= set(link.get("pinned", []))
        program.pids |= holders(link)
    for number, place in places_without_link(set(programs)):
        # Those that have a link are told of here as well.
        if place not in programs[number].attach:
            programs[number].attach.append(place)
    return programs
