#include <magpie/combinators/gather.hpp>
#include <magpie/io/capabilities.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <io/support/allocations.hpp>
#include <io/support/kit.hpp>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

TEST_CASE("an operation is an awaitable, which starts nothing before it is awaited") {
    static_assert(awaitable<io::op<>>);
    static_assert(awaitable<io::timed_op<>>);
    static_assert(std::is_same_v<await_result_t<io::op<>>, io::result<std::size_t>>);
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        put(ends.write, "x");
        std::byte byte{};
        { [[maybe_unused]] auto const never_awaited = read_some(ends.read, std::span(&byte, 1)); }
        CHECK(byte == std::byte{});
        auto later = read_some(ends.read, std::span(&byte, 1));
        CHECK((co_await std::move(later)).value() == 1);
        CHECK(byte == std::byte{'x'});
    });
}

TEST_CASE("nop does nothing") {
    run_on_each_backend(1, []() -> task<> { CHECK((co_await io::op({.code = io::opcode::nop})).value() == 0); });
}

TEST_CASE("errors are the kernel's, as error codes") {
    run_on_each_backend(1, []() -> task<> {
        std::byte byte{};
        io::fd const none(99'999);
        auto const bad = co_await read_some(none, std::span(&byte, 1));
        CHECK(bad.error() == std::errc::bad_file_descriptor);
        auto const unknown = co_await io::op({.code = io::opcode{200}});
        CHECK(!unknown);
    });
}

TEST_CASE("results are mapped: a count, nothing, a descriptor, the kernel's own words") {
    run_on_each_backend(1, []() -> task<> {
        io::request open{.code = io::opcode::openat, .fd = AT_FDCWD};
        open.address = reinterpret_cast<std::uintptr_t>("/dev/null");
        open.flags = O_WRONLY | O_CLOEXEC;
        auto const file = co_await io::op<io::as_descriptor>(open);
        REQUIRE(file);
        io::request write{.code = io::opcode::write, .fd = file->get(), .offset = ~std::uint64_t{0}};
        write.address = reinterpret_cast<std::uintptr_t>("hello");
        write.length = 5;
        CHECK((co_await io::op(write)).value() == 5);
        CHECK((co_await io::op<io::as_void>(write)).has_value());
        auto const end = co_await io::op<io::as_completion>(write);
        CHECK(end.result == 5);
        open.address = reinterpret_cast<std::uintptr_t>("/no/such/file");
        CHECK((co_await io::op<io::as_descriptor>(open)).error() == std::errc::no_such_file_or_directory);
        CHECK((co_await io::op<io::as_completion>(open)).result == -ENOENT);
    });
}

TEST_CASE("files: written, synced, measured, read back at an offset, renamed and removed") {
    char name[] = "/tmp/magpie-op-test-XXXXXX";
    int const raw = ::mkstemp(name);
    REQUIRE(raw >= 0);
    io::fd const file(raw);
    std::string const path = name;
    std::string const other = path + "-renamed";
    auto const address = [](auto const* p) { return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(p)); };
    auto const main = [&]() -> task<> {
        auto const parts = std::to_array<iovec>({{const_cast<char*>("abc"), 3}, {const_cast<char*>("defg"), 4}});
        io::request writev{.code = io::opcode::writev, .fd = file.get()};
        writev.address = address(parts.data());
        writev.length = 2;
        CHECK((co_await io::op(writev)).value() == 7);
        CHECK((co_await io::op<io::as_void>({.code = io::opcode::fsync, .fd = file.get()})).has_value());
        struct statx about{};
        io::request stat{.code = io::opcode::statx, .fd = AT_FDCWD};
        stat.address = address(path.c_str());
        stat.length = STATX_SIZE;
        stat.offset = address(&about);
        CHECK((co_await io::op<io::as_void>(stat)).has_value());
        CHECK(about.stx_size == 7);
        std::array<std::byte, 8> memory;
        io::request read{.code = io::opcode::read, .fd = file.get(), .offset = 2};
        read.address = address(memory.data());
        read.length = memory.size();
        CHECK((co_await io::op(read)).value() == 5);
        CHECK(text_of(std::span(memory).first(5)) == "cdefg");
        auto const rename = [&](std::string const& from, std::string const& to) {
            io::request r{.code = io::opcode::renameat, .fd = AT_FDCWD};
            r.address = address(from.c_str());
            r.offset = address(to.c_str());
            r.length = static_cast<std::uint32_t>(AT_FDCWD);
            return io::op<io::as_void>(r);
        };
        CHECK((co_await rename(path, other)).has_value());
        CHECK((co_await rename(path, other)).error() == std::errc::no_such_file_or_directory);
        CHECK((co_await rename(other, path)).has_value());
    };
    run_on_each_backend(1, main);
    io::request unlink{.code = io::opcode::unlinkat, .fd = AT_FDCWD};
    unlink.address = address(path.c_str());
    auto const remove = [&]() -> task<> { CHECK((co_await io::op<io::as_void>(unlink)).has_value()); };
    run(remove(), with_backend(io_backend::poll));
    CHECK(::access(name, F_OK) != 0);
}

TEST_CASE("poll_add waits for one side, or for both") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        auto const wait_for = [](io::fd const& f, unsigned events) {
            return io::op({.code = io::opcode::poll_add, .fd = f.get(), .flags = events});
        };
        CHECK(((co_await wait_for(ends.write, POLLOUT)).value() & POLLOUT) != 0);
        auto readable = spawn(wait_for(ends.read, POLLIN));
        auto both = spawn(wait_for(ends.read, POLLIN | POLLOUT));
        co_await let_others_run();
        CHECK(!readable.done());
        CHECK(!both.done());
        put(ends.write, "x");
        CHECK(((co_await std::move(readable)).value() & POLLIN) != 0);
        CHECK(((co_await std::move(both)).value() & POLLIN) != 0);
    });
}

TEST_CASE("a map may hold what the operation points at, and may refuse to start") {
    class from_own_memory {
    public:
        explicit from_own_memory(int refuse_with) noexcept : refuse_with_(refuse_with) {}
        int prepare(io::request& r) noexcept {
            r.address = reinterpret_cast<std::uintptr_t>(memory_.data());
            r.length = static_cast<std::uint32_t>(memory_.size());
            return refuse_with_;
        }
        io::result<std::string> operator()(io::completed const& end) const {
            if (end.result < 0) {
                return io::failure(-end.result);
            }
            return std::string(text_of(std::span(memory_).first(static_cast<std::size_t>(end.result))));
        }

    private:
        int refuse_with_;
        std::array<std::byte, 16> memory_{};
    };
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        put(ends.write, "inside");
        io::request const read{.code = io::opcode::read, .fd = ends.read.get(), .offset = ~std::uint64_t{0}};
        auto const refused = co_await io::op<from_own_memory>(read, from_own_memory(EDOM));
        CHECK(refused.error() == std::errc::argument_out_of_domain);
        CHECK((co_await io::op<from_own_memory>(read, from_own_memory(0))).value() == "inside");
    });
}

TEST_CASE("operations can be gathered, and run in parallel") {
    run_on_each_backend(1, []() -> task<> {
        auto const one = make_pipe();
        auto const two = make_pipe();
        std::byte a{};
        std::byte b{};
        auto both = spawn(gather(read_some(one.read, std::span(&a, 1)), read_some(two.read, std::span(&b, 1))));
        co_await let_others_run();
        put(two.write, "2");
        put(one.write, "1");
        auto const [first, second] = co_await std::move(both);
        CHECK(first.value() == 1);
        CHECK(second.value() == 1);
        CHECK(a == std::byte{'1'});
        CHECK(b == std::byte{'2'});
    });
}

TEST_CASE("under the simulated clock there is no input and output") {
    auto const main = []() -> task<> {
        CHECK((co_await io::op({.code = io::opcode::nop})).error() == std::errc::operation_not_supported);
    };
    run(main(), simulated());
}

TEST_CASE("a limit ends an operation that waits too long, and only that") {
    run_on_each_backend(1, []() -> task<> {
        auto const ends = make_pipe();
        std::byte byte{};
        io::request const read{.code = io::opcode::read,
                               .fd = ends.read.get(),
                               .offset = ~std::uint64_t{0},
                               .address = reinterpret_cast<std::uintptr_t>(&byte),
                               .length = 1};
        CHECK((co_await io::timed_op(read, 1ms)).error() == std::errc::timed_out);
        put(ends.write, "xy");
        CHECK((co_await io::timed_op(read, 1h)).value() == 1);
        CHECK((co_await io::timed_op(read, duration::max())).value() == 1);
    });
}

TEST_CASE("an operation allocates nothing") {
    run_alone_on_each_backend([]() -> task<> {
        auto const ends = make_pipe();
        std::byte byte{};
        auto const once = [&]() -> task<> {
            auto const reader = [&]() -> task<> { (void)co_await read_some(ends.read, std::span(&byte, 1)); };
            auto waiting = spawn(reader());
            co_await let_others_run();
            put(ends.write, "x");
            co_await std::move(waiting);
            (void)co_await io::op({.code = io::opcode::nop});
        };
        for (int i = 0; i < 10; ++i) {
            co_await once();  // frames are recycled from here on, tables have grown
        }
        auto const before = allocations_made();
        for (int i = 0; i < 100; ++i) {
            co_await once();
        }
        if (!sanitized) {  // frames are not recycled under ASan
            CHECK(allocations_made() == before);
        }
    });
}

}  // namespace
