// The normal form: what moves, what stays, and that no comment and no meaning is lost.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"
#include "policy/image/compile.h"
#include "policy/language/format.h"
#include "random_policy.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

using std::string;

string formatted(const string& text) {
  DiagnosticList diagnostics({"test.toml"});
  const auto result = format_policy({"test.toml", text}, 0, diagnostics);
  INFO(text);
  INFO(render_all(diagnostics.take(), {}));
  REQUIRE(result.has_value());
  return *result;
}

// Comments of `text`; no string of the policies here has a `#` in it.
size_t comments(const string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '#'));
}

// The image is what the kernel sees of a policy, its lines apart.
std::unique_ptr<bw_image> image_of(const string& text) {
  auto image = compile(must_parse(text), std::array<uint8_t, 32>{});
  REQUIRE(image.has_value());
  for (bw_rule& rule : (*image)->rules) rule.line = 0;
  return std::move(*image);
}

// Another layout of the same: spacing, comments, order of the settings in a table.
string mangled(Dice& dice, PolicyText text) {
  static const std::vector<string> above = {"", "\n", "# above\n", "\n\n# a\n\n# b\n", "  \t\n"};
  static const std::vector<string> behind = {"", " ", "# behind", "   # behind, \"x\" = [1]", "\t"};
  const auto setting = [&](string line) {
    if (const size_t at = line.find(" = "); dice.once_in(2)) line.replace(at, 3, "=");
    if (const size_t at = line.find(", ");
        at != string::npos && line.back() == ']' && dice.once_in(2))
      line.replace(at, 2, dice.once_in(2) ? " ,\n" : ", # one\n  # two\n");
    return dice.pick(above) + (dice.once_in(3) ? "  " : "") + line + dice.pick(behind) +
           (dice.once_in(8) ? "\r\n" : "\n");
  };
  string result;
  for (const string& line : text.header)
    result +=
        line.front() == '[' ? dice.pick(above) + line + dice.pick(behind) + "\n" : setting(line);
  for (auto& rule : text.rules) {
    result += dice.pick(above) + (dice.once_in(3) ? "[[ rules ]]" : "[[rules]]") +
              dice.pick(behind) + "\n";
    for (size_t i = rule.size() - 1; i > 0; i--) std::swap(rule[i], rule[dice.below(i + 1)]);
    for (const string& line : rule) result += setting(line);
  }
  return result + dice.pick(above);
}

}  // namespace

TEST_CASE("settings are sorted and aligned; each comment stays where it belongs") {
  CHECK(formatted("\xef\xbb\xbf# licence\r\n\r\n# the name\nname='x' # behind\n\nschema=1\n"
                  "# about the rule\n\n# itself\n[[ rules ]]#r\n"
                  "allow=[ 'xdp' ,'tc',]\n# why\nname=\"a=#b\"\n\n\n# the end\n") ==
        "# licence\n\n"
        "schema = 1\n"
        "# the name\n"
        "name   = 'x'  # behind\n\n"
        "# about the rule\n\n# itself\n"
        "[[rules]]  #r\n"
        "# why\n"
        "name  = \"a=#b\"\n"
        "allow = ['xdp', 'tc']\n\n"
        "# the end\n");
}

TEST_CASE("a directive for editors stays at the top") {
  CHECK(formatted("#:schema policy.schema.json\nname='x'\nschema=1\n") ==
        "#:schema policy.schema.json\n\nschema = 1\nname   = 'x'\n");
}

TEST_CASE("long arrays and arrays with comments have one element a line") {
  const string word(60, 'x');
  CHECK(formatted("a=['" + word + "','" + word + "']\n") ==
        "a = [\n  '" + word + "',\n  '" + word + "',\n]\n");
  CHECK(formatted("a=[ # first\n1, 2 # two\n# three\n,3]# all\n") ==
        "a = [\n  # first\n  1,\n  2,  # two\n  # three\n  3,\n]  # all\n");
  CHECK(formatted("a=[ [1,2], {x=1,y.z=[2]}, ]\nb=[]\nc={ }\n") ==
        "a = [[1, 2], { x = 1, y.z = [2] }]\nb = []\nc = {}\n");
  CHECK(formatted("a=[1\n# last\n]\n") == "a = [\n  1,\n  # last\n]\n");
}

TEST_CASE("tables that the language does not know keep their order") {
  const string text = "[x.\"y z\"]\nb = 1\na = 1979-05-27 07:32:00Z\n";
  CHECK(formatted("[ x . \"y z\" ]\nb=1\na=1979-05-27 07:32:00Z") == text);
  CHECK(formatted(text) == text);
}

TEST_CASE("what is no TOML is refused with its place") {
  DiagnosticList diagnostics({"test.toml"});
  CHECK_FALSE(format_policy({"test.toml", "schema = 1\nname = \n"}, 0, diagnostics));
  const auto found = diagnostics.take();
  REQUIRE(found.size() == 1);
  CHECK(found[0].line == 2);
}

TEST_CASE("the policies of the project keep their comments and formatting twice changes nothing") {
  size_t files = 0;
  for (const char* folder : {"/tests/corpus", "/examples", "/examples/policies"})
    for (const auto& entry :
         std::filesystem::directory_iterator(BPFWARDEN_SOURCE_DIR + string(folder))) {
      const string text = entry.path().extension() == ".toml" ? read_all(entry.path()) : "";
      DiagnosticList diagnostics({entry.path()});
      const auto once = format_policy({entry.path(), text}, 0, diagnostics);
      const auto found = diagnostics.take();
      CAPTURE(entry.path());
      CHECK((once || found.at(0).message.find("cannot be formatted") == string::npos));
      if (!once || text.empty()) continue;
      files++;
      CHECK(comments(*once) == comments(text));
      CHECK(formatted(*once) == *once);
    }
  CHECK(files > 40);
}

TEST_CASE("any layout of a policy has the same normal form in meaning") {
  Dice dice(test_seed());
  for (int i = 0; i < 200; i++) {
    const PolicyText text = random_policy(dice);
    const string wild = mangled(dice, text);
    INFO("BPFWARDEN_TEST_SEED=" << test_seed() << "\n" << wild);
    const string tidy = formatted(wild);
    REQUIRE(comments(tidy) == comments(wild));
    REQUIRE(formatted(tidy) == tidy);
    const auto before = image_of(text.text()), after = image_of(tidy);
    REQUIRE(std::memcmp(before.get(), after.get(), sizeof(bw_image)) == 0);
  }
}
