#pragma once

#include <magpie/io/detail/completed.hpp>
#include <magpie/io/detail/request.hpp>

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace magpie::detail {

static_assert(io::entry_buffer_select == IOSQE_BUFFER_SELECT);
static_assert(io::completed_buffer == IORING_CQE_F_BUFFER);
static_assert(io::completed_more == IORING_CQE_F_MORE);
static_assert(io::completed_notification == IORING_CQE_F_NOTIF);
static_assert(static_cast<int>(io::opcode::recv) == IORING_OP_RECV);
static_assert(static_cast<int>(io::opcode::sendmsg_zc) == IORING_OP_SENDMSG_ZC);

// A request has the layout of an entry, but for the tag in its middle.
inline void fill_entry(io_uring_sqe& entry, io::request const& r, std::uint64_t tag) noexcept {
    constexpr std::size_t before_tag = offsetof(io_uring_sqe, user_data);
    constexpr std::size_t after_tag = before_tag + sizeof entry.user_data;
    static_assert(offsetof(io::request, fd) == offsetof(io_uring_sqe, fd));
    static_assert(offsetof(io::request, offset) == offsetof(io_uring_sqe, off));
    static_assert(offsetof(io::request, address) == offsetof(io_uring_sqe, addr));
    static_assert(offsetof(io::request, flags) == offsetof(io_uring_sqe, rw_flags));
    static_assert(offsetof(io::request, buffer_group) == before_tag);
    static_assert(offsetof(io::request, file_index) + 8 == offsetof(io_uring_sqe, splice_fd_in));
    static_assert(offsetof(io::request, address3) + 8 == offsetof(io_uring_sqe, addr3));
    auto* const to = reinterpret_cast<unsigned char*>(&entry);
    auto const* const from = reinterpret_cast<unsigned char const*>(&r);
    std::memcpy(to, from, before_tag);
    std::memcpy(to + after_tag, from + before_tag, sizeof r - before_tag);
    std::memset(to + sizeof r + sizeof tag, 0, sizeof entry - sizeof r - sizeof tag);
    entry.user_data = tag;
}

}  // namespace magpie::detail
