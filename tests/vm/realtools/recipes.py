"""Holds each recipe to what it is for: made to enforce, it refuses nothing of that, and a stranger's program.

For real: bpftrace, crun, runc, a Go loader, a signed bundle, bpftool. Of systemd, Cilium, Tetragon and Falco
the types and attach points of what they load are replayed, by a copy of bpftool in the place of their executable.
Paths are those of this guest, where the tools are in a chroot. Exits 1 if anything is amiss.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

FOLDER, WORK, AGENTS, PINS = "/opt/realtools", "/tmp/recipes", "/opt/agents", "/sys/fs/bpf/recipes"
CGROUP = "/sys/fs/cgroup/machine.slice/engine.scope"
STRANGER = ["bpftool", "prog", "load", f"{FOLDER}/stranger.bpf.o", f"{PINS}/stranger"]


@dataclass
class Recipe:
    name: str
    does: list[str]  # commands, each of which must work
    replaced: dict[str, str] = field(default_factory=dict)  # in its text
    refused: list[list[str]] = field(default_factory=lambda: [STRANGER])


def shell(command: str) -> tuple[int, str]:
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=300, errors="replace")
    return done.returncode, done.stdout


def must(command: str) -> str:
    status, said = shell(command)
    if status != 0:
        raise RuntimeError(f"`{command}` ended with {status}: {said.strip()[-800:]}")
    return said


def replay(agent: str, name: str, *more: str) -> list[str]:
    """All of the object's programs are loaded and, as far as bpftool can by itself, attached."""
    return [f"mkdir -p {PINS}/{name}; {agent} prog loadall {FOLDER}/recipe_{name}.bpf.o {PINS}/{name} autoattach",
            *(command.format(agent=agent, pins=f"{PINS}/{name}") for command in more)]


def container(runtime: str, inside: str = "") -> list[str]:
    return [f"{inside} cd {WORK}/oci; rm -f config.json; {runtime} spec; sed -i 's/\"terminal\": true/\"terminal\": false/; "
            f"s/\"sh\"/\"\\/hello\"/' config.json; {runtime} run --no-pivot c | grep 'in the container'"]


def digest_of_go() -> str:
    """As `bpfwarden suggest` would list it."""
    must("goloader xdp eth0 & sleep 3; kill -INT $!; wait")
    events = [json.loads(line) for line in must("bpfwarden events --json").splitlines()]
    digests = {event["digest"] for event in events if event.get("program") == "go_xdp" and event.get("digest")}
    return "sha256:" + digests.pop().removeprefix("sha256:")


def recipes(go_digest: str) -> list[Recipe]:
    agents = {name: f"{AGENTS}/{name}" for name in ("systemd", "cilium-agent", "tetragon", "falco")}
    return [
        Recipe("bpftrace", ["bpftrace -e 'kprobe:do_nanosleep { printf(\"%s\\n\", comm); exit(); }' & "
                            "while kill -0 $! 2>&-; do sleep 0.2; done; wait $!",
                            "bpftrace -e 'tracepoint:sched:sched_switch { exit(); }'",
                            "bpftrace -e 'BEGIN { exit(); }'"],
               {"/usr/bin/bpftrace": "/tree/usr/bin/bpftrace"}),
        Recipe("containers", container("crun") + container("runc") +
               container(f"{WORK}/crun", f"echo $$ >{CGROUP}/cgroup.procs;"),
               {f"/usr/{name}": f"/tree/usr/{name}" for name in ("bin/runc", "sbin/runc", "bin/crun")},
               [STRANGER, ["bpftool", "prog", "load", f"{FOLDER}/recipe_device.bpf.o", f"{PINS}/stranger"]]),
        Recipe("loaders", [f"bpfwarden run {WORK}/team.bpfsig",
                           "goloader xdp eth0 >go.txt & sleep 4; kill -INT $!; wait $!; grep 'ran' go.txt"],
               {"../certs/signer.pem": f"{WORK}/team.pem", '"cgroup_skb/*"': '"xdp@eth0"',
                "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08": go_digest},
               [STRANGER, ["bpfwarden", "run", f"{WORK}/stranger.bpfsig"]]),
        Recipe("systemd", replay(agents["systemd"], "systemd",
                                 "{agent} cgroup attach " + CGROUP + " device pinned {pins}/on_device"),
               {"/usr/lib/systemd/": f"{AGENTS}/"}),
        Recipe("cilium", replay(agents["cilium-agent"], "cilium",
                                "{agent} net attach xdpgeneric pinned {pins}/on_xdp dev eth0",
                                "{agent} net attach tcx_ingress pinned {pins}/on_tcx dev eth0",
                                "{agent} cgroup attach " + CGROUP + " connect4 pinned {pins}/on_connect4",
                                "{agent} net detach xdpgeneric dev eth0"),
               {"/usr/bin/cilium-agent": agents["cilium-agent"]}),
        Recipe("tetragon", replay(agents["tetragon"], "tetragon"), {"/usr/bin/tetragon": agents["tetragon"]}),
        Recipe("falco", replay(agents["falco"], "falco"), {"/usr/bin/falco": agents["falco"]}),
    ]


def prepare() -> None:
    for folder in (WORK, f"{WORK}/oci/rootfs", AGENTS, PINS, CGROUP):
        os.makedirs(folder, exist_ok=True)
    os.chdir(WORK)
    for agent in ("systemd", "cilium-agent", "tetragon", "falco"):
        shutil.copy(shutil.which("bpftool") or "", f"{AGENTS}/{agent}")
    shutil.copy("/usr/bin/crun", f"{WORK}/crun")  # which can be written: it runs a copy of itself from a memfd
    shutil.copy("/opt/hello", f"{WORK}/oci/rootfs/hello")
    must("ip link add eth0 type veth peer name peer; ip link set eth0 up; ip link set peer up")
    for key in ("team", "stranger"):
        must(f"bpfwarden keys new {key}")
        must(f"bpfwarden sign {FOLDER}/xdp_pass.bpf.o --key {key}.key --cert {key}.pem -o {key}.bpfsig")


def apply(recipe: Recipe, version: int) -> None:
    text = must(f"bpfwarden recipes {recipe.name}").replace('"audit"', '"enforce"')
    text = text.replace("version              = 1", f"version = {version}").replace("version = 1\n", f"version = {version}\n")
    for before, after in recipe.replaced.items():
        if before not in text:
            raise RuntimeError(f"the recipe `{recipe.name}` does not say {before}")
        text = text.replace(before, after)
    with open(f"{recipe.name}.toml", "w", encoding="utf-8") as file:
        file.write(text)
    must(f"bpfwarden apply {recipe.name}.toml --confirm-within 0 --accept-denials")
    shell("bpfwarden events")


def complaints(recipe: Recipe, version: int) -> list[str]:
    apply(recipe, version)
    found = []
    for command in recipe.does:
        status, said = shell(command)
        if status != 0:
            found.append(f"`{command}` ended with {status}: {said.strip()[-600:]}")
    for line in must("bpfwarden events --json").splitlines():
        event = json.loads(line)
        if event["refused"]:  # who lists BTF comes by bpfwarden's own, and is told of
            found.append(f"denied: {event['hook']} {event['attach']} '{event['program']}' of {event['exe']}: {event['cause']}")
    for command in recipe.refused:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found.append(f"`{' '.join(command)}` is not refused")
    return [f"{recipe.name}: {one}" for one in found]


def main() -> int:
    prepare()
    with open("audit.toml", "w", encoding="utf-8") as file:
        file.write('schema = 1\nname = "audit"\nversion = 1\nmode = "audit"\ndefault = "deny"\n')
    must("bpfwarden apply audit.toml")
    problems = []
    for version, recipe in enumerate(recipes(digest_of_go()), 2):
        if sys.argv[1:] and recipe.name not in sys.argv[1:]:
            continue
        try:
            found = complaints(recipe, version)
        except RuntimeError as error:
            found = [f"{recipe.name}: {error}"]
        print(f"{recipe.name}: {len(recipe.does)} commands, {'works' if not found else 'AMISS'}", flush=True)
        problems += found
    print(*problems, f"{len(problems)} problems", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
