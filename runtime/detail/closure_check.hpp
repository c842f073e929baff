#pragma once

// A warning for g++ before 13, which destroys a temporary closure twice if the expression has a co_await
// (docs/gcc12.md). Whether there is one cannot be seen from here, nor whether an rvalue is a temporary or was made by
// std::move: so each closure that is an rvalue, and has something to destroy, is warned about.
//
// Warnings from within system headers are not shown, and installed libraries are system headers. So the lines at the end
// that warn say, by a line marker, that they lie in a file of the program's.

#include <type_traits>

namespace magpie::detail {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13

// A lambda with captures is the kind of class that can be neither assigned to nor made from nothing. It fares no better
// than an aggregate. Others have constructors, and temporaries of them are destroyed once (those with references for
// members are taken for closures here).
template <class Fn>
inline constexpr bool is_closure =
    !std::is_default_constructible_v<Fn> && !std::is_copy_assignable_v<Fn> && !std::is_move_assignable_v<Fn>;
template <class Fn>
inline constexpr bool is_risky_closure =
    std::is_class_v<Fn> && !std::is_trivially_destructible_v<Fn> && (is_closure<Fn> || std::is_aggregate_v<Fn>);

template <bool Risky>
struct closure_checked {
    static constexpr void as_temporary() noexcept {}
};
template <>
struct closure_checked<true> {
    [[deprecated("g++ 12 destroys this closure twice if it is a temporary in an expression with co_await: give it a "
                 "name and pass that, or std::ref(name); see docs/gcc12.md")]]
    static constexpr void as_temporary() noexcept {}
};

template <class Fn>
constexpr void check_closure() noexcept;

#else

template <class Fn>
constexpr void check_closure() noexcept {}

#endif

}  // namespace magpie::detail

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// clang-format off
#pragma GCC system_header  // so that the marker itself is not warned about, with -Wpedantic
# 1 "magpie: a closure is passed as a temporary"
template <class Fn> constexpr void magpie::detail::check_closure() noexcept {
    closure_checked<is_risky_closure<Fn>>::as_temporary();
}
#endif
