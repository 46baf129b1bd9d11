#!/bin/bash
# The command line as a user meets it. usage: cli_test.sh BPFWARDEN SOURCE_FOLDER EXAMPLES_FOLDER
set -u
exec 3>&1 # for what is skipped
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
  for verb in "$source"/loader/cli/verbs/cmd_*.cpp; do
    verb=${verb##*/cmd_} verb=${verb%.cpp}
    "$bpfwarden" "$verb" --help | tr '\n' ' ' | grep -q 'example: *bpfwarden '"$verb" || { echo "$verb"; return 1; }
  done
}
sarif_is_valid() {
  "$bpfwarden" check --format=sarif "$source/examples/lint.toml" | jq -e '.version == "2.1.0" and (.runs[0].results | length >= 10) and all(.runs[0].results[]; .level == "warning")'
}
github_annotates() { "$bpfwarden" check --format=github "$source/examples/broken.toml" | grep -cE '^::error file=.*broken.toml,line=[0-9]+,col='; }
policies=$source/examples/policies
tests_pass_and_cover() { "$bpfwarden" test "$policies"/*.test.toml | grep -q 'coverage: 6 of 6 rules (100 %)'; }
breaking_a_rule_fails_a_test() {
  cp -r "$policies" "$work/broken" &&
    sed -i 's/signature = "prog-used-maps"/signature = "prog-only"/' "$work/broken/team.toml" &&
    exits 1 "$bpfwarden" test "$work/broken/team.test.toml" >"$work/result" &&
    grep -q 'FAILED  nor with maps that nobody vouched for' "$work/result" &&
    grep -q 'expected deny, got allow from rule `network team`' "$work/result"
}
junit_is_xml() { "$bpfwarden" test --format junit "$policies/team.test.toml" | python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.stdin)'; }
tap_has_a_plan() { "$bpfwarden" test --format tap "$policies/team.test.toml" | grep -q '^1\.\.12$'; }
explain() { "$bpfwarden" explain "$policies/team.toml" --key netops --signature prog-used-maps --time 2027-01-01 --attach "$@"; }
explain_allows() { exits 0 explain xdp@eth0 >"$work/why" && grep -q 'allowed by rule `network team`' "$work/why"; }
explain_denies() { exits 1 explain xdp@lo >"$work/why" && grep -q 'would have allowed it, with another place' "$work/why"; }
explain_json() { explain xdp@eth0 --json | jq -e '.decision == "allow" and .stages[1].rule == "network team"'; }
explain_event() {
  echo '{"attach":"fentry/tcp_connect","signature":"prog-only","signer":"tracing","origin":"user","uid":0,"wall_time":1800000000}' >"$work/event.json"
  exits 0 "$bpfwarden" explain "$policies/team.toml" --event "$work/event.json"
}
explain_fixed() { # as the table in docs/policy.md
  exits 0 "$bpfwarden" explain "$policies/v2.toml" --fixed >"$work/fixed" && grep -q '^| `lsm-bypass` |' "$work/fixed" &&
    "$bpfwarden" explain "$policies/v2.toml" --fixed --json | jq -e '.fixed | map(.cause) | index("shared-files")'
}
diff_policies() { "$bpfwarden" diff "$policies/v1.toml" "$policies/v2.toml" "$@"; }
diff_names_what_is_widened() {
  exits 1 diff_policies >"$work/diff" && grep -q '^widened: cgroup/connect4 — prog-used-maps by netops$' "$work/diff" &&
    grep -q '^narrowed: xdp ' "$work/diff"
}
diff_json() { diff_policies --json | jq -e '.widens and .groups[0].attach == ["cgroup/connect4"]'; }
diff_of_settings() { # in words, then as JSON; nothing else differs
  printf '%s\n' 'schema = 1' 'name = "p"' 'version = 1' 'mode = "enforce"' 'default = "deny"' >"$work/head"
  printf '%s\n' '[[rules]]' 'name = "r"' 'allow = ["xdp@eth0"]' 'signature = "unsigned"' >"$work/rules"
  cat "$work/head" "$work/rules" >"$work/before.toml"
  { cat "$work/head"; echo 'multithreaded-attach = "detect"'; echo 'bpf-tokens = "deny"'; cat "$work/rules"; } >"$work/after.toml"
  exits 1 "$bpfwarden" diff "$work/before.toml" "$work/after.toml" >"$work/diff" &&
    grep -q '^widened: xdp@eth0 — whoever loads it; attached by a process with threads$' "$work/diff" &&
    grep -q '^narrowed: bpf-tokens$' "$work/diff" && grep -q '^    after:  deny, enforced$' "$work/diff" &&
    exits 1 "$bpfwarden" diff --json "$work/before.toml" "$work/after.toml" >"$work/diff.json" &&
    jq -e '.groups == [] and .threads[0].attach == ["xdp@eth0"] and .threads[0].change == "widened" and .widens and
      .settings == [{"change": "narrowed", "setting": "bpf-tokens", "before": "allow", "after": "deny, enforced"}]' "$work/diff.json"
}
diff_of_the_same() { exits 0 "$bpfwarden" diff "$policies/v1.toml" "$policies/v1.toml"; }
examples_are_in_normal_form() { exits 0 "$bpfwarden" fmt --check "$policies"/*.toml; }
fmt_keeps_mode_link_and_comments() {
  printf '# why\nname="x"\nschema=1 # behind\n' >"$work/raw.toml" && chmod 640 "$work/raw.toml" && ln -s raw.toml "$work/link.toml" &&
    exits 1 "$bpfwarden" fmt --check "$work/link.toml" && exits 0 "$bpfwarden" fmt "$work/link.toml" &&
    [ "$(cat "$work/raw.toml")" = "$(printf 'schema = 1  # behind\n# why\nname   = "x"')" ] &&
    [ "$(stat -c %a "$work/raw.toml")" = 640 ] && [ -L "$work/link.toml" ] && exits 0 "$bpfwarden" fmt --check "$work/raw.toml"
}
fmt_leaves_what_is_no_toml() {
  printf 'schema = \n' >"$work/no.toml" && exits 1 "$bpfwarden" fmt "$work/no.toml" 2>"$work/why" &&
    grep -q 'no.toml:1:' "$work/why" && [ "$(cat "$work/no.toml")" = "schema = " ]
}
completed() { # WORDS...: what bash offers for the last one
  local result
  result=$(cd "$source" && COMP_WORDS=(bpfwarden "$@") COMP_CWORD=$# && source "$work/completion" && _bpfwarden && echo "${COMPREPLY[*]}")
  echo "$result"
}
bash_completes() {
  "$bpfwarden" completion bash >"$work/completion" && [ "$(completed che)" = check ] &&
    [ "$(completed check --fail)" = --fail-on-warn ] && [ "$(completed check --format gi)" = github ] &&
    [ "$(completed check --format = sa)" = sarif ] && [ "$(completed check exampl)" = examples ] &&
    [ "$(completed explain --signature prog-u)" = prog-used-maps ] && [ "$(completed completion "")" = "bash zsh fish" ] &&
    [ "$(completed keys re)" = revoke ] && [ "$(completed keys new --type r)" = rsa-4096 ]
}
shell_reads_its_completion() { # SHELL
  command -v "$1" >/dev/null || { echo "SKIPPED: no $1 here" >&3; return 0; }
  "$bpfwarden" completion "$1" >"$work/script" && "$1" -n "$work/script"
}
sign_bare() { "$bpfwarden" sign "$examples/xdp_bare.bpf.o" "$@"; }
tbs_is_reproducible() {
  sign_bare --emit-tbs "$work/one" && sign_bare --emit-tbs "$work/two" &&
    cmp "$work/one.tbs" "$work/two.tbs" && cmp "$work/one.self-check.tbs" "$work/two.self-check.tbs"
}
cms_sign() { # FILE: as a CI system would, without bpfwarden
  openssl cms -sign -binary -nocerts -noattr -keyid -md sha256 -outform DER -in "$1" -signer "$work/ci.pem" -inkey "$work/ci.key" -out "$1.sig"
}
signs_elsewhere() {
  new_key ci && tbs_is_reproducible && cms_sign "$work/one.tbs" && cms_sign "$work/one.self-check.tbs" &&
    exits 0 sign_bare --cert "$work/ci.pem" --attach-signature "$work/one.tbs.sig" --attach-self-check-signature "$work/one.self-check.tbs.sig" -o "$work/elsewhere" &&
    exits 1 sign_bare --cert "$work/ci.pem" --attach-signature "$work/one.self-check.tbs.sig" -o "$work/wrong" && [ ! -e "$work/wrong" ]
}
signed_bundles() { # a bare program and a loader in a folder that anybody may read
  chmod 755 "$work" && new_key release && new_key other &&
    sign_bare --prog-only --key "$work/release.key" --cert "$work/release.pem" -o "$work/bare.bundle" &&
    sign_bare --key "$work/release.key" --cert "$work/release.pem" -o "$work/loader.bundle"
}
release_policy() { # RULE
  printf 'schema=1\nname="p"\nversion=1\nmode="enforce"\ndefault="deny"\nkeys.release.certificates=["release.pem"]\n[[rules]]\nname="r"\n%s\nsigned-by=["release"]\n' "$1" >"$work/release.toml"
}
verifies() {
  signed_bundles && exits 0 "$bpfwarden" verify "$work/loader.bundle" --cert "$work/release.pem" &&
    exits 1 "$bpfwarden" verify "$work/loader.bundle" --cert "$work/other.pem" &&
    exits 0 "$bpfwarden" verify "$work/bare.bundle" --cert "$work/release.pem" &&
    exits 2 "$bpfwarden" verify "$work/bare.bundle" &&
    python3 -c 'import sys; b=bytearray(open(sys.argv[1],"rb").read()); i=b.find(bytes([0x95,0,0,0,0,0,0,0])); b[i-4]^=1; open(sys.argv[2],"wb").write(b)' "$work/bare.bundle" "$work/changed.bundle" &&
    exits 1 "$bpfwarden" verify "$work/changed.bundle" --cert "$work/release.pem"
}
verify_asks_the_policy() {
  release_policy 'allow=["xdp"]' && exits 0 "$bpfwarden" verify "$work/loader.bundle" --policy "$work/release.toml" &&
    "$bpfwarden" verify "$work/loader.bundle" --policy "$work/release.toml" --json | jq -e '.admitted and .decisions[1].attach == "xdp"' &&
    release_policy 'allow=["tc", "tcx/*", "netkit/*"]' && exits 1 "$bpfwarden" verify "$work/bare.bundle" --policy "$work/release.toml" &&
    release_policy $'allow=["xdp"]\nsignature="prog-used-maps"' && exits 0 "$bpfwarden" verify "$work/loader.bundle" --policy "$work/release.toml" &&
    exits 1 "$bpfwarden" verify "$work/loader.bundle" --policy "$work/release.toml" --older-kernel
}
verifies_as_nobody() {
  [ "$(id -u)" = 0 ] || { echo "SKIPPED: not root, so not as nobody" >&3; return 0; }
  cp "$bpfwarden" "$work/bpfwarden" && chmod 755 "$work/bpfwarden" &&
    setpriv --reuid 65534 --regid 65534 --clear-groups unshare --user --mount sh -c "! ls /sys/fs/bpf/bpfwarden 2>/dev/null && '$work/bpfwarden' verify '$work/loader.bundle' --cert '$work/release.pem'"
}
new_key() { # NAME: NAME.key and NAME.pem in the work folder
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
    -keyout "$work/$1.key" -out "$work/$1.pem"
}
example_policy_is_good() {
  new_key netops && cp "$source/examples/policies/edge.toml" "$work/" && "$bpfwarden" check "$work/edge.toml"
}
lint_example_draws_all() { # that can stand in one policy and do not depend on the day
  diff <("$bpfwarden" check --json "$source/examples/lint.toml" | jq -r '.diagnostics[].code' | sort -u) \
    <(printf '%s\n' ambiguous-at-load audit-hole ca-as-signer duplicate \
      exempt-by-subject issuer-not-ca no-probe-rule offset-at-attach refuses-bpfwarden rule-expired rule-not-yet \
      shadowed-rule unsigned-powerful unused-key weak-key whole-keyring)
}
clean_policy() { # prints its path
  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=clean -addext basicConstraints=critical,CA:FALSE \
    -keyout "$work/clean.key" -out "$work/clean.pem" 2>/dev/null &&
    sed 's/netops.pem/clean.pem/; s/"enforce"/"audit"/' "$source/examples/policies/edge.toml" >"$work/clean.toml" &&
    echo "$work/clean.toml"
}
fails_on_warnings_only_when_told() {
  local clean lint=$source/examples/lint.toml
  clean=$(clean_policy) && exits 0 "$bpfwarden" check "$lint" && exits 1 "$bpfwarden" check --fail-on-warn "$lint" &&
    exits 0 "$bpfwarden" check --fail-on-warn "$clean"
}
checks_every_file() {
  local clean
  clean=$(clean_policy) && exits 0 "$bpfwarden" check "$clean" "$source/examples/lint.toml" >"$work/list" &&
    [ "$(grep -c ": ok, " "$work/list")" -eq 2 ] &&
    exits 1 "$bpfwarden" check "$source/examples/broken.toml" "$clean" >"$work/list" && grep -q "^$clean: ok, " "$work/list"
}
warns_of_an_end_in_two_days() {
  new_key netops && cp "$source/examples/policies/edge.toml" "$work/" &&
    "$bpfwarden" check --json "$work/edge.toml" | jq -e '.ok and any(.diagnostics[]; .code == "certificate-expires")'
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

reports() { "$bpfwarden" report --events "$work/events.jsonl" "$@"; }
an_event() { # DECISION TIME
  printf '{"sequence":%d,"time":"%s","hook":"bpf_prog_load","decision":"%s","refused":false,"program":"p","attach":"xdp"}\n' "$((++sequence))" "$2" "$1"
}
sequence=0
{ an_event allow 2026-11-25T10:00:00.000000Z; an_event deny 2026-11-25T11:00:00.000000Z; echo 'half a li'; } >"$work/events.jsonl"
report_counts() { reports --json | jq -e '.counts.allowed == 1 and .counts."would-deny" == 1 and .recording.unreadable == 1 and .programs == null'; }
report_of_a_span() { reports --json --since 2026-11-25T10:30 | jq -e '.recording.received == 1 and .recording.outside == 1'; }
report_is_a_page() {
  reports --html "$work/report.html" --host 'a<b' && grep -q '<title>BPF programs on a&lt;b</title>' "$work/report.html"
}
report_needs_events() { exits 1 "$bpfwarden" report --events "$work/none.jsonl" --html "$work/none.html" 2>&1 | grep -q 'hint: ' && [ ! -e "$work/none.html" ]; }
a_failed_report_leaves_the_page() {
  echo before >"$work/kept.html"
  echo '{}' >"$work/wrong.json"
  exits 1 reports --html "$work/kept.html" --inventory "$work/wrong.json" && [ "$(cat "$work/kept.html")" = before ]
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
check "the lint example draws every lint" lint_example_draws_all
check "warnings fail only with --fail-on-warn" fails_on_warnings_only_when_told
check "check takes several files" checks_every_file
check "a certificate about to expire is a warning" warns_of_an_end_in_two_days
check "the policy of the README is good" policy_of_the_readme_is_good
check "SARIF of the lint example" sarif_is_valid
check "GitHub annotations" github_annotates
check "an unknown format is wrong usage" exits 2 "$bpfwarden" check --format=xml "$source/examples/lint.toml"
check "policy tests pass and cover all rules" tests_pass_and_cover
check "breaking a rule fails a test, with the reason" breaking_a_rule_fails_a_test
check "a wrong test file exits 2" exits 2 "$bpfwarden" test "$policies/team.toml"
check "JUnit output is XML" junit_is_xml
check "TAP output has a plan" tap_has_a_plan
check "explain: allowed" explain_allows
check "explain: what no rule can allow" explain_fixed
check "explain: denied, and what would have been enough" explain_denies
check "explain as JSON" explain_json
check "explain a recorded event" explain_event
check "explain: an attach point that there is not exits 2" exits 2 explain xpd
check "diff names the widened attach point, exit 1" diff_names_what_is_widened
check "diff as JSON" diff_json
check "diff tells of settings" diff_of_settings
check "no difference exits 0" diff_of_the_same
check "diff of a broken file exits 2" exits 2 "$bpfwarden" diff "$policies/v1.toml" "$source/examples/broken.toml"
check "the example policies are in their normal form" examples_are_in_normal_form
check "fmt keeps mode, link and comments" fmt_keeps_mode_link_and_comments
check "fmt leaves what is no TOML" fmt_leaves_what_is_no_toml
check "bash completes verbs, options, choices, files" bash_completes
for shell in bash zsh fish; do check "$shell reads its completion" shell_reads_its_completion "$shell"; done
check "report: its numbers" report_counts
check "report: of a span" report_of_a_span
check "report: a page" report_is_a_page
check "report: without --html or --json is wrong usage" exits 2 reports
check "report: a time that is none is wrong usage" exits 2 reports --json --since soon
check "report: without a recording says how to get one" report_needs_events
check "report: a failure leaves the page as it was" a_failed_report_leaves_the_page
check "what is to be signed is the same each time" tbs_is_reproducible
check "a signature made elsewhere is attached, a wrong one refused" signs_elsewhere
check "sign without a signer is wrong usage" exits 2 sign_bare -o "$work/x"
check "verify: good, stranger, changed" verifies
check "verify says what a policy would" verify_asks_the_policy
check "verify as nobody" verifies_as_nobody
check "sign says what the signature covers" signs_what_it_says
check "a failed sign writes nothing" refuses_and_leaves_nothing

check "metrics for other hosts are wrong usage unless told so" exits 2 "$bpfwarden" metrics --listen 0.0.0.0:9560
check "metrics to a file and over HTTP at once is wrong usage" exits 2 "$bpfwarden" metrics --listen 127.0.0.1:9560 --output "$work/x"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
