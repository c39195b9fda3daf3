#ifndef TESTS_ARDUINO_IMU_H_
#define TESTS_ARDUINO_IMU_H_

// What the libraries of both motion sensors have in common.

#include <Arduino.h>

class FakeImu {
 public:
  int begin();
  float accelerationSampleRate();
  int readAcceleration(float& x, float& y, float& z);
  int readGyroscope(float& x, float& y, float& z);
  int readMagneticField(float& x, float& y, float& z);
};

extern FakeImu IMU;

#endif  // TESTS_ARDUINO_IMU_H_
