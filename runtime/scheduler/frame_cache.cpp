#include <magpie/runtime/scheduler/frame_cache.hpp>

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>
#include <magpie/runtime/scheduler/thread_state.hpp>

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

namespace magpie::detail {

namespace {
constexpr std::size_t default_limit = std::size_t{1} << 20;      // bytes; config.frame_cache for workers
constexpr std::size_t untrimmed_depot = std::size_t{16} << 20;   // bytes, of the whole process
constexpr std::size_t counted_at_once = std::size_t{1} << 16;    // bytes of frames freed one by one
constexpr std::size_t most_extend_after = std::size_t{16} << 20; // bytes: where extending the heap is of no use
constexpr std::size_t allocator_overhead = 16;                   // bytes for each block of sizes like ours, at most
} // namespace

// Batches of frames, linked through the first of each; the class's lock is taken once per batch.
struct frame_cache::depot {
    struct shelf {
        spin_lock lock;
        node* first = nullptr;
        std::size_t batches = 0;
        std::size_t least = 0;  // batches, since give_back_unused() last looked
    };
    shelf shelves[classes];
    atomic<std::size_t> bytes{0};
    atomic<std::size_t> freed{0};  // to the allocator, ever
    atomic<std::size_t> moved{0};  // look()
    atomic<unsigned> trimmers{0};
};

// Trivially destructible: frames may be freed during static destruction.
frame_cache::depot& frame_cache::shared() noexcept {
    static constinit depot one;
    static_assert(std::is_trivially_destructible_v<depot>);
    return one;
}

void frame_cache::set_limit(std::size_t bytes) noexcept {
    flush();
    ready_ = true;
    limit_ = bytes;
}

// False: that would be more than the thread may keep.
bool frame_cache::count(std::size_t bytes) noexcept {
    if (bytes_ + bytes > limit_) {
        return false;
    }
    bytes_ += bytes;
    return true;
}

// Frames that a list holds when it is full.
std::uint32_t frame_cache::capacity(std::size_t index) const noexcept {
    constexpr std::size_t sharers = 8;
    return static_cast<std::uint32_t>(std::min<std::size_t>(2 * batch(index), limit_ / sharers / frame_bytes(index)));
}

// Sees to it that the list has its room. If spares have taken it all, they go.
bool frame_cache::find_room(std::size_t index) noexcept {
    list& free = lists_[index];
    if (free.has_room) {
        return true;
    }
    std::uint32_t const room = capacity(index);
    while (!count(room * frame_bytes(index))) {
        if (!give_away_spare()) {
            return false;
        }
    }
    free.has_room = true;
    free.room = room;
    return true;
}

bool frame_cache::give_away_spare() noexcept {
    if (spares_ == 0) {
        return false;
    }
    std::size_t index = 0;
    while (lists_[index].spares == nullptr) {
        ++index;
    }
    node* const spare = lists_[index].spares;
    lists_[index].spares = spare->next_batch;
    --spares_;
    bytes_ -= batch_bytes(index);
    give_to_depot(spare, index);
    return true;
}

void* frame_cache::allocate_slowly(std::size_t index) {
    if (!ready_) {
        set_limit(default_limit);
        flush_frames_at_thread_exit();
    }
    if (limit_ == 0 || !find_room(index)) {
        return ::operator new(frame_bytes(index));
    }
    list& free = lists_[index];
    if (free.spares != nullptr) {
        free.head = std::exchange(free.spares, free.spares->next_batch);
        --spares_;
        bytes_ -= batch_bytes(index);
    } else if (capacity(index) == 2 * batch(index)) {
        free.head = take_from_depot(index);
    }
    if (free.head == nullptr) {
        return allocate_fresh(index);
    }
    free.room = batch(index);
    return allocate_class(index);
}

// A frame that is on no list. glibc extends the heap of a thread by what it lacks, in pages, each time by a system call
// that holds up the page faults of all threads: 80,000 for a burst of a million tasks. So now and then it is asked for
// much, and given it back, which it keeps. (By malloc: no new_handler has a part in it.) That is of no use if the frame
// then comes from elsewhere, from a hole, or lies in the heap of the main thread, which grows by more: then ever more
// rarely.
void* frame_cache::allocate_fresh(std::size_t index) {
    std::size_t const taken = frame_bytes(index) + allocator_overhead;
    if (fresh_ >= taken) {
        fresh_ -= taken;
        return ::operator new(frame_bytes(index));
    }
#if defined(__GLIBC__)
    void* const room = std::malloc(extension);
    auto const begin = reinterpret_cast<std::uintptr_t>(room);
    std::free(room);
    void* const frame = ::operator new(frame_bytes(index));
    bool const of_use = begin > reinterpret_cast<std::uintptr_t>(::sbrk(0)) &&
                        reinterpret_cast<std::uintptr_t>(frame) - begin < extension;
    extend_after_ = of_use ? extension : std::min(2 * extend_after_, most_extend_after);
    fresh_ = extend_after_;
    return frame;
#else
    return ::operator new(frame_bytes(index));
#endif
}

void frame_cache::deallocate_slowly(void* memory, std::size_t index) noexcept {
    bool const fits = limit_ != 0 && find_room(index);
    bool const travels = fits && capacity(index) == 2 * batch(index);
    if (!fits || (lists_[index].room == 0 && !travels)) {
        ::operator delete(memory);
        singles_ += frame_bytes(index);
        if (singles_ >= counted_at_once) {
            shared().freed.fetch_add(singles_, mo_relaxed);
            shared().moved.fetch_add(std::exchange(singles_, 0), mo_relaxed);
        }
        return;
    }
    if (lists_[index].room == 0) {
        put_away(index);
    }
    deallocate_class(memory, index);
}

// The list is full. Its newer half has just been freed, and is in this CPU's cache.
void frame_cache::put_away(std::size_t index) noexcept {
    list& free = lists_[index];
    node* last = free.head;
    for (std::uint32_t i = 1; i < batch(index); ++i) {
        last = last->next;
    }
    node* const first = std::exchange(last->next, nullptr);
    free.room = batch(index);
    if (count(batch_bytes(index))) {
        first->next_batch = free.spares;
        free.spares = first;
        ++spares_;
    } else {
        give_to_depot(first, index);
    }
}

frame_cache::node* frame_cache::take_from_depot(std::size_t index) noexcept {
    node* const first = unshelve(index);
    if (first != nullptr) {
        shared().moved.fetch_add(batch_bytes(index), mo_relaxed);
    }
    return first;
}

frame_cache::node* frame_cache::unshelve(std::size_t index) noexcept {
    depot& all = shared();
    auto& shelf = all.shelves[index];
    node* first = nullptr;
    {
        std::lock_guard const lock(shelf.lock);
        first = shelf.first;
        if (first == nullptr) {
            return nullptr;
        }
        shelf.first = first->next_batch;
        --shelf.batches;
        shelf.least = std::min(shelf.least, shelf.batches);
    }
    all.bytes.fetch_sub(batch_bytes(index), mo_relaxed);
    return first;
}

void frame_cache::give_to_depot(node* first, std::size_t index) noexcept {
    depot& all = shared();
    std::size_t const bytes = batch_bytes(index);
    all.moved.fetch_add(bytes, mo_relaxed);
    if (all.bytes.fetch_add(bytes, mo_relaxed) + bytes <= untrimmed_depot || all.trimmers.load(mo_relaxed) != 0) {
        auto& shelf = all.shelves[index];
        std::lock_guard const lock(shelf.lock);
        first->next_batch = shelf.first;
        shelf.first = first;
        ++shelf.batches;
        return;
    }
    all.bytes.fetch_sub(bytes, mo_relaxed);
    all.freed.fetch_add(bytes, mo_relaxed);
    free_all(first);
}

void frame_cache::begin_trimming() noexcept {
    shared().trimmers.fetch_add(1, mo_relaxed);
}

void frame_cache::end_trimming() noexcept {
    if (shared().trimmers.fetch_sub(1, mo_relaxed) == 1) {
        std::size_t const kept = shared().bytes.load(mo_relaxed);
        free_from_depot(kept > untrimmed_depot ? kept - untrimmed_depot : 0);
    }
}

void frame_cache::give_back_unused() noexcept {
    depot& all = shared();
    for (std::size_t index = 0; index < classes; ++index) {
        auto& shelf = all.shelves[index];
        std::size_t unused = 0;
        {
            std::lock_guard const lock(shelf.lock);
            unused = std::exchange(shelf.least, shelf.batches);
        }
        for (; unused != 0; --unused) {
            node* const first = unshelve(index);
            if (first == nullptr) {
                break;
            }
            free_all(first);
            all.freed.fetch_add(batch_bytes(index), mo_relaxed);
        }
    }
}

void frame_cache::free_from_depot(std::size_t bytes) noexcept {
    for (std::size_t index = 0; index < classes; ++index) {
        while (bytes != 0) {
            node* const first = unshelve(index);
            if (first == nullptr) {
                break;
            }
            free_all(first);
            bytes -= std::min(bytes, batch_bytes(index));
        }
    }
}

frame_cache::freed frame_cache::look() noexcept {
    depot const& all = shared();
    return {.ever = all.freed.load(mo_relaxed),
            .in_depot = all.bytes.load(mo_relaxed),
            .moved = all.moved.load(mo_relaxed)};
}

void frame_cache::trim() noexcept {
    free_from_depot(shared().bytes.load(mo_relaxed));
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
        free_all(free.head);
        while (node* const spare = free.spares) {
            free.spares = spare->next_batch;
            free_all(spare);
        }
        free = {};
    }
    spares_ = 0;
    bytes_ = 0;
    limit_ = 0;  // whatever is freed after this goes to the allocator
}

} // namespace magpie::detail
