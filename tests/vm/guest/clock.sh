# Sourced by run, case and state.
# shellcheck shell=bash

seconds_since() { # NANOSECONDS, as `date +%s%N` prints them
  local tenths=$((($(date +%s%N) - $1) / 100000000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}
