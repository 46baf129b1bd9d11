"""Holds what `bpfwarden inventory` says of a program to what bpftool says."""

import json
import subprocess
import time

import kernel

CLOCK_SLACK = 3  # seconds: bpftool rounds the time of a load, and computes it from two clocks


def inventory() -> dict[int, dict]:
    done = subprocess.run(["bpfwarden", "inventory", "--json"], capture_output=True, text=True, check=True)
    return {one["program_id"]: one for one in json.loads(done.stdout)["programs"]}


def loaded_at(program: dict) -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + program["load_time_ns"] / 1e9


def told(program: dict) -> dict:
    """What the inventory says, of that which bpftool says as well."""
    attachments = program["attachments"]
    return {
        "name": program["program"], "type": program["program_type"], "uid": program["uid"], "jited": program["jited"],
        "gpl_compatible": program["gpl_compatible"], "maps": program["map_count"],
        "instructions": program["instructions"], "tag": (program["digest"] or "").removeprefix("sha256:")[:16],
        "links": sorted((one["link_id"], one["link_type"]) for one in attachments if one["link_id"]),
        "attach": sorted(one["attach"] for one in attachments),
        "pins": sorted(program["pins"]), "pids": sorted(one["tgid"] for one in program["processes"]),
    }


def expected(program: kernel.Program) -> dict:
    info = program.info
    return {
        "name": info.get("name", ""), "type": info["type"], "uid": info["uid"], "jited": info["jited"],
        "gpl_compatible": info["gpl_compatible"], "maps": len(info.get("map_ids", [])),
        "instructions": info["bytes_xlated"] // 8, "tag": info["tag"],
        "links": sorted((link["id"], link["type"]) for link in program.links),
        "attach": sorted(program.attach), "pins": sorted(program.pins), "pids": sorted(program.pids),
    }


def differences(ours: dict | None, theirs: kernel.Program, standings: set[str]) -> list[str]:
    if ours is None:
        return ["it is not in the inventory"]
    found, wanted = told(ours), expected(theirs)
    result = [f"{key}: inventory says {found[key]}, bpftool {wanted[key]}"
              for key in wanted if found[key] != wanted[key]]
    if abs(loaded_at(ours) - theirs.info["loaded_at"]) > CLOCK_SLACK:
        result.append(f"load time: inventory says {loaded_at(ours):.0f}, bpftool {theirs.info['loaded_at']}")
    if ours["standing"] not in standings:
        result.append(f"standing: {ours['standing']}, not {' or '.join(sorted(standings))}")
    admission = ours["admission"] or {}
    if (admission.get("signature"), admission.get("origin")) != ("unsigned", "user"):
        result.append(f"not known as an unsigned program of a user: {admission}")
    return result
