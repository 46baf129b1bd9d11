#!/bin/bash
# Keys and signing as developers meet them: new keys, passphrases, tokens, revocation.
# usage: signing_test.sh BPFWARDEN EXAMPLES_FOLDER
set -u
bpfwarden=$1 examples=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
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

refuses() { # WORDS COMMAND...: exit 1, and the words on stderr
  local words=$1 code=0
  shift
  # setsid: no terminal to ask on
  setsid -w "$@" 2>"$work/err" </dev/null || code=$?
  cat "$work/err"
  [ "$code" -eq 1 ] && grep -qF -- "$words" "$work/err"
}

sign() { "$bpfwarden" sign "$examples/xdp_pass.bpf.o" "$@"; }

# ---- new keys
new_key_is_usable() {
  "$bpfwarden" keys new team && [ "$(stat -c %a team.key)" = 600 ] && [ "$(stat -c %a team.pem)" = 644 ] &&
    openssl verify -check_ss_sig -trusted team.pem team.pem &&
    sign --key team.key --cert team.pem -o team.bpfsig && "$bpfwarden" verify team.bpfsig --cert team.pem
}
new_key_has_the_extensions() {
  openssl x509 -in team.pem -noout -text >text && grep -q 'CA:FALSE' text && grep -q 'Code Signing' text &&
    grep -q 'Subject Key Identifier' text && grep -q 'Digital Signature' text && grep -q 'ASN1 OID: secp384r1' text
}
new_key_never_overwrites() {
  cp team.key before && refuses "nothing was changed" "$bpfwarden" keys new team && cmp before team.key &&
    rm team.key && refuses "nothing was changed" "$bpfwarden" keys new team && [ ! -e team.key ] &&
    cp before team.key
}
new_rsa_key() { "$bpfwarden" keys new big --type rsa-4096 && "$bpfwarden" keys show big.pem --json | jq -e '.algorithm == "rsa" and .bits == 4096 and .ca == false'; }
new_request() { "$bpfwarden" keys new asks --csr --subject "the build farm" && openssl req -in asks.csr -verify -noout -text | grep -q 'CN = the build farm'; }
new_encrypted_key() {
  echo secret >pass && "$bpfwarden" keys new locked --passphrase-file pass && grep -q 'BEGIN ENCRYPTED' locked.key &&
    sign --key locked.key --cert locked.pem --passphrase-file pass -o locked.bpfsig
}
fingerprint_is_that_of_openssl() {
  local theirs
  theirs=$(openssl x509 -in team.pem -outform DER | sha256sum | cut -d' ' -f1)
  [ "$("$bpfwarden" keys fingerprint team.pem)" = "sha256:$theirs  team.pem" ]
}
check "a new key signs what verify accepts" new_key_is_usable
check "a new certificate is fit for the kernel and for code" new_key_has_the_extensions
check "a new key never overwrites" new_key_never_overwrites
check "a new RSA key" new_rsa_key
check "a new request" new_request
check "a new key behind a passphrase" new_encrypted_key
check "fingerprints" fingerprint_is_that_of_openssl

# ---- passphrases
asked_for() { # typed on a terminal
  python3 - "$bpfwarden" "$examples/xdp_pass.bpf.o" <<'END'
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "sign", sys.argv[2], "--key", "locked.key", "--cert", "locked.pem", "-o", "asked.bpfsig"])
shown = b""
while b"passphrase" not in shown:
    shown += os.read(terminal, 1024)
os.write(terminal, b"secret\n")
try:
    while os.read(terminal, 1024):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
}
check "a passphrase is asked for on the terminal" asked_for
check "what was asked for opened the key" "$bpfwarden" verify asked.bpfsig --cert locked.pem
check "no terminal, no passphrase" refuses "--passphrase-file" "$bpfwarden" sign "$examples/xdp_pass.bpf.o" --key locked.key --cert locked.pem -o no.bpfsig
echo wrong >wrong
check "a wrong passphrase" refuses "does not open" "$bpfwarden" sign "$examples/xdp_pass.bpf.o" --key locked.key --cert locked.pem --passphrase-file wrong -o no.bpfsig
check "nothing was written" test ! -e no.bpfsig

# ---- several objects
several() {
  mkdir -p many && "$bpfwarden" sign "$examples"/{xdp_pass,connects}.bpf.o --key team.key --cert team.pem -o many &&
    "$bpfwarden" verify many/xdp_pass.bpfsig --cert team.pem && "$bpfwarden" verify many/connects.bpfsig --cert team.pem
}
one_bad_writes_none() {
  mkdir -p none && ! "$bpfwarden" sign "$examples/xdp_pass.bpf.o" team.pem --key team.key --cert team.pem -o none && [ -z "$(ls none)" ]
}
check "several objects" several
check "one bad object, no bundle" one_bad_writes_none

# ---- what a bundle says of itself
inspected() {
  sign --key team.key --cert team.pem -o shown.bpfsig --bundle-version 2.1 && "$bpfwarden" inspect shown.bpfsig --json | jq -e '
    .version == "2.1" and .programs[0].attach == "xdp" and (.signatures | map(.kernels)) == ["7.3 and later", "6.18 to 7.2"] and
    .signatures[0].signers == 1 and .certificate.subject == "CN=team"'
}
disassembled() { "$bpfwarden" inspect shown.bpfsig --disassemble | grep -qE '^ +[0-9]+:.*exit$'; }
check "inspect" inspected
check "inspect disassembles" disassembled

# ---- algorithms
unverifiable() { openssl req -x509 -newkey ed25519 -nodes -subj /CN=ed -keyout ed.key -out ed.pem; }
check "an Ed25519 key is made" unverifiable
check "a key that no kernel verifies" refuses "the kernel cannot verify with its key" "$bpfwarden" sign "$examples/xdp_pass.bpf.o" --key ed.key --cert ed.pem -o no.bpfsig

# ---- tokens
token() {
  mkdir -p tokens && echo "directories.tokendir = $work/tokens" >softhsm.conf && export SOFTHSM2_CONF=$work/softhsm.conf &&
    softhsm2-util --init-token --free --label release --so-pin 1234 --pin 5678 &&
    softhsm2-util --import team.key --token release --pin 5678 --label "$1" --id "$2" &&
    echo 5678 >pin
}
uri='pkcs11:token=release;object=signing;type=private'
in_token() { # OPTIONS...
  sign --key "$uri" --cert team.pem -o token.bpfsig "$@" && "$bpfwarden" verify token.bpfsig --cert team.pem
}
check "a token" token signing 01
export SOFTHSM2_CONF=$work/softhsm.conf
check "a key in a token, through p11-kit" in_token --passphrase-file pin
check "a key in a token, through a module" in_token --passphrase-file pin --pkcs11-module /usr/lib/softhsm/libsofthsm2.so
check "no PIN" refuses "give its PIN" "$bpfwarden" sign "$examples/xdp_pass.bpf.o" --key "$uri" --cert team.pem -o no.bpfsig
check "a wrong PIN" refuses "no private key opens" "$bpfwarden" sign "$examples/xdp_pass.bpf.o" --key "$uri" --cert team.pem --passphrase-file wrong -o no.bpfsig
check "no such object" refuses "no private key opens" "$bpfwarden" sign "$examples/xdp_pass.bpf.o" --key "pkcs11:token=release;object=none" --cert team.pem --passphrase-file pin -o no.bpfsig
check "another's certificate" refuses "does not belong" "$bpfwarden" sign "$examples/xdp_pass.bpf.o" --key "$uri" --cert big.pem --passphrase-file pin -o no.bpfsig
unset SOFTHSM2_CONF

# ---- revoking
policy() {
  printf '%s\n' 'schema = 1' 'name = "p"' 'version = 7' 'mode = "enforce"' 'default = "deny"' \
    '# ours' '[keys.team]' 'certificates = ["team.pem", "big.pem"]' \
    '[[rules]]' 'name = "xdp"' 'allow = ["xdp"]' 'signed-by = ["team"]' >policy.toml
}
revoke() {
  policy && "$bpfwarden" verify team.bpfsig --policy policy.toml && "$bpfwarden" keys revoke policy.toml team.pem >said &&
    grep -q 'no longer trusts CN=team (sha256:.*); version 8' said && grep -qx 'version = 8' policy.toml &&
    grep -qx '# ours' policy.toml && ! "$bpfwarden" verify team.bpfsig --policy policy.toml
}
revoke_the_last() {
  "$bpfwarden" keys revoke policy.toml "$("$bpfwarden" keys fingerprint big.pem | cut -d' ' -f1)" 2>err &&
    grep -q 'every certificate of key `team` is revoked' err && "$bpfwarden" check policy.toml
}
list() { policy && "$bpfwarden" keys list policy.toml --json | jq -e 'length == 2 and .[0].subject == "CN=team" and .[1].algorithm == "rsa"'; }
unknown_changes_nothing() {
  policy && cp policy.toml before && refuses "no key of the policy names that certificate" "$bpfwarden" keys revoke policy.toml locked.pem && cmp before policy.toml
}
issued() {
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE &&
    openssl x509 -req -in asks.csr -CA ca.pem -CAkey ca.key -copy_extensions copyall -days 9 -out asks.pem && policy &&
    sed -i 's/^certificates.*/issuer = ["ca.pem"]/' policy.toml && "$bpfwarden" keys revoke policy.toml asks.pem --key team &&
    grep -qx 'revoked = \["asks.pem"\]' policy.toml && refuses "revoked already" "$bpfwarden" keys revoke policy.toml asks.pem --key team
}
check "keys of a policy" list
check "a certificate is revoked in place" revoke
check "the last one, too" revoke_the_last
check "an unknown one changes nothing" unknown_changes_nothing
check "one that a CA issued" issued

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
