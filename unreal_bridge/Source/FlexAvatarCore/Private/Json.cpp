#include "FlexAvatar/Json.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace flexavatar {
namespace {

constexpr int DEEPEST = 32;

class Parser {
public:
    explicit Parser(const std::string& text) : at_(text.c_str()), end_(at_ + text.size()) {}

    bool document(Json& out) {
        return value(out, 0) && (skip(), at_ == end_ || fail("more after the value"));
    }
    std::string problem;

private:
    bool fail(const char* why) {
        if (problem.empty()) problem = why;
        return false;
    }

    void skip() {
        while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    }

    bool take(char c) {
        skip();
        if (at_ == end_ || *at_ != c) return false;
        ++at_;
        return true;
    }

    bool word(const char* expected, Json& out, Json::Type type, double number) {
        for (; *expected; ++expected, ++at_) {
            if (at_ == end_ || *at_ != *expected) return fail("expected a value");
        }
        out.type = type;
        out.number = number;
        return true;
    }

    bool value(Json& out, int depth) {
        skip();
        if (at_ == end_) return fail("expected a value");
        if (depth > DEEPEST) return fail("too deep");
        switch (*at_) {
            case '{': return object(out, depth);
            case '[': return list(out, depth);
            case '"': out.type = Json::Type::Text; return string(out.text);
            case 't': return word("true", out, Json::Type::Bool, 1);
            case 'f': return word("false", out, Json::Type::Bool, 0);
            case 'n': return word("null", out, Json::Type::Null, 0);
            default: return number(out);
        }
    }

    bool number(Json& out) {
        const char* const digits = "+-.0123456789eE";
        std::string text;
        while (at_ < end_ && std::strchr(digits, *at_) && *at_) text += *at_++;
        char* stop = nullptr;
        out.number = std::strtod(text.c_str(), &stop);
        out.type = Json::Type::Number;
        const bool whole = !text.empty() && stop == text.c_str() + text.size();
        return (whole && std::isfinite(out.number)) || fail("expected a number");
    }

    bool hex4(uint32_t& out) {
        out = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = at_ < end_ ? *at_ : ' ';
            const bool digit = c >= '0' && c <= '9';
            const char lower = char(c | 32);
            if (!digit && !(lower >= 'a' && lower <= 'f')) return fail("expected four hex digits");
            out = out << 4 | uint32_t(digit ? c - '0' : lower - 'a' + 10);
        }
        return true;
    }

    static void utf8(uint32_t code, std::string& out) {
        if (code < 0x80) {
            out += char(code);
            return;
        }
        const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        static const uint8_t LEADS[] = {0, 0xC0, 0xE0, 0xF0};
        out += char(LEADS[more] | code >> 6 * more);
        for (int i = more - 1; i >= 0; --i) out += char(0x80 | (code >> 6 * i & 0x3F));
    }

    bool escape(std::string& out) {
        const char c = at_ < end_ ? *at_++ : ' ';
        const char* const names = "\"\\/bfnrt";
        const char* const found = std::strchr(names, c);
        if (c != 'u') return found && c ? (out += "\"\\/\b\f\n\r\t"[found - names], true)
                                        : fail("unknown escape");
        uint32_t code = 0, low = 0;
        if (!hex4(code)) return false;
        if (code >= 0xD800 && code < 0xDC00) {  // half of a pair
            if (end_ - at_ < 6 || at_[0] != '\\' || at_[1] != 'u') return fail("half a character");
            at_ += 2;
            if (!hex4(low)) return false;
            if (low < 0xDC00 || low > 0xDFFF) return fail("half a character");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else if (code >= 0xDC00 && code <= 0xDFFF) {
            return fail("half a character");
        }
        utf8(code, out);
        return true;
    }

    bool string(std::string& out) {
        for (++at_; at_ < end_ && *at_ != '"';) {
            const char c = *at_++;
            if (uint8_t(c) < 32) return fail("a control character in a text");
            if (c != '\\') {
                out += c;
            } else if (!escape(out)) {
                return false;
            }
        }
        return at_ < end_ ? (++at_, true) : fail("a text without an end");
    }

    bool list(Json& out, int depth) {
        out.type = Json::Type::List;
        ++at_;
        if (take(']')) return true;
        do {
            out.items.emplace_back();
            if (!value(out.items.back(), depth + 1)) return false;
        } while (take(','));
        return take(']') || fail("expected , or ]");
    }

    bool object(Json& out, int depth) {
        out.type = Json::Type::Object;
        ++at_;
        if (take('}')) return true;
        do {
            skip();
            if (at_ == end_ || *at_ != '"') return fail("expected a name");
            out.names.emplace_back();
            out.items.emplace_back();
            if (!string(out.names.back())) return false;
            if (!take(':')) return fail("expected :");
            if (!value(out.items.back(), depth + 1)) return false;
        } while (take(','));
        return take('}') || fail("expected , or }");
    }

    const char* at_;
    const char* end_;
};

const char* const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

const Json& Json::operator[](const char* name) const {
    static const Json none;
    for (size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) return items[i];
    }
    return none;
}

bool parseJson(const std::string& text, Json& out, std::string& problem) {
    Parser parser(text);
    out = Json();
    if (parser.document(out)) return true;
    problem = "JSON: " + parser.problem;
    return false;
}

void JsonWriter::next(const char* name) {
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[') out_ += ',';
    if (!name) return;
    quote(name);
    out_ += ':';
}

void JsonWriter::quote(const std::string& value) {
    out_ += '"';
    for (const char c : value) {
        if (c == '"' || c == '\\') out_ += '\\';
        if (uint8_t(c) < 32) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", unsigned(uint8_t(c)));
            out_ += escaped;
        } else {
            out_ += c;
        }
    }
    out_ += '"';
}

JsonWriter& JsonWriter::open(const char* name, char bracket) {
    next(name);
    out_ += bracket;
    closers_ += bracket == '{' ? '}' : ']';
    return *this;
}

JsonWriter& JsonWriter::close() {
    out_ += closers_.back();
    closers_.pop_back();
    return *this;
}

JsonWriter& JsonWriter::text(const char* name, const std::string& value) {
    next(name);
    quote(value);
    return *this;
}

JsonWriter& JsonWriter::number(const char* name, double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.9g", std::isfinite(value) ? value : 0.0);
    next(name);
    out_ += digits;
    return *this;
}

JsonWriter& JsonWriter::integer(const char* name, uint64_t value) {
    return text(name, std::to_string(value));
}

JsonWriter& JsonWriter::flag(const char* name, bool value) {
    next(name);
    out_ += value ? "true" : "false";
    return *this;
}

std::string toBase64(ByteView bytes) {
    std::string out;
    out.reserve((bytes.size + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size; i += 3) {
        const size_t left = bytes.size - i;
        uint32_t three = uint32_t(bytes.data[i]) << 16;
        if (left > 1) three |= uint32_t(bytes.data[i + 1]) << 8;
        if (left > 2) three |= bytes.data[i + 2];
        out += LETTERS[three >> 18];
        out += LETTERS[three >> 12 & 63];
        out += left > 1 ? LETTERS[three >> 6 & 63] : '=';
        out += left > 2 ? LETTERS[three & 63] : '=';
    }
    return out;
}

bool fromBase64(const std::string& text, Bytes& out) {
    out.clear();
    uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        if (c == '=') break;
        const char* const found = std::strchr(LETTERS, c);
        if (!found || !c) return false;
        bits = bits << 6 | uint32_t(found - LETTERS);
        count += 6;
        if (count >= 8) out.push_back(uint8_t(bits >> (count -= 8)));
    }
    return true;
}

}  // namespace flexavatar
