// ./demo: the table of what a policy refuses and admits, on the kernel that runs it.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "loader/btf/kernel_has.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kPolicy = "/opt/bpfwarden/policies/edge.toml";

// The rules of the example policy; version, mode and key are the scene's.
std::string example_rules() {
  std::ifstream file(kPolicy);
  std::ostringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  const size_t rules = text.find("[[rules]]");
  if (rules == std::string::npos) throw std::runtime_error(std::string("no rules in ") + kPolicy);
  return text.substr(rules);
}

int differing = 0;

void say(const char* text) { std::printf("\n%s\n", text); }

std::string errno_name(int error) { return error == 0 ? "ok" : ::strerrorname_np(error); }

// `expected` is the errno; `cause` and `rule` are those of the deciding event.
void row(Warden& warden, const char* what, int expected, int got, const std::string& decision) {
  std::string verdict = "no event", by = "-", verifier = "-";
  bool seen = false;
  for (const auto& event : warden.events()) {
    const std::string cause = event["cause"];
    const bool is_denial = event["decision"] == "deny" || cause == "kernel-rejected";
    if (!seen || is_denial) {
      verdict = cause == "kernel-rejected" ? "rejected"
                : event["refused"] == true ? "deny"
                : is_denial                ? "would deny"
                                           : "allow";
      by = event["rule"].is_string() ? event["rule"].get<std::string>() : "(" + cause + ")";
      verifier = event["verified_by"].is_string() ? event["verified_by"].get<std::string>() : "-";
      if (event["origin"] == "loader") by += ", via its loader";
    }
    seen = seen || is_denial;
  }
  const bool right = expected == got && verdict == decision;
  if (!right) differing++;
  std::printf("  %-2s %-52s %-10s %-10s %-30s %-12s %s\n", right ? "ok" : "NO", what,
              decision.c_str(), verdict.c_str(), by.c_str(), errno_name(got).c_str(),
              verifier.c_str());
  std::fflush(stdout);
}

void header() {
  std::printf("  %-2s %-52s %-10s %-10s %-30s %-12s %s\n", "", "case", "expected", "decision",
              "rule", "caller saw", "verified by");
}

int bpftool_load(const Signer& signer, keyring::KeySerial link) {
  const std::string join = link == 0 ? "" : "keyctl link " + std::to_string(link) + " @s && ";
  const Ran ran = run("keyctl session - sh -c '" + join + "bpftool -L -S -k " +
                      signer.key_file.string() + " -i " + signer.certificate_file.string() +
                      " prog load " + kObjects + "/xdp_pass.bpf.o' ");
  const size_t at = ran.output.find("err -");
  if (at != std::string::npos) return std::stoi(ran.output.substr(at + 5));
  return ran.status;
}

void attacks(Warden& warden, bool enforced) {
  const Signer &netops = warden.netops(), &stranger = warden.stranger();
  const int refused = enforced ? EPERM : 0;
  const char* deny = enforced ? "deny" : "would deny";
  row(warden, "unsigned XDP program", refused, load({}).error, deny);
  row(warden, "XDP object signed by an unknown key, in root's ring", refused,
      load_bundle(sign_object("xdp_pass", stranger), stranger.ring), deny);
  row(warden, "prog-only where prog-used-maps is asked", refused,
      load(Load{}.signed_by(netops)).error, deny);
  row(warden, "the same key's LSM program", refused,
      load_bundle(sign_object("file_guard", netops), warden.ring()), deny);
  Load filter;
  filter.type = BPF_PROG_TYPE_SOCKET_FILTER;
  filter.signed_by(netops);
  row(warden, "a packet filter signed by netops", 0, load(filter).error, "allow");
  filter.type = BPF_PROG_TYPE_KPROBE;
  row(warden, "  its very bytes replayed as a kprobe", refused, load(filter).error, deny);
}

void tamper(Warden& warden) {
  auto bundle = sign_object("xdp_pass", warden.netops());
  bundle.metadata[bundle.metadata.size() / 2] ^= 1;
  const int got = load_bundle(bundle, warden.ring());
  if (BW_KERNEL_HAS(folded_maps))
    row(warden, "a tampered object: the kernel refuses, we report", EKEYREJECTED, got, "rejected");
  else
    row(warden, "a tampered object: bpfwarden refuses", EKEYREJECTED, got, "deny");
}

void stock_tool(Warden& warden) {
  if (!BW_KERNEL_HAS(folded_maps)) {
    say("What stock bpftool -S signs this kernel does not verify: `bpfwarden run` has it "
        "verified.");
    return;
  }
  say("Stock bpftool, signing with -S through its session keyring:");
  header();
  row(warden, "bpftool -S with an unknown key", EPERM, bpftool_load(warden.stranger(), 0), "deny");
  row(warden, "bpftool -S as netops, bpfwarden's keyring linked", 0,
      bpftool_load(warden.netops(), warden.ring()), "allow");
}

int show() {
  const std::string rules = example_rules();
  Warden warden;
  say("examples/policies/edge.toml is applied; bpfwarden exits and the kernel decides. Keys were "
      "made "
      "now.");
  warden.apply("enforce", rules);
  std::fputs(run("uname -sr; bpfwarden status").output.c_str(), stdout);

  say("Enforcing. netops may load XDP and TCP tracing if the signature covers the maps too:");
  header();
  row(warden, "netops' XDP object, and the program it loads", 0,
      load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()), "allow");
  row(warden, "netops' tracing object with a map and global data", 0,
      load_bundle(sign_object("connects", warden.netops()), warden.ring()), "allow");
  attacks(warden, true);
  tamper(warden);

  stock_tool(warden);

  say("The same policy in audit mode: everything loads, the events say what would be refused:");
  warden.apply("audit", rules);
  header();
  attacks(warden, false);

  say("What the administrator reads about the last refusal:");
  warden.apply("enforce", rules);
  (void)load(Load{}.signed_by(warden.netops()));
  std::fputs(run("bpfwarden events").output.c_str(), stdout);
  std::printf("\n%s\n",
              differing == 0 ? "Every row is as expected." : "Some rows are not as expected.");
  return differing == 0 ? 0 : 1;
}

}  // namespace
}  // namespace bpfwarden::vm

int main() {
  try {
    return bpfwarden::vm::show();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "demo: %s\n", error.what());
    return 1;
  }
}
