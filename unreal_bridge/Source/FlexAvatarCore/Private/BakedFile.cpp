// Reads a baked avatar: binary glTF with the extension FLEXAVATAR_rig.
#include "FlexAvatar/BakedFile.h"

#include <cmath>

#include "FlexAvatar/Json.h"

namespace flexavatar {
namespace {

constexpr uint32_t GLB_MAGIC = 0x46546c67, JSON_CHUNK = 0x4e4f534a, BINARY_CHUNK = 0x004e4942;
constexpr float FARTHEST = 100.0f;  // metres
constexpr double SCALE_STEPS = 65535.0;

bool isWhole(const Json& value, double limit) {
    const double number = value.number;
    return value.type == Json::Type::Number && number >= 0 && number <= limit &&
           number == std::floor(number);
}

class Reader {
public:
    explicit Reader(std::string& problem) : problem_(problem) {}

    bool fail(const std::string& why) {
        problem_ = "baked avatar: " + why;
        return false;
    }

    bool open(ByteView bytes) {
        if (bytes.size < 28) return fail("expected a whole binary glTF 2.0");
        uint32_t words[5];
        std::memcpy(words, bytes.data, sizeof words);
        const bool whole = words[0] == GLB_MAGIC && words[1] == 2 && words[2] == bytes.size;
        if (!whole || words[4] != JSON_CHUNK || words[3] > bytes.size - 28)
            return fail("expected a whole binary glTF 2.0");
        const uint8_t* chunk = bytes.data + 20 + words[3];
        const size_t room = bytes.size - 28 - words[3];
        const uint32_t size = load<uint32_t>(chunk);
        if (load<uint32_t>(chunk + 4) != BINARY_CHUNK || size > room)
            return fail("expected a binary chunk");
        binary_ = {chunk + 8, size};
        std::string why;
        const char* text = reinterpret_cast<const char*>(bytes.data + 20);
        if (!parseJson(std::string(text, words[3]), document_, why)) return fail(why);
        const Json& version = own()["version"];
        if (!isWhole(version, 1) || version.number != 1)
            return fail("expected the extension FLEXAVATAR_rig of format 1");
        return true;
    }

    const Json& own() const { return document_["extensions"]["FLEXAVATAR_rig"]; }

    bool count(const char* name, uint32_t& out) {
        if (!isWhole(own()[name], 1e8)) return fail(std::string(name) + " is no number");
        out = uint32_t(own()[name].number);
        return true;
    }

    // An array of `size` numbers of glTF's component type, each times the step if it has one.
    template <class Stored, class Number>
    bool array(const char* name, int type, uint64_t size, std::vector<Number>& out, bool stepped) {
        const Json& about = own()["arrays"][name];
        const Json& accessor = item(document_["accessors"], about["accessor"]);
        const Json& view = item(document_["bufferViews"], accessor["bufferView"]);
        const uint64_t bytes = size * sizeof(Stored);
        const Json &start = view["byteOffset"], &length = view["byteLength"];
        const bool fits = isWhole(start, double(binary_.size)) && length.number == double(bytes) &&
                          bytes <= binary_.size - size_t(start.number);
        if (!fits || accessor["componentType"].number != type)
            return fail(std::string(name) + " is not as it should be");
        const double step = stepped ? about["step"].number : 1.0;
        out.resize(size_t(size));
        const uint8_t* at = binary_.data + size_t(start.number);
        for (size_t i = 0; i < out.size(); ++i, at += sizeof(Stored))
            out[i] = stepped ? Number(load<Stored>(at) * step) : Number(load<Stored>(at));
        return true;
    }

    template <size_t Count>
    bool numbers(const char* name, const Json& list, float (&out)[Count]) {
        bool fine = list.items.size() == Count;
        for (size_t i = 0; fine && i < Count; ++i) {
            fine = list.items[i].type == Json::Type::Number &&
                   std::fabs(list.items[i].number) < FARTHEST;
            out[i] = float(list.items[i].number);
        }
        return fine || fail(std::string(name) + " are not its numbers");
    }

private:
    static const Json& item(const Json& list, const Json& at) {
        static const Json none;
        const bool there = isWhole(at, 1e6) && at.number < double(list.items.size());
        return there && list.type == Json::Type::List ? list.items[size_t(at.number)] : none;
    }

    Json document_;
    ByteView binary_;
    std::string& problem_;
};

bool readMesh(Reader& reader, BakedFile& out) {
    const uint64_t v = out.vertices, f = out.faces;
    uint32_t entries = 0, ends = 0;
    return reader.count("entries", entries) && reader.count("field_ends", ends) &&
           reader.array<float>("template", 5126, 3 * v, out.rest, false) &&
           reader.array<uint16_t>("faces", 5123, 3 * f, out.corners, false) &&
           reader.array<uint16_t>("lbs_weights", 5123, 5 * v, out.lbsWeights, true) &&
           reader.array<uint8_t>("products", 5121, 2 * out.products, out.factors, false) &&
           reader.array<uint32_t>("start", 5125, ends, out.fieldStart, false) &&
           reader.array<uint16_t>("field_vertices", 5123, entries, out.fieldVertices, false) &&
           reader.array<int16_t>("deltas", 5122, 3 * uint64_t(entries), out.deltas, true);
}

bool readMaps(Reader& reader, BakedFile& out) {
    static const char* const POSES[] = {"jaw_pose", "leye_pose", "reye_pose"};
    static const char* const RINGS[][2] = {{"upper_left_ring", "upper_left"},
                                           {"lower_left_ring", "lower_left"},
                                           {"upper_right_ring", "upper_right"},
                                           {"lower_right_ring", "lower_right"}};
    for (size_t i = 0; i < 3; ++i)
        if (!reader.array<float>(POSES[i], 5126, 3 * ARKIT_WEIGHTS, out.hangingPoses[i], false))
            return false;
    for (size_t i = 0; i < 4; ++i) {
        uint32_t size = 0;
        if (!reader.count(RINGS[i][1], size) ||
            !reader.array<uint16_t>(RINGS[i][0], 5123, size, out.lidRings[i], false))
            return false;
        if (!size) return reader.fail("no lids");
    }
    return reader.array<float>("eyelids", 5126, 2 * ARKIT_WEIGHTS, out.eyelids, false);
}

bool readSplats(Reader& reader, BakedFile& out) {
    const uint64_t n = out.splats, k = out.bases;
    return reader.array<uint16_t>("vertex_ids", 5123, 3 * n, out.bound, false) &&
           reader.array<int16_t>("bary", 5122, 2 * n, out.bary, true) &&
           reader.array<int16_t>("offsets", 5122, 3 * n, out.offsets, true) &&
           reader.array<int16_t>("quats", 5122, 4 * n, out.quats, true) &&
           reader.array<uint16_t>("scales", 5123, 3 * n, out.scales, false) &&
           reader.array<uint16_t>("opacities", 5123, n, out.opacities, true) &&
           reader.array<int16_t>("colors", 5122, 3 * n, out.colors, true) &&
           reader.array<uint8_t>("lids", 5121, 2 * n, out.lids, true) &&
           reader.array<int8_t>("bases", 5120, 3 * k * out.changing, out.colorBases, false) &&
           reader.array<float>("base_steps", 5126, k, out.baseSteps, false) &&
           reader.array<float>("shares", 5126, k * out.fields, out.shares, false);
}

bool allBelow(const std::vector<uint32_t>& ids, uint32_t limit) {
    for (const uint32_t id : ids)
        if (id >= limit) return false;
    return true;
}

bool allNear(const std::vector<float>& values) {
    for (const float value : values)
        if (!(std::fabs(value) < FARTHEST)) return false;
    return true;
}

bool isSound(Reader& reader, const BakedFile& file) {
    for (const auto* ids : {&file.corners, &file.fieldVertices, &file.bound, &file.lidRings[0],
                            &file.lidRings[1], &file.lidRings[2], &file.lidRings[3]})
        if (!allBelow(*ids, file.vertices)) return reader.fail("vertices of nothing");
    if (!allBelow(file.factors, ARKIT_WEIGHTS + 1)) return reader.fail("products of nothing");
    for (const auto* values :
         {&file.rest, &file.lbsWeights, &file.deltas, &file.hangingPoses[0], &file.hangingPoses[1],
          &file.hangingPoses[2], &file.eyelids, &file.bary, &file.offsets, &file.quats,
          &file.scales, &file.opacities, &file.colors, &file.lids, &file.baseSteps, &file.shares})
        if (!allNear(*values)) return reader.fail("numbers that are not of a head");
    const auto& start = file.fieldStart;
    if (file.fields != 56 + file.products || start.size() != file.fields + 1 || start[0] != 0 ||
        start.back() != file.fieldVertices.size())
        return reader.fail("fields without entries");
    for (size_t i = 1; i < start.size(); ++i)
        if (start[i] < start[i - 1]) return reader.fail("fields that fall");
    return file.changing <= file.splats || reader.fail("more splats change than there are");
}

// Rows of `width` numbers, divided by their sum, or by their length.
void normalize(std::vector<float>& values, size_t width, bool bySum) {
    for (size_t at = 0; at < values.size(); at += width) {
        double total = 0;
        for (size_t k = 0; k < width; ++k)
            total += bySum ? values[at + k] : double(values[at + k]) * values[at + k];
        const double size = bySum ? total : std::sqrt(total);
        for (size_t k = 0; k < width; ++k)
            values[at + k] = float(values[at + k] / std::fmax(size, 1e-9));
    }
}

}  // namespace

bool readBaked(ByteView bytes, BakedFile& out, std::string& problem) {
    out = BakedFile();
    Reader reader(problem);
    if (!reader.open(bytes) || !reader.count("vertices", out.vertices) ||
        !reader.count("faces", out.faces) || !reader.count("splats", out.splats) ||
        !reader.count("products", out.products) || !reader.count("fields", out.fields) ||
        !reader.count("bases", out.bases) || !reader.count("changing", out.changing))
        return false;
    if (!readMesh(reader, out) || !readMaps(reader, out) || !readSplats(reader, out)) return false;
    const Json& own = reader.own();
    if (own["joints"].items.size() != BAKED_JOINTS) return reader.fail("joints are not five");
    for (size_t j = 0; j < BAKED_JOINTS; ++j)
        if (!reader.numbers("joints", own["joints"].items[j], out.joints[j])) return false;
    float logs[2];
    if (!reader.numbers("usual_openings", own["usual_openings"], out.usualOpenings) ||
        !reader.numbers("scale_logs", own["scale_logs"], logs) ||
        !reader.numbers("packed_scale_logs", own["packed_scale_logs"], out.packedScaleLogs))
        return false;
    for (float& scale : out.scales)
        scale = float(std::exp(logs[0] + scale * (double(logs[1]) - logs[0]) / SCALE_STEPS));
    if (!isSound(reader, out)) return false;
    normalize(out.lbsWeights, BAKED_JOINTS, true);
    normalize(out.quats, 4, false);
    return true;
}

}  // namespace flexavatar
