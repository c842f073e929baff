// select with operations of the kernel: what had arrived when the operation lost is there.

#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/select.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include <io/support/kit.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<> send_slowly(io::tcp_stream& to, std::string const& all) {
    for (std::size_t at = 0; at < all.size(); at += 7) {
        auto const part = std::string_view(all).substr(at, 7);
        CHECK((co_await to.write(part)).value() == part.size());
        if (at % 3 == 0) {
            co_await sleep(20us);
        }
    }
    CHECK(to.shutdown(io::shutdown_side::send));
}

// Each read races a short sleep.
task<std::string> receive_impatiently(io::tcp_stream& from) {
    std::string got;
    std::array<std::byte, 64> memory;
    for (unsigned round = 0;; ++round) {
        auto w = co_await select(from.read(memory), sleep(std::chrono::microseconds(round % 50)));
        std::size_t count = 0;
        if (w.index == 0) {
            count = std::get<0>(w.value).value();
        } else if (auto const& late = w.late<0>(); late && late->has_value()) {
            count = late->value();
        } else {
            continue;
        }
        if (count == 0) {
            co_return got;
        }
        got += text_of(std::span(memory).first(count));
    }
}

TEST_CASE("BEY-22, D9: bytes that had been received when a read lost are late, not lost") {
    for (unsigned const workers : {1U, 4U}) {
        run_on_each_backend(workers, []() -> task<> {
            auto pair = co_await connect_pair();
            std::string all;
            for (int i = 0; i < static_cast<int>(rounds(2000)); ++i) {
                all += std::to_string(i) + ",";
            }
            auto [got, sent] = co_await gather(receive_impatiently(pair.server), send_slowly(pair.client, all));
            CHECK((got == all));
            (void)sent;
        });
    }
}

TEST_CASE("an operation on nothing to read loses against a sleep, and is over when select returns") {
    run_on_each_backend(1, []() -> task<> {
        auto pair = co_await connect_pair();
        auto const listener = listen_on_loopback();
        std::array<std::byte, 64> memory;
        auto w = co_await select(pair.server.read(memory), listener.accept(), sleep(1ms));
        CHECK(w.index == 2);
        CHECK_FALSE(w.late<0>());
        CHECK_FALSE(w.late<1>());
        CHECK((co_await pair.client.write(std::string_view("hello"))).value() == 5);
        auto v = co_await select(pair.server.read(memory), sleep(1h));
        CHECK(std::get<0>(v.value).value() == 5);
    });
}

}  // namespace
