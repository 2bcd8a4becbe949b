// Bytes that lie elsewhere, and little-endian numbers in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#ifndef FLEXAVATARCORE_API
#define FLEXAVATARCORE_API  // Unreal's build says dllexport or dllimport here
#endif

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
static_assert(__BYTE_ORDER__ != __ORDER_BIG_ENDIAN__, "the wire is read as it lies");
#endif

namespace flexavatar {

using Bytes = std::vector<uint8_t>;

struct ByteView {
    const uint8_t* data = nullptr;
    size_t size = 0;

    ByteView() = default;
    ByteView(const uint8_t* at, size_t count) : data(at), size(count) {}
    ByteView(const Bytes& bytes) : data(bytes.data()), size(bytes.size()) {}  // NOLINT: as a view

    ByteView from(size_t start) const { return {data + start, size - start}; }
};

template <class Number>
Number load(const uint8_t* at) {
    Number value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

template <class Number>
void store(uint8_t* at, Number value) {
    std::memcpy(at, &value, sizeof value);
}

}  // namespace flexavatar
