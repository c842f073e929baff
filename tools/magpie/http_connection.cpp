#include "http_connection.hpp"

#include "cpu_burner.hpp"
#include "http_writer.hpp"

#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/sleep.hpp>

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace magpie::tools {

namespace {

constexpr std::size_t largest_output_kept = 4096;
constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::string_view prometheus_text = "text/plain; version=0.0.4; charset=utf-8";

bool takes_time(route_kind kind) noexcept {
    return kind == route_kind::sleep || kind == route_kind::burn_cpu;
}

}  // namespace

http_connection::http_connection(http_server& server, io::tcp_stream stream)
    : server_(server),
      stream_(std::move(stream)),
      entry_(server.registry_, stream_.descriptor()),
      parser_(server.options_.limits) {}

task<> http_connection::run() {
    while (!closing_ && begin_reading()) {
        io::result<io::buffer> received = co_await stream_.read();
        if (!received || received->empty()) {
            end_of_input(!received.has_value());
        } else {
            server_.stats_.add_received(received->size());
            parser_.feed(received->text());
            while (!answer_received()) {
                parser_.move_input_to(carried_);
                received->reset();
                if (!co_await pass_pause()) {
                    co_return;
                }
            }
            received->reset();
        }
        if (!out_.empty()) {
            entry_.enter(connection_phase::sending);
            io::result<std::size_t> const written = co_await stream_.write(out_);
            if (!written || (*written < out_.size() && !co_await write_rest(*written))) {
                server_.stats_.add_broken();
                co_return;
            }
            output_written();
        }
    }
    if (lingering_) {
        co_await linger();
    }
}

// False: the server drains, and nothing has come of a next request.
bool http_connection::begin_reading() noexcept {
    if (parser_.idle()) {
        receiving_ = false;
        return entry_.enter(connection_phase::idle);
    }
    if (!receiving_) {
        // Once for each request, so that one that comes a byte at a time does not last.
        receiving_ = true;
        entry_.enter(connection_phase::receiving);
    }
    return true;
}

// Answers all that can be answered at once. True: what was received is used up, or the connection is at its end. False:
// pass_pause() has to come first.
bool http_connection::answer_received() {
    while (!closing_) {
        switch (parser_.next()) {
        case http_event::more:
            return true;
        case http_event::expect_continue:
            out_.append(continue_response);
            break;
        case http_event::error:
            answer_error(parser_.error_status(), parser_.error_text());
            lingering_ = true;
            break;
        case http_event::request:
            if (!answer_request()) {
                return false;
            }
            break;
        }
    }
    return true;
}

// False: a pause is due.
bool http_connection::answer_request() {
    receiving_ = false;
    http_request const request = parser_.request();
    terms const asked{.decision = decide_route(request.method, request.path, request.query),
                      .keep_alive = request.keep_alive && !server_.registry_.draining(),
                      .minor_version = request.minor_version};
    if (takes_time(asked.decision.kind)) {
        slow_ = asked;
        return false;
    }
    switch (asked.decision.kind) {
    case route_kind::fixed_body:
        answer(asked, home_body);
        break;
    case route_kind::metrics:
        answer(asked, server_.metrics_text());
        break;
    case route_kind::bad_request:
        answer(asked, fmt::format("{}\n", asked.decision.why));
        break;
    default:
        answer(asked, fmt::format("{}\n", reason_phrase(route_status(asked.decision.kind))));
        break;
    }
    return closing_ || out_.size() < server_.options_.output_limit;
}

void http_connection::answer(terms const& request, std::string_view body) {
    int const status = route_status(request.decision.kind);
    bool const is_metrics = request.decision.kind == route_kind::metrics;
    append_response(out_,
                    {.status = status,
                     .content_type = is_metrics ? prometheus_text : plain_text,
                     .allow = request.decision.allow,
                     .date = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()),
                     .keep_alive = request.keep_alive,
                     .minor_version = request.minor_version},
                    body, request.decision.head);
    server_.stats_.add_request(status);
    if (!request.keep_alive) {
        closing_ = true;
        lingering_ = !parser_.idle();
    }
}

void http_connection::answer_error(int status, std::string_view why) {
    append_response(out_,
                    {.status = status,
                     .content_type = plain_text,
                     .date = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()),
                     .keep_alive = false},
                    fmt::format("{}\n", why));
    server_.stats_.add_request(status);
    closing_ = true;
}

void http_connection::end_of_input(bool failed) {
    closing_ = true;
    if (entry_.timed_out()) {
        server_.stats_.add_timed_out();
        if (!parser_.idle()) {
            answer_error(408, "the request did not come to its end in time");
        }
    } else if (failed || !parser_.idle()) {
        server_.stats_.add_broken();
    }
}

// Writes the answers so far, then takes the time that a slow request asked for, and answers it. False: the client is
// gone.
task<bool> http_connection::pass_pause() {
    if (!out_.empty()) {
        entry_.enter(connection_phase::sending);
        if (!co_await write_rest(0)) {
            server_.stats_.add_broken();
            co_return false;
        }
        output_written();
    }
    if (slow_) {
        entry_.enter(connection_phase::working);
        terms asked = *std::exchange(slow_, std::nullopt);
        bool const sleeps = asked.decision.kind == route_kind::sleep;
        if (sleeps) {
            co_await sleep(asked.decision.time);
        } else {
            burn_cpu(asked.decision.time);
        }
        asked.keep_alive = asked.keep_alive && !server_.registry_.draining();  // the drain may have begun meanwhile
        answer(asked, fmt::format("{} {} ms\n", sleeps ? "slept" : "computed", asked.decision.time.count()));
    }
    co_return true;
}

// Writes out_ from there on. Each write that takes bytes gives the client its time anew.
task<bool> http_connection::write_rest(std::size_t written) {
    while (written < out_.size()) {
        entry_.enter(connection_phase::sending);
        io::result<std::size_t> const more = co_await stream_.write(std::string_view(out_).substr(written));
        if (!more) {
            if (entry_.timed_out()) {
                server_.stats_.add_timed_out();
            }
            co_return false;
        }
        written += *more;
    }
    co_return true;
}

void http_connection::output_written() noexcept {
    server_.stats_.add_sent(out_.size());
    if (out_.capacity() > largest_output_kept) {
        out_ = std::string();
    }
    out_.clear();
}

task<> http_connection::linger() {
    entry_.enter(connection_phase::working);  // its time is measured here
    if (!stream_.shutdown(io::shutdown_side::send)) {
        co_return;
    }
    try {
        co_await timeout(server_.options_.linger, discard_input());
    } catch (timeout_error const&) {
        // Long enough: who has not read the answer by now does not want it.
    }
}

task<> http_connection::discard_input() {
    std::size_t discarded = 0;
    while (discarded < server_.options_.linger_bytes) {
        io::result<io::buffer> const received = co_await stream_.read();
        if (!received || received->empty()) {
            co_return;
        }
        discarded += received->size();
    }
}

}  // namespace magpie::tools
