#pragma once

#include <cstddef>
#include <optional>

namespace magpie {

// How far a batch() or a gather() has come: what .on_progress(f) is told, as f(progress const&), each time one item has
// ended for good. Calls come one at a time, from the awaiting task; `done` grows by one with each, and the last call has
// done == total; of a range or generator whose number is not known before its end, the last may still be without it.
struct progress {
    std::size_t done = 0;       // items that have ended, the failed ones included
    std::size_t failed = 0;     // of those: how many threw, or gave an expected without a value
    std::size_t in_flight = 0;  // items that run now; one that waits for its next attempt does not
    // How many items there are: known from the start for a range that knows its size, else once its end was reached.
    std::optional<std::size_t> total{};

    bool operator==(progress const&) const = default;
};

} // namespace magpie
