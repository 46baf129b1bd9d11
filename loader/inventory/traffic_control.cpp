#include "loader/inventory/traffic_control.h"

#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string_view>

namespace bpfwarden::loader {
namespace {

// Something on a device that can have filters.
struct Parent {
  uint32_t handle = 0;  // 0: the qdisc at the root
  std::string name;
};

// Where each kind of filter has its actions.
struct ActionsOf {
  std::string_view kind;
  uint16_t attribute;
};
constexpr auto kActions = std::to_array<ActionsOf>({
    {"basic", TCA_BASIC_ACT},
    {"bpf", TCA_BPF_ACT},
    {"cgroup", TCA_CGROUP_ACT},
    {"flow", TCA_FLOW_ACT},
    {"flower", TCA_FLOWER_ACT},
    {"fw", TCA_FW_ACT},
    {"matchall", TCA_MATCHALL_ACT},
    {"route", TCA_ROUTE4_ACT},
    {"u32", TCA_U32_ACT},
});

std::string handle_text(uint32_t handle) {
  std::array<char, 24> text = {};
  const unsigned int minor = TC_H_MIN(handle);
  (void)std::snprintf(text.data(), text.size(),
                      minor != 0 ? "%x:%x" : "%x:", TC_H_MAJ(handle) >> 16U, minor);
  return text.data();
}

std::string qdisc_kind(const NetlinkMessage& message) {
  std::string kind;
  message.attributes(sizeof(tcmsg), [&](const nlattr& attribute) {
    if (mnl_attr_get_type(&attribute) == TCA_KIND) kind = text_of(attribute);
  });
  return kind;
}

void fill_tc(nlmsghdr* header, uint32_t device, uint32_t parent) {
  auto* body = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  body->tcm_family = AF_UNSPEC;
  body->tcm_ifindex = static_cast<int>(device);
  body->tcm_parent = parent;
}

void add_parents(const NetlinkMessage& qdisc, std::vector<Parent>& parents) {
  const auto& body = qdisc.body<tcmsg>();
  const std::string kind = qdisc_kind(qdisc);
  if (kind == "clsact" || kind == "ingress") {
    parents.push_back({TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), kind + "/ingress"});
    if (kind == "clsact")
      parents.push_back({TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), kind + "/egress"});
  } else if (body.tcm_parent == TC_H_ROOT) {
    const std::string handle = body.tcm_handle != 0 ? " " + handle_text(body.tcm_handle) : "";
    parents.push_back({0, kind + handle});
  } else if (body.tcm_handle != 0) {
    parents.push_back({body.tcm_handle, kind + " " + handle_text(body.tcm_handle)});
  }
}

// Of one BPF action, among the attributes of TCA_ACT_OPTIONS.
struct BpfAction {
  uint32_t program = 0, index = 0;
  bool is_bound = false;  // to a filter
};

// `action` has TCA_ACT_KIND and TCA_ACT_OPTIONS.
std::optional<BpfAction> read_action(const nlattr& action) {
  std::string kind;
  BpfAction found;
  nested_attributes(action, [&](const nlattr& attribute) {
    if (mnl_attr_get_type(&attribute) == TCA_ACT_KIND) kind = text_of(attribute);
    if (mnl_attr_get_type(&attribute) != TCA_ACT_OPTIONS || kind != "bpf") return;
    nested_attributes(attribute, [&](const nlattr& option) {
      if (mnl_attr_get_type(&option) == TCA_ACT_BPF_ID) found.program = number_of(option);
      if (mnl_attr_get_type(&option) != TCA_ACT_BPF_PARMS) return;
      const auto* settings = static_cast<const tc_act_bpf*>(mnl_attr_get_payload(&option));
      found.index = settings->index;
      found.is_bound = settings->bindcnt > 0;
    });
  });
  if (found.program == 0) return std::nullopt;  // another kind, or classic BPF
  return found;
}

Sighting action_at(const BpfAction& action, const std::string& where) {
  return {.program_id = action.program,
          .key = {},
          .kind = "action",
          .attach = {},
          .detail = "index " + std::to_string(action.index) + ", " + where,
          .network = {}};
}

class Reader {
 public:
  Reader(Netlink& netlink, Sightings& list) : netlink_(netlink), list_(list) {}

  void read(const std::vector<Device>& devices) {
    const auto qdiscs = dump(RTM_GETQDISC, [](nlmsghdr* header) { fill_tc(header, 0, 0); });
    for (const Device& device : devices) {
      std::vector<Parent> parents;
      for (const NetlinkMessage& qdisc : qdiscs)
        if (qdisc.body<tcmsg>().tcm_ifindex == static_cast<int>(device.index))
          add_parents(qdisc, parents);
      add_classes(device, parents);
      for (const Parent& parent : parents) read_filters(device, parent);
    }
    read_free_actions();
  }

 private:
  std::vector<NetlinkMessage> dump(uint16_t type, const std::function<void(nlmsghdr*)>& fill) {
    auto messages = netlink_.dump(type, fill);
    if (messages) return std::move(*messages);
    const int code = messages.error().code;
    // The device went away; or a kernel without traffic control.
    if (code != ENODEV && code != ENOENT && code != EOPNOTSUPP)
      list_.missed.push_back(std::move(messages).error().within("traffic control"));
    return {};
  }

  void add_classes(const Device& device, std::vector<Parent>& parents) {
    if (parents.empty()) return;
    const auto fill = [&](nlmsghdr* header) { fill_tc(header, device.index, 0); };
    for (const NetlinkMessage& found : dump(RTM_GETTCLASS, fill)) {
      const uint32_t handle = found.body<tcmsg>().tcm_handle;
      parents.push_back({handle, qdisc_kind(found) + " " + handle_text(handle)});
    }
  }

  void read_filters(const Device& device, const Parent& parent) {
    const auto fill = [&](nlmsghdr* header) { fill_tc(header, device.index, parent.handle); };
    for (const NetlinkMessage& filter : dump(RTM_GETTFILTER, fill)) {
      const std::string kind = qdisc_kind(filter);
      const uint32_t priority = filter.body<tcmsg>().tcm_info >> 16U;
      filter.attributes(sizeof(tcmsg), [&](const nlattr& attribute) {
        if (mnl_attr_get_type(&attribute) == TCA_OPTIONS)
          read_options(attribute, kind, device, parent.name + " pref " + std::to_string(priority));
      });
    }
  }

  void read_options(const nlattr& options, const std::string& kind, const Device& device,
                    const std::string& where) {
    const auto* const actions = std::ranges::find(kActions, kind, &ActionsOf::kind);
    nested_attributes(options, [&](const nlattr& option) {
      const uint16_t type = mnl_attr_get_type(&option);
      if (kind == "bpf" && type == TCA_BPF_ID)
        list_.found.push_back({.program_id = number_of(option),
                               .key = {},
                               .kind = "tc",
                               .attach = "tc@" + device.name,
                               .detail = where,
                               .network = {}});
      if (actions == kActions.end() || type != actions->attribute) return;
      nested_attributes(option, [&](const nlattr& action) {
        if (const auto found = read_action(action))
          list_.found.push_back(action_at(*found, kind + " on " + device.name + " " + where));
      });
    });
  }

  // Actions that no filter uses yet.
  void read_free_actions() {
    const auto fill = [](nlmsghdr* header) {
      auto* body = static_cast<tcamsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcamsg)));
      body->tca_family = AF_UNSPEC;
      nlattr* table = mnl_attr_nest_start(header, TCA_ACT_TAB);
      nlattr* first = mnl_attr_nest_start(header, 1);
      mnl_attr_put_strz(header, TCA_ACT_KIND, "bpf");
      mnl_attr_nest_end(header, first);
      mnl_attr_nest_end(header, table);
    };
    for (const NetlinkMessage& message : dump(RTM_GETACTION, fill))
      message.attributes(sizeof(tcamsg), [&](const nlattr& table) {
        if (mnl_attr_get_type(&table) != TCA_ACT_TAB) return;
        nested_attributes(table, [&](const nlattr& action) {
          const auto found = read_action(action);
          if (found && !found->is_bound) list_.found.push_back(action_at(*found, "on no filter"));
        });
      });
  }

  Netlink& netlink_;
  Sightings& list_;
};

}  // namespace

void read_traffic_control(Netlink& netlink, const std::vector<Device>& devices, Sightings& list) {
  Reader(netlink, list).read(devices);
}

}  // namespace bpfwarden::loader
