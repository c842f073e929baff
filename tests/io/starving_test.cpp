// Receives that find no buffer: each gets its turn, however few buffers there are.

#include <magpie/io/tcp.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

constexpr unsigned buffer_size = 256;
constexpr unsigned mean = 4 * 61;  // what one may do in a turn, some times over
constexpr unsigned most = 3 * mean;  // more is not in the socket

// Until all have had `limit` receives together. Gives each buffer back before it receives again.
task<> drains(io::tcp_stream const& from, unsigned& own, unsigned& all, unsigned limit) {
    while (all < limit && own < most) {
        auto const got = co_await from.read();
        REQUIRE(got.has_value());
        ++own;
        ++all;
    }
}

TEST_CASE("many connections that always have something to receive get about as much each, with few or many buffers") {
    constexpr unsigned n = sanitized ? 50 : 100;
    for (unsigned const buffers : {8U, 32U, 1024U}) {
        CAPTURE(buffers);
        on_each_backend(1, [&](config c) {
            c.io.buffer_ring = {.size = buffer_size, .count = buffers};
            auto const body = [&]() -> task<> {
                std::vector<connected> pairs;
                std::vector<std::byte> const much(most * buffer_size);
                for (unsigned i = 0; i < n; ++i) {
                    pairs.push_back(co_await connect_pair());
                    auto const written = co_await io::write_all(pairs.back().client, much);
                    REQUIRE(written.has_value());
                }
                std::vector<unsigned> counts(n);
                unsigned all = 0;
                std::vector<join_handle<>> tasks;
                for (unsigned i = 0; i < n; ++i) {
                    tasks.push_back(spawn(drains(pairs[i].server, counts[i], all, n * mean)));
                }
                for (auto& each : tasks) {
                    co_await std::move(each);
                }
                auto const [least, greatest] = std::ranges::minmax(counts);
                CAPTURE(greatest);
                CHECK(least >= mean * 2 / 5);
                CHECK(greatest <= mean * 2);
            };
            run(body(), c);
        });
    }
}

}  // namespace
