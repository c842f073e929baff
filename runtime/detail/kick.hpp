#pragma once

namespace magpie::detail {

// A kick sends every thread of this process that is on a CPU through the kernel, without its noticing: membarrier(2),
// MEMBARRIER_CMD_PRIVATE_EXPEDITED, interrupts those CPUs. On its way back a thread runs what the kernel has held back
// for it, which is how completions of a worker that computes come to be seen by others. And it is a full memory barrier
// on each of them, so that after a kick the caller sees what they had stored before, and they see what it had.
//
// That an interrupt's return runs held-back work is true of Linux on x86-64 and long-standing, but no contract of
// io_uring's. Where it fails, or a filter refuses the call, the timer tick does the same a few milliseconds later.

// False: the kernel, or a filter, refuses it. The first call registers the process, which takes a
// system call, and 10 ms or more if the process has several threads (the kernel waits for a grace period of RCU).
bool can_kick() noexcept;

// Any thread. Costs an interrupt on each CPU that runs this process: only for a thread that has been stuck for long.
// False, and nothing has happened: can_kick() is false.
bool kick() noexcept;

}  // namespace magpie::detail
