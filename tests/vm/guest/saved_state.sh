# A guest's state: saved once its command has ended, and gone on from by later guests, each of which
# has its own copy of the memory. The same host, QEMU and settings are needed, so a state is kept
# with the build (tests/vm/state). Sourced by run.
# shellcheck shell=bash disable=SC2154  # the variables of tests/vm/run

# The job of a guest that is to be saved, on standard output: COMMAND, and once that has succeeded,
# whatever comes from the port that the host hands the next job to.
waiting_job() { # COMMAND...
  printf '%s || exit\n' "$(printf '%q ' "$@")"
  printf 'sync\necho ready >/dev/ttyS2\n'
  printf "IFS= read -r -d '' job </dev/ttyS2\n"
  printf 'eval "$job"\n'
}

# Ends QEMU once the state is whole; conclude_save looks for that.
save_when_ready() { # WORK
  until grep -qs '^ready$' "$1/status"; do
    sleep 0.1
    # The shell that started this is gone, or its guest is.
    [[ -d $1 ]] && ! grep -qs '^exit ' "$1/status" || return 0
  done
  python3 "$here/guest/migration.py" save "$1/qmp" "$save.new/devices"
}

# The guest waits for the job; what precedes it are the settings of this run.
hand_over_job() { # WORK
  python3 "$here/guest/migration.py" restore "$1/qmp" "$restore/devices" || return 0
  {
    printf 'echo "started $(cut -d" " -f1 /proc/uptime)" >/dev/ttyS2\n'
    printf 'cat >/job/fetch <<"end of fetch"\n'
    cat "$1/job/fetch"
    printf 'end of fetch\n'
    cat "$1/job/command"
    printf '\0'
  } >"$1/status.in"
}

begin_save() {
  rm -rf "$save.new"
  mkdir -p "$save.new"
  printf '%s\n' "$memory" >"$save.new/size"
}

conclude_save() { # WORK QEMU-STATUS
  if [[ -s $save.new/devices && $2 -eq 0 ]] && ! grep -qs '^exit ' "$1/status"; then
    rm -rf "$save"
    mv "$save.new" "$save"
    return 0
  fi
  explain "$1" "the guest was not saved (QEMU's status $2)"
  rm -rf "$save.new"
  return 125
}

begin_restore() {
  [[ -s $restore/devices ]] || fail "there is no saved guest in $restore" "make it with --save"
  [[ ${#files[@]} -eq 0 && -z $tree && -z $append && ${#modules[@]} -eq 0 ]] ||
    misuse "a restored guest takes no --file, --bin, --module, --tree or --append"
  memory=$(<"$restore/size")
}
