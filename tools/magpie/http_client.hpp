#pragma once

#include "http_response.hpp"
#include "load_error.hpp"

#include <magpie/io/endpoint.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/task.hpp>

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace magpie::tools {

// One keep-alive connection to one server, opened when it is needed, and opened anew after it has ended. One exchange at
// a time.
class http_client {
public:
    // The addresses of the server, to be tried in order; they must outlive the client.
    explicit http_client(std::vector<io::endpoint> const& addresses) noexcept : addresses_(&addresses) {}

    // Sends the bytes of one request and reads the answer to it to its last byte. Whatever goes wrong, and a
    // cancellation too, closes the connection, so that no late answer can be taken for the next one.
    task<std::expected<http_response, load_error>> exchange(std::string_view request, bool head);

    // Bytes of answers, heads included, so far.
    std::uint64_t bytes_received() const noexcept { return bytes_received_; }

private:
    task<io::result<>> open();
    task<std::expected<http_response, load_error>> read_response();
    std::expected<http_response, load_error> checked(http_response const& response);

    std::vector<io::endpoint> const* addresses_;
    io::tcp_stream stream_;
    http_response_parser parser_;
    std::size_t preferred_ = 0;  // the address that worked the last time
    std::uint64_t bytes_received_ = 0;
};

}  // namespace magpie::tools
