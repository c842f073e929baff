// What a new version of the file means for a runtime that is running.

#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

#include <string>
#include <vector>

namespace magpie::detail {

namespace {

bool is_recorded(config const& c, std::string const& limit) {
    if (!c.loaded) {
        return false;
    }
    auto const prefix = fmt::format("limits.{}.", limit);
    auto const found = c.loaded->values.lower_bound(prefix);
    return found != c.loaded->values.end() && found->first.starts_with(prefix);
}

// Code has the last word, also over a file that changes later.
bool set_in_code(config const& c, std::string const& path, config_value const& now, config_value const& standard) {
    if (c.loaded) {
        auto const found = c.loaded->values.find(path);
        if (found != c.loaded->values.end()) {
            return found->second.value != now;
        }
    }
    return now != standard;
}

}  // namespace

void keep_what_code_set(config const& present, config& fresh) {
    limit_config const standard;
    for (auto const& [name, limit] : present.limits) {
        if (!is_recorded(present, name)) {
            fresh.limits[name] = limit;
            continue;
        }
        for (auto const& key : limit_keys()) {
            auto const value = key.get(&limit);
            auto const path = fmt::format("limits.{}.{}", name, key.path);
            if (set_in_code(present, path, value, key.get(&standard))) {
                auto const place = fresh.limits.try_emplace(name, limit).first;
                key.set(&place->second, value);
            }
        }
    }
    config const defaults;
    for (auto const& key : config_keys()) {
        if (set_in_code(present, std::string(key.path), key.get(&present), key.get(&defaults))) {
            key.set(&fresh, key.get(&present));
        }
    }
    fresh.validate();
}

std::vector<std::string> differing_keys(config const& present, config const& fresh) {
    std::vector<std::string> keys;
    for (auto const& key : config_keys()) {
        if (key.get(&present) != key.get(&fresh)) {
            keys.emplace_back(key.path);
        }
    }
    return keys;
}

}  // namespace magpie::detail
