// The screen of `status`: what comes first, and that it fits whatever the numbers are.
#include "loader/status/status_screen.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <memory>

#include "loader/text/time_text.h"

namespace bpfwarden::loader {
namespace {

constexpr int64_t kNow = 1'800'000'000;
constexpr uint64_t kBoot = 1'000'000'000'000;

Generation generation(uint64_t number, const std::string& name) {
  Generation made{number, std::make_unique<bw_image>()};
  made.image->mode = BW_MODE_ENFORCE;
  made.image->policy_version = 12;
  name.copy(made.image->policy_name, sizeof(made.image->policy_name) - 1);
  made.image->signer_count = BW_SIGNER_FIRST_KEY;
  return made;
}

void add_key(bw_image& image, const std::string& name, int64_t not_after) {
  bw_signer& signer = image.signers[image.signer_count++];
  name.copy(signer.name, sizeof(signer.name) - 1);
  signer.not_after = not_after;
}

KernelStatus quiet_status() {
  KernelStatus status{.part = part_of_this_binary(),
                      .generation = generation(7, "edge-fleet"),
                      .counters = {},
                      .last_hour = {},
                      .word = {},
                      .staged = std::nullopt,
                      .keyring = 4711,
                      .hooks = {.attached = {"a", "b"}, .missing = {}, .programs = {}},
                      .tables = {{.name = "programs", .entries = 12, .room = 65'536}}};
  status.word.generation = 7;
  status.word.active_since = kNow - 7200;
  return status;
}

std::vector<std::string> screen(const KernelStatus& status, size_t columns = kScreenColumns) {
  std::vector<std::string> lines;
  for (const ScreenLine& line : status_screen(status, {kNow, kBoot}))
    lines.push_back(line_text(line, columns, false));
  return lines;
}

bool has(const std::vector<std::string>& lines, const std::string& text) {
  for (const std::string& line : lines)
    if (line.find(text) != std::string::npos) return true;
  return false;
}

size_t columns_of(const std::string& text) {
  size_t columns = 0;
  for (const char c : text) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return columns;
}

}  // namespace

TEST_CASE("a kernel part of another version is named, one of this version is not") {
  KernelStatus status = quiet_status();
  CHECK(screen(status).back().ends_with("2 hooks"));
  status.part.version = "0.0.9";
  CHECK(screen(status).back().ends_with("2 hooks of bpfwarden 0.0.9"));
}

TEST_CASE("the screen begins with mode, policy, since when, the last hour") {
  KernelStatus status = quiet_status();
  status.last_hour = {.refused = 3, .would_deny = 14, .observed = 2};
  const auto lines = screen(status);
  REQUIRE(lines.size() > 6);
  CHECK(lines[0] == "mode         enforce");
  CHECK(lines[1] == "policy       version 12 of edge-fleet");
  CHECK(lines[2].ends_with("(2 hours ago)"));
  CHECK(lines[3] == "last hour    14 would be denied, 3 refused");
  CHECK(lines[4] == "             2 signatures rejected by the kernel itself");
  CHECK(lines[5].find("bpfwarden why") != std::string::npos);
  CHECK_FALSE(has(screen(quiet_status()), "bpfwarden why"));
}

TEST_CASE("the screen says what somebody has to do") {
  KernelStatus status = quiet_status();
  status.word.unconfirmed = 7;
  status.word.fallback = 6;
  status.word.confirm_by_ns = kBoot + 90'000'000'000;
  CHECK(has(screen(status), "`bpfwarden confirm` within 91 seconds"));
  CHECK(has(screen(status), "generation 6 decides again"));
  status.word.confirm_by_ns = kBoot;
  CHECK(has(screen(status), "nobody confirmed generation 7 in time"));
  status.keyring.reset();
  CHECK(has(screen(status), "apply the policy again"));
}

TEST_CASE("the line about the seal says what is open, and who signs the next policy") {
  KernelStatus status = quiet_status();
  bw_image& image = *status.generation.image;
  const auto open = [&] { return open_ways(image, status.closings, status.hooks.missing, kNow); };
  using Names = std::vector<std::string>;
  image.period_count = 1;
  CHECK(open() == Names{"modules", "kexec", "/dev/mem", "lockdown", "reboot"});
  image.harden = 1ULL << BW_LOCKDOWN_MODULE_SIGNATURE | 1ULL << BW_HARDENING_KEXEC;
  CHECK(open() == Names{"signed modules", "/dev/mem", "lockdown", "reboot"});
  status.closings.has_kexec_loaded = true;
  CHECK(open().at(1) == "the kernel loaded for kexec");
  status.closings = {.modules = true};
  image.harden = 1ULL << BW_HARDENING_INTEGRITY;
  CHECK(open() == Names{"signed kexec", "reboot"});
  status.hooks.missing = {"harden_locked_down"};
  CHECK(open() == Names{"kexec", "/dev/mem", "lockdown", "reboot"});
  status.hooks.missing.clear();
  image.mode = BW_MODE_AUDIT;
  CHECK(open() == Names{"kexec", "/dev/mem", "lockdown", "reboot"});
  status.closings.integrity = true;
  CHECK(open() == Names{"signed kexec", "reboot"});
  CHECK_FALSE(has(screen(status), "sealed"));

  add_key(image, "release", kNow + 1);
  add_key(image, "release", kNow + 1);
  add_key(image, "security", kNow + 1);
  image.policy_signers = 7ULL << BW_SIGNER_FIRST_KEY;
  CHECK(policy_signer_names(image) == Names{"release", "security"});
  status.word.sealed_ns = kBoot;
  CHECK(has(screen(status, 0), "; open: signed kexec, reboot; next by release, security"));
  image.policy_signatures = 2;
  CHECK(has(screen(status, 0), "; open: signed kexec, reboot; next by 2 of release, security"));
  image.policy_signers = 0;
  CHECK(has(screen(status, 0), "; open: signed kexec, reboot; no next one"));
}

TEST_CASE("the screen begins with hooks that are gone, by name") {
  KernelStatus status = quiet_status();
  status.hooks.missing = {"warden_prog", "warden_prog_load"};
  const auto lines = screen(status, 0);
  CHECK(lines[0] == "hooks        2 of 4 hooks: warden_prog, warden_prog_load are gone");
  CHECK(lines[2] == "mode         enforce");
  status.hooks.missing.pop_back();
  CHECK(screen(status, 0)[0] == "hooks        2 of 3 hooks: warden_prog is gone");
}

TEST_CASE("the screen counts feature probes apart, and residents that the policy would refuse") {
  KernelStatus status = quiet_status();
  CHECK_FALSE(has(screen(status), "probes"));
  CHECK_FALSE(has(screen(status), "residents"));
  status.last_hour = {.refused = 7, .would_deny = 5};
  status.probes = {.refused = 4, .would_deny = 3};
  status.residents = {.count = 9, .would_deny = 2};
  CHECK(has(screen(status), "of these feature probes: 3 and 4"));
  CHECK(has(screen(status),
            "residents    9 from before the first policy, 2 of which it would refuse"));
}

TEST_CASE("the screen tells of an initramfs from before the confirmed policy, and the command") {
  KernelStatus status = quiet_status();
  CHECK_FALSE(has(screen(status), "initramfs"));
  status.stale_initramfs = {.kernels = {"7.3.4"}, .command = "update-initramfs -u -k 7.3.4"};
  CHECK(has(screen(status), "initramfs    older than the confirmed policy: 7.3.4"));
  CHECK(has(screen(status), "             `update-initramfs -u -k 7.3.4` makes it anew"));
}

TEST_CASE("the screen names a table that is nearly full, and who holds it") {
  KernelStatus status = quiet_status();
  CHECK_FALSE(has(screen(status), "table "));
  status.tables = {
      {.name = "programs", .entries = 65'000, .room = 65'536, .uid = 1000, .of_uid = 64'000}};
  CHECK(has(screen(status), "table        programs 65000 of 65536, 64000 loaded by uid 1000"));
}

TEST_CASE("the screen fits 80 by 24 at its fullest") {
  constexpr uint64_t most = UINT64_MAX;
  KernelStatus status = quiet_status();
  bw_image& image = *status.generation.image;
  image.policy_version = most;
  std::string(63, 'n').copy(image.policy_name, 63);
  while (image.signer_count < BW_MAX_SIGNERS)
    add_key(image, std::string(60, 'k'), kNow - 86'400 + image.signer_count);
  status.counters = {most, most, most, most, most, most, 8, most, most, most};
  status.last_hour = {most, most, most};
  status.probes = {most, most};
  status.residents = {most, most};
  status.word.unconfirmed = 7;
  status.word.confirm_by_ns = kBoot + 90'000'000'000;
  status.word.staged = 8;
  status.staged = generation(8, std::string(63, 's'));
  const auto lines = screen(status);
  CHECK(lines.size() <= kScreenLines);
  for (const std::string& line : lines) {
    INFO(line);
    CHECK(columns_of(line) <= kScreenColumns);
  }
  CHECK(has(lines, "EXPIRED"));
  CHECK(has(lines, "and 55 that last longer"));
  status.stale_initramfs = {.kernels = std::vector<std::string>(9, std::string(30, 'v')),
                            .command = "update-initramfs -u -k all"};
  CHECK(screen(status).size() <= kScreenLines);
  CHECK(has(screen(status), "update-initramfs"));
  CHECK(has(screen(status, 0), std::string(63, 's')));  // whole where it need not fit
  status.hooks.missing = std::vector<std::string>(30, std::string(30, 'h'));
  status.tables = std::vector<Table>(3, {.name = "programs", .entries = 10, .room = 10});
  CHECK(screen(status).size() <= kScreenLines);
}

TEST_CASE("colour is only there when asked for, and ends with its text") {
  const ScreenLine line{"events", "3 dropped", Tone::alarm};
  CHECK(line_text(line, 80, false) == "events       3 dropped");
  const std::string coloured = line_text(line, 80, true);
  CHECK(coloured.find("\033[1;31m3 dropped\033[0m") != std::string::npos);
}

TEST_CASE("an hour is this minute and the 60 before it") {
  const auto minute = [](uint64_t number, uint64_t count) { return number << 32 | count; };
  LastHour hour;
  add_minute({.refused = minute(100, 2), .would_deny = minute(40, 3), .observed = 0}, 100, hour);
  CHECK(hour.refused == 2);
  CHECK(hour.would_deny == 3);
  CHECK(hour.observed == 0);
  LastHour older;
  add_minute({.refused = minute(39, 9), .would_deny = 0, .observed = minute(100, 1)}, 100, older);
  CHECK(older.refused == 0);
  CHECK(older.observed == 1);
  LastHour young;  // an hour has not yet passed since the boot
  add_minute({.refused = minute(0, 4), .would_deny = 0, .observed = 0}, 5, young);
  CHECK(young.refused == 4);
}

TEST_CASE("times for people") {
  CHECK(ago_text(0) == "just now");
  CHECK(ago_text(59) == "59 seconds ago");
  CHECK(ago_text(60) == "1 minute ago");
  CHECK(ago_text(7'199) == "1 hour ago");
  CHECK(ago_text(3 * 86'400) == "3 days ago");
  CHECK(local_time(kNow).starts_with("2027-01-"));
  CHECK(local_time(kNow).size() > std::strlen("2027-01-15 08:00:00 "));  // and the zone
}

}  // namespace bpfwarden::loader
