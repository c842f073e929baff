#include <magpie/runtime/scheduler/frame_cache.hpp>

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/scheduler/thread_state.hpp>

#include <malloc.h>

#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

namespace magpie::detail {

namespace {
constexpr std::size_t default_limit = std::size_t{1} << 20;  // bytes; config.frame_cache for workers
constexpr std::uint32_t batch = 64;                          // frames that travel between a thread and the depot
constexpr std::size_t depot_limit = std::size_t{16} << 20;   // bytes, of the whole process
constexpr std::size_t counted_at_once = std::size_t{1} << 16;  // bytes of frames freed one by one
} // namespace

// Batches of frames, linked through the first of each; the class's lock is taken once per batch.
struct frame_cache::depot {
    struct shelf {
        spin_lock lock;
        node* first = nullptr;
    };
    shelf shelves[classes];
    atomic<std::size_t> bytes{0};
    atomic<std::size_t> freed{0};  // to the allocator, ever
};

// Trivially destructible: frames may be freed during static destruction.
frame_cache::depot& frame_cache::shared() noexcept {
    static constinit depot one;
    static_assert(std::is_trivially_destructible_v<depot>);
    return one;
}

void frame_cache::set_limit(std::size_t bytes) noexcept {
    ready_ = true;
    limit_ = bytes;
}

void* frame_cache::allocate_slowly(std::size_t index) {
    if (!ready_) {
        set_limit(default_limit);
        flush_frames_at_thread_exit();
    }
    if (limit_ == 0 || !take_batch(index)) {
        return ::operator new((index + 1) * granule);
    }
    return allocate_class(index);
}

bool frame_cache::take_batch(std::size_t index) noexcept {
    depot& all = shared();
    auto& shelf = all.shelves[index];
    std::size_t const bytes = batch * (index + 1) * granule;
    if (bytes_ + bytes > limit_) {
        return false;
    }
    {
        std::lock_guard const lock(shelf.lock);
        if (shelf.first == nullptr) {
            return false;
        }
        lists_[index].head = shelf.first;
        shelf.first = shelf.first->next_batch;
    }
    lists_[index].count = batch;
    bytes_ += bytes;
    all.bytes.fetch_sub(bytes, mo_relaxed);
    return true;
}

void frame_cache::deallocate_slowly(void* memory, std::size_t index) noexcept {
    // Over the limit: a batch of this size goes; while there are not enough of it, this frame does.
    if (limit_ == 0 || lists_[index].count < batch) {
        ::operator delete(memory);
        singles_ += (index + 1) * granule;
        if (singles_ >= counted_at_once) {
            shared().freed.fetch_add(std::exchange(singles_, 0), mo_relaxed);
        }
        return;
    }
    give_batch(index);
    deallocate_class(memory, index);
}

void frame_cache::give_batch(std::size_t index) noexcept {
    list& free = lists_[index];
    node* const first = free.head;
    node* last = first;
    for (std::uint32_t i = 1; i < batch; ++i) {
        last = last->next;
    }
    free.head = last->next;
    free.count -= batch;
    last->next = nullptr;
    std::size_t const bytes = batch * (index + 1) * granule;
    bytes_ -= bytes;
    depot& all = shared();
    if (all.bytes.fetch_add(bytes, mo_relaxed) + bytes <= depot_limit) {
        auto& shelf = all.shelves[index];
        std::lock_guard const lock(shelf.lock);
        first->next_batch = shelf.first;
        shelf.first = first;
        return;
    }
    all.bytes.fetch_sub(bytes, mo_relaxed);
    all.freed.fetch_add(bytes, mo_relaxed);
    free_all(first);
}

frame_cache::freed frame_cache::look() noexcept {
    depot const& all = shared();
    return {.ever = all.freed.load(mo_relaxed), .in_depot = all.bytes.load(mo_relaxed)};
}

void frame_cache::trim() noexcept {
    depot& all = shared();
    for (std::size_t index = 0; index < classes; ++index) {
        auto& shelf = all.shelves[index];
        node* taken = nullptr;
        {
            std::lock_guard const lock(shelf.lock);
            taken = std::exchange(shelf.first, nullptr);
        }
        while (taken != nullptr) {
            all.bytes.fetch_sub(batch * (index + 1) * granule, mo_relaxed);
            free_all(std::exchange(taken, taken->next_batch));
        }
    }
#if defined(__GLIBC__)
    (void)::malloc_trim(0);
#endif
}

void frame_cache::free_all(node* first) noexcept {
    while (first != nullptr) {
        ::operator delete(std::exchange(first, first->next));
    }
}

void frame_cache::flush() noexcept {
    for (list& free : lists_) {
        free_all(std::exchange(free.head, nullptr));
        free.count = 0;
    }
    bytes_ = 0;
    limit_ = 0;  // whatever is freed after this goes to the allocator
}

} // namespace magpie::detail
