#include "loader/events/event_json.h"

#include <concepts>
#include <nlohmann/json.hpp>
#include <utility>

#include "loader/text/json_members.h"
#include "policy/language/syntax_reader.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

constexpr std::string_view kDigestPrefix = "sha256:";
constexpr const char* kWallTime = "wall_time";
constexpr const char* kOneEvent = "it must be one line of `bpfwarden events --json`";

// Each member by its name, for reading and writing alike. `text` is written even where it is empty,
// all else is null then.
template <class Each, class Of>
void each_member_of_decision(Each& each, Of& event) {
  each.value("sequence", event.sequence);
  each.value("count", event.count);
  each.time("time", event.time);
  each.value("time_ns", event.time_ns);
  each.unix_time("judged_at", event.wall_time);
  each.word("hook", event.hook);
  each.word("decision", event.decision);
  each.word("active_decision", event.active_decision);
  each.value("refused", event.refused);
  each.value("errno", event.error);
  each.word("mode", event.mode);
  each.text_or_null("rule", event.rule);
  each.value("rule_line", event.rule_line);
  each.word("cause", event.cause);
  each.lines("almost", event.almost);
  each.value("generation", event.generation);
  each.value("policy_version", event.policy_version);
  each.digest("policy_digest", event.policy_digest);
}

template <class Each, class Of>
void each_member_of_program(Each& each, Of& event) {
  each.word("signature", event.signature);
  each.text_or_null("signer", event.signer);
  each.value("key_serial", event.key_serial);
  each.text_or_null("wanted_key", event.wanted_key);
  each.text_or_null("verified_by", event.verified_by);
  each.word("origin", event.origin);
  each.text_or_null("attach", event.attach);
  each.word("route", event.route);
  each.text_or_null("system_call", event.system_call);
  each.text_or_null("object", event.object);
  each.text("program", event.program);
  each.value("program_id", event.program_id);
  each.value("loader_id", event.loader_id);
  each.digest("digest", event.digest);
  each.digest("loader_digest", event.loader_digest);
  each.value("sleepable", event.sleepable);
  each.value("delegated", event.delegated);
  each.value("gpl_compatible", event.gpl_compatible);
}

template <class Each, class Of>
void each_member_of_process(Each& each, Of& event) {
  each.value("pid", event.pid);
  each.value("tgid", event.tgid);
  each.value("uid", event.uid);
  each.text("comm", event.comm);
  each.text_or_null("exe", event.exe);
  each.value("cgroup_id", event.cgroup_id);
  each.text_or_null("cgroup", event.cgroup);
}

template <class Each, class Of>
void each_member(Each& each, Of& event) {
  each_member_of_decision(each, event);
  each_member_of_program(each, event);
  each_member_of_process(each, event);
}

class MemberWriter {
 public:
  template <class T>
  void value(Member member, const T& value) {
    put(object_, member, value);
  }
  template <class T>
  void value(Member member, const std::optional<T>& value) {
    put(object_, member, value ? json(*value) : json());
  }
  void text(Member member, const std::string& text) { put(object_, member, text); }
  void text_or_null(Member member, const std::string& text) {
    put(object_, member, loader::text_or_null(text));
  }
  void digest(Member member, const std::string& hex) { put(object_, member, digest_or_null(hex)); }
  template <class T>
  void word(Member member, const Word<T>& word) {
    text_or_null(member, word.text);
  }
  void time(Member member, const std::optional<Micros>& time) {
    text_or_null(member, time ? utc_text(*time) : "");
  }
  void unix_time(Member member, const std::optional<int64_t>& seconds) {
    put(object_, member, time_or_null(seconds.value_or(0)));
  }
  void lines(Member member, const std::vector<std::string>& lines) { put(object_, member, lines); }

  json take() { return std::move(object_); }

 private:
  json object_ = json::object();
};

// After the first member that is wrong it reads no more.
class MemberReader {
 public:
  explicit MemberReader(const json& object) : object_(object) {}

  void value(const char* name, bool& value) {
    if (const json* found = member(name))
      found->is_boolean() ? void(value = found->get<bool>()) : wrong(name, "true or false");
  }
  template <std::integral T>
  void value(const char* name, T& value) {
    const json* found = member(name);
    if (found == nullptr) return;
    if (!found->is_number_integer()) return wrong(name, "a whole number");
    const bool fits = found->is_number_unsigned() ? std::in_range<T>(found->get<uint64_t>())
                                                  : std::in_range<T>(found->get<int64_t>());
    if (!fits) return fail_with(name, "is out of range: " + found->dump());
    value = found->get<T>();
  }
  template <class T>
  void value(const char* name, std::optional<T>& optional) {
    T number = {};
    if (member(name) == nullptr) return;
    value(name, number);
    optional = number;
  }
  void text(const char* name, std::string& text) {
    if (const json* found = member(name))
      found->is_string() ? void(text = found->get<std::string>()) : wrong(name, "a string");
  }
  void text_or_null(const char* name, std::string& text) { this->text(name, text); }
  // Versions before wrote none with its prefix.
  void digest(const char* name, std::string& hex) {
    text(name, hex);
    if (hex.starts_with(kDigestPrefix)) hex.erase(0, kDigestPrefix.size());
  }
  // Versions before wrote Unix seconds, as `wall_time`.
  void unix_time(const char* name, std::optional<int64_t>& seconds) {
    std::optional<Micros> moment;
    time(name, moment);
    if (moment)
      seconds = *moment / kMicrosPerSecond;
    else
      value(kWallTime, seconds);
  }
  template <class T>
  void word(const char* name, Word<T>& word) {
    std::string spelling;
    text(name, spelling);
    if (!spelling.empty()) word = word_named<T>(std::move(spelling));
  }
  void time(const char* name, std::optional<Micros>& time) {
    std::string written;
    text(name, written);
    if (written.empty()) return;
    time = parse_utc(written);
    if (!time) fail_with(name, "is no time: `" + written + "`");
  }
  void lines(const char* name, std::vector<std::string>& lines) {
    const json* found = member(name);
    if (found == nullptr) return;
    if (!found->is_array()) return wrong(name, "an array of strings");
    for (const json& line : *found) {
      if (!line.is_string()) return wrong(name, "an array of strings");
      lines.push_back(line.get<std::string>());
    }
  }

  [[nodiscard]] const Status& done() const { return done_; }

 private:
  // Null: not told.
  [[nodiscard]] const json* member(const char* name) const {
    const auto found = object_.find(name);
    return !done_ || found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  void fail_with(const char* name, const std::string& what) {
    done_ = fail("the event's `" + std::string(name) + "` " + what, kOneEvent);
  }
  void wrong(const char* name, const char* type) { fail_with(name, std::string("is not ") + type); }

  const json& object_;
  Status done_;
};

}  // namespace

json event_to_json(const Event& event) {
  MemberWriter writer;
  each_member(writer, event);
  return writer.take();
}

std::string event_line(const Event& event) { return event_to_json(event).dump(); }

Result<Event> event_from_json(const json& object) {
  if (!object.is_object()) return fail("this is no JSON object", kOneEvent);
  Event event;
  MemberReader reader(object);
  each_member(reader, event);
  if (!reader.done()) return std::unexpected(reader.done().error());
  if (event.count == 0) event.count = 1;
  return event;
}

Result<Event> parse_event(std::string_view text) {
  return event_from_json(json::parse(text, nullptr, false));
}

Result<Event> read_event(const std::filesystem::path& path) {
  const auto text = policy::read_text(path);
  if (!text) return std::unexpected(Error(text.error()).within(path.string()));
  const json whole = json::parse(*text, nullptr, false);
  if (whole.is_object()) return event_from_json(whole);
  if (json::parse(text->substr(0, text->find('\n')), nullptr, false).is_object())
    return fail(path.string() + " holds more than one event",
                "take the line that you ask about, such as `sed -n 1p`");
  return fail(path.string() + " holds no event", "record one with `bpfwarden events --json`");
}

}  // namespace bpfwarden::loader
