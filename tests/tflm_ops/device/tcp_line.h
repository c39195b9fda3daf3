#ifndef TESTS_TFLM_OPS_DEVICE_TCP_LINE_H_
#define TESTS_TFLM_OPS_DEVICE_TCP_LINE_H_

// A session on a TCP line or a file, for programs of the host that stand in for a board. POSIX
// only.

#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tflm_ops/device/session.h"

namespace medyate {

// Writes to a file or socket; what cannot be written is lost.
inline void WriteAll(int file, const uint8_t* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = write(file, data, bytes);
    if (n <= 0) return;
    data += n;
    bytes -= static_cast<size_t>(n);
  }
}

inline uint32_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

// Serves one line until its other end is closed.
inline void Serve(int in, Session* session) {
  const int kTickMs = 20;
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

// A socket on any free port of this machine, or on the one given; prints its number.
inline int Listen(uint16_t port = 0) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address;
  memset(&address, 0, sizeof(address));
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  sockaddr* plain = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, plain, size) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, plain, &size) != 0) {
    perror("listen");
    exit(1);
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_DEVICE_TCP_LINE_H_
