#include "tflm_ops/draw/schedule.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/json.h"

namespace medyate {
namespace {

TEST(ScheduleTest, CosineIsThatOfLibm) {
  for (int i = 0; i <= 100000; ++i) {
    const float x = static_cast<float>(i) / 100000;
    ASSERT_NEAR(CosinePi(x), std::cos(M_PI * static_cast<double>(x)), 2e-7) << x;
  }
}

TEST(ScheduleTest, RatesAreThoseOfKeras) {
  const Json golden = Json::FromFile("tests/golden/schedule.json");
  ASSERT_FALSE(golden["schedules"].items().empty());
  for (const Json& row : golden["schedules"].items()) {
    const CosineSchedule schedule = {static_cast<float>(row["start"].number()),
                                     static_cast<float>(row["peak"].number()),
                                     static_cast<float>(row["floor_share"].number()),
                                     static_cast<uint32_t>(row["warmup_steps"].whole()),
                                     static_cast<uint32_t>(row["decay_steps"].whole())};
    const auto& steps = row["steps"].items();
    for (size_t i = 0; i < steps.size(); ++i) {
      const uint32_t step = static_cast<uint32_t>(steps[i].whole());
      // Keras computes in float32 too: both are within 2e-7 of the peak, and round once more.
      EXPECT_NEAR(LearningRate(schedule, step), row["rates"].items()[i].number(),
                  5e-7 * schedule.peak)
          << step;
    }
  }
}

TEST(ScheduleTest, AConstantRateStays) {
  const CosineSchedule schedule = ConstantRate(0.125f);
  for (uint32_t step : {0u, 1u, 1000000u, 0xffffffffu}) {
    EXPECT_EQ(LearningRate(schedule, step), 0.125f);
  }
}

}  // namespace
}  // namespace medyate
