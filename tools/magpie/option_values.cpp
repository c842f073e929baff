#include "option_values.hpp"

#include "duration_text.hpp"
#include "number_text.hpp"

#include <CLI/CLI.hpp>

namespace magpie::tools {

namespace {

// `read` gives std::expected<something, sentence>, `store` takes it.
template <class Read, class Store>
CLI::Option* add(CLI::App& command, std::string const& name, std::string const& help, char const* type, Read read,
                 Store store) {
    auto const take = [name, read, store](std::string const& text) {
        auto value = read(text);
        if (!value) {
            throw CLI::ValidationError(name, value.error());
        }
        store(std::move(*value));
    };
    return command.add_option_function<std::string>(name, take, help)->type_name(type);
}

std::expected<magpie::io_backend, std::string> parse_backend(std::string const& text) {
    if (text == "auto") {
        return io_backend::automatic;
    }
    if (text == "io_uring") {
        return io_backend::io_uring;
    }
    if (text == "poll") {
        return io_backend::poll;
    }
    return std::unexpected("'" + text + "' is no backend: use auto, io_uring or poll");
}

std::expected<std::size_t, std::string> parse_message_size(std::string const& text) {
    constexpr std::uint64_t most = std::uint64_t{1} << 20;
    auto const size = parse_bytes(text);
    if (!size) {
        return std::unexpected(size.error());
    }
    if (*size == 0 || *size > most) {
        return std::unexpected("'" + text + "' is no size of a message: it must be from 1 to 1MiB");
    }
    return static_cast<std::size_t>(*size);
}

}  // namespace

CLI::Option* add_duration(CLI::App& command, std::string const& name, std::chrono::nanoseconds& value,
                          std::string const& help) {
    return add(command, name, help, "DURATION", &parse_duration, [&value](auto read) { value = read; });
}

CLI::Option* add_duration(CLI::App& command, std::string const& name, std::optional<std::chrono::nanoseconds>& value,
                          std::string const& help) {
    return add(command, name, help, "DURATION", &parse_duration, [&value](auto read) { value = read; });
}

CLI::Option* add_listen_address(CLI::App& command, std::string const& name, listen_address& value,
                                std::string const& help) {
    return add(command, name, help, "ADDR:PORT", &parse_listen_address,
               [&value](auto read) { value = std::move(read); });
}

CLI::Option* add_url(CLI::App& command, std::string const& name, url& value, std::string const& help) {
    return add(command, name, help, "URL", &parse_url, [&value](auto read) { value = std::move(read); });
}

CLI::Option* add_time_rule(CLI::App& command, std::string const& name, std::optional<time_rule>& value,
                           std::string const& help) {
    return add(command, name, help, "BYTE:DURATION", &parse_time_rule, [&value](auto read) { value = read; });
}

CLI::Option* add_size_rule(CLI::App& command, std::string const& name, std::optional<size_rule>& value,
                           std::string const& help) {
    return add(command, name, help, "BYTE:SIZE", &parse_size_rule, [&value](auto read) { value = read; });
}

CLI::Option* add_message_size(CLI::App& command, std::string const& name, std::optional<std::size_t>& value,
                              std::string const& help) {
    return add(command, name, help, "SIZE", &parse_message_size, [&value](auto read) { value = read; });
}

CLI::Option* add_backend(CLI::App& command, std::string const& name, std::optional<magpie::io_backend>& value,
                         std::string const& help) {
    return add(command, name, help, "BACKEND", &parse_backend, [&value](auto read) { value = read; });
}

}  // namespace magpie::tools
