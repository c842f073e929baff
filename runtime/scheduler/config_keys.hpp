#pragma once

// The table of everything that can be configured, and what can be done with a row of it.
//
// A key is written once, as a row of config_keys() or limit_keys(). Parsing TOML and the environment, checking ranges,
// error texts, explain(), the example file and the reference all walk these two tables. In between, each value has one
// form, config_value, whatever the type of the member: a flag is 0 or 1, a time its nanoseconds, a choice the index of
// its word.

#include <magpie/runtime/config.hpp>

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace magpie::detail {

using config_value = std::variant<std::uint64_t, std::string>;

enum class key_kind : std::uint8_t {
    flag,    // bool
    number,  // a whole number
    bytes,   // a whole number of bytes, or "64KiB"
    time,    // "50us", or a whole number of microseconds
    choice,  // one of `words`
    text,    // `min` to `max` letters, digits, '-' or '_'
};

struct config_key {
    std::string_view path;  // "runtime.workers"; a limit's key: "min"; set in code only: "clock"
    key_kind kind;
    bool power_of_two;
    std::uint64_t min;  // in units of config_value
    std::uint64_t max;
    std::string_view zero;  // the word for 0, which is allowed beside min … max; empty: 0 has no meaning of its own
    std::span<std::string_view const> words;
    config_value (*get)(void const* owner);
    void (*set)(void* owner, config_value const& value);  // of a checked value
    std::string_view meaning;

    bool code_only() const noexcept { return path.find('.') == path.npos; }
};

std::span<config_key const> config_keys() noexcept;  // rows whose owner is a config
std::span<config_key const> limit_keys() noexcept;   // rows whose owner is a limit_config

// The value of environment or TOML string `text`; the error is why it is refused.
std::expected<config_value, std::string> parse_value(config_key const& key, std::string_view text);
// As parse_value(), for a TOML string: numbers and flags are not written as strings.
std::expected<config_value, std::string> parse_quoted(config_key const& key, std::string_view text);
// The value of a TOML integer.
std::expected<config_value, std::string> parse_integer(config_key const& key, std::int64_t number);

// What parse_value() and parse_integer() may not have seen, because code set it.
std::expected<void, std::string> check_value(config_key const& key, config_value const& value);

// The value as it would be written in a TOML file: "auto", 64, "1ms", true.
std::string format_value(config_key const& key, config_value const& value);

// What a value may be: `"auto" or a whole number from 1 to 1024`.
std::string allowed_values(config_key const& key);

// " did you mean X?" for the candidate that resembles `name`, or nothing.
std::string suggestion(std::string_view name, std::span<std::string const> candidates);

// 1 to 64 letters, digits, '-' or '_': what a limit may be called.
bool valid_limit_name(std::string_view name) noexcept;

// "runtime.workers" -> "MAGPIE_RUNTIME_WORKERS".
std::string environment_name(std::string_view path);

// Where the values of a config came from: path -> value and place. What is missing was not loaded.
struct loaded_value {
    config_value value;
    config_error::place where;  // empty: a default that depends on other values
};
struct config_record {
    std::string file;
    std::map<std::string, loaded_value, std::less<>> values;
};

// A config while it is being loaded. Throws config_error naming `where` if the value is refused.
class config_loader {
public:
    explicit config_loader(config& target);

    void set(config_key const& key, config_value value, config_error::place where);
    void add_limit(std::string const& name);
    void set_limit(std::string const& name, config_key const& key, config_value value, config_error::place where);
    // Makes it a fixed limit and forgets what was loaded for it.
    void set_fixed_limit(std::string const& name, std::uint64_t n, config_error::place where);
    void set_file(std::string file) { record_->file = std::move(file); }

    config const& target() const noexcept { return target_; }

    // Checks what only the whole can tell, and leaves the record in the config.
    void finish();

private:
    void finish_limit(std::string const& name, limit_config& limit);
    loaded_value const* loaded(std::string const& path) const;

    config& target_;
    std::shared_ptr<config_record> record_;
};

// Where the value of `path` was set: a loaded place, or empty for code and defaults.
config_error::place place_of(config const& c, std::string const& path, config_value const& now);

// Of a config that was loaded again: gives it what code had set in the one before, and checks the result.
void keep_what_code_set(config const& present, config& fresh);
// The keys outside [limits] whose values are not the same.
std::vector<std::string> differing_keys(config const& present, config const& fresh);

// Adds what TOML text says. In config_toml.cpp, the one file that includes toml++.
void load_toml(config_loader& loader, std::string_view text, std::string const& file);
void load_environment(config_loader& loader, char const* const* variables);

}  // namespace magpie::detail
