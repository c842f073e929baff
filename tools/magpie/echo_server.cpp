#include "echo_server.hpp"

#include "cpu_burner.hpp"

#include <magpie/io/buffer.hpp>

#include <thread>

namespace magpie::tools {

namespace {

constexpr std::size_t largest_message_kept = 4096;

bool matches(auto const& rule, char first) {
    return rule && rule->first == first;
}

}  // namespace

echo_server::echo_server(server_stats& stats, connection_registry& registry, echo_rules const& rules)
    : stats_(stats),
      registry_(registry),
      rules_(rules),
      long_reply_(rules.reply_on ? std::string(rules.reply_on->size, rules.reply_on->first) : std::string()) {}

bool echo_server::is_special(char first) const {
    return matches(rules_.burn_on, first) || matches(rules_.block_on, first) || matches(rules_.reply_on, first);
}

echo_server::answer echo_server::answer_special(std::string_view message) const {
    char const first = message.front();
    if (matches(rules_.burn_on, first)) {
        burn_cpu(rules_.burn_on->time);
    } else if (matches(rules_.block_on, first)) {
        std::this_thread::sleep_for(rules_.block_on->time);
    } else {
        return {long_reply_, 1};
    }
    return {message, 1};
}

std::optional<echo_server::answer> echo_server::next_answer(std::string_view& received) const {
    std::size_t const size = rules_.message_size.value_or(received.size());
    if (received.empty() || received.size() < size) {
        return std::nullopt;
    }
    if (is_special(received.front())) {
        std::string_view const message = received.substr(0, size);
        received.remove_prefix(size);
        return answer_special(message);
    }
    std::size_t end = size;
    while (end + size <= received.size() && !is_special(received[end])) {
        end += size;
    }
    std::string_view const plain = received.substr(0, end);
    received.remove_prefix(end);
    return answer{plain, end / size};
}

task<> echo_server::handle(io::tcp_stream stream) {
    stats_.add_connection();
    connection_registry::entry entry(registry_, stream.descriptor());
    auto const count_end = [&](bool orderly) {
        if (entry.timed_out()) {
            stats_.add_timed_out();
        } else if (!orderly) {
            stats_.add_broken();
        }
    };
    std::string kept;  // a copy: a client that does not read would keep the loop's buffer
    while (entry.enter(kept.empty() ? connection_phase::idle : connection_phase::receiving)) {
        io::result<io::buffer> received = co_await stream.read();
        if (!received || received->empty()) {
            count_end(received && kept.empty());
            co_return;
        }
        kept.append(received->text());
        stats_.add_received(received->size());
        received->reset();
        entry.enter(connection_phase::working);
        std::string_view rest = kept;
        while (auto const reply = next_answer(rest)) {
            for (std::size_t written = 0; written < reply->bytes.size();) {
                entry.enter(connection_phase::sending);
                io::result<std::size_t> const more = co_await stream.write(reply->bytes.substr(written));
                if (!more) {
                    count_end(false);
                    co_return;
                }
                written += *more;
            }
            stats_.add_messages(reply->messages);
            stats_.add_sent(reply->bytes.size());
            entry.enter(connection_phase::working);
        }
        kept.erase(0, kept.size() - rest.size());
        if (kept.capacity() > largest_message_kept && kept.empty()) {
            kept = std::string();
        }
    }
}

}  // namespace magpie::tools
