"""Makes a recording of a day of a host, the same every time, with its inventory and status.

usage: recording.py FOLDER [EVENTS]

Its events have the members that docs/events.md names, which a unit test holds to event_to_json().
Some texts in it are hostile: a recording is a file, and may hold anything.
"""

import datetime
import json
import pathlib
import random
import re
import sys

START = datetime.datetime(2026, 11, 23, 21, 0, tzinfo=datetime.timezone.utc)
SPAN = 30 * 3600
HOSTILE = "</script><img src=x onerror=pwned=1>"
HOSTILE_COMM = "a\x1b[2J\u202egnp"
DOCS = pathlib.Path(__file__).parents[2] / "docs" / "events.md"


def digest(name):
    return "sha256:" + "%064x" % random.Random(name).getrandbits(256)


def service(name, exe, comm=None, uid=0):
    return {"cgroup": f"/system.slice/{name}", "exe": exe, "comm": (comm or exe.split("/")[-1])[:15], "uid": uid}


AGENT = service("netops-agent.service", "/usr/lib/netops/agent")
TRACER = service("tracing-collector.service", "/usr/bin/tracing-collector")
EXPORTER = service("ebpf-exporter.service", "/usr/bin/ebpf_exporter", uid=997)
BALANCER = service("balancer.service", "/opt/vendor/balancer")
INIT = {"cgroup": "/init.scope", "exe": "/usr/lib/systemd/systemd", "comm": "systemd", "uid": 0}
SHELL = {"cgroup": "/user.slice/user-1000.slice/session-12.scope", "exe": "/usr/bin/bpftrace", "comm": "bpftrace", "uid": 0}
CRON = {"cgroup": "/system.slice/cron.service", "exe": "/usr/local/sbin/flowtop", "comm": "flowtop", "uid": 0}
STRAY = {"cgroup": None, "exe": "/tmp/.cache/kworkerd", "comm": "kworkerd", "uid": 0}
ODD = {"cgroup": "/system.slice/<b>odd & \"co\".service", "exe": "/srv/odd", "comm": HOSTILE_COMM, "uid": 1001}

NETWORK, TRACING, SYSTEMD, NEVER = ("network team", 20), ("tracing, from anyone we know", 26), ("systemd's own cgroup programs, until they are signed", 40), ("never outrank the warden", 16)
VENDOR = ("the vendor's balancer, while the contract lasts", 33)

# weight, outcome, who, program, attach point, signature, signer, rule
KINDS = [
    (300, "allowed", AGENT, "xdp_filter", "xdp", "prog-used-maps", "netops", NETWORK),
    (120, "allowed", AGENT, "shape_egress", "tcx/egress", "prog-used-maps", "netops", NETWORK),
    (90, "allowed", AGENT, "shape_ingress", "tcx/ingress", "prog-used-maps", "netops", NETWORK),
    (260, "allowed", TRACER, "tcp_connect", "fentry/tcp_connect", "prog-only", "tracing", TRACING),
    (140, "allowed", TRACER, "tcp_close", "fexit/tcp_close", "prog-only", "tracing", TRACING),
    (60, "allowed", TRACER, "dump_task", "iter/task", "prog-only", "tracing", TRACING),
    (400, "allowed", INIT, "sd_devices", "cgroup/dev", "unsigned", None, SYSTEMD),
    (220, "allowed", INIT, "sd_fw_egress", "cgroup_skb/egress", "unsigned", None, SYSTEMD),
    (50, "allowed", BALANCER, "steer", "sk_lookup", "prog-only", "vendor", VENDOR),
    (30, "would_deny", EXPORTER, "biolatency", "kprobe/\u2026", "unsigned", None, None),
    (22, "would_deny", EXPORTER, "timers", "tp/\u2026", "unsigned", None, None),
    (9, "would_deny", EXPORTER, "oomkill", "kprobe/\u2026", "unsigned", None, None),
    (7, "would_deny", SHELL, "do_sys_openat2", "kprobe/\u2026", "unsigned", None, None),
    (3, "would_deny", SHELL, "BEGIN", "uprobe/\u2026", "unsigned", None, None),
    (6, "would_deny", CRON, "flow_count", "tc", "prog-only", None, None),
    (2, "would_deny", AGENT, "xdp_filter_v2", "xdp", "prog-only", "netops", None),
    (2, "would_deny", AGENT, "xdp_filter", "xdp@eth7", "prog-used-maps", "netops", None),  # attached where no rule allows it
    (1.2, "would_deny", ODD, HOSTILE, "fentry/do_filp_open", "unsigned", None, None),
    (0.8, "refused", STRAY, "hide_pid", "fmod_ret/security_file_open", "unsigned", None, NEVER),
    (0.5, "refused", STRAY, "r0", "lsm_cgroup/socket_bind", "unsigned", None, NEVER),
    (0.2, "refused", STRAY, "", None, "unsigned", None, None),  # wants to change the keyring
    (1.5, "rejected", CRON, "", None, "prog-only", None, None),
    (4, "staged", TRACER, "dump_task", "iter/task", "prog-only", "tracing", None),
]


def base(kind, rng):
    _, outcome, who, program, attach, signature, signer, rule = kind
    is_attachment = attach is not None and "@" in attach
    hook = {"rejected": "observed", "staged": "staged"}.get(outcome, "attach" if is_attachment else "bpf_prog_load" if attach else "key_permission")
    denied = outcome in ("would_deny", "refused", "rejected", "staged")
    error = rng.choice([126, 129]) if outcome == "rejected" else 1 if outcome == "refused" else 0
    is_default = outcome in ("would_deny", "staged")
    return {
        "hook": hook, "decision": "deny" if denied else "allow", "refused": outcome in ("refused", "rejected"), "errno": error,
        "active_decision": "allow" if outcome == "staged" else None, "mode": "enforce" if outcome == "refused" else "audit",
        "rule": rule[0] if rule else None, "rule_line": rule[1] if rule else None,
        "cause": "rule" if rule else "kernel-rejected" if outcome == "rejected" else "default" if is_default else "sealed-key",
        "almost": ["rule 'tracing, from anyone we know' (line 26) allows it, but asks for a signer that it names"] if is_default else [],
        "signature": signature, "signer": signer, "key_serial": 812345678 if signature != "unsigned" else 0, "count": 1, "system_call": None, "object": None, "verified_by": "kernel" if signature != "unsigned" else None, "wanted_key": digest("stranger")[7:47] if error == 126 else None, "origin": "user",
        "attach": attach, "route": "link-create" if is_attachment else None, "program": program, "loader_id": 0, "loader_digest": None, "digest": digest(program) if attach else None,
        "sleepable": False, "delegated": False, "gpl_compatible": True, "uid": who["uid"], "comm": who["comm"], "exe": who["exe"],
        "cgroup": who["cgroup"], "cgroup_id": 4000 + len(who["exe"]),
    }


def moments(rng, count):
    """A quiet night, a busy day, and a burst when something is rolled out."""
    found = []
    while len(found) < count:
        at = rng.random() * SPAN
        hour = (21 + at / 3600) % 24
        weight = 0.35 + 0.5 * (7 < hour < 19) + (1.0 if 50400 < at < 52200 else 0)
        if rng.random() * 2 < weight:
            found.append(at)
    return sorted(found)


def events(count, rng):
    weights = [kind[0] for kind in KINDS]
    sequence = 0
    for at in moments(rng, count):
        kind = rng.choices(KINDS, weights)[0]
        sequence += 1 + (7 if rng.random() < 0.0005 else 0)  # now and then some were dropped
        time = START + datetime.timedelta(microseconds=int(at * 1e6))
        tgid = 900 + len(kind[2]["exe"]) if kind[2] is not SHELL else rng.randrange(2000, 30000)
        version = 12 if at > 64800 else 11
        if version == 11 and kind[1] == "staged":
            kind = KINDS[0]
        yield base(kind, rng) | {
            "sequence": sequence, "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "time_ns": 10**12 + int(at * 1e9), "judged_at": time.isoformat(timespec="seconds").replace("+00:00", "Z"), "pid": tgid, "tgid": tgid, "program_id": 0,
            "generation": version - 8, "policy_version": version, "policy_digest": digest(f"policy {version}"),
        }


def program(number, kind, standing, places, holders=(), pins=()):
    _, outcome, who, name, attach, signature, signer, rule = kind
    admission = {
        "rule": rule[0] if rule else None, "cause": "rule" if rule else "default", "decision": "allow" if standing == "admitted" else "deny",
        "policy_version": 12, "signature": signature, "signer": signer, "key_serial": 0, "origin": "user", "loader_id": 0,
        "loader_digest": None,
    }
    known = standing in ("admitted", "would be denied")
    return {
        "program_id": number, "program": name[:15], "program_type": "tracing", "attach": attach, "standing": standing, "admission": admission if known else None,
        "kernel_verdict": "unsigned" if signature == "unsigned" else "verified", "digest": digest(name),
        "attachments": [{"link_id": 40 + number + i, "link_type": "perf_event", "attach": place} for i, place in enumerate(places)],
        "pins": list(pins), "processes": [{"tgid": pid, "comm": comm} for pid, comm in holders], "uid": who["uid"],
        "load_time_ns": 10**12, "map_count": 2, "instructions": 320, "verified_instructions": 410, "target_program_id": 0,
        "sleepable": False, "jited": True, "gpl_compatible": True,
    }


def inventory():
    kind = {one[3]: one for one in KINDS}
    own = (0, "", INIT, "warden_bpf_prog", "lsm/bpf_prog_load", "unsigned", None, None)
    return {"summary": {}, "programs": [
        program(14, kind["sd_devices"], "resident", ["cgroup/dev@/system.slice/systemd-udevd.service"], [(1, "systemd")]),
        program(15, kind["sd_devices"], "resident", ["cgroup/dev@/system.slice/systemd-logind.service"], [(1, "systemd")]),
        program(22, own, "bpfwarden", ["lsm/bpf_prog_load"], pins=["/sys/fs/bpf/bpfwarden/links/warden_bpf_prog_load"]),
        program(31, kind["xdp_filter"], "admitted", ["xdp@eth0", "xdp@eth1"], pins=["/sys/fs/bpf/netops/xdp_filter"]),
        program(32, kind["shape_egress"], "admitted", ["tcx/egress@eth0"], [(921, "agent")]),
        program(33, kind["shape_ingress"], "admitted", ["tcx/ingress@eth0"], [(921, "agent")]),
        program(40, kind["tcp_connect"], "admitted", ["fentry/tcp_connect"], [(926, "tracing-collect")]),
        program(41, kind["tcp_close"], "admitted", ["fexit/tcp_close"], [(926, "tracing-collect")]),
        program(44, kind["sd_fw_egress"], "admitted", ["cgroup_skb/egress@/system.slice/cron.service"], [(1, "systemd")]),
        program(47, kind["steer"], "admitted", ["sk_lookup"], [(933, "balancer")]),
        program(52, kind["biolatency"], "would be denied", ["kprobe/blk_mq_start_request", "kprobe/blk_account_io_done"], [(922, "ebpf_exporter")]),
        program(53, kind["timers"], "would be denied", ["tp/timer/timer_start"], [(922, "ebpf_exporter")]),
        program(60, kind["flow_count"], "would be denied", ["tc/ingress@eth1"], [(930, "flowtop")]),
        program(71, kind[HOSTILE], "would be denied", ["fentry/do_filp_open"], [(940, HOSTILE_COMM)]),
    ]}


def status():
    return {
        "active": True, "host": "edge-17.example.net", "kernel": "7.3.4+deb13-cloud-amd64", "mode": "audit", "policy": "edge-fleet",
        "policy_version": 12, "policy_digest": digest("policy 12"), "generation": 4, "since": "2026-11-24T15:00:00Z", "confirm_within": 0,
        "returned": False, "staged": {"policy": "edge-fleet", "policy_version": 13, "generation": 5, "since": "2026-11-24T16:26:40Z",
                                      "agreed": 41000, "differed": 250},
        "rule_count": 6, "keyring": 7, "certificates": [], "hooks": ["bpf_prog_load"],
        "counters": {"decided": 119000, "refused": 90, "would_deny": 4800, "observed": 90, "quiet": 18400, "withheld": 2100, "dropped": 357},
    }


def main():
    folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    folder.mkdir(parents=True, exist_ok=True)
    named = re.findall(r"`(\w+)`", "".join(line.split(" | ")[0] for line in DOCS.read_text().splitlines() if line.startswith("| `")))
    with open(folder / "events.jsonl", "w") as file:
        for event in events(count, random.Random(5)):
            assert sorted(event) == sorted(named), set(event) ^ set(named)
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    (folder / "inventory.json").write_text(json.dumps(inventory()))
    (folder / "status.json").write_text(json.dumps(status()))


if __name__ == "__main__":
    main()
