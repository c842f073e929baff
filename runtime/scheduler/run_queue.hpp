#pragma once

// A worker's own queue of ready work: a bounded FIFO ring. One worker, the owner, pushes at the tail and pops at the
// head; thieves take up to half of it from the head, in one batch. Two types over one buffer, owner_end and thief_end,
// so that a thief cannot push and an owner cannot steal from itself.
//
// Three indices count for ever and wrap at 2^32; an index's slot is index % Capacity.
//
//     steal <= real <= tail <= steal + Capacity
//
//         taken by nobody        being copied by       ready
//         (free slots)           one thief
//     ... tail - Capacity  ...  [steal ...... real)  [real ........... tail)  ...
//
//   tail    the next slot the owner fills. Written by the owner only.
//   real    the next item to take. Moved by whoever takes: the owner by one, a thief by its batch.
//   steal   the first slot that may still be read by the thief that claimed it. Equal to real when no thief copies.
//
// steal and real share one word, head_, so that one compare-exchange moves both or finds that either moved. Two states:
//
//   quiet     steal == real
//   stealing  steal != real: one thief has claimed [steal, real) and copies it
//
//   quiet     --pop:       owner, real + 1, steal + 1-->          quiet
//   quiet     --overflow:  owner, both + half of the ring-->      quiet
//   quiet     --claim:     thief, real + n-->                     stealing
//   stealing  --pop:       owner, real + 1-->                     stealing
//   stealing  --finish:    that thief, steal := real-->           quiet
//
// A second thief that finds `stealing` goes elsewhere (retry). The owner never waits for a thief: it pops behind the
// claimed slots, and if the ring is full it overflows the new item alone.
//
// Invariant: a slot in [steal, tail) is not written. The owner writes slots[tail] only while tail - steal < Capacity,
// and the steal it knows is never ahead of the true one, since steal only grows. So what the thief copies cannot change
// under it; and the owner that reads the thief's finish (release to acquire, through head_) writes after the copy.
//
// Lemma: whoever loads head_ (acquire) in state `quiet` and then tail_ gets tail >= real. Every transition that ends in
// `quiet` is a release by a thread that had seen a tail at least that large, and the claim in between keeps the release
// sequence. Hence the length tail - real never wraps; it may be too large (the owner moved on in between), but then
// head_ changed too, and the claim fails. The converse, an unchanged word whose indices went once around, needs 2^32
// items between a thief's load and its compare-exchange.
//
// Items are published by the store to tail_ (release) and taken after its load (acquire). The slots are plain: a thief
// reads only what it has claimed, so that the model checker and TSan see a broken invariant as a data race.

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>
#include <magpie/runtime/detail/intrusive_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace magpie::detail {

#if defined(MAGPIE_MODEL)
inline constexpr std::uint32_t run_queue_capacity = 4;  // small, so that the model reaches every wrap and overflow
#else
inline constexpr std::uint32_t run_queue_capacity = 256;
#endif

enum class steal_result : std::uint8_t {
    taken,  // one item at least
    empty,  // there was nothing
    retry,  // lost a race, or another thief is at it: there may be something next time
};

template <class T, std::uint32_t Capacity = run_queue_capacity>
class run_queue {
    static_assert(Capacity >= 2 && (Capacity & (Capacity - 1)) == 0, "an index's slot must survive the wrap at 2^32");

public:
    class owner_end;
    class thief_end;

    static constexpr std::uint32_t capacity = Capacity;

    // Empty. `first_index` is where the indices begin; tests begin shortly before they wrap.
    explicit run_queue(std::uint32_t first_index = 0) noexcept
        : head_(pack({first_index, first_index})), tail_(first_index), owner_(*this), thief_(*this) {}
    run_queue(run_queue const&) = delete;
    run_queue& operator=(run_queue const&) = delete;

    // Keep owner() to the worker that owns the queue: one thread at a time, with a happens-before between them when it
    // changes. Both live as long as the queue.
    owner_end& owner() noexcept { return owner_; }
    thief_end& thief() noexcept { return thief_; }

    // Ready items. Any thread; exact only for the owner while nobody steals. Never 0 while an item is ready whose push
    // happened before, or lies before a full fence that precedes the caller's: a worker about to sleep may rely on it.
    std::size_t size() const noexcept {
        head_word const head = unpack(head_.load(mo_relaxed));
        std::uint32_t const length = tail_.load(mo_relaxed) - head.real;
        if (length > Capacity) {  // the two loads were not of one moment: which of them is older?
            return length < wrapped ? Capacity : 0;
        }
        return length;
    }
    bool empty() const noexcept { return size() == 0; }

private:
    struct head_word {
        std::uint32_t steal;
        std::uint32_t real;
    };

    static constexpr std::uint32_t wrapped = std::uint32_t{1} << 31;  // a length from here on is a negative one

    static constexpr std::uint64_t pack(head_word head) noexcept {
        return (std::uint64_t{head.steal} << 32) | head.real;
    }
    static constexpr head_word unpack(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word)};
    }

    guarded<T*>& slot(std::uint32_t index) noexcept { return slots_[index & (Capacity - 1)]; }

    alignas(cache_line_size) atomic<std::uint64_t> head_;  // steal and real: owner and thieves
    alignas(cache_line_size) atomic<std::uint32_t> tail_;  // the owner writes, all read
    alignas(cache_line_size) guarded<T*> slots_[Capacity] = {};
    owner_end owner_;
    thief_end thief_;
};

// What only the owner may do.
template <class T, std::uint32_t Capacity>
class run_queue<T, Capacity>::owner_end {
public:
    owner_end(owner_end const&) = delete;
    owner_end& operator=(owner_end const&) = delete;

    // False: full; the item is still the caller's.
    [[nodiscard]] bool push(T* item) noexcept {
        if (room() == 0) {
            return false;
        }
        append(item);
        return true;
    }

    // True: the item is in the ring. False: it was full; the older half of it and then the item are at the back of
    // `overflow` (or the item alone, if a thief is at the head), and go to the inject queue.
    // An Overflow has push_back(T*).
    template <class Overflow>
    bool push_or_overflow(T* item, Overflow& overflow) noexcept {
        for (;;) {
            // acquire: pairs with the release in thief_end::finish()
            std::uint64_t const word = queue_.head_.load(mo_acquire);
            head_word const head = unpack(word);
            if (tail() - head.steal < Capacity) {
                append(item);
                return true;
            }
            if (head.steal != head.real) {  // the thief makes room as we speak; half of what is left is little
                overflow.push_back(item);
                return false;
            }
            if (move_half(word, overflow)) {
                overflow.push_back(item);
                return false;
            }
            // a thief claimed something in between: there is room now, or will be
        }
    }

    // Moves items from the front of `items` while they fit, at most `max`; returns how many. Published at once.
    std::size_t push_batch(intrusive_queue<T>& items, std::size_t max) noexcept {
        std::uint32_t const begin = tail();
        std::uint32_t end = begin;
        std::size_t const limit = std::min({std::size_t{room()}, items.size(), max});
        for (std::size_t i = 0; i < limit; ++i) {
            queue_.slot(end++) = items.pop_front();
        }
        publish(end);
        return limit;
    }

    // The oldest item, or null.
    T* pop() noexcept {
        std::uint64_t word = queue_.head_.load(mo_relaxed);
        for (;;) {
            head_word const head = unpack(word);
            if (head.real == tail()) {
                return nullptr;
            }
            std::uint32_t const next = head.real + 1;
            inject_point();
            // release: carries tail_ to the acquire loads of head_ by thieves (the lemma). Relaxed otherwise: the
            // slots are the owner's own writes, and no thief writes one.
            if (queue_.head_.compare_exchange_weak(word, pack({head.steal == head.real ? next : head.steal, next}),
                                                   mo_release, mo_relaxed)) {
                return queue_.slot(head.real);
            }
        }
    }

    std::size_t size() const noexcept { return queue_.size(); }
    bool empty() const noexcept { return queue_.empty(); }
    // Slots free for push() or push_batch(); thieves can only add to them.
    std::uint32_t room() const noexcept {
        // acquire: pairs with the release in thief_end::finish(): what it copied was read before we overwrite it
        return Capacity - (tail() - unpack(queue_.head_.load(mo_acquire)).steal);
    }

private:
    friend class run_queue;
    friend class thief_end;
    explicit owner_end(run_queue& queue) noexcept : queue_(queue) {}

    std::uint32_t tail() const noexcept { return queue_.tail_.load(mo_relaxed); }  // nobody else writes it

    void publish(std::uint32_t tail) noexcept {
        // release: pairs with the acquire of tail_ in thief_end
        queue_.tail_.store(tail, mo_release);
    }

    void append(T* item) noexcept {
        std::uint32_t const at = tail();
        queue_.slot(at) = item;
        publish(at + 1);
    }

    // The ring is full and quiet at `word`. False: a thief was faster.
    template <class Overflow>
    bool move_half(std::uint64_t word, Overflow& overflow) noexcept {
        constexpr std::uint32_t half = Capacity / 2;
        head_word const head = unpack(word);
        MAGPIE_ASSERT(tail() - head.real == Capacity);
        inject_point();
        // release: as in pop()
        if (!queue_.head_.compare_exchange_strong(word, pack({head.steal + half, head.real + half}), mo_release,
                                                  mo_relaxed)) {
            return false;
        }
        for (std::uint32_t i = 0; i < half; ++i) {
            overflow.push_back(queue_.slot(head.real + i));
        }
        return true;
    }

    run_queue& queue_;
};

// What every other worker may do.
template <class T, std::uint32_t Capacity>
class run_queue<T, Capacity>::thief_end {
public:
    thief_end(thief_end const&) = delete;
    thief_end& operator=(thief_end const&) = delete;

    // Takes half of the queue, rounded up, or as much as fits: the oldest item in `first`, to be run now, the rest in
    // order at the back of `own`, the thief's own queue. `taken` counts both; it is 0 and `first` null unless the
    // result is `taken`. `own` must be the caller's and not this queue.
    steal_result steal_into(owner_end& own, T*& first, unsigned& taken) noexcept {
        MAGPIE_ASSERT(&own.queue_ != &queue_);
        first = nullptr;
        taken = 0;
        std::uint32_t begin = 0;
        std::uint32_t count = 1 + own.room();  // one to run, the rest must fit
        steal_result const result = claim(begin, count);
        if (result != steal_result::taken) {
            return result;
        }
        first = queue_.slot(begin);
        std::uint32_t const own_tail = own.tail();
        for (std::uint32_t i = 1; i < count; ++i) {
            own.queue_.slot(own_tail + i - 1) = queue_.slot(begin + i);
        }
        finish();
        if (count > 1) {
            own.publish(own_tail + count - 1);
        }
        taken = count;
        return steal_result::taken;
    }

    // The oldest item, or null: nothing there, or another thief is at it.
    T* steal_one() noexcept {
        std::uint32_t begin = 0;
        std::uint32_t count = 1;
        if (claim(begin, count) != steal_result::taken) {
            return nullptr;
        }
        T* const item = queue_.slot(begin);
        finish();
        return item;
    }

    std::size_t size() const noexcept { return queue_.size(); }
    bool empty() const noexcept { return queue_.empty(); }
    // The index of the oldest item: moves on with each that is taken. A hint.
    std::uint32_t oldest() const noexcept { return unpack(queue_.head_.load(mo_relaxed)).real; }

private:
    friend class run_queue;
    explicit thief_end(run_queue& queue) noexcept : queue_(queue) {}

    // A busy owner can beat a thief again and again; elsewhere there may be an easier victim.
    static constexpr int claim_attempts = 8;

    // How many items are ready behind a head_ that was loaded with acquire.
    std::uint32_t available(head_word head) const noexcept {
        // acquire: pairs with the release in owner_end::publish()
        return queue_.tail_.load(mo_acquire) - head.real;
    }

    // quiet -> stealing. `count` is the most the caller can take, then what it got, from `begin` on.
    steal_result claim(std::uint32_t& begin, std::uint32_t& count) noexcept {
        for (int attempt = 0; attempt < claim_attempts; ++attempt) {
            // acquire: pairs with the releases of head_ (the lemma)
            std::uint64_t word = queue_.head_.load(mo_acquire);
            head_word const head = unpack(word);
            if (head.steal != head.real) {
                return steal_result::retry;
            }
            std::uint32_t const ready = available(head);
            if (ready == 0) {
                return steal_result::empty;
            }
            std::uint32_t const batch = std::min(ready - ready / 2, count);
            inject_point();
            // Relaxed: the items came with tail_, and while it says `stealing` nobody draws a length from this word.
            if (queue_.head_.compare_exchange_strong(word, pack({head.steal, head.real + batch}), mo_relaxed,
                                                     mo_relaxed)) {
                begin = head.real;
                count = batch;
                return steal_result::taken;
            }
        }
        return steal_result::retry;
    }

    // stealing -> quiet. The owner may have popped on, so steal goes where real is now.
    void finish() noexcept {
        std::uint64_t word = queue_.head_.load(mo_relaxed);
        for (;;) {
            std::uint32_t const real = unpack(word).real;
            inject_point();
            // release: the copied slots were read before; pairs with the acquire of head_ in owner_end
            if (queue_.head_.compare_exchange_weak(word, pack({real, real}), mo_release, mo_relaxed)) {
                return;
            }
        }
    }

    run_queue& queue_;
};

}  // namespace magpie::detail
