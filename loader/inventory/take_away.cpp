#include "loader/inventory/take_away.h"

#include <string_view>

namespace bpfwarden::loader {
namespace {

using std::string;

string device_of(const Attachment& one) {
  const size_t at = one.attach.rfind('@');
  return at == string::npos ? "DEV" : one.attach.substr(at + 1);
}

// "clsact/ingress pref 49152" -> "ingress pref 49152"
string filter_of(const Attachment& one) {
  const size_t parent = one.detail.find('/');
  return parent == string::npos ? one.detail : one.detail.substr(parent + 1);
}

string in_network(const Attachment& one, const string& command) {
  if (one.network.empty()) return "`" + command + "`";
  return "in network namespace " + one.network + ": `" + command + "`";
}

// Of an attachment without a link; empty: only its holder's end helps.
string detaching(const ListedProgram& program, const Attachment& one) {
  if (one.kind == "xdp") return in_network(one, "ip link set dev " + device_of(one) + " xdp off");
  if (one.kind == "tc")
    return in_network(one, "tc filter del dev " + device_of(one) + " " + filter_of(one));
  if (one.kind == "tcx" || one.kind == "netkit")
    return in_network(one, "bpftool net detach " +
                               (one.attach.starts_with("tcx/egress") ? string("tcx_egress")
                                : one.kind == "tcx"                  ? string("tcx_ingress")
                                                                     : one.kind) +
                               " dev " + device_of(one));
  if (one.kind == "cgroup" && one.attach.find('@') != string::npos)
    return "`bpftool cgroup detach /sys/fs/cgroup" + device_of(one) + " ATTACH_TYPE id " +
           std::to_string(program.listed.id) + "` (`bpftool cgroup show` tells the type)";
  return {};
}

}  // namespace

std::vector<string> ways_to_take_away(const ListedProgram& program) {
  std::vector<string> ways;
  for (const Attachment& one : program.attachments) {
    string way = one.link_id != 0 ? "`bpftool link detach id " + std::to_string(one.link_id) + "`"
                                  : detaching(program, one);
    if (!way.empty()) ways.push_back(std::move(way));
  }
  for (const string& pin : program.pins) ways.push_back("`rm " + pin + "`");
  for (const Holder& holder : program.holders)
    ways.push_back("end " + holder.name + ": `kill " + std::to_string(holder.pid) + "`" +
                   (holder.unit.empty() ? "" : ", or `systemctl stop " + holder.unit + "`"));
  if (ways.empty()) ways.emplace_back("reboot: nothing that can be seen holds it");
  return ways;
}

}  // namespace bpfwarden::loader
