// Rows of probes and tracepoints, whose targets only the attachment names.
#include <bpf/bpf.h>
#include <sys/ioctl.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

using MakeEvent = std::function<Fd(Where)>;

// A perf event keeps its program: it goes with the object.
std::function<Attach(Where)> by_ioctl(const MakeEvent& make) {
  return [=](Where where) -> Attach {
    return [event = make(where)](const Fd& program) {
      return error_of(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()));
    };
  };
}

std::function<Attach(Where)> by_event_link(const MakeEvent& make) {
  return by_link([=](Where where) { return Target{.fd = make(where)}; }, BPF_PERF_EVENT);
}

struct Event {
  const char *family, *how, *good, *bad;
  MakeEvent make;
};

std::string function(Where where) { return where == Where::good ? "tcp_connect" : "tcp_close"; }

unsigned long offset(Where where) { return where == Where::good ? 0x1000 : 0x2000; }

MakeEvent kprobe(bool on_return) {
  return [=](Where where) { return kprobe_event(function(where), on_return); };
}

MakeEvent kprobe_by_address(bool on_return) {
  return [=](Where where) { return kprobe_event(address_text(function(where)), on_return); };
}

MakeEvent uprobe(bool on_return) {
  return [=](Where where) { return uprobe_event(offset(where), on_return); };
}

Fd scheduler_event(Where where) {
  return tracepoint_event(where == Where::good ? "sched/sched_switch" : "sched/sched_wakeup");
}

constexpr const char *kGoodFunction = "/tcp_connect", *kBadFunction = "/tcp_close",
                     *kGoodPlace = "//usr/bin/openssl:0x1000",
                     *kBadPlace = "//usr/bin/openssl:0x2000";

// Events of tracefs have no target that a rule could name: tests/vm/attack/probes_test.cpp.
std::vector<Event> events() {
  return {
      {"kprobe", "PMU", kGoodFunction, kBadFunction, kprobe(false)},
      {"kprobe", "PMU, by address", kGoodFunction, kBadFunction, kprobe_by_address(false)},
      {"kretprobe", "PMU", kGoodFunction, kBadFunction, kprobe(true)},
      {"kretprobe", "PMU, by address", kGoodFunction, kBadFunction, kprobe_by_address(true)},
      {"uprobe", "PMU", kGoodPlace, kBadPlace, uprobe(false)},
      {"uretprobe", "PMU", kGoodPlace, kBadPlace, uprobe(true)},
      {"tp", "", "/sched/sched_switch", "/sched/sched_wakeup", scheduler_event},
  };
}

struct Multi {
  const char* family;
  bpf_attach_type type;
  uint32_t flags;
};

constexpr Multi kFunctions[] = {
    {"kprobe.multi", BPF_TRACE_KPROBE_MULTI, 0},
    {"kretprobe.multi", BPF_TRACE_KPROBE_MULTI, BPF_F_KPROBE_MULTI_RETURN},
    {"kprobe.session", BPF_TRACE_KPROBE_SESSION, 0}};
constexpr Multi kOffsets[] = {
    {"uprobe.multi", BPF_TRACE_UPROBE_MULTI, 0},
    {"uretprobe.multi", BPF_TRACE_UPROBE_MULTI, BPF_F_UPROBE_MULTI_RETURN},
    {"uprobe.session", BPF_TRACE_UPROBE_SESSION, 0}};
constexpr Multi kTraced[] = {{"fentry.multi", BPF_TRACE_FENTRY_MULTI, 0},
                             {"fexit.multi", BPF_TRACE_FEXIT_MULTI, 0},
                             {"fsession.multi", BPF_TRACE_FSESSION_MULTI, 0}};

std::function<Attach(Where)> by_symbol(const Multi& multi) {
  return [=](Where where) -> Attach {
    return [=](const Fd& program) {
      return attach_functions(program, multi.type, multi.flags, {function(where)});
    };
  };
}

std::function<Attach(Where)> by_address(const Multi& multi) {
  return [=](Where where) -> Attach {
    return [=, address = address_of(function(where))](const Fd& program) {
      return attach_addresses(program, multi.type, multi.flags, {address});
    };
  };
}

std::function<Attach(Where)> by_offset(const Multi& multi) {
  return [=](Where where) -> Attach {
    return [=](const Fd& program) {
      return attach_offsets(program, multi.type, multi.flags, kUprobed, {offset(where)});
    };
  };
}

std::function<Attach(Where)> by_btf_id(const Multi& multi) {
  return [=](Where where) -> Attach {
    return [=](const Fd& program) {
      const uint32_t id = function_id(function(where));
      LIBBPF_OPTS(bpf_link_create_opts, options);
      options.tracing_multi.ids = &id;
      options.tracing_multi.cnt = 1;
      return error_of_made(bpf_link_create(program.get(), 0, multi.type, &options));
    };
  };
}

Attach open_raw_tracepoint(Where where) {
  return [=](const Fd& program) {
    return error_of_made(bpf_raw_tracepoint_open(
        where == Where::good ? "sched_switch" : "sched_wakeup", program.get()));
  };
}

}  // namespace

std::vector<Row> probe_rows() {
  std::vector<Row> rows;
  for (const Event& event : events()) {
    rows.push_back(
        {event.family, "perf-event", event.how, event.good, event.bad, by_ioctl(event.make)});
    rows.push_back(
        {event.family, "link-create", event.how, event.good, event.bad, by_event_link(event.make)});
  }
  for (const Multi& one : kFunctions) {
    rows.push_back(
        {one.family, "link-create", "symbols", kGoodFunction, kBadFunction, by_symbol(one)});
    rows.push_back(
        {one.family, "link-create", "addresses", kGoodFunction, kBadFunction, by_address(one)});
  }
  for (const Multi& one : kOffsets)
    rows.push_back({one.family, "link-create", "", kGoodPlace, kBadPlace, by_offset(one)});
  for (const Multi& one : kTraced)
    rows.push_back({one.family, "link-create", "", kGoodFunction, kBadFunction, by_btf_id(one)});
  for (const char* family : {"raw_tp", "raw_tp.w"})
    rows.push_back(
        {family, "raw-tracepoint-open", "", "/sched_switch", "/sched_wakeup", open_raw_tracepoint});
  const MakeEvent clock = [](Where) { return clock_event(); };
  rows.push_back({"perf_event", "perf-event", "", "", "", by_ioctl(clock)});
  rows.push_back({"perf_event", "link-create", "", "", "", by_event_link(clock)});
  return rows;
}

}  // namespace bpfwarden::vm
