#ifndef TESTS_ARDUINO_ARDUINO_H_
#define TESTS_ARDUINO_ARDUINO_H_

// As much of Arduino's API as the sketches use, for compiling them without the IDE. Declarations
// only; tests/tflm_ops/arduino/board.cc is a scripted board that runs them on a host.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Macros of Arduino's that take names away from the code after them.
#define PI 3.1415926535897932384626433832795
#define EULER 2.718281828459045235360287471352
#define SERIAL 0x0
#define DISPLAY 0x1
#define abs(x) ((x) > 0 ? (x) : -(x))
#define constrain(value, low, high) ((value) < (low) ? (low) : (value) > (high) ? (high) : (value))
#define radians(degree) ((degree) * (PI / 180))
#define degrees(radian) ((radian) * (180 / PI))
#define sq(x) ((x) * (x))
#define interrupts() ((void)0)
#define noInterrupts() ((void)0)
#define lowByte(w) ((uint8_t)((w)&0xff))
#define highByte(w) ((uint8_t)((w) >> 8))
#define bit(b) (1UL << (b))
#define bitRead(value, b) (((value) >> (b)) & 1)
#define bitSet(value, b) ((value) |= bit(b))
#define bitClear(value, b) ((value) &= ~bit(b))
#define bitWrite(value, b, on) ((on) ? bitSet(value, b) : bitClear(value, b))
#define word(...) makeWord(__VA_ARGS__)
#define F(text) (text)
#define LED_BUILTIN (13u)

enum PinStatus { LOW = 0, HIGH = 1, CHANGE = 2, FALLING = 3, RISING = 4 };
enum PinMode { INPUT = 0, OUTPUT = 1, INPUT_PULLUP = 2, INPUT_PULLDOWN = 3 };

typedef uint8_t byte;
typedef uint8_t pin_size_t;

extern "C" {
void pinMode(pin_size_t pin, PinMode mode);
void digitalWrite(pin_size_t pin, PinStatus value);
PinStatus digitalRead(pin_size_t pin);
unsigned long millis();
unsigned long micros();
void delay(unsigned long ms);
void setup();
void loop();
}
long random(long below);

class Print {
 public:
  virtual size_t write(uint8_t byte) = 0;
  virtual size_t write(const uint8_t* data, size_t size) = 0;
  size_t print(const char* text);
  size_t print(char value);
  size_t print(int value);
  size_t print(unsigned int value);
  size_t print(long value);
  size_t print(unsigned long value);
  size_t print(double value, int digits = 2);
  size_t println();
  size_t println(const char* text);
  size_t println(int value);
  size_t println(unsigned int value);
  size_t println(unsigned long value);

 protected:
  ~Print() = default;
};

class Stream : public Print {
 public:
  virtual int available() = 0;
  virtual int read() = 0;

 protected:
  ~Stream() = default;
};

// The USB line: true while a program on the computer has it open.
class UsbSerial final : public Stream {
 public:
  void begin(unsigned long baud);
  explicit operator bool();
  size_t write(uint8_t byte) override;
  size_t write(const uint8_t* data, size_t size) override;
  int available() override;
  int read() override;
};

extern UsbSerial usb_serial;
#define Serial usb_serial  // A macro there, too.

#endif  // TESTS_ARDUINO_ARDUINO_H_
