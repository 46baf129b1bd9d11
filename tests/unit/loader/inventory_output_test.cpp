// The inventory as text: readable at 100 columns, and nothing that matters left out.
#include "loader/inventory/inventory_output.h"

#include <linux/bpf.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "loader/inventory/inventory_filter.h"
#include "loader/inventory/take_away.h"

using namespace bpfwarden::loader;

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr Moment kNow = {.boot_ns = 1'000'000 * kSecond, .unix_seconds = 1'795'600'800};

ListedProgram tracer() {
  ListedProgram program;
  program.listed = {.id = 37,
                    .prog_type = BPF_PROG_TYPE_TRACING,
                    .flags = BW_LISTED_ADMITTED | BW_LISTED_DIGEST | BW_LISTED_JITED,
                    .load_time_ns = kNow.boot_ns - 3 * 3600 * kSecond,
                    .uid = 1000,
                    .map_count = 2,
                    .instructions = 120,
                    .verified = 300};
  std::strcpy(program.listed.name, "count_connect");
  std::memset(program.listed.digest, 0xab, sizeof(program.listed.digest));
  program.admitted.facts.signature = BW_SIGNATURE_PROG_ONLY;
  program.admitted.facts.origin = BW_ORIGIN_LOADER;
  program.admitted.loader_id = 36;
  program.admitted.policy_version = 12;
  program.admitted.key_serial = 1234;
  std::memset(program.admitted.loader_digest, 0xcd, sizeof(program.admitted.loader_digest));
  std::strcpy(program.admitted.rule.name, "tracing");
  std::strcpy(program.admitted.signer_name, "netops");
  program.standing = Standing::admitted;
  program.attach = "fentry/tcp_v4_connect";
  program.attachments = {{12, "tracing", "fentry/tcp_v4_connect", "", ""}};
  program.pins = {"/sys/fs/bpf/connects"};
  program.holders = {{71, "nginx"}};
  return program;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a program takes a line of who, a line of what, and one for each place and holder") {
  const auto lines = lines_of(inventory_text(tracer(), kNow));
  CHECK(lines == std::vector<std::string>{
                     "37     count_connect    fentry/tcp_v4_connect        "
                     "admitted by 'tracing', prog-only by netops",
                     "       tracing, loaded 3 hours ago by uid 1000, by loader 36, 2 maps, "
                     "sha256:abababababab",
                     "       at fentry/tcp_v4_connect (link 12)",
                     "       pinned at /sys/fs/bpf/connects",
                     "       held by nginx (71)",
                 });
  for (const std::string& line : lines) CHECK(line.size() <= 100);
}

TEST_CASE("a rule with a long name moves to a line of its own") {
  ListedProgram program = tracer();
  std::strcpy(program.admitted.rule.name,
              "tracing, from anyone we know, and for a while from others");
  const auto lines = lines_of(inventory_text(program, kNow));
  CHECK(lines[0] == "37     count_connect    fentry/tcp_v4_connect");
  CHECK(lines[1] ==
        "       admitted by 'tracing, from anyone we know, and for a while from others', prog-only "
        "by netops");
  CHECK(lines[2].starts_with("       tracing, loaded"));
}

TEST_CASE("columns are counted as a terminal shows them") {
  ListedProgram program = tracer();
  program.attach = "kprobe/…";
  CHECK(lines_of(inventory_text(program, kNow))[0] ==
        "37     count_connect    kprobe/…                     admitted by 'tracing', prog-only by "
        "netops");
}

TEST_CASE("an attachment tells its network namespace, its details, and its link if it has one") {
  ListedProgram program = tracer();
  program.attachments = {{0, "xdp", "xdp@eth0", "generic", ""},
                         {0, "tc", "tc@eth0", "clsact/ingress pref 49152", "blue"},
                         {3, "cgroup", "cgroup/dev@/a", "multi", ""},
                         {0, "perf_event", "kprobe/do_unlinkat", "", ""}};
  const std::string text = inventory_text(program, kNow);
  for (const char* line :
       {"       at xdp@eth0 (generic)\n",
        "       at tc@eth0 (network namespace blue, clsact/ingress pref 49152)\n",
        "       at cgroup/dev@/a (multi, link 3)\n", "       at kprobe/do_unlinkat\n"})
    CHECK(text.find(line) != std::string::npos);
  const nlohmann::json attachments = inventory_json(program, kNow)["attachments"];
  CHECK(attachments[0]["link_id"] == 0);
  CHECK(attachments[0]["network_namespace"].is_null());
  CHECK(attachments[1]["network_namespace"] == "blue");
  CHECK(attachments[1]["detail"] == "clsact/ingress pref 49152");
  CHECK(attachments[3]["detail"].is_null());
}

TEST_CASE("a program that came since the clock was read is of now") {
  ListedProgram program = tracer();
  program.listed.load_time_ns = kNow.boot_ns + kSecond;
  CHECK(lines_of(inventory_text(program, kNow))[1].find("loaded just now by") != std::string::npos);
  CHECK(inventory_json(program, kNow)["load_time"] == "2026-11-25T10:00:00Z");
}

TEST_CASE("what is unknown is not made up") {
  ListedProgram program = tracer();
  program.listed.flags = 0;
  program.listed.map_count = 1;
  program.standing = Standing::resident;
  const auto lines = lines_of(inventory_text(program, kNow));
  CHECK(lines[0].ends_with(" resident"));
  CHECK(lines[1] == "       tracing, loaded 3 hours ago by uid 1000, 1 map");
  CHECK_FALSE(has_verified_signature(program));
  program.listed.flags = BW_LISTED_VERDICT;
  program.listed.verdict = 1;
  CHECK(has_verified_signature(program));
  CHECK(lines_of(inventory_text(program, kNow))[0].ends_with(" resident, signed"));
}

TEST_CASE("each attachment, pin and holder of a program is taken away by a command") {
  ListedProgram program = tracer();
  program.attachments = {{12, "tracing", "fentry/tcp_v4_connect", "", ""},
                         {0, "xdp", "xdp@eth0", "generic", ""},
                         {0, "tc", "tc@eth0", "clsact/ingress pref 49152", "blue"},
                         {0, "perf_event", "kprobe/do_unlinkat", "", ""}};
  program.holders = {{71, "nginx", "nginx.service"}};
  CHECK(ways_to_take_away(program) ==
        std::vector<std::string>{
            "`bpftool link detach id 12`",
            "`ip link set dev eth0 xdp off`",
            "in network namespace blue: `tc filter del dev eth0 ingress pref 49152`",
            "`rm /sys/fs/bpf/connects`",
            "end nginx: `kill 71`, or `systemctl stop nginx.service`",
        });
  CHECK(inventory_text(program, kNow).find("to take it away") == std::string::npos);
  program.standing = Standing::resident;
  CHECK(inventory_text(program, kNow).find("to take it away: `bpftool link detach id 12`") !=
        std::string::npos);
  CHECK(ways_to_take_away(ListedProgram()).size() == 1);
}

TEST_CASE("filters must all be so, and the summary counts each standing") {
  ListedProgram program = tracer();
  program.holders = {{71, "nginx", "nginx.service"}};
  CHECK(is_asked_for(program, {}));
  CHECK(is_asked_for(program, {.standing = Standing::admitted,
                               .key = "netops",
                               .attach = "fentry/*",
                               .unit = "nginx.service"}));
  CHECK_FALSE(is_asked_for(program, {.standing = Standing::resident}));
  CHECK_FALSE(is_asked_for(program, {.key = "release"}));
  CHECK_FALSE(is_asked_for(program, {.attach = "fentry/tcp"}));
  CHECK_FALSE(is_asked_for(program, {.key = "netops", .unit = "agent.service"}));
  program.attachments = {{0, "xdp", "xdp@eth0", "", ""}};
  CHECK(is_asked_for(program, {.attach = "xdp"}));
  CHECK(standing_named("would-deny") == Standing::would_deny);
  CHECK_FALSE(standing_named("denied"));
  CHECK(inventory_summary({program, ListedProgram(), ListedProgram()}) ==
        "3 programs: 1 admitted, 2 resident");
}

TEST_CASE("the details of one program have all that the list of the issue asks for") {
  const auto lines = lines_of(inventory_details(tracer(), kNow));
  std::string digest, loader;
  for (int i = 0; i < 32; i++) digest += "ab", loader += "cd";
  CHECK(lines == std::vector<std::string>{
                     "program      37 count_connect",
                     "type         tracing",
                     "attach       fentry/tcp_v4_connect",
                     "standing     admitted by 'tracing'",
                     "signature    prog-only by netops",
                     "policy       version 12",
                     "key serial   1234",
                     "origin       loader, by loader 36",
                     "loader       sha256:" + loader,
                     "digest       sha256:" + digest,
                     "loaded       2026-11-25T07:00:00Z, 3 hours ago, by uid 1000",
                     "maps         2",
                     "code         120 instructions, the verifier walked 300, compiled",
                     "at fentry/tcp_v4_connect (link 12)",
                     "pinned at /sys/fs/bpf/connects",
                     "held by nginx (71)",
                 });
  const nlohmann::json json = inventory_json(tracer(), kNow);
  CHECK(json["load_time"] == "2026-11-25T07:00:00Z");
  CHECK(json["digest"] == "sha256:" + digest);
  CHECK(json["map_count"] == 2);
}
