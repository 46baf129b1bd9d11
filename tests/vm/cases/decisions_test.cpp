// What the policy refuses and admits, each denial with its errno and the admitted twin beside it.
#include <bpf/bpf.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "loader/btf/kernel_has.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/verified.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kNetworkTeam = R"(
[[rules]]
name = "network team"
allow = ["xdp", "fentry/tcp_*"]
signed-by = ["netops"]
signature = "prog-used-maps"
)";

constexpr const char* kOthers = R"(
[[rules]]
name = "no cgroup hooks"
deny = ["lsm_cgroup/*"]

[[rules]]
name = "packet filters"
allow = ["socket"]
signed-by = ["netops"]
signature = "prog-only"

[[rules]]
name = "probes"
allow = ["tp/*"]
signature = "unsigned"
)";

// Without what this kernel cannot hold, and what is therefore not applied: it would match nothing.
std::string rules_held() { return std::string(kOthers) + kNetworkTeam; }

// The one event that refused something.
nlohmann::json refusal(Warden& warden) {
  const auto events = warden.events();
  const auto found =
      std::ranges::find_if(events, [](const auto& e) { return e["refused"] == true; });
  REQUIRE(found != events.end());
  return *found;
}

Load filter(const Signer& signer) {
  Load request;
  request.type = BPF_PROG_TYPE_SOCKET_FILTER;
  request.signed_by(signer);
  return request;
}

}  // namespace

TEST_CASE("deny_unsigned", "[vm]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  CHECK(load({}).error == EPERM);
  const auto event = refusal(warden);
  CHECK(event["cause"] == "default");
  CHECK(event["attach"] == "xdp");
  CHECK(event["signature"] == "unsigned");
  CHECK(event["errno"] == EPERM);

  Load probe;
  probe.type = BPF_PROG_TYPE_TRACEPOINT;
  probe.insns = Load::return_value(0);
  CHECK(load(probe).error == 0);
}

TEST_CASE("deny_key_that_the_policy_does_not_know",
          "[vm][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  CHECK(load(filter(warden.stranger())).error == EPERM);
  const auto event = refusal(warden);
  CHECK(event["signer"].is_null());
  CHECK(event["signature"] == "prog-only");
  CHECK(load(filter(warden.netops())).error == 0);
}

TEST_CASE("deny_loader_of_an_unknown_key",
          "[vm][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  const auto foreign = sign_object("xdp_pass", warden.stranger());
  CHECK(load_bundle(foreign, warden.stranger().ring) == EPERM);
  CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()) == 0);
}

TEST_CASE(
    "deny_look_alike_key_with_the_same_subject_key_id",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  // Another key whose certificate claims the subject key id and the name of netops'.
  test::TestKey made = test::make_key({.common_name = "netops", .subject_key_id = false});
  const std::string id = hex(warden.netops().certificate.subject_key_id);
  test::add_extension(made.cert.get(), NID_subject_key_identifier, id.c_str());
  test::require(X509_sign(made.cert.get(), made.key.get(), EVP_sha256()));
  Signer twin("netops");
  twin.key = *keyring::open_private_key(twin.folder.write("k", test::key_pem(made)));
  twin.certificate =
      keyring::read_certificates(twin.folder.write("c", test::certificate_pem(made)))->front();
  REQUIRE(twin.certificate.subject_key_id == warden.netops().certificate.subject_key_id);
  twin.ring = make_ring(twin.certificate);
  CHECK(load(filter(twin)).error == EPERM);
  CHECK(refusal(warden)["signer"].is_null());
  CHECK(load(filter(warden.netops())).error == 0);
}

TEST_CASE("allow_the_same_key_from_any_ring",
          "[vm][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  Load request = filter(warden.netops());
  CHECK(load(request).error == 0);  // root's own ring, netops' certificate
  request.keyring = warden.ring();
  CHECK(load(request).error == 0);
  const auto events = warden.events();
  REQUIRE(events.size() == 2);
  CHECK(events[0]["signer"] == "netops");
  CHECK(events[1]["signer"] == "netops");
  CHECK(events[0]["key_serial"] != events[1]["key_serial"]);
}

TEST_CASE(
    "deny_prog_only_where_prog_used_maps_is_asked",
    "[vm][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  CHECK(load(Load{}.signed_by(warden.netops())).error == EPERM);
  const auto event = refusal(warden);
  CHECK(event["signature"] == "prog-only");
  CHECK(event["signer"] == "netops");
  CHECK(event["almost"].size() == 1);
  CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()) == 0);
}

TEST_CASE(
    "allow_children_of_a_signed_loader_attributed_to_its_key",
    "[vm][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps][kernel:"
    "program_digest]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  CHECK(load_bundle(sign_object("connects", warden.netops()), warden.ring()) == 0);
  const auto events = warden.events();
  REQUIRE(events.size() == 2);
  CHECK(events[0]["attach"] == "syscall");
  CHECK(events[0]["origin"] == "user");
  CHECK(events[1]["attach"] == "fentry/tcp_v4_connect");
  CHECK(events[1]["origin"] == "loader");
  CHECK(events[1]["signer"] == "netops");
  CHECK(events[1]["signature"] == "prog-used-maps");
  CHECK(events[1]["rule"] == "network team");
  CHECK(events[1]["loader_digest"] == events[0]["digest"]);
}

TEST_CASE("deny_the_same_keys_program_on_another_attach_point",
          "[vm][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  CHECK(load_bundle(sign_object("file_guard", warden.netops()), warden.ring()) == EPERM);
  const auto event = refusal(warden);
  CHECK(event["attach"] == "lsm/file_open");
  CHECK(event["origin"] == "loader");
  CHECK(event["signer"] == "netops");
  CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()) == 0);
}

TEST_CASE("deny_signed_bytes_replayed_as_another_type",
          "[vm][replay][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  Load request = filter(warden.netops());
  CHECK(load(request).error == 0);
  for (const uint32_t type : {BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_SCHED_CLS,
                              BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_PERF_EVENT}) {
    request.type = type;
    CHECK(load(request).error == EPERM);
  }
}

TEST_CASE(
    "deny_a_loader_replayed_as_another_type",
    "[vm][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
  const Attempt map = skeleton.create_map();
  REQUIRE(map.error == 0);
  CHECK(skeleton.load_loader(map.fd, warden.ring()).error == 0);
  skeleton.type = BPF_PROG_TYPE_KPROBE;
  const Attempt another = skeleton.create_map();  // each serves one load
  CHECK(skeleton.load_loader(another.fd, warden.ring()).error == EPERM);
  CHECK(refusal(warden)["signature"] == "prog-used-maps");
}

TEST_CASE(
    "deny_fentry_on_another_function",
    "[vm][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", R"(
[[rules]]
name = "tcp"
allow = ["fentry/tcp_v4_connect", "fentry/tcp_s*"]
signed-by = ["netops"]
)");
  Load request;
  request.type = BPF_PROG_TYPE_TRACING;
  request.attach_type = BPF_TRACE_FENTRY;
  request.insns = Load::return_value(0);
  request.signed_by(warden.netops());
  for (const char* name : {"tcp_v4_connect", "tcp_sendmsg"}) {
    request.btf_id = function_id(name);
    CHECK(load(request).error == 0);
  }
  for (const char* name : {"tcp_v6_connect", "tcp_v4_rcv", "udp_sendmsg"}) {
    request.btf_id = function_id(name);
    CHECK(load(request).error == EPERM);
  }
  request.btf_id = 0xffffe;  // no such type: no name, so no decision but deny
  CHECK(load(request).error == EPERM);
}

TEST_CASE(
    "deny_a_tampered_object_and_report_it",
    "[vm][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", rules_held());
  auto bundle = sign_object("xdp_pass", warden.netops());
  CHECK(load_bundle(bundle, warden.ring()) == 0);
  (void)warden.events();
  bundle.metadata[bundle.metadata.size() / 2] ^= 1;
  CHECK(load_bundle(bundle, warden.ring()) == EKEYREJECTED);
  const auto events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["hook"] == (BW_KERNEL_HAS(folded_maps) ? "observed" : "bpf_prog_load"));
  CHECK(events[0]["cause"] ==
        (BW_KERNEL_HAS(folded_maps) ? "kernel-rejected" : "signature-rejected"));
  CHECK(events[0]["errno"] == EKEYREJECTED);
}

TEST_CASE("deny_first_match_before_a_later_allow", "[vm]") {
  Warden warden;
  warden.apply("enforce", R"(
[[rules]]
name = "not raw"
deny = ["raw_tp/*"]
[[rules]]
name = "anything else"
allow = ["*"]
signature = "unsigned"
)");
  Load request;
  request.insns = Load::return_value(0);
  request.type = BPF_PROG_TYPE_RAW_TRACEPOINT;
  CHECK(load(request).error == EPERM);
  CHECK(refusal(warden)["rule"] == "not raw");
  request.type = BPF_PROG_TYPE_TRACEPOINT;
  CHECK(load(request).error == 0);
}

TEST_CASE(
    "deny_bpftool_with_an_unknown_key",
    "[vm][tools][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  needs_tools_whose_signatures_hold();
  Warden warden;
  warden.apply("enforce", rules_held());
  const auto bpftool = [](const Signer& signer, const std::string& before) {
    return run("keyctl session - sh -c '" + before + "bpftool -L -S -k " +
               signer.key_file.string() + " -i " + signer.certificate_file.string() +
               " prog load " + kObjects + "/xdp_pass.bpf.o'");
  };
  const Ran refused = bpftool(warden.stranger(), "");
  CHECK(refused.status != 0);
  CHECK(refused.output.find("err -1") != std::string::npos);
  CHECK(refusal(warden)["comm"] == "bpftool");
  const Ran admitted = bpftool(warden.netops(), "keyctl link %:bpfwarden @s && ");
  CHECK(admitted.status == 0);
}

TEST_CASE(
    "deny_run_says_which_rule_and_what_to_do",
    "[vm][tools][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"no xdp today\"\ndeny = [\"xdp\"]\nsigned-by = [\"netops\"]\n"
               "[[rules]]\nname = \"loaders\"\nallow = [\"syscall\", \"fentry/*\"]\n"
               "signed-by = [\"netops\"]\n");
  const test::TempDir folder;
  const auto bundle_of = [&](const std::string& object) {
    const std::string bundle = folder.path() / (object + ".bpfsig");
    const Ran made = run("bpfwarden sign " + std::string(kObjects) + "/" + object + ".bpf.o -o " +
                         bundle + " " + warden.netops().options());
    INFO(made.output);
    REQUIRE(made.status == 0);
    return bundle;
  };
  const Ran refused = run_as_verified(warden, bundle_of("xdp_pass"));
  INFO(refused.output);
  CHECK(refused.status == 1);
  CHECK(refused.output.find("Operation not permitted") != std::string::npos);
  CHECK(refused.output.find("why: rule 'no xdp today'") != std::string::npos);
  CHECK(refused.output.find(" tried to load ") != std::string::npos);
  CHECK(refused.output.find("; it got EPERM.") != std::string::npos);
  CHECK(refused.output.find("do:  ") != std::string::npos);
  CHECK(refusal(warden)["rule"] == "no xdp today");  // the stream still has it
  const std::string bundle = bundle_of("connects"), links = "/sys/fs/bpf/test-links";
  const Ran admitted = run_as_verified(warden, bundle, "--attach --link-pin " + links);
  INFO(admitted.output);
  CHECK(admitted.status == 0);
  // Its exit code tells of what bpftool itself was refused beside it.
  const Ran shown = run("bpftool link show pinned " + links + "/count_connect");
  CHECK(shown.output.find("attach_type trace_fentry") != std::string::npos);
  run("rm -r " + links);
}

// Signed or not: the number of what has come to be, and none of what the verifier refuses.
TEST_CASE("allow_and_tell_the_number_of_each_program_that_was_loaded",
          "[vm][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]["
          "kernel:program_digest]") {
  Warden warden;
  warden.apply("enforce", R"(
[[rules]]
name = "unsigned"
allow = ["xdp"]
signature = "unsigned"

[[rules]]
name = "signed"
allow = ["xdp"]
signed-by = ["netops"]
)");
  const auto told = [&](const Load& request) {
    (void)warden.events();
    const Attempt attempt = load(request);
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (attempt.error == 0) REQUIRE(bpf_obj_get_info_by_fd(attempt.fd.get(), &info, &size) == 0);
    const auto events = events_of_hook(warden, "bpf_prog_load");
    REQUIRE(events.size() == 1);
    CHECK(events[0]["decision"] == "allow");
    CHECK(events[0]["program_id"] == info.id);
    return info.id;
  };
  std::vector<uint8_t> no_value(Load::return_value(0));
  no_value.erase(no_value.begin(), no_value.begin() + 8);  // exit, and r0 is not set
  CHECK(told(Load{}) != 0);
  CHECK(told(Load{}.signed_by(warden.netops())) != 0);
  CHECK(told(Load{.insns = no_value}) == 0);
  CHECK(told(Load{.insns = no_value}.signed_by(warden.netops())) == 0);
}

TEST_CASE("deny_stock_unsigned_bpftool_load", "[vm][tools]") {
  Warden warden;
  const std::string load_it = "bpftool prog load " + std::string(kObjects) +
                              "/xdp_bare.bpf.o /sys/fs/bpf/scene && rm /sys/fs/bpf/scene";
  CHECK(run(load_it).status == 0);
  warden.apply("enforce", rules_held());
  CHECK(run(load_it).status != 0);
  CHECK(refusal(warden)["exe"].get<std::string>().ends_with("/bpftool"));
}

}  // namespace bpfwarden::vm
