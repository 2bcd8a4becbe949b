// Just enough to test without a framework.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "FlexAvatar/Bytes.h"

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                                  \
        }                                                                                  \
    } while (false)

inline flexavatar::Bytes readFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    CHECK(file.good());
    return flexavatar::Bytes(std::istreambuf_iterator<char>(file), {});
}

inline void writeFile(const std::string& path, const flexavatar::Bytes& bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
    CHECK(file.good());
}
