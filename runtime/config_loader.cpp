#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace magpie::detail {
namespace {

bool is_nowhere(config_error::place const& where) noexcept {
    return where.file.empty() && where.variable.empty();
}

}  // namespace

config_loader::config_loader(config& target)
    : target_(target),
      record_(target.loaded ? std::make_shared<config_record>(*target.loaded) : std::make_shared<config_record>()) {}

void config_loader::set(config_key const& key, config_value value, config_error::place where) {
    key.set(&target_, value);
    record_->values.insert_or_assign(std::string(key.path), loaded_value{std::move(value), std::move(where)});
}

void config_loader::add_limit(std::string const& name) {
    target_.limits.try_emplace(name);
}

void config_loader::set_limit(std::string const& name, config_key const& key, config_value value,
                              config_error::place where) {
    key.set(&target_.limits[name], value);
    record_->values.insert_or_assign(fmt::format("limits.{}.{}", name, key.path),
                                     loaded_value{std::move(value), std::move(where)});
}

void config_loader::set_fixed_limit(std::string const& name, std::uint64_t n, config_error::place where) {
    for (auto const& key : limit_keys()) {
        record_->values.erase(fmt::format("limits.{}.{}", name, key.path));
    }
    auto& limit = target_.limits[name];
    limit = n;
    for (auto const& key : limit_keys()) {
        if (key.path == "kind" || key.path == "initial") {
            set_limit(name, key, key.get(&limit), where);
        }
    }
}

loaded_value const* config_loader::loaded(std::string const& path) const {
    auto const found = record_->values.find(path);
    return found == record_->values.end() ? nullptr : &found->second;
}

// What was written for a limit must have an effect, and an adaptive limit that says nothing about its start begins as
// near to the default as min and max allow.
void config_loader::finish_limit(std::string const& name, limit_config& limit) {
    for (auto const& key : limit_keys()) {
        auto const path = fmt::format("limits.{}.{}", name, key.path);
        auto const* const found = loaded(path);
        bool const adaptive = limit.kind != limit_kind::fixed;
        bool const used = key.path == "kind" || key.path == "initial" ||
                          (key.path == "target" ? limit.kind == limit_kind::aimd : adaptive);
        if (found != nullptr && !used && found->value == key.get(&limit)) {
            throw config_error(
                found->where, path, format_value(key, found->value),
                key.path == "target"
                    ? "has no effect on this limit: leave it out, or set kind = \"aimd\""
                    : "has no effect on a fixed limit: leave it out, or set kind = \"aimd\" or \"gradient\"");
        }
    }
    auto const path = fmt::format("limits.{}.initial", name);
    auto const* const found = loaded(path);
    constexpr auto start = limit_config{}.initial;
    bool const untouched = found == nullptr
                               ? limit.initial == start
                               : is_nowhere(found->where) && found->value == config_value{std::uint64_t{limit.initial}};
    if (limit.kind != limit_kind::fixed && untouched && limit.min <= limit.max) {
        limit.initial = std::clamp(start, limit.min, limit.max);
        record_->values.insert_or_assign(path, loaded_value{std::uint64_t{limit.initial}, {}});
    }
}

void config_loader::finish() {
    for (auto& [name, limit] : target_.limits) {
        finish_limit(name, limit);
    }
    target_.loaded = record_;
    target_.validate();
}

config_error::place place_of(config const& c, std::string const& path, config_value const& now) {
    if (!c.loaded) {
        return {};
    }
    auto const found = c.loaded->values.find(path);
    return found != c.loaded->values.end() && found->second.value == now ? found->second.where : config_error::place{};
}

}  // namespace magpie::detail
