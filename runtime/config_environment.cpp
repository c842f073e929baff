#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace magpie::detail {
namespace {

constexpr std::string_view limits_prefix = "MAGPIE_LIMITS_";
constexpr std::string_view own_prefixes[] = {"MAGPIE_RUNTIME_", "MAGPIE_IO_", limits_prefix};

struct variable {
    std::string_view name;
    std::string_view value;
};

// The variables that concern a config, sorted: a limit's number comes before its other keys. An empty variable is as
// good as none, as scripts that pass variables on make them.
std::vector<variable> own_variables(char const* const* variables) {
    std::vector<variable> own;
    for (; variables != nullptr && *variables != nullptr; ++variables) {
        std::string_view const text = *variables;
        auto const equals = text.find('=');
        if (equals == text.npos || equals + 1 == text.size()) {
            continue;
        }
        variable const v{text.substr(0, equals), text.substr(equals + 1)};
        bool const is_own =
            std::ranges::any_of(own_prefixes, [&](std::string_view prefix) { return v.name.starts_with(prefix); });
        if (is_own && std::ranges::find(own, v.name, &variable::name) == own.end()) {
            own.push_back(v);
        }
    }
    std::ranges::sort(own, {}, &variable::name);
    return own;
}

config_error::place at(variable const& v) {
    return {.file = {}, .line = 0, .column = 0, .variable = std::string(v.name)};
}

config_value value_of(config_key const& key, variable const& v, std::string const& path) {
    auto value = parse_value(key, v.value);
    if (!value) {
        throw config_error(at(v), path, std::string(v.value), value.error());
    }
    return *std::move(value);
}

// A limit whose name in upper case is `upper`: one that exists already, else a new one in lower case.
std::string limit_named(config const& c, std::string_view upper, bool& exists) {
    for (auto const& [name, limit] : c.limits) {
        if (environment_name("limits." + name).substr(limits_prefix.size()) == upper) {
            exists = true;
            return name;
        }
    }
    exists = false;
    std::string lower;
    for (char const ch : upper) {
        lower += ch >= 'A' && ch <= 'Z' ? static_cast<char>(ch - 'A' + 'a') : ch;
    }
    return lower;
}

void apply_limit(config_loader& loader, variable const& v) {
    auto const upper = v.name.substr(limits_prefix.size());
    bool exists = false;
    auto name = limit_named(loader.target(), upper, exists);
    if (!exists) {
        for (auto const& key : limit_keys()) {
            auto const ending = environment_name(key.path).substr(std::string_view("MAGPIE").size());  // "_MAX"
            if (upper.size() > ending.size() && upper.ends_with(ending)) {
                name = limit_named(loader.target(), upper.substr(0, upper.size() - ending.size()), exists);
                loader.set_limit(name, key, value_of(key, v, fmt::format("limits.{}.{}", name, key.path)), at(v));
                return;
            }
        }
    }
    if (!valid_limit_name(name)) {
        throw config_error(
            at(v), "", "",
            "is not known: after MAGPIE_LIMITS_ comes the name of a limit, of 1 to 64 letters, digits or '_'");
    }
    auto const& initial = *std::ranges::find(limit_keys(), "initial", &config_key::path);
    auto const number = value_of(initial, v, "limits." + name);
    loader.set_fixed_limit(name, std::get<std::uint64_t>(number), at(v));
}

[[noreturn]] void unknown_variable(variable const& v) {
    std::vector<std::string> names;
    for (auto const& key : config_keys()) {
        if (!key.code_only()) {
            names.push_back(environment_name(key.path));
        }
    }
    auto const similar = suggestion(v.name, names);
    auto const prefix = *std::ranges::find_if(own_prefixes, [&](auto p) { return v.name.starts_with(p); });
    std::erase_if(names, [&](std::string const& name) { return !name.starts_with(prefix); });
    throw config_error(at(v), "", "", fmt::format("is not known:{} There are {}", similar, fmt::join(names, ", ")));
}

void apply(config_loader& loader, variable const& v) {
    for (auto const& key : config_keys()) {
        if (!key.code_only() && environment_name(key.path) == v.name) {
            loader.set(key, value_of(key, v, std::string(key.path)), at(v));
            return;
        }
    }
    unknown_variable(v);
}

}  // namespace

void load_environment(config_loader& loader, char const* const* variables) {
    for (auto const& v : own_variables(variables)) {
        if (v.name.starts_with(limits_prefix)) {
            apply_limit(loader, v);
        } else {
            apply(loader, v);
        }
    }
}

}  // namespace magpie::detail
