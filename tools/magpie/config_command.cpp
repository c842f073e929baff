#include "config_command.hpp"

#include "command_failure.hpp"
#include "output.hpp"

#include <magpie/runtime/config.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <sstream>
#include <string_view>

namespace magpie::tools {

namespace {

config load(std::string const& file) {
    config settings = file.empty() ? config::defaults() : config::load(file);
    settings.validate();
    return settings;
}

std::string_view trimmed(std::string_view text) {
    std::size_t const first = text.find_first_not_of(' ');
    return first == std::string_view::npos ? std::string_view()
                                           : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// explain() writes lines of TOML, `key = value # origin`; what only code can set begins with a mark of comment.
nlohmann::ordered_json explanation_as_json(std::string const& text) {
    auto values = nlohmann::ordered_json::object();
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::string_view rest = line;
        rest.remove_prefix(rest.starts_with("# ") ? 2 : 0);
        std::size_t const equals = rest.find('=');
        std::size_t const origin = rest.rfind(" # ");
        if (equals == std::string_view::npos || origin == std::string_view::npos || origin < equals) {
            continue;
        }
        auto entry = nlohmann::ordered_json::object();
        entry["value"] = trimmed(rest.substr(equals + 1, origin - equals - 1));
        entry["from"] = trimmed(rest.substr(origin + 3));
        values[std::string(trimmed(rest.substr(0, equals)))] = std::move(entry);
    }
    return values;
}

}  // namespace

int config_command::run() const {
    if (what == action::example) {
        print(config::example_toml());
        return exit_ok;
    }
    config const settings = load(file);
    if (what == action::check) {
        if (json) {
            auto verdict = nlohmann::ordered_json::object();
            verdict["file"] = file;
            verdict["ok"] = true;
            print_json(verdict);
        } else {
            print(fmt::format("{}: ok\n", file));
        }
    } else if (json) {
        print_json(explanation_as_json(settings.explain()), true);
    } else {
        print(settings.explain());
    }
    return exit_ok;
}

}  // namespace magpie::tools
