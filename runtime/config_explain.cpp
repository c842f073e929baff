#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace magpie {
namespace detail {
namespace {

std::string place_text(config_error::place const& where) {
    if (!where.variable.empty()) {
        return "environment variable " + where.variable;
    }
    return where.file.empty() ? "default" : fmt::format("{}:{}", where.file, where.line);
}

std::string origin(config const& c, std::string const& path, config_value const& now, config_value const& standard) {
    if (c.loaded) {
        auto const found = c.loaded->values.find(path);
        if (found != c.loaded->values.end()) {
            return found->second.value == now ? place_text(found->second.where) : "code";
        }
    }
    return now == standard ? "default" : "code";
}

// The lines are TOML, with comments, so that what explain() says can be used as a file. What a file cannot set is a
// comment as a whole.
class explanation {
public:
    explicit explanation(config const& c) : config_(c) {}

    std::string text() && {
        for (auto const& key : config_keys()) {
            auto const value = key.get(&config_);
            auto from = origin(config_, std::string(key.path), value, key.get(&standard_));
            if (key.path == "runtime.workers" && config_.workers == 0) {
                auto const effective = effective_workers(config_);
                from += fmt::format("; {} now: {}", effective.count, effective.source);
            }
            line(key.code_only() ? "# " : "", key.path, format_value(key, value), from);
        }
        hook_line("hooks.on_unhandled", config_.hooks.on_unhandled);
        hook_line("hooks.on_suppressed", config_.hooks.on_suppressed);
        hook_line("hooks.on_stall", config_.hooks.on_stall);
        for (auto const& [name, limit] : config_.limits) {
            limit_lines(name, limit);
        }
        return std::move(text_);
    }

private:
    void limit_lines(std::string const& name, limit_config const& limit) {
        bool const adaptive = limit.kind != limit_kind::fixed;
        for (auto const& key : limit_keys()) {
            bool const used = key.path == "kind" || key.path == "initial" ||
                              (key.path == "target" ? limit.kind == limit_kind::aimd : adaptive);
            if (used) {
                auto const path = fmt::format("limits.{}.{}", name, key.path);
                auto const value = key.get(&limit);
                line("", path, format_value(key, value), origin(config_, path, value, key.get(&standard_limit_)));
            }
        }
    }

    void hook_line(std::string_view path, hook const& function) {
        line("# ", path, function ? "a function" : "a line on stderr", function ? "code" : "default");
    }

    void line(std::string_view mark, std::string_view path, std::string_view value, std::string_view from) {
        auto const left = fmt::format("{}{}", mark, path);
        fmt::format_to(std::back_inserter(text_), "{:<24} = {:<16} # {}\n", left, value, from);
    }

    config const& config_;
    config standard_;
    limit_config standard_limit_;
    std::string text_;
};

}  // namespace
}  // namespace detail

std::string config::explain() const {
    return detail::explanation(*this).text();
}

}  // namespace magpie
