#pragma once

#include <cstdint>

namespace magpie::io {

// What an operation does. The values are the kernel's; one that is missing here can be cast from its number.
enum class opcode : std::uint8_t {
    nop = 0,
    readv = 1,
    writev = 2,
    fsync = 3,
    poll_add = 6,
    sync_file_range = 8,
    sendmsg = 9,
    recvmsg = 10,
    accept = 13,
    connect = 16,
    fallocate = 17,
    openat = 18,
    close = 19,
    statx = 21,
    read = 22,
    write = 23,
    fadvise = 24,
    madvise = 25,
    send = 26,
    recv = 27,
    openat2 = 28,
    splice = 30,
    tee = 33,
    shutdown = 34,
    renameat = 35,
    unlinkat = 36,
    mkdirat = 37,
    symlinkat = 38,
    linkat = 39,
    fsetxattr = 41,
    setxattr = 42,
    fgetxattr = 43,
    getxattr = 44,
    socket = 45,
    send_zc = 47,
    sendmsg_zc = 48,
    waitid = 50,
    ftruncate = 55,
    bind = 56,
    listen = 57,
};

// What is asked of the kernel: the fields of a submission queue entry, by their io_uring names where they have one.
// The poll backend reads the same fields. Which ones an operation uses: io_uring_enter(2).
struct request {
    opcode code = opcode::nop;
    std::uint8_t entry_flags = 0;  // IOSQE_…
    std::uint16_t priority = 0;    // ioprio
    int fd = -1;
    std::uint64_t offset = 0;        // off, addr2
    std::uint64_t address = 0;       // addr
    std::uint32_t length = 0;        // len
    std::uint32_t flags = 0;         // the operation's own: MSG_…, SOCK_…, O_…, POLL…
    std::uint16_t buffer_group = 0;  // buf_index, buf_group
    std::uint16_t personality = 0;
    std::int32_t file_index = 0;  // splice_fd_in, file_index
    std::uint64_t address3 = 0;   // addr3
};

inline constexpr std::uint8_t entry_buffer_select = 1U << 5;  // IOSQE_BUFFER_SELECT: the loop's buffers, group 0
inline constexpr std::uint32_t completed_buffer = 1U << 0;    // IORING_CQE_F_BUFFER: bits 16 and up name the buffer
inline constexpr std::uint32_t completed_more = 1U << 1;  // IORING_CQE_F_MORE: another entry of the operation follows
inline constexpr std::uint32_t completed_notification = 1U << 3;  // IORING_CQE_F_NOTIF: only says that memory is free

}  // namespace magpie::io
