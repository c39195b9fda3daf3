// The device's end of the serial protocol as a program of the host, for
// tests/device/test_device.py: a real session, a scripted handler.
//
//   device_host CLASSES SIDE... < line > line       what was done goes to stderr, line by line
//   device_host tcp CLASSES SIDE...                 prints its port; one host after the other
//
// POSIX only.

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "tests/tflm_ops/device/scripted_handler.h"
#include "tests/tflm_ops/device/tcp_line.h"
#include "tflm_ops/device/session.h"

namespace {

const uint32_t kWords = 128;

class FileSink final : public medyate::ByteSink {
 public:
  explicit FileSink(const medyate::ScriptedHandler* handler) : handler_(handler) {}
  virtual ~FileSink() = default;

  // Tells what was done before it says so on the line: an answer means that it is in the log.
  void Write(const uint8_t* data, size_t bytes) override {
    for (; told_ < handler_->log().size(); ++told_) {
      fprintf(stderr, "%s\n", handler_->log()[told_].c_str());
    }
    fflush(stderr);
    medyate::WriteAll(file, data, bytes);
  }

  int file = -1;

 private:
  const medyate::ScriptedHandler* handler_;
  size_t told_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);  // A host that goes away is no reason to stop.
  const bool is_tcp = argc > 1 && strcmp(argv[1], "tcp") == 0;
  const int first = is_tcp ? 2 : 1;
  if (argc < first + 2) return 2;
  std::vector<uint32_t> dims;
  for (int i = first + 1; i < argc; ++i) dims.push_back(static_cast<uint32_t>(atoi(argv[i])));
  const uint32_t classes = static_cast<uint32_t>(atoi(argv[first]));
  medyate::ScriptedHandler handler(dims, classes, classes > 0 ? classes : 3);
  FileSink sink(&handler);
  uint32_t request[kWords], answer[kWords];
  medyate::Session session(&handler, &sink, request, kWords, answer, kWords);
  if (!is_tcp) {
    sink.file = STDOUT_FILENO;
    medyate::Serve(STDIN_FILENO, &session);
    return 0;
  }
  const int listener = medyate::Listen();
  for (int line = accept(listener, nullptr, nullptr); line >= 0;
       line = accept(listener, nullptr, nullptr)) {
    sink.file = line;
    medyate::Serve(line, &session);
    close(line);
  }
  return 0;
}
