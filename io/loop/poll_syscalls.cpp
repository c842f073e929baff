#include <magpie/io/detail/request.hpp>
#include <magpie/io/loop/poll_syscalls.hpp>

#include <array>
#include <cstddef>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace magpie::detail {

namespace {

using io::opcode;
using io::request;

template <class T>
T* pointer(std::uint64_t address) noexcept {
    return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

// System calls give -1 and errno; here it is one number.
template <class T>
int outcome(T result) noexcept {
    return result < 0 ? -errno : static_cast<int>(result);
}

int flags_of(request const& r) noexcept {
    return static_cast<int>(r.flags);
}

// For calls that have no MSG_DONTWAIT.
int make_nonblocking(int fd) noexcept {
    int const flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) {
        return -errno;
    }
    if ((flags & O_NONBLOCK) == 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return -errno;
    }
    return flags;
}

int is_ready(int fd, short events) noexcept {
    pollfd look{.fd = fd, .events = events, .revents = 0};
    int const count = ::poll(&look, 1, 0);
    if (count < 0) {
        return -errno;
    }
    if ((look.revents & POLLNVAL) != 0) {
        return -EBADF;
    }
    return count == 0 ? -EAGAIN : look.revents;
}

// ---------------------------------------------------------------------------------------------- sockets

int do_recv(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::recv(r.fd, pointer<void>(r.address), r.length, flags_of(r) | MSG_DONTWAIT));
}

int do_send(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::send(r.fd, pointer<void>(r.address), r.length, flags_of(r) | MSG_DONTWAIT));
}

int do_recvmsg(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::recvmsg(r.fd, pointer<msghdr>(r.address), flags_of(r) | MSG_DONTWAIT));
}

int do_sendmsg(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::sendmsg(r.fd, pointer<msghdr>(r.address), flags_of(r) | MSG_DONTWAIT));
}

// Several workers may be told of one connection, so the socket itself must not block.
int do_accept(op_base& op) noexcept {
    request const& r = op.request();
    if (int const before = make_nonblocking(r.fd); before < 0) {
        return before;
    }
    return outcome(::accept4(r.fd, pointer<sockaddr>(r.address), pointer<socklen_t>(r.offset), flags_of(r)));
}

// Two steps: it is begun, and once the socket is writable, its outcome is asked for.
int do_connect(op_base& op) noexcept {
    request const& r = op.request();
    if (op.was_tried()) {
        if (int const ready = is_ready(r.fd, POLLOUT); ready < 0) {
            return ready;
        }
        int error = 0;
        socklen_t size = sizeof error;
        return ::getsockopt(r.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 ? -errno : -error;
    }
    int const flags = make_nonblocking(r.fd);
    if (flags < 0) {
        return flags;
    }
    op.set_tried();
    int const result = outcome(::connect(r.fd, pointer<sockaddr>(r.address), static_cast<socklen_t>(r.offset)));
    (void)::fcntl(r.fd, F_SETFL, flags);
    return result == -EINPROGRESS ? -EAGAIN : result;
}

int do_shutdown(op_base& op) noexcept {
    return outcome(::shutdown(op.request().fd, static_cast<int>(op.request().length)));
}

int do_socket(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::socket(r.fd, static_cast<int>(r.offset), static_cast<int>(r.length)));
}

int do_poll_add(op_base& op) noexcept {
    return is_ready(op.request().fd, static_cast<short>(op.request().flags));
}

// ---------------------------------------------------------------------------------------------- files, pipes

constexpr std::uint64_t at_position = ~std::uint64_t{0};

// With an offset, unless the descriptor cannot seek: as io_uring does it.
template <class At, class Here>
int transfer(op_base& op, short events, At at, Here here) noexcept {
    request const& r = op.request();
    if (int const ready = is_ready(r.fd, events); ready < 0) {
        return ready;
    }
    if (r.offset != at_position) {
        int const result = outcome(at(static_cast<off_t>(r.offset)));
        if (result != -ESPIPE) {
            return result;
        }
    }
    return outcome(here());
}

int do_read(op_base& op) noexcept {
    request const& r = op.request();
    void* const to = pointer<void>(r.address);
    return transfer(
        op, POLLIN, [&](off_t at) { return ::pread(r.fd, to, r.length, at); },
        [&] { return ::read(r.fd, to, r.length); });
}

int do_write(op_base& op) noexcept {
    request const& r = op.request();
    void const* const from = pointer<void const>(r.address);
    return transfer(
        op, POLLOUT, [&](off_t at) { return ::pwrite(r.fd, from, r.length, at); },
        [&] { return ::write(r.fd, from, r.length); });
}

int do_readv(op_base& op) noexcept {
    request const& r = op.request();
    auto const* const to = pointer<iovec const>(r.address);
    int const count = static_cast<int>(r.length);
    return transfer(
        op, POLLIN, [&](off_t at) { return ::preadv(r.fd, to, count, at); }, [&] { return ::readv(r.fd, to, count); });
}

int do_writev(op_base& op) noexcept {
    request const& r = op.request();
    auto const* const from = pointer<iovec const>(r.address);
    int const count = static_cast<int>(r.length);
    return transfer(
        op, POLLOUT, [&](off_t at) { return ::pwritev(r.fd, from, count, at); },
        [&] { return ::writev(r.fd, from, count); });
}

int do_fsync(op_base& op) noexcept {
    constexpr std::uint32_t data_only = 1;  // IORING_FSYNC_DATASYNC
    request const& r = op.request();
    return outcome((r.flags & data_only) != 0 ? ::fdatasync(r.fd) : ::fsync(r.fd));
}

int do_fallocate(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(
        ::fallocate(r.fd, static_cast<int>(r.length), static_cast<off_t>(r.offset), static_cast<off_t>(r.address)));
}

int do_ftruncate(op_base& op) noexcept {
    return outcome(::ftruncate(op.request().fd, static_cast<off_t>(op.request().offset)));
}

int do_openat(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::openat(r.fd, pointer<char const>(r.address), flags_of(r), static_cast<mode_t>(r.length)));
}

// EINTR means on Linux that the descriptor is gone all the same, and its number may be another's by now.
int do_close(op_base& op) noexcept {
    int const result = outcome(::close(op.request().fd));
    return result == -EINTR ? 0 : result;
}

int do_statx(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(
        ::statx(r.fd, pointer<char const>(r.address), flags_of(r), r.length, pointer<struct statx>(r.offset)));
}

int do_unlinkat(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::unlinkat(r.fd, pointer<char const>(r.address), flags_of(r)));
}

int do_renameat(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::renameat2(r.fd, pointer<char const>(r.address), static_cast<int>(r.length),
                               pointer<char const>(r.offset), r.flags));
}

int do_mkdirat(op_base& op) noexcept {
    request const& r = op.request();
    return outcome(::mkdirat(r.fd, pointer<char const>(r.address), static_cast<mode_t>(r.length)));
}

int do_nothing(op_base&) noexcept {
    return 0;
}

int do_not(op_base&) noexcept {
    return -EOPNOTSUPP;
}

// ---------------------------------------------------------------------------------------------- the table

constexpr std::size_t table_size = 64;

constexpr std::array<poll_syscall, table_size> make_table() noexcept {
    using enum op_base::place;
    std::array<poll_syscall, table_size> table{};
    table.fill({&do_not, reading});
    auto const set = [&](opcode code, poll_syscall call) { table[static_cast<std::size_t>(code)] = call; };
    set(opcode::nop, {&do_nothing, reading});
    set(opcode::recv, {&do_recv, reading});
    set(opcode::recvmsg, {&do_recvmsg, reading});
    set(opcode::accept, {&do_accept, reading});
    set(opcode::read, {&do_read, reading});
    set(opcode::readv, {&do_readv, reading});
    set(opcode::poll_add, {&do_poll_add, reading});
    set(opcode::send, {&do_send, writing});
    set(opcode::sendmsg, {&do_sendmsg, writing});
    set(opcode::connect, {&do_connect, writing});
    set(opcode::write, {&do_write, writing});
    set(opcode::writev, {&do_writev, writing});
    set(opcode::shutdown, {&do_shutdown, writing});
    set(opcode::socket, {&do_socket, writing});
    set(opcode::fsync, {&do_fsync, writing});
    set(opcode::fallocate, {&do_fallocate, writing});
    set(opcode::ftruncate, {&do_ftruncate, writing});
    set(opcode::openat, {&do_openat, writing});
    set(opcode::close, {&do_close, writing});
    set(opcode::statx, {&do_statx, writing});
    set(opcode::unlinkat, {&do_unlinkat, writing});
    set(opcode::renameat, {&do_renameat, writing});
    set(opcode::mkdirat, {&do_mkdirat, writing});
    return table;
}

constexpr auto table = make_table();
constexpr poll_syscall wait_until_writable = {&do_poll_add, op_base::place::writing};

}  // namespace

poll_syscall const& poll_syscall_for(op_base& op) noexcept {
    request const& r = op.request();
    if (r.code == opcode::poll_add && (r.flags & POLLIN) == 0) {
        return wait_until_writable;
    }
    auto const index = static_cast<std::size_t>(r.code);
    return index < table.size() ? table[index] : table[static_cast<std::size_t>(opcode::bind)];
}

bool waits_for_both(op_base& op) noexcept {
    request const& r = op.request();
    return r.code == opcode::poll_add && (r.flags & (POLLIN | POLLOUT)) == (POLLIN | POLLOUT);
}

}  // namespace magpie::detail
