#pragma once

#include <magpie/io/detail/op_base.hpp>

#include <cstdint>

namespace magpie::detail {

// What the poll loop does for an opcode: a system call that does not wait. Files are always ready, so that their calls
// block the worker for as long as the disk takes.
struct poll_syscall {
    // 0 or more: the result; -EAGAIN: the descriptor is not ready; below zero else: a negated errno.
    int (*attempt)(op_base& op) noexcept;
    // What to wait for after -EAGAIN.
    op_base::place side;
};

// For what the poll loop cannot do: a call that gives -EOPNOTSUPP.
poll_syscall const& poll_syscall_for(op_base& op) noexcept;

// Waits for both sides at once, in the list of those that read: poll_add only.
bool waits_for_both(op_base& op) noexcept;

}  // namespace magpie::detail
