#ifndef TFLM_OPS_ARDUINO_LINE_READER_H_
#define TFLM_OPS_ARDUINO_LINE_READER_H_

// Commands typed into the serial monitor: a word, then perhaps an argument. No String, no heap.

#include <Arduino.h>
#include <string.h>

namespace medyate {

class LineReader {
 public:
  // Takes what has come in. True once a line is complete; Is() and argument() speak of it
  // until the next call. Empty lines are passed over; one that is too long is cut.
  bool Read(Stream* line) {
    while (line->available() > 0) {
      const int byte = line->read();
      if (byte == '\r' || byte == '\n') {
        text_[size_] = '\0';
        const bool is_empty = size_ == 0;
        size_ = 0;
        if (!is_empty) return Split();
      } else if (byte >= 0 && size_ + 1 < sizeof(text_)) {
        text_[size_++] = static_cast<char>(byte);
      }
    }
    return false;
  }

  // Whether its first word is this one. (`word` itself is a macro of Arduino's.)
  bool Is(const char* command) const { return strcmp(text_, command) == 0; }
  // What follows the first word, without spaces around it; empty if nothing does.
  const char* argument() const { return argument_; }

 private:
  bool Split() {
    for (size_t end = strlen(text_); end > 0 && text_[end - 1] == ' ';) text_[--end] = '\0';
    char* space = strchr(text_, ' ');
    argument_ = text_ + strlen(text_);
    if (space) {
      *space = '\0';
      argument_ = space + 1;
      while (*argument_ == ' ') ++argument_;
    }
    return text_[0] != '\0';
  }

  char text_[96];
  const char* argument_ = "";
  size_t size_ = 0;
};

}  // namespace medyate

#endif  // TFLM_OPS_ARDUINO_LINE_READER_H_
