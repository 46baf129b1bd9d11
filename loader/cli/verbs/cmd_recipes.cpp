// bpfwarden recipes: policies for what is often met, with the lines to copy.
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/text/json_members.h"
#include "policy/text/nearest.h"

namespace bpfwarden::loader {

// The files of examples/recipes.
extern const std::string_view kRecipeSystemd, kRecipeContainers, kRecipeBpftrace, kRecipeLoaders,
    kRecipeCilium, kRecipeTetragon, kRecipeFalco, kRecipeKeyrings;

namespace {

struct Recipe {
  std::string_view name, about;
  const std::string_view* text;
};

constexpr std::array kRecipes = {
    Recipe{"systemd", "systemd's own programs", &kRecipeSystemd},
    Recipe{"containers", "runc and crun", &kRecipeContainers},
    Recipe{"bpftrace", "bpftrace in the hands of SREs: what can be signed and what cannot",
           &kRecipeBpftrace},
    Recipe{"loaders", "your own loaders, with libbpf and in Go", &kRecipeLoaders},
    Recipe{"cilium", "Cilium's agent", &kRecipeCilium},
    Recipe{"tetragon", "Tetragon", &kRecipeTetragon},
    Recipe{"falco", "Falco with its modern probe", &kRecipeFalco},
    Recipe{"keyrings", "what builtin, secondary, platform and machine (MOK) mean on Debian",
           &kRecipeKeyrings},
};

int list_recipes() {
  auto list = nlohmann::json::array();
  for (const Recipe& recipe : kRecipes)
    list.push_back(object_of({{"name", recipe.name}, {"about", recipe.about}}));
  if (in_json()) return put_answer(object_of({{"recipes", list}})), 0;
  for (const Recipe& recipe : kRecipes)
    std::printf("%-11s %s\n", std::string(recipe.name).c_str(), std::string(recipe.about).c_str());
  return 0;
}

int print_recipe(const std::string& name) {
  std::vector<std::string_view> names;
  for (const Recipe& recipe : kRecipes) {
    names.push_back(recipe.name);
    if (recipe.name != name) continue;
    const std::string text(*recipe.text);
    if (in_json())
      return put_answer(
                 object_of({{"name", name}, {"about", recipe.about}, {"policy_text", text}})),
             0;
    const Status written = write_output(kStandardStream, text);
    return written ? 0 : print_error(written.error());
  }
  const auto near = policy::nearest(name, names);
  return print_error({.message = "there is no recipe `" + name + "`",
                      .hint = near ? "did you mean `" + std::string(*near) + "`?"
                                   : "`bpfwarden recipes` lists them"}),
         kWrongUse;
}

}  // namespace

void add_recipes(CLI::App& app, Command& chosen) {
  auto name = std::make_shared<std::string>();
  CLI::App* verb =
      app.add_subcommand("recipes", "Print policies for what is often met, or list them");
  verb->add_option("name", *name, "which one; without, what there is");
  verb->footer("example: bpfwarden recipes systemd");
  verb->callback([name, &chosen] {
    chosen = [name] { return name->empty() ? list_recipes() : print_recipe(*name); };
  });
}

}  // namespace bpfwarden::loader
