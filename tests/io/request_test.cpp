#include <magpie/io/detail/request.hpp>

#include <doctest/doctest.h>
#include <liburing.h>

#include <cstddef>
#include <type_traits>

namespace {

using magpie::io::opcode;
using magpie::io::request;

TEST_CASE("opcodes have the kernel's numbers") {
    auto const same = [](opcode ours, int theirs) { return static_cast<int>(ours) == theirs; };
    CHECK(same(opcode::nop, IORING_OP_NOP));
    CHECK(same(opcode::readv, IORING_OP_READV));
    CHECK(same(opcode::writev, IORING_OP_WRITEV));
    CHECK(same(opcode::fsync, IORING_OP_FSYNC));
    CHECK(same(opcode::poll_add, IORING_OP_POLL_ADD));
    CHECK(same(opcode::sync_file_range, IORING_OP_SYNC_FILE_RANGE));
    CHECK(same(opcode::sendmsg, IORING_OP_SENDMSG));
    CHECK(same(opcode::recvmsg, IORING_OP_RECVMSG));
    CHECK(same(opcode::accept, IORING_OP_ACCEPT));
    CHECK(same(opcode::connect, IORING_OP_CONNECT));
    CHECK(same(opcode::fallocate, IORING_OP_FALLOCATE));
    CHECK(same(opcode::openat, IORING_OP_OPENAT));
    CHECK(same(opcode::close, IORING_OP_CLOSE));
    CHECK(same(opcode::statx, IORING_OP_STATX));
    CHECK(same(opcode::read, IORING_OP_READ));
    CHECK(same(opcode::write, IORING_OP_WRITE));
    CHECK(same(opcode::fadvise, IORING_OP_FADVISE));
    CHECK(same(opcode::madvise, IORING_OP_MADVISE));
    CHECK(same(opcode::send, IORING_OP_SEND));
    CHECK(same(opcode::recv, IORING_OP_RECV));
    CHECK(same(opcode::openat2, IORING_OP_OPENAT2));
    CHECK(same(opcode::splice, IORING_OP_SPLICE));
    CHECK(same(opcode::tee, IORING_OP_TEE));
    CHECK(same(opcode::shutdown, IORING_OP_SHUTDOWN));
    CHECK(same(opcode::renameat, IORING_OP_RENAMEAT));
    CHECK(same(opcode::unlinkat, IORING_OP_UNLINKAT));
    CHECK(same(opcode::mkdirat, IORING_OP_MKDIRAT));
    CHECK(same(opcode::symlinkat, IORING_OP_SYMLINKAT));
    CHECK(same(opcode::linkat, IORING_OP_LINKAT));
    CHECK(same(opcode::fsetxattr, IORING_OP_FSETXATTR));
    CHECK(same(opcode::setxattr, IORING_OP_SETXATTR));
    CHECK(same(opcode::fgetxattr, IORING_OP_FGETXATTR));
    CHECK(same(opcode::getxattr, IORING_OP_GETXATTR));
    CHECK(same(opcode::socket, IORING_OP_SOCKET));
    CHECK(same(opcode::send_zc, IORING_OP_SEND_ZC));
    CHECK(same(opcode::sendmsg_zc, IORING_OP_SENDMSG_ZC));
}

TEST_CASE("a request is a submission queue entry without its tag") {
    static_assert(std::is_trivially_copyable_v<request>);
    static_assert(sizeof(request) == 48);
    static_assert(offsetof(request, length) == offsetof(io_uring_sqe, len));
    static_assert(offsetof(request, priority) == offsetof(io_uring_sqe, ioprio));
    static_assert(offsetof(request, entry_flags) == offsetof(io_uring_sqe, flags));
    static_assert(offsetof(request, personality) + 8 == offsetof(io_uring_sqe, personality));
    request const nothing;
    CHECK(nothing.code == opcode::nop);
    CHECK(nothing.fd == -1);
    CHECK(nothing.entry_flags == 0);
}

}  // namespace
