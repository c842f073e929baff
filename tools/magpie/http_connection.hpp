#pragma once

// One connection of the server, from its first byte to its last.
//
//   read --> requests answered into out_ --> write --> read --> ...
//              |                   ^
//              +-- what takes time-+    earlier answers are written first, the borrowed buffer is given back
//
// Everything that can be answered at once is answered without a suspension in between. A request that takes time, or
// more answers than output_limit, must not keep the buffer that the loop has lent: the bytes behind it move to carried_.

#include "connection_registry.hpp"
#include "http_parser.hpp"
#include "http_server.hpp"
#include "router.hpp"

#include <magpie/io/buffer.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace magpie::tools {

class http_connection {
public:
    http_connection(http_server& server, io::tcp_stream stream);

    task<> run();

private:
    // What an answer must know of its request, whose bytes may be gone when it is written.
    struct terms {
        route decision;
        bool keep_alive = true;
        int minor_version = 1;
    };

    bool begin_reading() noexcept;
    bool answer_received();
    bool answer_request();
    void answer_error(int status, std::string_view why);
    void answer(terms const& request, std::string_view body);
    void end_of_input(bool failed);
    task<bool> pass_pause();
    task<bool> write_rest(std::size_t written);
    void output_written() noexcept;
    task<> linger();
    task<> discard_input();

    http_server& server_;
    io::tcp_stream stream_;
    connection_registry::entry entry_;
    http_parser parser_;
    std::string out_;            // answers to be written
    std::string carried_;        // received bytes that had to leave their buffer
    std::optional<terms> slow_;  // the request that takes its time
    bool receiving_ = false;     // in the midst of a request since an earlier read
    bool closing_ = false;       // out_ ends with the last answer
    bool lingering_ = false;     // the client may still be sending what nobody will look at
};

}  // namespace magpie::tools
