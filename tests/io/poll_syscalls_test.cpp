#include <magpie/io/loop/poll_syscalls.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <errno.h>
#include <fcntl.h>
#include <io/support/kit.hpp>
#include <poll.h>
#include <sys/socket.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using place = detail::op_base::place;

class bare_op final : public detail::op_base {
public:
    explicit bare_op(io::request const& r) : op_base(r) {}
};

int attempt(io::request const& r) {
    bare_op op(r);
    return detail::poll_syscall_for(op).attempt(op);
}

template <class T>
std::uint64_t address(T* p) {
    return reinterpret_cast<std::uintptr_t>(p);
}

TEST_CASE("what is unknown, or makes no sense here, is not supported") {
    for (int const code : {13 + 1, 27 + 2, 40, 61, 63, 64, 200, 255}) {
        CAPTURE(code);
        CHECK(attempt({.code = static_cast<io::opcode>(code)}) == -EOPNOTSUPP);
    }
}

TEST_CASE("a call that would wait says so, on blocking descriptors, too") {
    auto const ends = make_pipe();
    std::array<std::byte, 8> memory;
    io::request read{.code = io::opcode::read,
                     .fd = ends.read.get(),
                     .offset = ~std::uint64_t{0},
                     .address = address(memory.data()),
                     .length = 8};
    CHECK(attempt(read) == -EAGAIN);
    read.offset = 0;  // a pipe has no offsets
    CHECK(attempt(read) == -EAGAIN);
    put(ends.write, "ab");
    CHECK(attempt(read) == 2);

    std::array<int, 2> sockets;
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    io::fd const left(sockets[0]);
    io::fd const right(sockets[1]);
    io::request const recv{.code = io::opcode::recv, .fd = left.get(), .address = address(memory.data()), .length = 8};
    CHECK(attempt(recv) == -EAGAIN);
    io::request const send{.code = io::opcode::send, .fd = right.get(), .address = address("xyz"), .length = 3};
    CHECK(attempt(send) == 3);
    CHECK(attempt(recv) == 3);

    auto const listener = listen_on_loopback();
    CHECK(attempt({.code = io::opcode::accept, .fd = listener.descriptor(), .flags = SOCK_CLOEXEC}) == -EAGAIN);
}

TEST_CASE("errors are negated numbers") {
    std::byte byte{};
    CHECK(attempt({.code = io::opcode::read, .fd = 99'999, .address = address(&byte), .length = 1}) == -EBADF);
    CHECK(attempt({.code = io::opcode::recv, .fd = 99'999, .address = address(&byte), .length = 1}) == -EBADF);
    CHECK(attempt({.code = io::opcode::accept, .fd = 99'999}) == -EBADF);
    CHECK(attempt({.code = io::opcode::fsync, .fd = 99'999}) == -EBADF);
    CHECK(attempt({.code = io::opcode::openat, .fd = AT_FDCWD, .address = address("/no/such/file")}) == -ENOENT);
    CHECK(attempt({.code = io::opcode::shutdown, .fd = 99'999}) == -EBADF);
}

TEST_CASE("a socket is made, and a descriptor closed") {
    int const made = attempt({.code = io::opcode::socket, .fd = AF_INET, .offset = SOCK_STREAM | SOCK_CLOEXEC});
    REQUIRE(made >= 0);
    CHECK(::fcntl(made, F_GETFD) >= 0);
    CHECK(attempt({.code = io::opcode::close, .fd = made}) == 0);
    CHECK(::fcntl(made, F_GETFD) < 0);
}

TEST_CASE("the side to wait for") {
    auto const side = [](io::request const& r) {
        bare_op op(r);
        return detail::poll_syscall_for(op).side;
    };
    CHECK(side({.code = io::opcode::recv}) == place::reading);
    CHECK(side({.code = io::opcode::accept}) == place::reading);
    CHECK(side({.code = io::opcode::send}) == place::writing);
    CHECK(side({.code = io::opcode::connect}) == place::writing);
    CHECK(side({.code = io::opcode::poll_add, .flags = POLLIN}) == place::reading);
    CHECK(side({.code = io::opcode::poll_add, .flags = POLLOUT}) == place::writing);
    bare_op both({.code = io::opcode::poll_add, .flags = POLLIN | POLLOUT});
    CHECK(detail::waits_for_both(both));
    bare_op one({.code = io::opcode::poll_add, .flags = POLLIN});
    CHECK(!detail::waits_for_both(one));
}

TEST_CASE("connecting takes two attempts, and tells its outcome at the second; the socket stays as it was") {
    auto const listener = listen_on_loopback();
    auto const where = listener.local_endpoint().value();
    io::fd const socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    bare_op op(
        {.code = io::opcode::connect, .fd = socket.get(), .offset = where.size(), .address = address(where.data())});
    auto const connect = detail::poll_syscall_for(op).attempt;
    int result = connect(op);
    CHECK((result == 0 || result == -EAGAIN));
    until([&] { return result != -EAGAIN || (result = connect(op)) != -EAGAIN; });
    CHECK(result == 0);
    CHECK((::fcntl(socket.get(), F_GETFL) & O_NONBLOCK) == 0);
}

}  // namespace
