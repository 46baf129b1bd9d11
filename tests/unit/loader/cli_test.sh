#!/bin/bash
# The command line as a user meets it. usage: cli_test.sh BPFWARDEN SOURCE_FOLDER EXAMPLES_FOLDER
set -u
bpfwarden=$1 source=$2 examples=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() { # NAME, then a command that must succeed
  local name=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED %s\n' "$name"
    sed 's/^/  | /' "$work/out"
  fi
}

exits() { # CODE COMMAND...
  local expected=$1 code=0
  shift
  "$@" || code=$?
  [ "$code" -eq "$expected" ] || { echo "exit $code, expected $expected"; return 1; }
}

broken_lines() { "$bpfwarden" check "$source/examples/broken.toml" | grep -cE '^[^ ]+:[0-9]+:[0-9]+: error: '; }
at_least_five() { [ "$(broken_lines)" -ge 5 ]; }
no_escape() { ! "$bpfwarden" check "$source/examples/broken.toml" | grep -q $'\x1b'; }
json_ok() { "$bpfwarden" check --json "$source/examples/broken.toml" | jq -e '.ok == false and (.diagnostics | length >= 5)'; }
each_verb_has_an_example() {
  local verb
  for verb in apply check doctor events off run sign status; do
    "$bpfwarden" "$verb" --help | grep -q 'example: bpfwarden '"$verb" || { echo "$verb"; return 1; }
  done
}
new_key() { # NAME: NAME.key and NAME.pem in the work folder
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
    -keyout "$work/$1.key" -out "$work/$1.pem"
}
example_policy_is_good() {
  new_key netops && cp "$source/examples/policies/edge.toml" "$work/" && "$bpfwarden" check "$work/edge.toml"
}
policy_of_the_readme_is_good() {
  new_key netops && sed -n '/^```toml$/,/^```$/{/^```/d;p}' "$source/README.md" >"$work/readme.toml" &&
    [ "$(wc -l <"$work/readme.toml")" -eq 9 ] && "$bpfwarden" check "$work/readme.toml"
}
signs_what_it_says() {
  new_key signer && "$bpfwarden" sign "$examples/connects.bpf.o" --key "$work/signer.key" \
    --cert "$work/signer.pem" -o "$work/c.bundle" --json | jq -e '.signature == "prog-used-maps"'
}
refuses_and_leaves_nothing() {
  exits 1 "$bpfwarden" sign "$examples/xdp_bare.bpf.o" --key /nonexistent --cert /nonexistent -o "$work/x.bundle" &&
    [ ! -e "$work/x.bundle" ]
}

check "no verb is wrong usage" exits 2 "$bpfwarden"
check "an unknown verb is wrong usage" exits 2 "$bpfwarden" frobnicate
check "a missing argument is wrong usage" exits 2 "$bpfwarden" check
check "help is no error" exits 0 "$bpfwarden" --help
check "each verb's help has an example" each_verb_has_an_example
check "a broken policy exits 1" exits 1 "$bpfwarden" check "$source/examples/broken.toml"
check "a broken policy shows at least five mistakes" at_least_five
check "no colour when not a terminal" no_escape
check "diagnostics as JSON" json_ok
check "a missing file exits 1" exits 1 "$bpfwarden" check /nonexistent.toml
check "the example policy is good" example_policy_is_good
check "the policy of the README is good" policy_of_the_readme_is_good
check "sign says what the signature covers" signs_what_it_says
check "a failed sign writes nothing" refuses_and_leaves_nothing

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
