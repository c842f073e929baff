#include <magpie/runtime/config.hpp>
#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace magpie {
namespace detail {
namespace {

class descriptor {
public:
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

[[noreturn]] void unreadable(std::string const& path, std::string_view cause, std::string_view remedy) {
    throw config_error({.file = path}, "", "", fmt::format("cannot be read ({}): {}", cause, remedy));
}

std::string read_file(std::string const& path, std::string_view remedy) {
    constexpr std::size_t largest = 1 << 20;
    descriptor const file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    char buffer[16384];
    for (;;) {
        auto const n = file.get() < 0 ? -1 : ::read(file.get(), buffer, sizeof buffer);
        if (n == 0) {
            return text;
        }
        if (n < 0 && errno == EINTR && file.get() >= 0) {
            continue;
        }
        if (n < 0) {
            unreadable(path, std::strerror(errno), remedy);
        }
        text.append(buffer, static_cast<std::size_t>(n));
        if (text.size() > largest) {
            unreadable(path, "it is larger than 1 MiB", remedy);
        }
    }
}

config load_file(std::string const& path, std::string_view remedy) {
    auto const text = read_file(path, remedy);
    config c;
    config_loader loader(c);
    loader.set_file(path);
    load_toml(loader, text, path);
    load_environment(loader, environ);
    loader.finish();
    return c;
}

void check(config const& c, config_key const& key, void const* owner, std::string const& path) {
    auto const value = key.get(owner);
    if (auto const ok = check_value(key, value); !ok) {
        throw config_error(place_of(c, path, value), path, format_value(key, value), ok.error());
    }
}

[[noreturn]] void contradiction(config const& c, std::string const& path, config_key const& key, void const* owner,
                                std::string why) {
    auto const value = key.get(owner);
    throw config_error(place_of(c, path, value), path, format_value(key, value), std::move(why));
}

config_key const& key_named(std::span<config_key const> keys, std::string_view path) {
    return *std::ranges::find(keys, path, &config_key::path);
}

void check_whole(config const& c) {
    auto const refuse = [&](std::string const& path, std::string why) {
        contradiction(c, path, key_named(config_keys(), path), &c, std::move(why));
    };
    bool const external_drive = c.drive == drive_kind::external;
    if (c.workers > 1 && c.clock == clock_kind::simulated) {
        refuse("runtime.workers", "is not allowed: the simulated clock has one worker, use 1 or \"auto\"");
    }
    if (c.workers > 1 && external_drive) {
        refuse("runtime.workers", "is not allowed: external drive has one worker, use 1 or \"auto\"");
    }
    if (external_drive && c.clock == clock_kind::simulated) {
        refuse("drive", "is not allowed with the simulated clock: use drive \"threads\" or clock \"real\"");
    }
    if (c.io.cq_entries < c.io.ring_entries) {
        refuse("io.cq_entries", fmt::format("is less than io.ring_entries = {0}: use a power of two from {0} to 65536",
                                            c.io.ring_entries));
    }
}

void check_limit(config const& c, std::string const& name, limit_config const& limit) {
    auto const prefix = "limits." + name + ".";
    if (!valid_limit_name(name)) {
        throw config_error({}, fmt::format("limits[\"{}\"]", name), "",
                           "is not a usable name: a limit has 1 to 64 letters, digits, '-' or '_'");
    }
    for (auto const& key : limit_keys()) {
        check(c, key, &limit, prefix + std::string(key.path));
    }
    if (limit.kind == limit_kind::fixed) {
        return;
    }
    if (limit.min > limit.max) {
        contradiction(c, prefix + "min", key_named(limit_keys(), "min"), &limit,
                      fmt::format("is more than max = {}: lower min or raise max", limit.max));
    }
    if (limit.initial < limit.min || limit.initial > limit.max) {
        contradiction(
            c, prefix + "initial", key_named(limit_keys(), "initial"), &limit,
            fmt::format("is not between min and max: use a whole number from {} to {}", limit.min, limit.max));
    }
}

}  // namespace
}  // namespace detail

limit_config limit_config::fixed(std::uint64_t n) noexcept {
    // Too large a number stays too large, for validate() to refuse.
    constexpr std::uint64_t most = std::numeric_limits<unsigned>::max();
    return {.kind = limit_kind::fixed, .initial = static_cast<unsigned>(std::min(n, most))};
}

config config::load(std::string const& path) {
    return detail::load_file(path, "give the path of a readable TOML file");
}

config config::from_toml(std::string_view text, std::string name) {
    config c;
    detail::config_loader loader(c);
    detail::load_toml(loader, text, name);
    loader.finish();
    return c;
}

config config::defaults() {
    char const* const path = std::getenv("MAGPIE_CONFIG");
    if (path != nullptr && *path != '\0') {
        return detail::load_file(path, "the environment variable MAGPIE_CONFIG names it, correct or unset that");
    }
    config c;
    c.apply_environment();
    return c;
}

void config::apply_environment() {
    apply_environment(environ);
}

void config::apply_environment(char const* const* variables) {
    config changed = *this;
    detail::config_loader loader(changed);
    detail::load_environment(loader, variables);
    loader.finish();
    *this = std::move(changed);
}

void config::validate() const {
    for (auto const& key : detail::config_keys()) {
        detail::check(*this, key, this, std::string(key.path));
    }
    detail::check_whole(*this);
    for (auto const& [limit_name, limit] : limits) {
        detail::check_limit(*this, limit_name, limit);
    }
}

std::string config::file() const {
    return loaded ? loaded->file : std::string();
}

}  // namespace magpie
