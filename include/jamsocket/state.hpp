// jamsocket/state.hpp
//
// How a native service's variables become bytes and come back: what its `save` and `load` are given.
//
// Values are written one after the other and read back in the same order; nothing names them. Numbers
// are little-endian and of their type's size, so that what one machine wrote another can read. A
// module needs none of this: its whole memory is kept.

#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace jamsocket {

class Writer;
class Reader;

namespace detail {

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;
template <class T>
concept Textual = std::is_convertible_v<const T&, std::string_view>;
template <class T>
concept Savable = requires(const T& value, Writer& writer) { value.save(writer); };
template <class T>
concept Loadable = requires(T& value, Reader& reader) { value.load(reader); };
template <class T>
concept Sized = requires(const T& list) {
  list.size();
  list.begin();
  list.end();
};
/// Of a size that its type says: std::array.
template <class T>
concept FixedSize = Sized<T> && requires { std::tuple_size<T>::value; };
template <class T>
concept Refillable = Sized<T> && requires(T& list) {
  typename T::value_type;
  list.clear();
};
template <class T>
concept Paired = requires(const T& pair) {
  pair.first;
  pair.second;
};

}  // namespace detail

class Writer {
 public:
  /// A number, a bool, an enumerator; a text; anything with `save(Writer&) const`; a pair; a container of these.
  template <class T>
  void put(const T& value) {
    if constexpr (detail::Scalar<T>) {
      put_scalar(value);
    } else if constexpr (detail::Textual<T>) {
      const std::string_view text = value;
      put_scalar(static_cast<std::uint64_t>(text.size()));
      bytes_.append(text);
    } else if constexpr (detail::Savable<T>) {
      value.save(*this);
    } else if constexpr (detail::Paired<T>) {
      put(value.first);
      put(value.second);
    } else {
      static_assert(detail::Sized<T>,
                    "put: a number, a text, a class with save(Writer&) const, a pair, or a container");
      put_scalar(static_cast<std::uint64_t>(value.size()));
      for (const auto& element : value) {
        put(element);
      }
    }
  }

  /// Bytes as they are, without their number: for what comes last.
  void put_rest(std::string_view bytes) { bytes_.append(bytes); }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] std::string take() { return std::exchange(bytes_, {}); }
  void clear() { bytes_.clear(); }

 private:
  template <class T>
  void put_scalar(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    if constexpr (std::endian::native == std::endian::big) {
      for (std::size_t i = 0; i < sizeof(T) / 2; ++i) {
        std::swap(raw[i], raw[sizeof(T) - 1 - i]);
      }
    }
    bytes_.append(raw, sizeof(T));
  }

  std::string bytes_;
};

class Reader {
 public:
  /// `bytes` must outlive the reader.
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  /// Reads what `put` of the same type wrote. Past the end, values are zero or empty, and `ok` is false for good.
  /// A text becomes a std::string; a std::string_view points into what is read, and dies with it.
  template <class T>
  void get(T& value) {
    if constexpr (detail::Scalar<T>) {
      value = get_scalar<T>();
    } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      value = T(take(get_scalar<std::uint64_t>()));
    } else if constexpr (detail::Loadable<T>) {
      value.load(*this);
    } else if constexpr (detail::Paired<T>) {
      get(value.first);
      get(value.second);
    } else if constexpr (detail::FixedSize<T>) {
      get_array(value);
    } else {
      static_assert(detail::Refillable<T>,
                    "get: a number, a std::string, a class with load(Reader&), a pair, or a container");
      get_container(value);
    }
  }
  template <class T>
  [[nodiscard]] T get() {
    T value{};
    get(value);
    return value;
  }

  /// All that is left, as it is.
  [[nodiscard]] std::string_view rest() { return take(left_.size()); }

  /// Whether everything asked for was there. A `load` may say no itself, by `fail`.
  [[nodiscard]] bool ok() const { return ok_; }
  void fail() { ok_ = false; }
  [[nodiscard]] bool at_end() const { return left_.empty(); }

 private:
  [[nodiscard]] std::string_view take(std::uint64_t length) {
    if (length > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const std::string_view taken = left_.substr(0, static_cast<std::size_t>(length));
    left_.remove_prefix(static_cast<std::size_t>(length));
    return taken;
  }

  template <class T>
  [[nodiscard]] T get_scalar() {
    const std::string_view raw = take(sizeof(T));
    T value{};
    if (raw.size() != sizeof(T)) {
      return value;
    }
    if constexpr (std::is_same_v<T, bool>) {
      return raw[0] != 0;
    } else {
      char bytes[sizeof(T)];
      for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes[i] = std::endian::native == std::endian::big ? raw[sizeof(T) - 1 - i] : raw[i];
      }
      std::memcpy(&value, bytes, sizeof(T));
      return value;
    }
  }

  // As `put` wrote it: of another size it is something else.
  template <class T>
  void get_array(T& array) {
    ok_ = get_scalar<std::uint64_t>() == array.size() && ok_;
    for (auto& element : array) {
      get(element);
    }
  }

  template <class T>
  void get_container(T& container) {
    container.clear();
    const auto count = get_scalar<std::uint64_t>();
    for (std::uint64_t i = 0; i < count && ok_; ++i) {
      if constexpr (requires { typename T::mapped_type; }) {
        auto key = get<typename T::key_type>();
        auto mapped = get<typename T::mapped_type>();
        container.emplace(std::move(key), std::move(mapped));
      } else {
        container.insert(container.end(), get<typename T::value_type>());
      }
    }
    if (!ok_) {
      container.clear();
    }
  }

  std::string_view left_;
  bool ok_ = true;
};

}  // namespace jamsocket
