#include "http_client.hpp"

#include <magpie/io/buffer.hpp>

#include <cstddef>
#include <utility>

namespace magpie::tools {

namespace {

using exchange_result = std::expected<http_response, load_error>;

// Closes the connection unless the exchange came to a good end: also when a time-out unwinds it.
class open_guard {
public:
    explicit open_guard(io::tcp_stream& stream) noexcept : stream_(stream) {}
    open_guard(open_guard const&) = delete;
    open_guard& operator=(open_guard const&) = delete;
    ~open_guard() {
        if (!keep_) {
            stream_.close();
        }
    }
    void keep() noexcept { keep_ = true; }

private:
    io::tcp_stream& stream_;
    bool keep_ = false;
};

load_error kind_of_malformed(std::string_view text) noexcept {
    return text == "truncated response" ? load_error::short_body : load_error::malformed;
}

}  // namespace

task<exchange_result> http_client::exchange(std::string_view request, bool head) {
    open_guard guard(stream_);
    if (!stream_.is_open()) {
        io::result<> const opened = co_await open();
        if (!opened) {
            co_return std::unexpected(classify(opened.error()));
        }
    }
    parser_.expect_head_response(head);
    while (!request.empty()) {
        io::result<std::size_t> const written = co_await stream_.write(request);
        if (!written) {
            co_return std::unexpected(classify(written.error()));
        }
        request.remove_prefix(*written);
    }
    exchange_result const response = co_await read_response();
    if (response && response->keep_alive) {
        guard.keep();
    }
    co_return response;
}

task<io::result<>> http_client::open() {
    io::result<> outcome = io::failure(std::errc::address_not_available);
    for (std::size_t i = 0; i < addresses_->size(); ++i) {
        std::size_t const index = (preferred_ + i) % addresses_->size();
        io::result<io::tcp_stream> connected = co_await io::tcp_stream::connect((*addresses_)[index]);
        if (connected) {
            stream_ = std::move(*connected);
            parser_ = http_response_parser();
            preferred_ = index;
            co_return io::result<>();
        }
        outcome = io::failure(connected.error());
    }
    co_return outcome;
}

task<exchange_result> http_client::read_response() {
    for (;;) {
        io::result<io::buffer> received = co_await stream_.read();
        if (!received) {
            co_return std::unexpected(classify(received.error()));
        }
        bytes_received_ += received->size();
        http_response_event event = http_response_event::more;
        if (received->empty()) {
            bool const nothing_came = parser_.idle();
            event = parser_.end_of_stream();
            if (nothing_came) {
                co_return std::unexpected(load_error::closed);
            }
        } else {
            parser_.feed(received->text());
            event = parser_.next();
        }
        if (event == http_response_event::error) {
            co_return std::unexpected(kind_of_malformed(parser_.error_text()));
        }
        if (event == http_response_event::response) {
            co_return checked(parser_.response());
        }
    }
}

// An answer must end where the received bytes end: nothing else was asked for.
exchange_result http_client::checked(http_response const& response) {
    if (!parser_.idle()) {
        return std::unexpected(load_error::malformed);
    }
    // The bytes go with the buffer that holds them.
    [[maybe_unused]] http_response_event const nothing = parser_.next();
    return response;
}

}  // namespace magpie::tools
