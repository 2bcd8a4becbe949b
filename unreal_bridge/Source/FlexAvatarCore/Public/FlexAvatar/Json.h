// As much JSON as the calls need.
#pragma once

#include <string>
#include <vector>

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

struct FLEXAVATARCORE_API Json {
    enum class Type { Null, Bool, Number, Text, List, Object };

    Type type = Type::Null;
    double number = 0;  // of a Bool too: 0 or 1
    std::string text;
    std::vector<Json> items;         // of a List, or an Object's values
    std::vector<std::string> names;  // of an Object's values

    // A field, or an empty value if there is none.
    const Json& operator[](const char* name) const;
};

// False, and why, for what is not one JSON value.
FLEXAVATARCORE_API bool parseJson(const std::string& text, Json& out, std::string& problem);

// Writes one object: members in the order of the calls.
class FLEXAVATARCORE_API JsonWriter {
public:
    JsonWriter& open(const char* name = nullptr, char bracket = '{');
    JsonWriter& close();
    JsonWriter& text(const char* name, const std::string& value);
    JsonWriter& number(const char* name, double value);
    JsonWriter& integer(const char* name, uint64_t value);  // quoted, as 64 bits are in protobuf
    JsonWriter& flag(const char* name, bool value);
    const std::string& str() const { return out_; }

private:
    void next(const char* name);
    void quote(const std::string& value);
    std::string out_, closers_;
};

FLEXAVATARCORE_API std::string toBase64(ByteView bytes);
FLEXAVATARCORE_API bool fromBase64(const std::string& text, Bytes& out);

}  // namespace flexavatar
