#pragma once

#include <magpie/runtime/outcome.hpp>

#include <cstddef>
#include <utility>

namespace magpie {

// What a stream's next() gives for a task of its own: which one it was, and how it ended.
template <class T>
class completed_item {
public:
    completed_item(std::size_t its_index, outcome<T>&& how) : index(its_index), result(std::move(how)) {}

    std::size_t index;  // of the task in the input
    outcome<T> result;

    // The value, moved out, or throws what the task threw; child_cancelled if it was cancelled.
    T get() { return std::move(result).value(); }
};

}  // namespace magpie
