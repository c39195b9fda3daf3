// A board for the sketches on a host: it runs a script, and prints what the sketch says.
//
// The script is read from standard input. A line is typed into the serial monitor when the sketch
// asks for input, unless it begins with @:
//
//   @motion 1    the board is moved in that way from now on
//   @broken      the motion sensor gives NaN from now on
//   @press 2     the button is pressed twice
//   @unplug      the computer goes away: the rest of the script is still read
//   @plug        it is back
//   @led         prints how often the LED went on since the last time
//   @loop 3      the sketch goes round so many times without anything happening
//
// At its end the power goes. Time passes only where the sketch looks at the clock or waits.
//
// With the argument `tcp` there is no script: the USB line is a TCP connection, to the port that is
// printed first, and time is real. POSIX only.

#include <Arduino.h>
#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "imu.h"

namespace {

unsigned long now_us = 0;
int motion = 0;
bool is_broken = false;
bool is_plugged = true;
int presses = 0;
unsigned long pressed_at = 0;
PinStatus led = LOW;
int flashes = 0;
int idle = 0;
char line[128];
size_t position = 0, size = 0;
unsigned noise = 1;

int tcp = -1;  // The connection; below 0: there is a script.
uint8_t received[4096];

const unsigned long kPressUs = 200000;  // Half of it down, half up.

// Carries out a line of the script that is not typed. False if it is none.
bool Act() {
  int number = 0;
  if (line[0] != '@') return false;
  if (sscanf(line, "@motion %d", &number) == 1) {
    motion = number;
  } else if (sscanf(line, "@press %d", &number) == 1) {
    presses = number;
    pressed_at = now_us;
    idle = 1;
  } else if (sscanf(line, "@loop %d", &number) == 1) {
    idle = number;
  } else if (strcmp(line, "@broken\n") == 0) {
    is_broken = true;
  } else if (strcmp(line, "@unplug\n") == 0) {
    is_plugged = false;
  } else if (strcmp(line, "@plug\n") == 0) {
    is_plugged = true;
  } else if (strcmp(line, "@led\n") == 0) {
    printf("LED %d\n", flashes);
    flashes = 0;
  } else {
    printf("not in board.cc: %s", line);
    exit(1);
  }
  return true;
}

// The next typed line, if the sketch is not to be left alone.
void Advance() {
  while (position == size && idle == 0) {
    if (!fgets(line, sizeof(line), stdin)) exit(0);
    if (Act()) continue;
    size = strlen(line);
    position = 0;
  }
}

float Noise() {
  noise = 1664525u * noise + 1013904223u;
  return static_cast<float>(noise >> 8) / (1 << 24) - 0.5f;
}

// Motions differ in the way gravity points, in speed and in strength.
float Wave(int axis) {
  if (is_broken) return NAN;
  const float t = static_cast<float>(now_us) * 1e-6f;
  const float gravity = axis == motion % 3 ? 1.0f : 0.0f;
  const float speed = 4.0f + 5.0f * static_cast<float>(motion);
  return gravity + 0.5f * sinf(speed * t + static_cast<float>(axis)) + 0.1f * Noise();
}

// Waits for a host; what it sends comes in by Receive.
void Listen() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address;
  memset(&address, 0, sizeof(address));
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof(address);
  sockaddr* plain = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, plain, bytes) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, plain, &bytes) != 0) {
    perror("board");
    exit(1);
  }
  printf("%d\n", ntohs(address.sin_port));
  tcp = accept(listener, nullptr, nullptr);
}

// Takes what has come in, and a little time over it. The power goes when the host does.
void Receive() {
  pollfd waits = {tcp, POLLIN, 0};
  if (position < size || ::poll(&waits, 1, 1) <= 0) return;
  const ssize_t n = ::read(tcp, received, sizeof(received));
  if (n <= 0) exit(0);
  position = 0;
  size = static_cast<size_t>(n);
}

unsigned long Now() {
  if (tcp < 0) return now_us += 20;
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<unsigned long>(now.tv_sec) * 1000000 +
         static_cast<unsigned long>(now.tv_nsec) / 1000;
}

}  // namespace

UsbSerial usb_serial;
FakeImu IMU;

void pinMode(pin_size_t, PinMode) {}

void digitalWrite(pin_size_t pin, PinStatus value) {
  if (pin != LED_BUILTIN) return;
  flashes += value == HIGH && led == LOW ? 1 : 0;
  led = value;
}

PinStatus digitalRead(pin_size_t) {
  now_us += 100;
  if (presses == 0 || now_us - pressed_at >= kPressUs * static_cast<unsigned long>(presses)) {
    presses = 0;
    return HIGH;
  }
  return (now_us - pressed_at) % kPressUs < kPressUs / 2 ? LOW : HIGH;
}

unsigned long micros() { return Now(); }
unsigned long millis() { return Now() / 1000; }
void delay(unsigned long ms) { now_us += 1000 * ms; }
long random(long below) {
  noise = 1664525u * noise + 1013904223u;
  return static_cast<long>(noise >> 8) % below;
}

size_t Print::print(const char* text) {
  return write(reinterpret_cast<const uint8_t*>(text), strlen(text));
}
size_t Print::print(char value) { return write(static_cast<uint8_t>(value)); }
size_t Print::print(int value) { return print(static_cast<long>(value)); }
size_t Print::print(unsigned int value) { return print(static_cast<unsigned long>(value)); }
size_t Print::print(long value) {
  char text[24];
  snprintf(text, sizeof(text), "%ld", value);
  return print(text);
}
size_t Print::print(unsigned long value) {
  char text[24];
  snprintf(text, sizeof(text), "%lu", value);
  return print(text);
}
size_t Print::println() { return print("\r\n"); }
size_t Print::println(const char* text) { return print(text) + println(); }
size_t Print::println(int value) { return print(value) + println(); }
size_t Print::println(unsigned int value) { return print(value) + println(); }
size_t Print::println(unsigned long value) { return print(value) + println(); }

void UsbSerial::begin(unsigned long) {}
UsbSerial::operator bool() { return is_plugged; }
size_t UsbSerial::write(uint8_t byte) { return write(&byte, 1); }
size_t UsbSerial::write(const uint8_t* data, size_t bytes) {
  if (tcp < 0) return fwrite(data, 1, bytes, stdout);
  const ssize_t n = ::write(tcp, data, bytes);
  return n < 0 ? 0 : static_cast<size_t>(n);
}
int UsbSerial::available() {
  tcp < 0 ? Advance() : Receive();
  return static_cast<int>(size - position);
}
int UsbSerial::read() {
  if (position == size) return -1;
  return tcp < 0 ? line[position++] : received[position++];
}

int FakeImu::begin() { return 1; }
float FakeImu::accelerationSampleRate() { return 119.0f; }
int FakeImu::readAcceleration(float& x, float& y, float& z) {
  x = Wave(0), y = Wave(1), z = Wave(2);
  return 1;
}
int FakeImu::readGyroscope(float& x, float& y, float& z) {
  x = 90.0f * Wave(1), y = 90.0f * Wave(2), z = 90.0f * Wave(0);
  return 1;
}
int FakeImu::readMagneticField(float& x, float& y, float& z) {
  x = y = z = 30.0f;
  return 1;
}

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IONBF, 0);
  signal(SIGPIPE, SIG_IGN);
  if (argc > 1 && strcmp(argv[1], "tcp") == 0) Listen();
  setup();
  for (;;) {
    loop();
    if (idle > 0) --idle;
  }
}
