#pragma once

// Where a combinator takes its tasks or inputs from: a range, or an async_generator, which has to be awaited.

#include <magpie/combinators/async_generator.hpp>
#include <magpie/combinators/detail/gather_argument.hpp>

#include <ranges>
#include <type_traits>

namespace magpie::detail {

template <class G>
inline constexpr bool is_async_generator = false;
template <class T>
inline constexpr bool is_async_generator<async_generator<T>> = true;

// `G` as deduced for a forwarding reference: a generator that is moved in, or used where it is.
template <class G>
concept generator_source = is_async_generator<std::remove_cvref_t<G>> && !std::is_const_v<std::remove_reference_t<G>>;

template <class G>
struct generated;
template <class T>
struct generated<async_generator<T>> {
    using type = T;
};
// An element as it is passed on: a prvalue's type, or a reference to what was yielded.
template <generator_source G>
using generated_argument_t = typename generated<std::remove_cvref_t<G>>::type;

// The element itself: an rvalue of what next() moved out, or the reference that was yielded.
template <generator_source G, class Item>
decltype(auto) generated_element(Item& item) noexcept {
    return static_cast<generated_argument_t<G>&&>(*item);
}

template <class G>
concept gatherable_generator = generator_source<G> && gatherable<generated_argument_t<G>>;

template <class R>
concept gatherable_source = gatherable_range<R> || gatherable_generator<R>;

struct no_position {};

template <class R>
struct source_traits {
    using argument = range_argument_t<R>;
    using position = std::ranges::iterator_t<std::remove_reference_t<R>>;
};
template <generator_source G>
struct source_traits<G> {
    using argument = generated_argument_t<G>;
    using position = no_position;
};
template <class R>
using source_argument_t = typename source_traits<R>::argument;
template <class R>
using source_position_t = typename source_traits<R>::position;

}  // namespace magpie::detail
