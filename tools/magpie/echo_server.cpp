#include "echo_server.hpp"

#include "cpu_burner.hpp"
#include "duration_text.hpp"

#include <magpie/io/buffer.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <utility>

namespace magpie::tools {

namespace {

constexpr std::size_t largest_message_kept = 4096;
constexpr std::chrono::nanoseconds longest_burn = std::chrono::seconds(10);

std::optional<char> parse_byte(std::string_view text) {
    if (text.size() == 1) {
        return text.front();
    }
    if (!text.starts_with("0x") || text.size() > 4) {
        return std::nullopt;
    }
    unsigned value = 0;
    auto const [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return static_cast<char>(value);
}

}  // namespace

std::expected<burn_rule, std::string> parse_burn_rule(std::string_view text) {
    std::size_t const colon = text.find(':', text.empty() ? 0 : 1);  // the byte may be a colon
    auto const refuse = [&](std::string_view why) {
        return std::unexpected(fmt::format("'{}' is no BYTE:DURATION: {}, as in x:5ms or 0xff:200us", text, why));
    };
    if (colon == std::string_view::npos) {
        return refuse("write a byte, a colon and a duration");
    }
    auto const byte = parse_byte(text.substr(0, colon));
    if (!byte) {
        return refuse("the byte must be one character or 0xNN");
    }
    auto const time = parse_duration(text.substr(colon + 1));
    if (!time || *time > longest_burn) {
        return refuse("the duration must be from 0 to 10s");
    }
    return burn_rule{*byte, *time};
}

task<> echo_server::handle(io::tcp_stream stream) {
    stats_.add_connection();
    connection_registry::entry entry(registry_, stream.descriptor());
    std::string message;  // a copy: a client that does not read would keep the loop's buffer
    while (entry.enter(connection_phase::idle)) {
        io::result<io::buffer> received = co_await stream.read();
        if (!received || received->empty()) {
            if (entry.timed_out()) {
                stats_.add_timed_out();
            } else if (!received) {
                stats_.add_broken();
            }
            co_return;
        }
        message.assign(received->text());
        received->reset();
        stats_.add_received(message.size());
        entry.enter(connection_phase::working);
        if (burn_on_ && message.front() == burn_on_->first) {
            burn_cpu(burn_on_->time);
        }
        for (std::size_t written = 0; written < message.size();) {
            entry.enter(connection_phase::sending);
            io::result<std::size_t> const more = co_await stream.write(std::string_view(message).substr(written));
            if (!more) {
                if (entry.timed_out()) {
                    stats_.add_timed_out();
                } else {
                    stats_.add_broken();
                }
                co_return;
            }
            written += *more;
        }
        stats_.add_message();
        stats_.add_sent(message.size());
        if (message.capacity() > largest_message_kept) {
            message = std::string();
        }
    }
}

}  // namespace magpie::tools
