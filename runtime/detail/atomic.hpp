#pragma once

// The one place that names std::atomic, so that the model checker can put its own in: tests/model/model.hpp, included
// first, defines MAGPIE_MODEL and everything below except the hooks at the end.
//
//   atomic<T>, mo_...    as in std
//   guarded<T>           plain data that a lock or a hand-over protects; the model checks that it does
//   full_fence()         orders what is before it against what is after it, stores before loads included
//   compiler_fence()     keeps the compiler, and nothing else, from moving accesses across
//   cpu_relax()          a hint inside a short spin
//   yield_thread()       gives the core away once
//   inject_point()       in tests built with MAGPIE_INJECT_YIELDS, a pseudo-random delay; else nothing. Stands before
//                        each compare-exchange, where a preempted thread meets the most competitors. The definition
//                        must be the same in every translation unit of a program.
//   tsan_release(p), tsan_acquire(p)  tell ThreadSanitizer of a hand-over it cannot see (through the kernel)

#if !defined(MAGPIE_MODEL)

#include <atomic>
#include <cstdint>

#include <sched.h>

#if defined(__SANITIZE_THREAD__)
#define MAGPIE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAGPIE_TSAN 1
#endif
#endif

#if defined(MAGPIE_TSAN)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace magpie::detail {

template <class T>
using atomic = std::atomic<T>;

template <class T>
using guarded = T;

inline constexpr std::memory_order mo_relaxed = std::memory_order_relaxed;
inline constexpr std::memory_order mo_acquire = std::memory_order_acquire;
inline constexpr std::memory_order mo_release = std::memory_order_release;
inline constexpr std::memory_order mo_acq_rel = std::memory_order_acq_rel;
inline constexpr std::memory_order mo_seq_cst = std::memory_order_seq_cst;

#if defined(MAGPIE_TSAN)
inline atomic<unsigned> tsan_fence_word{0};
#endif

inline void full_fence() noexcept {
#if defined(MAGPIE_TSAN)
    // TSan does not see fences. seq_cst: pairs with every other full_fence(), all of which touch this word.
    tsan_fence_word.fetch_add(1, mo_seq_cst);
#elif defined(__x86_64__)
    // A locked no-op on a line this core owns is a full barrier, and cheaper than the mfence clang would emit.
    __asm__ __volatile__("lock; orq $0, (%%rsp)" ::: "memory", "cc");
#else
    std::atomic_thread_fence(mo_seq_cst);
#endif
}

inline void compiler_fence() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");  // `yield` is a no-op on most cores
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

inline void yield_thread() noexcept {
    ::sched_yield();
}

inline void tsan_release([[maybe_unused]] void* address) noexcept {
#if defined(MAGPIE_TSAN)
    __tsan_release(address);
#endif
}

inline void tsan_acquire([[maybe_unused]] void* address) noexcept {
#if defined(MAGPIE_TSAN)
    __tsan_acquire(address);
#endif
}

#if defined(MAGPIE_INJECT_YIELDS)
inline atomic<std::uint64_t> inject_state{0x9e3779b97f4a7c15U};

inline void inject_point() noexcept {
    // Relaxed: must add delays, not order. One sequence for all threads; which thread gets which number is chance.
    std::uint64_t x = inject_state.fetch_add(0x9e3779b97f4a7c15U, mo_relaxed);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    x ^= x >> 31;
    if ((x & 15) == 0) {
        yield_thread();
    } else if ((x & 15) < 4) {
        for (std::uint64_t spins = (x >> 8) & 63; spins != 0; --spins) {
            cpu_relax();
        }
    }
}
#else
inline void inject_point() noexcept {}
#endif

}  // namespace magpie::detail

#endif
