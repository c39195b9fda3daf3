#ifndef TESTS_TFLM_OPS_SUPPORT_JSON_H_
#define TESTS_TFLM_OPS_SUPPORT_JSON_H_

// Reads the golden files: JSON without escapes in its strings, numbers that fit a double.

#include <stdint.h>
#include <stdlib.h>

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace medyate {

class Json {
 public:
  static Json FromFile(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::stringstream text;
    text << file.rdbuf();
    const std::string content = text.str();
    const char* at = content.c_str();
    return Parse(&at);
  }

  const Json& operator[](const std::string& key) const { return members_.at(key); }
  const std::vector<Json>& items() const { return items_; }
  const std::string& text() const { return text_; }
  double number() const { return number_; }
  // A number, or a string such as "0xff", as an unsigned integer.
  uint64_t whole() const {
    return text_.empty() ? static_cast<uint64_t>(number_) : strtoull(text_.c_str(), nullptr, 16);
  }
  std::vector<uint32_t> words() const {
    std::vector<uint32_t> words;
    for (const Json& item : items_) words.push_back(static_cast<uint32_t>(item.whole()));
    return words;
  }

 private:
  static char Skip(const char** at) {
    while (**at == ' ' || **at == '\n' || **at == ',' || **at == ':') ++*at;
    return **at;
  }

  static Json Parse(const char** at) {
    Json value;
    const char first = Skip(at);
    if (first == '{') {
      for (++*at; Skip(at) != '}';) {
        const std::string key = ParseText(at);
        value.members_[key] = Parse(at);
      }
      ++*at;
    } else if (first == '[') {
      for (++*at; Skip(at) != ']';) value.items_.push_back(Parse(at));
      ++*at;
    } else if (first == '"') {
      value.text_ = ParseText(at);
    } else {
      char* end;
      value.number_ = strtod(*at, &end);
      if (end == *at) throw std::runtime_error("not JSON: " + std::string(*at).substr(0, 20));
      *at = end;
    }
    return value;
  }

  static std::string ParseText(const char** at) {
    const char* begin = ++*at;
    while (**at != '"' && **at != '\0') ++*at;
    if (**at == '\0') throw std::runtime_error("JSON ends within a string");
    return std::string(begin, (*at)++);
  }

  std::map<std::string, Json> members_;
  std::vector<Json> items_;
  std::string text_;
  double number_ = 0;
};

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_SUPPORT_JSON_H_
