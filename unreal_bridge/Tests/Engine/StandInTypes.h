// Texts, containers, numbers and delegates of Unreal, as much as the component touches.
#pragma once

#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using int32 = int32_t;
using int64 = long long;
using uint8 = uint8_t;
using uint32 = uint32_t;
using uint64 = unsigned long long;
using SIZE_T = size_t;
using TCHAR = char;
#define TEXT(text) text
#define TCHAR_TO_UTF8(text) (text)
#define UTF8_TO_TCHAR(text) (text)
#define UE_PI 3.14159265f
#define FLEXAVATAR_API
#define UENUM(...)
#define USTRUCT(...)
#define UCLASS(...)
#define UPROPERTY(...)
#define UFUNCTION(...)
#define IMPLEMENT_MODULE(...)

// ---- containers

class FString {
public:
    FString() = default;
    FString(const char* text) : text_(text) {}  // NOLINT
    const char* operator*() const { return text_.c_str(); }
    bool IsEmpty() const { return text_.empty(); }
    FString operator+(const FString& other) const { return (text_ + other.text_).c_str(); }
    __attribute__((format(printf, 1, 2))) static FString Printf(const char* format, ...) {
        char text[512];
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        return text;
    }

private:
    std::string text_;
};

class FName {
public:
    FName() = default;
    FName(const char* text) : text_(text) {}  // NOLINT
    FString ToString() const { return text_.c_str(); }
    // As Unreal's: without regard to capitals.
    bool operator==(const FName& other) const {
        return strcasecmp(text_.c_str(), other.text_.c_str()) == 0;
    }

private:
    std::string text_;
};

template <class T>
class TArray : public std::vector<T> {
public:
    using std::vector<T>::vector;
    int32 Num() const { return int32(this->size()); }
    void Add(const T& value) { this->push_back(value); }
    void Empty() { this->clear(); }
    T* GetData() { return this->data(); }
    const T* GetData() const { return this->data(); }
};

template <class K, class V>
struct TPair {
    K Key;
    V Value;
};

template <class K, class V>
class TMap : public TArray<TPair<K, V>> {
public:
    using TArray<TPair<K, V>>::TArray;
};

template <class T>
class TSharedPtr : public std::shared_ptr<T> {
public:
    using std::shared_ptr<T>::shared_ptr;
    TSharedPtr(std::shared_ptr<T> other) : std::shared_ptr<T>(std::move(other)) {}  // NOLINT
    bool IsValid() const { return bool(*this); }
};
template <class T>
std::shared_ptr<T> MakeShared() {
    return std::make_shared<T>();
}

template <class T>
class TObjectPtr {
public:
    TObjectPtr(T* object = nullptr) : object_(object) {}  // NOLINT
    operator T*() const { return object_; }               // NOLINT
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }

private:
    T* object_;
};

// Roots of the collector: what one holds keeps its Outers too, up to the world.
struct StrongObjects {
    static inline int held = 0;
};

template <class T>
class TStrongObjectPtr {
public:
    TStrongObjectPtr() = default;
    TStrongObjectPtr(const TStrongObjectPtr&) = delete;
    TStrongObjectPtr& operator=(const TStrongObjectPtr&) = delete;
    ~TStrongObjectPtr() { Reset(); }
    void Reset(T* object = nullptr) {
        StrongObjects::held += (object != nullptr) - (object_ != nullptr);
        object_ = object;
    }
    bool IsValid() const { return object_ != nullptr; }
    T* Get() const { return object_; }
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }

private:
    T* object_ = nullptr;
};

struct FMath {
    static float Clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }
    template <class T>
    static T Min(T a, T b) {
        return a < b ? a : b;
    }
    static float Tan(float x) { return std::tan(x); }
};

struct FMemory {
    static void* Malloc(SIZE_T size) { return std::malloc(size); }
    static void Free(void* at) { std::free(at); }
    static void Memcpy(void* to, const void* from, SIZE_T size) { std::memcpy(to, from, size); }
    static int32 Memcmp(const void* a, const void* b, SIZE_T size) { return std::memcmp(a, b, size); }
};

struct FIntPoint {
    int32 X, Y;
    FIntPoint(int32 x, int32 y) : X(x), Y(y) {}
};
struct FVector {
    double X, Y, Z;
    FVector(double x, double y, double z) : X(x), Y(y), Z(z) {}
    static const FVector ZeroVector;
};
inline const FVector FVector::ZeroVector{0, 0, 0};
struct FVector2D {
    double X, Y;
    FVector2D(double x, double y) : X(x), Y(y) {}
};
struct FLinearColor {
    float R, G, B, A;
    FLinearColor(float r, float g, float b, float a) : R(r), G(g), B(b), A(a) {}
};
struct FColor {
    static const FColor White;
};
inline const FColor FColor::White;
struct FRotator {};
namespace EAxis {
enum Type { X, Y, Z };
}
struct FRotationMatrix {  // of no turn: cameras here look along +X
    explicit FRotationMatrix(const FRotator&) {}
    FVector GetUnitAxis(EAxis::Type axis) const {
        return {double(axis == EAxis::X), double(axis == EAxis::Y), double(axis == EAxis::Z)};
    }
};
struct FTransform {  // of a component at the origin
    FVector InverseTransformPosition(const FVector& v) const { return v; }
    FVector InverseTransformVectorNoScale(const FVector& v) const { return v; }
};

// ---- delegates

template <class... Arguments>
struct TStandInEvent {
    std::vector<std::function<void(Arguments...)>> listeners;
    void Broadcast(Arguments... arguments) const {
        for (const auto& listener : listeners) listener(arguments...);
    }
};
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE(Name) using Name = TStandInEvent<>
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(Name, Type, Argument) \
    using Name = TStandInEvent<Type>
