#pragma once

// MAGPIE_ASSERT(condition): an invariant of the library, one condition each, said positively. Never an error of the
// user or of the system. On unless NDEBUG is defined; MAGPIE_ASSERTIONS=0 or =1 overrides that. Off, the condition is
// compiled but not evaluated.

#include <cstdio>
#include <cstdlib>

#if !defined(MAGPIE_ASSERTIONS)
#if defined(NDEBUG)
#define MAGPIE_ASSERTIONS 0
#else
#define MAGPIE_ASSERTIONS 1
#endif
#endif

namespace magpie::detail {

// Says what broke and where on stderr, in one write, and aborts.
[[noreturn, gnu::cold, gnu::noinline]] inline void assertion_failed(char const* condition, char const* file, int line,
                                                                    char const* function) noexcept {
    std::fprintf(stderr, "magpie: broken invariant: %s (%s:%d, %s)\n", condition, file, line, function);
    std::abort();
}

}  // namespace magpie::detail

#if !defined(MAGPIE_ASSERT)  // the model checker brings its own, which prints the interleaving
#if MAGPIE_ASSERTIONS
#define MAGPIE_ASSERT(...)                                                                                             \
    (static_cast<bool>(__VA_ARGS__)                                                                                    \
         ? static_cast<void>(0)                                                                                        \
         : ::magpie::detail::assertion_failed(#__VA_ARGS__, __FILE__, __LINE__, static_cast<char const*>(__func__)))
#else
#define MAGPIE_ASSERT(...) static_cast<void>(sizeof(static_cast<bool>(__VA_ARGS__)))
#endif
#endif
