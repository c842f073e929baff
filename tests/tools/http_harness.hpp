#pragma once

// Drives both HTTP parsers over a stream cut into pieces. Every piece lies in memory of its own, exactly as large as it
// is and given back as soon as the parser may no longer look at it, so that a sanitizer sees each byte too far.

#include "magpie/http_parser.hpp"
#include "magpie/http_response.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace http_harness {

class piece {
public:
    explicit piece(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
        std::copy(bytes.begin(), bytes.end(), bytes_.get());
    }
    std::string_view view() const { return {bytes_.get(), size_}; }

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_;
};

// What a stream gave, as text: equal texts mean equal answers.
using transcript = std::vector<std::string>;

inline std::string describe(magpie::tools::http_request const& request) {
    std::string text;
    for (std::string_view const part : {request.method, request.target, request.path, request.query}) {
        text.append(part).append(" | ");
    }
    text.append(request.host ? "host " + std::string(*request.host) : "no host");
    text += " | 1." + std::to_string(request.minor_version) + (request.keep_alive ? " keep" : " close");
    return text + " | body " + std::to_string(request.body_length);
}

inline std::string describe(magpie::tools::http_response const& response) {
    return std::to_string(response.status) + " | 1." + std::to_string(response.minor_version) +
           (response.keep_alive ? " keep" : " close") + " | body " + std::to_string(response.body_length);
}

// Feeds one piece and takes everything it gives. False after an error.
inline bool take(magpie::tools::http_parser& parser, std::string_view bytes, transcript& out) {
    using magpie::tools::http_event;
    piece const fed(bytes);
    parser.feed(fed.view());
    for (;;) {
        switch (parser.next()) {
        case http_event::more:
            return true;
        case http_event::request:
            out.push_back(describe(parser.request()));
            break;
        case http_event::expect_continue:  // depends on the cut, by intent
            break;
        case http_event::error:
            out.push_back("error " + std::to_string(parser.error_status()) + " " + std::string(parser.error_text()));
            return false;
        }
    }
}

inline bool take(magpie::tools::http_response_parser& parser, std::string_view bytes, transcript& out) {
    using magpie::tools::http_response_event;
    piece const fed(bytes);
    parser.feed(fed.view());
    for (;;) {
        switch (parser.next()) {
        case http_response_event::more:
            return true;
        case http_response_event::response:
            out.push_back(describe(parser.response()));
            break;
        case http_response_event::error:
            out.push_back("error " + std::string(parser.error_text()));
            return false;
        }
    }
}

// How the stream stands at its end.
inline void end(magpie::tools::http_parser& parser, transcript& out) {
    if (!parser.idle()) out.emplace_back("cut");
}

inline void end(magpie::tools::http_response_parser& parser, transcript& out) {
    using magpie::tools::http_response_event;
    switch (parser.end_of_stream()) {
    case http_response_event::more:
        break;
    case http_response_event::response:
        out.push_back("at the end: " + describe(parser.response()));
        break;
    case http_response_event::error:
        out.push_back("at the end: " + std::string(parser.error_text()));
        break;
    }
}

// Cuts the stream at the given places, in rising order.
template <class Parser>
transcript run(Parser parser, std::string_view stream, std::vector<std::size_t> const& cuts = {}) {
    transcript out;
    std::size_t from = 0;
    for (std::size_t index = 0; index <= cuts.size(); ++index) {
        std::size_t const to = index < cuts.size() ? cuts[index] : stream.size();
        if (!take(parser, stream.substr(from, to - from), out)) return out;
        from = to;
    }
    end(parser, out);
    return out;
}

inline std::vector<std::size_t> every_byte(std::string_view stream) {
    std::vector<std::size_t> cuts;
    for (std::size_t at = 1; at < stream.size(); ++at) {
        cuts.push_back(at);
    }
    return cuts;
}

inline std::vector<std::size_t> random_cuts(std::string_view stream, std::mt19937& random) {
    std::vector<std::size_t> cuts(random() % 6);
    for (std::size_t& cut : cuts) {
        cut = random() % (stream.size() + 1);
    }
    std::sort(cuts.begin(), cuts.end());
    return cuts;
}

// One to four changes: a byte replaced, put in, taken out or doubled, a part repeated, dropped or moved. The bytes put
// in are the ones that mean something to a parser.
inline std::string mutate(std::string stream, std::mt19937& random) {
    using namespace std::string_view_literals;
    static constexpr auto telling = "\r\n\0\t :;,/?#*\x7f\xff 0159afGHT\"\\."sv;
    auto const place = [&](std::size_t bound) { return bound == 0 ? 0 : random() % bound; };
    for (unsigned changes = 1 + random() % 4; changes > 0; --changes) {
        std::size_t const at = place(stream.size());
        std::size_t const length = std::min<std::size_t>(1 + place(20), stream.size() - at);
        char const byte = random() % 4 == 0 ? static_cast<char>(random()) : telling[place(telling.size())];
        switch (random() % 6) {
        case 0:
            if (!stream.empty()) stream[at] = byte;
            break;
        case 1:
            stream.insert(at, 1, byte);
            break;
        case 2:
            stream.erase(at, 1);
            break;
        case 3:
            stream.insert(place(stream.size()), stream.substr(at, length));
            break;
        case 4:
            stream.erase(at, length);
            break;
        default:
            stream.resize(at);
            break;
        }
    }
    return stream;
}

}  // namespace http_harness
