# Finding a kernel, choosing KVM or emulation, running QEMU. Sourced by run.
# shellcheck shell=bash disable=SC2030,SC2031,SC2034,SC2154  # shares variables with tests/vm/run

default_kernel=7.3
architecture=amd64
qemu_pid=""
accelerator=""

qemu() { [[ $architecture == amd64 ]] && echo qemu-system-x86_64 || echo qemu-system-aarch64; }

find_kernel() { # SERIES | RELEASE | arm64-SERIES | PATH
  local image=$1
  if [[ $1 == arm64-* ]]; then
    image=$deps/arm64/kernels/${1#arm64-}/vmlinuz
    [[ -f $image ]] || "$root/scripts/setup" --arm64 >&2 || exit 125
  elif [[ $1 != */* ]]; then
    image=$deps/kernels/$1/vmlinuz
    [[ -f $image ]] || "$root/scripts/setup" --kernels "$1" >&2 || exit 125
  fi
  [[ -f $image ]] || fail "there is no kernel at $image" \
    "name a series such as 7.3, a Debian release, or an existing vmlinuz"
  printf '%s\n' "$image"
}

# /dev/kvm may exist and still not work (nested, or filtered), and QEMU then
# hangs in "KVM internal error". Only a boot tells; its result holds until the
# machine reboots.
choose_accelerator() {
  [[ $architecture == amd64 ]] || { accelerator=tcg; return; }
  local cache=$deps/kvm-probe boot
  boot=$(</proc/sys/kernel/random/boot_id)
  exec 8>"$cache.lock"
  flock 8
  if [[ ! -f $cache || $(cut -d' ' -f1 "$cache") != "$boot" ]]; then
    printf '%s %s\n' "$boot" "$(probe_kvm)" >"$cache.new"
    mv "$cache.new" "$cache"
  fi
  exec 8>&-
  accelerator=$(cut -d' ' -f2 "$cache")
}

probe_kvm() {
  [[ -w /dev/kvm ]] || { printf 'tcg'; return; }
  local probe result=tcg
  say "trying KVM once (up to 20 s)"
  probe=$(mktemp -d "$state/probe.XXXXXX")
  mkdir "$probe/job"
  printf 'true\n' >"$probe/job/command"
  : >"$probe/job/fetch"
  (
    # A subshell, so that the settings and the process id of the real run survive.
    work=$probe accelerator=kvm timeout=20 memory=1G append="" tree="" disk="" instructions=""
    trap stop_qemu EXIT
    build_initramfs "$probe"
    start_qemu "$(find_kernel "$default_kernel")" "$probe" >/dev/null &
    local starter=$!
    while kill -0 "$starter" 2>/dev/null; do
      if grep -qs 'internal error' "$probe/qemu.err"; then
        kill "$(cat "$probe/pid")" 2>/dev/null
      fi
      sleep 0.2
    done
  ) 8>&- 2>/dev/null || true # bash would announce that QEMU aborted
  ! grep -qx 'exit 0' "$probe/status" 2>/dev/null || result=kvm
  rm -rf "$probe"
  say "KVM $([[ $result == kvm ]] && printf 'works' || printf 'does not work here: emulating instead')"
  printf '%s' "$result"
}

# -cpu max: emulation must offer rdrand, or the boot waits for entropy.
# One thread for both CPUs: with one each, QEMU 7.2 may run an instruction that the
# other CPU is patching (static keys, trampolines), and the guest's kernel panics.
machine_arguments() { # IMAGE WORK
  local cpu=max accel=tcg,thread=single processors=2 machine=q35
  # Pointer authentication, which max has, makes the guest four times slower.
  [[ $architecture == amd64 ]] || cpu=cortex-a72 machine=virt
  [[ -z $instructions ]] || { accelerator=tcg processors=1; }
  [[ $accelerator == tcg ]] || { cpu=host accel=$accelerator; }
  arguments=(
    -M "$machine" -accel "$accel" -cpu "$cpu" -m "$memory" -smp "$processors"
    -nodefaults -no-user-config -display none -no-reboot
    -kernel "$1"
    -append "console=ttyS0 quiet panic=-1 oops=panic lsm=landlock,lockdown,yama,integrity,bpf$append"
  )
  [[ -n $restore ]] || arguments+=(-initrd "$2/initramfs")
  [[ -z $instructions ]] || arguments+=(-icount shift=0,sleep=off)
  # The memory of a guest that is saved is a file; one that goes on from there has its changes
  # to itself.
  [[ -z $save ]] || arguments+=(-object "$(memory_file "$save.new"),share=on" -machine memory-backend=ram)
  [[ -z $restore ]] || arguments+=(-object "$(memory_file "$restore"),share=off" -machine memory-backend=ram
    -incoming defer)
  [[ -z $tree ]] || arguments+=(-drive "file=$tree,format=raw,if=virtio,readonly=on")
  [[ -z $disk ]] || arguments+=(-drive "file=$disk,format=raw,if=virtio,cache=writeback")
}

memory_file() { # STATE
  printf 'memory-backend-file,id=ram,size=%s,mem-path=%s/memory' "$memory" "$1"
}

# Runs the guest to its end, the command's output going to standard output.
start_qemu() { # IMAGE WORK
  local arguments status=0 reader readers=() port ports=()
  machine_arguments "$1" "$2"
  for port in console output status files; do ports+=(-serial "chardev:$port"); done
  # Its machine has one port of another kind.
  [[ $architecture == amd64 ]] ||
    ports=(-device "pci-serial-4x,chardev1=console,chardev2=output,chardev3=status,chardev4=files")
  : >"$2/console"
  # FIFOs, not our own standard output: QEMU would make that non-blocking.
  mkfifo "$2/output" "$2/status.in" "$2/status.out"
  cat "$2/output" &
  readers+=($!)
  cat "$2/status.out" >"$2/status" &
  readers+=($!)
  [[ -z $save ]] || save_when_ready "$2" &
  [[ -z $restore ]] || hand_over_job "$2" &
  # pdeathsig: even a SIGKILL of this shell (a test runner's limit) ends QEMU.
  setpriv --pdeathsig TERM timeout --foreground -k 5 "$timeout" \
    setpriv --pdeathsig KILL "$(qemu)" "${arguments[@]}" -pidfile "$2/pid" \
    -chardev "file,id=console,path=$2/console" -chardev "file,id=output,path=$2/output" \
    -chardev "pipe,id=status,path=$2/status" -chardev "file,id=files,path=$2/files" \
    "${ports[@]}" \
    -qmp "unix:$2/qmp,server=on,wait=off" \
    </dev/null >"$2/qemu.err" 2>&1 &
  qemu_pid=$!
  # wait, not a foreground child: a signal to this shell is acted on at once.
  wait "$qemu_pid" || status=$?
  qemu_pid=""
  # If QEMU never opened the FIFOs their readers would wait for ever.
  for reader in "${readers[@]}"; do
    [[ -e $2/pid || $status -eq 0 ]] || kill "$reader" 2>/dev/null || true
    wait "$reader" 2>/dev/null || true
  done
  rm -f "$2"/{output,status.in,status.out}
  return "$status"
}

stop_qemu() {
  [[ -n $qemu_pid ]] || return 0
  # timeout passes this on to QEMU.
  kill "$qemu_pid" 2>/dev/null || true
  wait "$qemu_pid" 2>/dev/null || true
  qemu_pid=""
}

interactive_qemu() { # IMAGE WORK
  local arguments
  [[ -t 0 ]] || fail "a shell needs a terminal" "use tests/vm/run -- COMMAND in scripts"
  machine_arguments "$1" "$2"
  say "Ctrl-A X leaves the guest"
  if [[ $architecture == amd64 ]]; then
    "$(qemu)" "${arguments[@]}" -serial mon:stdio
  else
    "$(qemu)" "${arguments[@]}" -chardev stdio,id=console,mux=on,signal=off -mon console \
      -device pci-serial,chardev=console
  fi
}
