#pragma once

// Cuts the head of an HTTP message into lines, on bytes as they come.
//
// While a head lies whole in the bytes of one feed() its lines are read where they are. A head that is split over
// feeds is collected in a store of the reader's own; so is a head whose body is still on its way. Positions are
// therefore offsets from the start of the head (http_slice), which stay right when the head moves to the store.
//
//   begin()       a message starts at the next unread byte
//   next_line()   line, line, ... ; `more` has taken everything: the caller's bytes may go
//   end_head()    behind the empty line; rest() and skip() are the body's, text() the head's
//
// A line ends in CRLF. A control character other than the tab, a CR without its LF and an LF without its CR make a line
// malformed as soon as they are seen. What a stream of bytes gives never depends on how it was cut into feeds.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace magpie::tools {

struct http_slice {
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
};

class http_head_reader {
public:
    enum class result : std::uint8_t {
        line,       // line() is the next line
        more,       // the bytes given so far do not end the line
        too_long,   // no end within the limit
        malformed,  // see above
    };

    // Gives the next bytes. Only when rest() is empty. They must stay in place until next_line() says `more`, or
    // keep() or begin() was called.
    void feed(std::string_view bytes) noexcept;

    // Forgets the message before. Keeps a small store, gives a large one back.
    void begin() noexcept;

    // Reads on to the end of the line, which must come within `limit` bytes, CRLF included.
    result next_line(std::size_t limit);

    // The line without its CRLF.
    http_slice line() const noexcept { return line_; }

    // True until the first byte of the message has been given.
    bool empty() const noexcept { return !stored_ && input_.empty() && line_begin_ == 0; }

    // The message's head ends here: what follows belongs to rest().
    void end_head() noexcept;

    // After end_head(): copies the head to the store, so that the caller's bytes may go.
    void keep();

    // Valid until begin(), or until the caller's bytes go, whichever is first; next_line() may end it too.
    std::string_view text(http_slice slice) const noexcept { return {base() + slice.offset, slice.length}; }

    // What has been given and not been used.
    std::string_view rest() const noexcept { return input_; }
    void skip(std::size_t bytes) noexcept { input_.remove_prefix(bytes); }

    // Goes on from a copy of rest(). Only before begin().
    void move_rest(std::string_view copy) noexcept { input_ = copy; }

private:
    char const* base() const noexcept { return stored_ ? store_.data() : head_; }
    bool pull(std::size_t limit);

    std::string_view input_;      // given and not used; in place, it begins with the head until end_head()
    std::string store_;           // the head, if stored_
    char const* head_ = nullptr;  // the head in the caller's bytes, if not
    std::size_t line_begin_ = 0;  // of the line being read, from the start of the head
    std::size_t scan_ = 0;        // how far that line has been looked at
    http_slice line_;
    bool stored_ = false;
};

}  // namespace magpie::tools
