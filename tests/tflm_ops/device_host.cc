// The device's end of the serial protocol as a program of the host, for tests/test_device.py: a
// real session, a scripted handler.
//
//   device_host CLASSES SIDE... < line > line       what was done goes to stderr, line by line
//   device_host tcp CLASSES SIDE...                 prints its port; one host after the other
//
// POSIX only.

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/tflm_ops/scripted_handler.h"
#include "tflm_ops/device/session.h"

namespace {

const uint32_t kWords = 128;
const int kTickMs = 20;

class FileSink final : public medyate::ByteSink {
 public:
  explicit FileSink(const medyate::ScriptedHandler* handler) : handler_(handler) {}
  virtual ~FileSink() = default;

  // Tells what was done before it says so on the line: whoever has the answer finds it in the log.
  void Write(const uint8_t* data, size_t bytes) override {
    for (; told_ < handler_->log().size(); ++told_) {
      fprintf(stderr, "%s\n", handler_->log()[told_].c_str());
    }
    fflush(stderr);
    while (bytes > 0) {
      const ssize_t n = write(file, data, bytes);
      if (n <= 0) return;
      data += n;
      bytes -= static_cast<size_t>(n);
    }
  }

  int file = -1;

 private:
  const medyate::ScriptedHandler* handler_;
  size_t told_ = 0;
};

uint32_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

// Serves one line until its other end is closed.
void Serve(int in, medyate::Session* session) {
  for (;;) {
    pollfd waits = {in, POLLIN, 0};
    ssize_t n = 0;
    uint8_t bytes[256];
    if (poll(&waits, 1, kTickMs) > 0) {
      n = read(in, bytes, sizeof(bytes));
      if (n <= 0) return;
    }
    session->Receive(bytes, static_cast<size_t>(n), NowMs());
  }
}

int Listen() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address;
  memset(&address, 0, sizeof(address));
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  sockaddr* plain = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, plain, size) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, plain, &size) != 0) {
    perror("device_host");
    exit(1);
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

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
    Serve(STDIN_FILENO, &session);
    return 0;
  }
  const int listener = Listen();
  for (int line = accept(listener, nullptr, nullptr); line >= 0;
       line = accept(listener, nullptr, nullptr)) {
    sink.file = line;
    Serve(line, &session);
    close(line);
  }
  return 0;
}
