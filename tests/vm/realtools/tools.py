"""The tools: how each is run, when it works, and where its programs must then be attached."""

import json
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FOLDER = "/opt/realtools"
DEVICE, PEER = "v0", "10.9.0.2"
VRF, VRF_CGROUP = "red", "/sys/fs/cgroup/vrf/red"
CONTAINER, CONTAINER_CGROUP = "/tmp/realtools/container", "/sys/fs/cgroup/container"
FILTER_PIN = "/sys/fs/bpf/drop_packet"
CGROUP, OTHER_CGROUP, PIN = "/sys/fs/cgroup/realtools", "/sys/fs/cgroup/elsewhere", "/sys/fs/bpf/refuse_connect"
# What tools and their libraries load to see what the kernel can do, and what they attach for that.
PROBES = ["socket", "kprobe/*", "tp/*", "raw_tp/*", "cgroup/sock_create", "kprobe.multi/*", "uprobe.multi/*",
          "tp_btf/block_rq_insert"]
TRIALS = ["iter/task_file", "freplace/xdp_pass", "fentry/setup_net", "iter/tcp"]
TUNED = ["ip_defrag", "ipv6_frag_rcv", *(f"tcp_{f}" for f in (
    "enter_memory_pressure", "leave_memory_pressure", "sndbuf_expand", "rcv_space_adjust", "init_sock",
    "syn_flood_action", "init_transfer"))]
LONGEST = 240  # seconds that a tool may take to do its work: bpftrace under emulation needs 25


class Failed(Exception):
    """A tool did not do what it does."""


def run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"'{' '.join(command)}' ended with {done.returncode}: {done.stdout.strip()[-1500:]}")


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def reaches_peer() -> bool:
    return succeeds("ping", "-c", "1", "-W", "1", PEER)


def cgroup_connects() -> bool:
    """Whether a process in the cgroup may connect: nobody listens, but that is not EPERM."""
    script = f"echo $$ >{CGROUP}/cgroup.procs; exec 3<>/dev/tcp/127.0.0.1/9"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    return "not permitted" not in done.stderr


def vrf_reaches_peer() -> bool:
    """Whether a process in the cgroup of the VRF reaches who is in none: its sockets are bound to nothing."""
    os.makedirs(VRF_CGROUP, exist_ok=True)
    return succeeds("bash", "-c", f"echo $$ >{VRF_CGROUP}/cgroup.procs; exec ping -c 1 -W 1 {PEER}")


def container_reads_log() -> bool:
    """Whether a process in the container's cgroup may open the kernel's log, by a node of this test's own."""
    os.makedirs(CONTAINER_CGROUP, exist_ok=True)
    return succeeds("bash", "-c", f"echo $$ >{CONTAINER_CGROUP}/cgroup.procs; exec 3<{CONTAINER}/kmsg")


def act() -> None:
    """What the tracers wait for: a file that goes, a sleep, a connection, a read from the disk."""
    script = f"touch /tmp/a; rm /tmp/a; sleep 0.01; exec 3<>/dev/tcp/{PEER}/9"
    subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    subprocess.run(["dd", "if=/dev/vda", "of=/dev/null", "bs=4k", "count=8", "iflag=direct"],
                   capture_output=True, check=True)


@dataclass
class Tool:
    name: str
    attach: list[str]
    has_threads: bool = field(default=False, kw_only=True)
    allow: list[str] = field(default_factory=list, kw_only=True)  # what a policy must name; empty: `attach`


@dataclass
class Tracer(Tool):
    """Runs until it is interrupted, and prints what it sees on its terminal."""

    command: list[str]
    shows: str  # a regular expression

    def __call__(self, observe: Callable[[], None]) -> None:
        terminal, end = pty.openpty()
        process = subprocess.Popen(self.command, stdin=end, stdout=end, stderr=end, start_new_session=True)
        os.close(end)
        printed = bytearray()
        reader = threading.Thread(target=collect, args=(terminal, printed), daemon=True)
        reader.start()
        try:
            self.wait(process, printed)
            observe()
        finally:
            status = stop(process)
            reader.join(10)
            os.close(terminal)
        if status not in (0, -signal.SIGINT):
            raise Failed(f"ended with {status}: {text_of(printed)}")

    def wait(self, process: subprocess.Popen, printed: bytearray) -> None:
        until = time.monotonic() + LONGEST
        while not re.search(self.shows, printed.decode(errors="replace")):
            if process.poll() is not None:
                raise Failed(f"ended with {process.returncode}: {text_of(printed)}")
            if time.monotonic() > until:
                raise Failed(f"printed no /{self.shows}/ in {LONGEST} s: {text_of(printed)}")
            act()
            time.sleep(0.5)


@dataclass
class Daemon(Tracer):
    """Works for a while until it has attached all that it attaches, and does not say when that is."""

    def wait(self, process: subprocess.Popen, printed: bytearray) -> None:
        super().wait(process, printed)
        before, now = -1, count_programs()
        while now != before:
            time.sleep(20)
            before, now = now, count_programs()


def count_programs() -> int:
    done = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True, check=True)
    return len(json.loads(done.stdout))


def text_of(printed: bytearray) -> str:
    return printed.decode(errors="replace").strip()[-1500:]


def collect(terminal: int, printed: bytearray) -> None:
    try:
        while chunk := os.read(terminal, 65536):
            printed += chunk
    except OSError:  # EIO: the other end is closed
        pass


def stop(process: subprocess.Popen) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@dataclass
class Placed(Tool):
    """Puts a program somewhere and ends; what flows there is then blocked, until it is removed."""

    place: list[list[str]]
    remove: list[list[str]]
    flows: Callable[[], bool] = field(default=reaches_peer)

    def __call__(self, observe: Callable[[], None]) -> None:
        if not self.flows():
            raise Failed("nothing gets through even before")
        for command in self.place:
            run(*command)
        if self.flows():
            raise Failed("it blocks nothing")
        observe()
        for command in self.remove:
            run(*command)
        if not self.flows():
            raise Failed("it still blocks after its removal")


def prepare_container() -> None:
    os.makedirs(f"{CONTAINER}/rootfs", exist_ok=True)
    shutil.copy("/opt/hello", f"{CONTAINER}/rootfs/hello")
    os.mknod(f"{CONTAINER}/kmsg", stat.S_IFCHR | 0o600, os.makedev(1, 11))
    run("crun", "spec", "--bundle", CONTAINER)
    with open(f"{CONTAINER}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    config["process"] |= {"terminal": False, "args": ["/hello", "wait"]}
    config["linux"]["cgroupsPath"] = "/container"
    with open(f"{CONTAINER}/config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)


def prepare() -> None:
    """Two network namespaces with a cable between them, two cgroups, a container that only waits."""
    prepare_container()
    os.makedirs("/var/run/bpftune", exist_ok=True)
    for cgroup in (CGROUP, OTHER_CGROUP):
        os.makedirs(cgroup, exist_ok=True)
    for command in ("ip netns add peer",
                    f"ip link add {DEVICE} type veth peer name v1 netns peer",
                    f"ip addr add 10.9.0.1/24 dev {DEVICE}", f"ip link set {DEVICE} up",
                    f"ip link add {VRF} type vrf table 10", f"ip link set {VRF} up",
                    f"ip -n peer addr add {PEER}/24 dev v1", "ip -n peer link set v1 up"):
        run(*command.split())
    for _ in range(50):
        if reaches_peer():
            return
        time.sleep(0.2)
    raise Failed(f"{PEER} does not answer")


def bpftrace(kind: str, attach: list[str], probe: str, who: str, *allow: str) -> Tracer:
    program = probe + ' { printf("hit by %s\\n", comm); }'
    return Tracer(f"bpftrace {kind}", attach, ["bpftrace", "-e", program], f"hit by {who}", allow=list(allow))


def libbpf_tool(name: str, attach: list[str], shows: str, *arguments: str) -> Tracer:
    return Tracer(name, attach, [f"{name}-libbpf", *arguments], shows)


def go(kind: str, target: str, attach: str) -> Tracer:
    return Tracer(f"Go loader {kind}", [attach], ["goloader", kind, target], r"ran [1-9]", has_threads=True)


def object_file(name: str) -> str:
    return f"{FOLDER}/{name}.bpf.o"


def all_tools() -> list[Tracer | Placed]:
    """`attach` are patterns, as of a shell."""
    vfs = ("read", "write", "fsync", "open", "create", "unlink", "mkdir", "rmdir")
    opens = ("open", "openat")
    tc = ["tc", "filter", "add", "dev", DEVICE, "ingress", "bpf", "da", "obj", object_file("drop_tc"), "sec", "tc"]
    return [
        bpftrace("kprobe", ["kprobe/do_nanosleep"], "kprobe:do_nanosleep", "sleep"),
        bpftrace("tracepoint", ["tp/syscalls/sys_enter_unlinkat"], "tracepoint:syscalls:sys_enter_unlinkat", "rm"),
        bpftrace("uprobe", ["uprobe//usr/bin/bash:0x*"], "uprobe:/usr/bin/bash:execute_command", "bash",
                 "uprobe//tree/usr/bin/bash:*"),  # for the kernel: the tools are in a chroot
        # Not of what this test does itself while it waits: ply has no time for SIGINT then.
        Tracer("ply", ["kprobe/vfs_unlink"],
               ["ply", 'kprobe:vfs_unlink { printf("hit by %s\\n", comm); }'], "hit by rm"),
        libbpf_tool("execsnoop", ["tp/syscalls/sys_enter_execve", "tp/syscalls/sys_exit_execve"], r"\n(sleep|rm|dd) "),
        libbpf_tool("opensnoop", [f"tp/syscalls/sys_{when}_{call}" for when in ("enter", "exit") for call in opens],
                    r"/tmp/a\b"),
        libbpf_tool("tcpconnect", [f"{k}/tcp_{v}_connect" for k in ("kprobe", "kretprobe") for v in ("v4", "v6")],
                    rf"{re.escape(PEER)}\s+9\b"),
        libbpf_tool("biolatency", ["tp_btf/block_rq_issue", "tp_btf/block_rq_complete"], r"-> \d+ +: [1-9]", "1"),
        libbpf_tool("vfsstat", [f"fentry/vfs_{f}" for f in vfs], r"\d\d:\d\d:\d\d: +[1-9]", "1"),
        Daemon("bpftune", [f"fentry/{f}" for f in TUNED] + [f"fexit/{f}" for f in ("enqueue_to_backlog", "net_rx_action")] +
               [f"{k}/{f}" for k in ("kprobe", "kretprobe") for f in ("setup_net", "fib6_run_gc")] +
               ["kprobe/__cgroup_bpf_run_filter_sysctl", "tp_btf/neigh_create", "sockops@/", "cgroup/sysctl@/"],
               ["bpftune", "-s"], "bpftune works fully", has_threads=True),
        Placed("xdp-loader", [f"xdp@{DEVICE}", "freplace/xdp_dispatcher"],
               [["xdp-loader", "load", "-m", "skb", DEVICE, object_file("drop_xdp")]],
               [["xdp-loader", "unload", DEVICE, "--all"]]),
        Placed("xdp-filter", [f"xdp@{DEVICE}", "freplace/xdp_dispatcher"],
               [["xdp-filter", "load", "-m", "skb", DEVICE], ["xdp-filter", "ip", PEER, "-m", "src"]],
               [["xdp-filter", "unload", DEVICE]]),
        Placed("ip link xdp", [f"xdp@{DEVICE}"],
               [["ip", "link", "set", "dev", DEVICE, "xdp", "obj", object_file("drop_xdp"), "sec", "xdp"]],
               [["ip", "link", "set", "dev", DEVICE, "xdp", "off"]]),
        Placed("tc filter bpf", [f"tc@{DEVICE}"], [["tc", "qdisc", "add", "dev", DEVICE, "clsact"], tc],
               [["tc", "qdisc", "del", "dev", DEVICE, "clsact"]]),
        Placed("bpftool cgroup", ["cgroup/connect4@/realtools"],
               [["bpftool", "prog", "load", object_file("refuse_connect"), PIN],
                ["bpftool", "cgroup", "attach", CGROUP, "connect4", "pinned", PIN]],
               [["bpftool", "cgroup", "detach", CGROUP, "connect4", "pinned", PIN], ["rm", PIN]], cgroup_connects),
        Placed("crun", ["cgroup/dev@/container"],
               [["sh", "-c", f"crun run --no-pivot --detach --bundle {CONTAINER} waits >{CONTAINER}/said 2>&1"]],
               [["crun", "delete", "--force", "waits"]], container_reads_log),
        Placed("ip vrf exec", [f"cgroup/sock_create@/vrf/{VRF}"], [["ip", "vrf", "exec", VRF, "true"]],
               [["rmdir", VRF_CGROUP]], vrf_reaches_peer),
        # Of these two the kernel does not tell where they are.
        Placed("ip route encap bpf", [],
               [["ip", "route", "add", f"{PEER}/32", "dev", DEVICE, "encap", "bpf", "out", "obj",
                 object_file("drop_route"), "section", "lwt_out"]],
               [["ip", "route", "del", f"{PEER}/32"]], allow=["lwt_out"]),
        Placed("iptables -m bpf", [],
               [["bpftool", "prog", "load", object_file("drop_packet"), FILTER_PIN],
                ["iptables-legacy", "-A", "OUTPUT", "-m", "bpf", "--object-pinned", FILTER_PIN, "-j", "DROP"]],
               [["iptables-legacy", "-F", "OUTPUT"], ["rm", FILTER_PIN]], allow=["socket"]),
        go("kprobe", "do_nanosleep", "kprobe/do_nanosleep"),
        go("tracepoint", "sched/sched_switch", "tp/sched/sched_switch"),
        go("xdp", DEVICE, f"xdp@{DEVICE}"),
    ]
