// Attempts at what a probe is on, once that was decided.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>

#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kTracing = "/sys/kernel/tracing/";

std::string rule(const std::string& action, const std::string& attach) {
  return "[[rules]]\nname = \"" + action + " it\"\n" + action + " = [" + attach +
         "]\nsignature = \"unsigned\"\n";
}

int write_line(const std::string& file, const std::string& line) {
  const Fd opened(::open((kTracing + file).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!opened) return errno;
  return ::write(opened.get(), line.data(), line.size()) < 0 ? errno : 0;
}

// An event of tracefs, gone with the object.
class TracefsEvent {
 public:
  TracefsEvent(std::string file, const std::string& definition)
      : file_(std::move(file)), definition_(definition) {
    (void)write_line(file_, "-:grow/it");
    REQUIRE(write_line(file_, definition) == 0);
  }
  TracefsEvent(const TracefsEvent&) = delete;
  TracefsEvent& operator=(const TracefsEvent&) = delete;
  ~TracefsEvent() { (void)write_line(file_, "-:grow/it"); }

  // Appends another probe to it.
  [[nodiscard]] int grow(const std::string& definition) const {
    return write_line(file_, definition);
  }
  [[nodiscard]] static Fd open() { return tracepoint_event("grow/it"); }

 private:
  std::string file_, definition_;
};

int attach(const Fd& event, const Fd& program) {
  return error_of(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()));
}

int attach_by_link(const Fd& event, const Fd& program) {
  return error_of_made(bpf_link_create(program.get(), event.get(), BPF_PERF_EVENT, nullptr));
}

uint64_t runs_of(const Fd& program) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0);
  return info.run_cnt;
}

uint64_t runs_by_getpgid(const Fd& program) {
  must("echo 1 >/proc/sys/kernel/bpf_stats_enabled");
  const uint64_t before = runs_of(program);
  for (int i = 0; i < 100; i++) (void)::getpgid(0);
  return runs_of(program) - before;
}

const Control appended([] {
  const TracefsEvent grows("kprobe_events", "p:grow/it tcp_connect");
  const Fd program = loaded(program_of("kprobe")), event = TracefsEvent::open();
  if (attach(event, program) != 0) return false;
  ::ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0);
  return runs_by_getpgid(program) == 0 && grows.grow("p:grow/it " SYSTEM_CALL("getpgid")) == 0 &&
         runs_by_getpgid(program) >= 100;
});

struct Kind {
  const char *family, *file, *definition, *rule;
};

constexpr Kind kKinds[] = {
    {"kprobe", "kprobe_events", "p:grow/it tcp_connect", "\"kprobe/tcp_connect\""},
    {"kretprobe", "dynamic_events", "r:grow/it tcp_connect", "\"kretprobe/tcp_connect\""},
    {"uprobe", "uprobe_events", "p:grow/it /usr/bin/openssl:0x1000",
     "\"uprobe//usr/bin/openssl:0x1000\""},
    {"uretprobe", "uprobe_events", "r:grow/it /usr/bin/openssl:0x1000",
     "\"uretprobe//usr/bin/openssl:*\""}};

Fd pmu_event(const Kind& kind) {
  const std::string family = kind.family;
  const bool on_return = family.find("ret") != std::string::npos;
  return family.starts_with("k") ? kprobe_event("tcp_connect", on_return)
                                 : uprobe_event(0x1000, on_return);
}

}  // namespace

TEST_CASE("attack_append_a_probe_after_the_decision", "[vm][attack][control][slow]") {
  appended.must_have_worked();
  Warden warden;
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.family);
    const std::string all = std::string("\"") + kind.family + "/*\"";
    const TracefsEvent grows(kind.file, kind.definition);
    warden.apply("enforce", rule("allow", kind.rule));
    const Fd program = loaded(program_of(kind.family));
    CHECK(attach(TracefsEvent::open(), program) == EPERM);
    CHECK(last_refused_attachment(warden)["attach"] == std::string(kind.family) + "/…");
    CHECK(attach_by_link(TracefsEvent::open(), program) == EPERM);
    CHECK(attach(pmu_event(kind), program) == 0);
    warden.apply("enforce", rule("allow", all));
    CHECK(attach(TracefsEvent::open(), program) == 0);
    CHECK(attach_by_link(TracefsEvent::open(), program) == 0);
    // Any probe may be appended, one that a rule refuses as well.
    const std::string other = std::string("\"") + kind.family + "//elsewhere:0x1\"";
    warden.apply("enforce", rule("deny", other) + rule("allow", all));
    CHECK(attach(TracefsEvent::open(), program) == EPERM);
    CHECK(attach(pmu_event(kind), program) == 0);
  }
}

TEST_CASE("attack_append_a_probe_unseen", "[vm][attack][control]") {
  appended.must_have_worked();
  Warden warden;
  const TracefsEvent grows("kprobe_events", "p:grow/it tcp_connect");
  warden.apply("enforce", rule("allow", R"("kprobe/*", "tp/nothing/such")"));
  const Fd program = loaded(program_of("kprobe")), event = TracefsEvent::open();
  const auto told = [&] {
    std::vector<nlohmann::json> events = events_of_hook(warden, "attach");
    std::erase_if(events, [](const auto& one) { return one["cause"] != "probe-grows"; });
    return events;
  };
  (void)write_line("dynamic_events", "");
  CHECK(told().empty());
  REQUIRE(attach(event, program) == 0);
  for (const char* file : {"kprobe_events", "uprobe_events", "dynamic_events"}) {
    CAPTURE(file);
    (void)std::ifstream(std::string(kTracing) + file).get();
    CHECK(told().empty());
    (void)write_line(file, "");
    const auto events = told();
    REQUIRE(events.size() == 1);
    CHECK(events[0]["program_id"] == program_id(program));
    CHECK(events[0]["refused"] == false);
    CHECK(events[0]["attach"] == "kprobe/…");
  }
  CHECK(grows.grow("p:grow/it " SYSTEM_CALL("getpgid")) == 0);
  CHECK(told().size() == 1);
}

}  // namespace bpfwarden::vm
