// A board that learns your movements from its motion sensor, and remembers them without power.
//
// Open the serial monitor (115200 baud, "New Line") and type `help`. Teach it a few windows of each
// movement with `learn`, look what it says with `predict`, then unplug it: on a battery it says on
// its LED what it sees.
//
// No computer at hand? Wire a button from pin D2 to GND and press it n times: that teaches the n-th
// class. The LED lights up while the board looks.

#include <MeDyate.h>

// Which board? 0: Nano 33 BLE, Nano 33 BLE Sense. 1: Nano 33 BLE Sense Rev2.
// (Install the library below it in the library manager. The IDE does not find libraries by itself
// behind __has_include, so you have to say it.)
#define BOARD_IS_REV2 0
#if BOARD_IS_REV2
#include <Arduino_BMI270_BMM150.h>
#else
#include <Arduino_LSM9DS1.h>
#endif

// --- what you may want to change

const int kButton = 2;           // A button from this pin to GND.
const int kWindowsToCommit = 5;  // So many taught windows are written into flash together.
const int kExamEvery = 5;        // One window in so many is an exam: it judges what was learned.
const int kReviews = 6;          // So many old windows are looked at again for each new one.
const int kKept = 12;            // So many old windows are remembered, in RAM.
const int kExams = 4;            // So many exams are remembered.
const unsigned long kPause = 3;  // Seconds from `learn` to the recording.

// --- the model

using medyate::TrainerStatus;
typedef medyate_model::SampleNumber Number;  // What a window is made of: float, or int8_t.
using medyate_input::kChannels;
using medyate_input::kRows;

static_assert(kChannels == 3 || kChannels == 6 || kChannels == 9,
              "a motion sensor gives acceleration, rotation, magnetic field: 3, 6 or 9 numbers");

const int kWindow = kRows * kChannels;
const int kMostClasses = 32;

alignas(16) static uint8_t arena[medyate_model::kArenaBytes];
medyate::BoardFlash flash(medyate_model::kModel);
medyate::Trainer trainer(medyate_model::kModel, arena, sizeof(arena), flash.place());

static Number kept[kKept][kWindow];
static int kept_label[kKept];
static int kept_count = 0, kept_next = 0;
static uint32_t exams[kExams * medyate::ValidationRing::EntryWords(medyate_model::kSampleWords, 1)];
static int taught = 0;

medyate::LineReader line;

// --- what it says

// A number with three decimals; Serial.print would need double precision.
void PrintDecimal(float value) {
  const long thousandths = static_cast<long>(value * 1000.0f + 0.5f);
  Serial.print(thousandths / 1000);
  Serial.print('.');
  Serial.print(thousandths / 100 % 10);
  Serial.print(thousandths / 10 % 10);
  Serial.print(thousandths % 10);
}

void PrintClass(int label) {
  char name[medyate::kClassNameBytes];
  Serial.print(label);
  if (trainer.ClassName(label, name, sizeof(name))) {
    Serial.print(' ');
    Serial.print(name);
  }
}

// What went wrong, by name; docs/arduino.md says what to do about each. True if all is well.
bool Check(const char* what, TrainerStatus status) {
  if (status == TrainerStatus::kOk) return true;
  Serial.print(what);
  Serial.print(": ");
  Serial.print(medyate::TrainerStatusName(status));
  if (status == TrainerStatus::kStoreFailed || status == TrainerStatus::kCommitFailed) {
    Serial.print(", ");
    Serial.print(medyate::StatusName(trainer.store_status()));
  }
  Serial.println();
  return false;
}

void PrintHelp() {
  Serial.println("learn 2       teach class 2 (a name will do, too)");
  Serial.println("predict       what is this?");
  Serial.println("new jumping   a new class of that name");
  Serial.println("commit        write what was learned into flash now");
  Serial.println("reset         forget everything that was ever learned");
  Serial.println("status        classes, memory, flash");
}

void PrintStatus() {
  for (int label = 0; label < trainer.classes(); ++label) {
    PrintClass(label);
    Serial.println();
  }
  Serial.print("windows of ");
  Serial.print(kRows);
  Serial.print(" x ");
  Serial.print(kChannels);
  Serial.print(", learned from ");
  Serial.print(trainer.step().samples());
  Serial.print(", exams held ");
  Serial.println(trainer.held());
  Serial.print("RAM ");
  Serial.print(static_cast<unsigned long>(sizeof(arena) + sizeof(kept) + sizeof(exams)));
  Serial.print(" bytes, flash: ");
  if (flash.problem()) {
    Serial.println(flash.problem());
    return;
  }
  Serial.print(medyate::StatusName(trainer.store_status()));
  Serial.print(", commits left at least ");
  Serial.println(trainer.sink().CommitsLeft());
}

// --- what it senses

// One reading in the sensor's own units: g, degrees a second, microtesla.
void ReadSensor(float* reading) {
  IMU.readAcceleration(reading[0], reading[1], reading[2]);
  if (kChannels >= 6) IMU.readGyroscope(reading[3], reading[4], reading[5]);
  if (kChannels == 9) IMU.readMagneticField(reading[6], reading[7], reading[8]);
}

// Records one window at the training rate, straight into the model's input.
Number* Record() {
  Number* window = static_cast<Number*>(trainer.sample_place());
  float reading[9];
  const unsigned long period = static_cast<unsigned long>(1000000.0f / medyate_input::kRateHz);
  const unsigned long start = micros();
  digitalWrite(LED_BUILTIN, HIGH);
  for (int row = 0; row < kRows; ++row) {
    while (micros() - start < row * period) {
    }
    ReadSensor(reading);
    for (int i = 0; i < kChannels; ++i) {
      window[row * kChannels + i] = medyate_model::Stored(
          (reading[i] - medyate_input::kOffset[i]) * medyate_input::kScale[i]);
    }
  }
  digitalWrite(LED_BUILTIN, LOW);
  return window;
}

// --- what it does

// Remembers a window, in place of the oldest.
void Keep(const Number* window, int label) {
  memcpy(kept[kept_next], window, sizeof(kept[0]));
  kept_label[kept_next] = label;
  kept_next = (kept_next + 1) % kKept;
  if (kept_count < kKept) ++kept_count;
}

// Learns from the newest window, and again from older ones, so that they are not forgotten.
bool Study(float* loss) {
  int i = (kept_next + kKept - 1) % kKept;
  if (!Check("learn", trainer.Step(kept[i], kept_label[i], loss))) return false;
  for (int review = 0; review < kReviews; ++review) {
    i = random(kept_count);
    if (!Check("review", trainer.Step(kept[i], kept_label[i], nullptr))) return false;
  }
  return true;
}

// Ends the epoch: the board writes what it learned into flash, and chooses what to train next.
void Commit() {
  const TrainerStatus status = trainer.EndEpoch();
  if (status == TrainerStatus::kEpochDiscarded) {
    Serial.println("the exams got worse: dropped what was learned since the last commit");
  } else if (Check("commit", status)) {
    Serial.println("committed");
  }
}

void Learn(int label) {
  const Number* window = Record();
  ++taught;
  if (kExamEvery > 0 && taught % kExamEvery == 0) {
    if (Check("exam", trainer.Hold(window, label))) Serial.println("kept as an exam");
  } else {
    float loss = 0.0f;
    Keep(window, label);
    if (!Study(&loss)) return;
    Serial.print("learned ");
    PrintClass(label);
    Serial.print(", loss before ");
    PrintDecimal(loss);
    Serial.println();
  }
  if (taught % kWindowsToCommit == 0) Commit();
}

// The class that the board sees now; below 0 if it cannot say.
int Predict() {
  static float scores[kMostClasses];
  const Number* window = Record();
  if (!Check("predict", trainer.Predict(window, scores))) return -1;
  int best = 0;
  for (int label = 1; label < trainer.classes(); ++label) {
    if (scores[label] > scores[best]) best = label;
  }
  PrintClass(best);
  Serial.print("  ");
  PrintDecimal(scores[best]);
  Serial.println();
  return best;
}

// A class by its number or name; below 0 if there is none.
int FindClass(const char* text) {
  char name[medyate::kClassNameBytes];
  for (int label = 0; label < trainer.classes(); ++label) {
    if (trainer.ClassName(label, name, sizeof(name)) && strcmp(name, text) == 0) return label;
  }
  int label = 0;
  for (const char* digit = text; *digit != '\0'; ++digit) {
    if (*digit < '0' || *digit > '9' || label > kMostClasses) return -1;
    label = 10 * label + (*digit - '0');
  }
  return text[0] != '\0' && label < trainer.classes() ? label : -1;
}

void Blink(int times) {
  for (int i = 0; i < times; ++i) {
    digitalWrite(LED_BUILTIN, HIGH);
    delay(150);
    digitalWrite(LED_BUILTIN, LOW);
    delay(200);
  }
}

// --- what it is told

void RunLearn(const char* argument) {
  const int label = FindClass(argument);
  if (label < 0) {
    Serial.println("no such class: see `status`, or make one with `new NAME`");
    return;
  }
  Serial.println("get ready ...");
  delay(1000 * kPause);
  Learn(label);
}

void RunCommand() {
  if (line.Is("learn")) {
    RunLearn(line.argument());
  } else if (line.Is("predict")) {
    Predict();
  } else if (line.Is("new")) {
    int label = 0;
    if (Check("new", trainer.Enrol(line.argument(), &label))) PrintClass(label), Serial.println();
  } else if (line.Is("commit")) {
    Commit();
  } else if (line.Is("reset")) {
    if (Check("reset", trainer.Reset())) Serial.println("as on the first day");
    kept_count = kept_next = taught = 0;
  } else if (line.Is("status")) {
    PrintStatus();
  } else {
    PrintHelp();
  }
}

// How often the button was pressed, 0 if it was not; done when it has been up for a second.
int CountPresses() {
  int presses = 0;
  unsigned long up_since = millis();
  while (presses == 0 ? digitalRead(kButton) == LOW : millis() - up_since < 1000) {
    if (digitalRead(kButton) == LOW) {
      ++presses;
      delay(30);  // Contacts bounce.
      while (digitalRead(kButton) == LOW) {
      }
      delay(30);
      up_since = millis();
    }
  }
  return presses;
}

// --- Arduino's two functions

void setup() {
  pinMode(LED_BUILTIN, OUTPUT);
  pinMode(kButton, INPUT_PULLUP);
  Serial.begin(115200);
  for (int i = 0; i < 30 && !Serial; ++i) delay(100);  // Not for ever: there may be no computer.

  bool is_new;
  const TrainerStatus status = medyate::BeginAfterUpload(&trainer, &is_new);
  if (is_new) Serial.println("a new sketch: what was learned before it is dropped");
  Check("begin", status);
  if (flash.problem()) Serial.println(flash.problem());
  while (status == TrainerStatus::kStoreFailed && !trainer.is_ready()) {
    Serial.println("what was learned is damaged: type reset to forget it");
    if (line.Read(&Serial) && line.Is("reset")) RunCommand();
    Blink(5);
  }
  const medyate::StaticModel& model = trainer.model();
  while (!trainer.is_ready() || model.classes == 0 || model.classes > kMostClasses ||
         !IMU.begin()) {
    Serial.println("no model of up to 32 classes, or no motion sensor: is BOARD_IS_REV2 right?");
    Blink(10);
  }
  if (IMU.accelerationSampleRate() < medyate_input::kRateHz) {
    Serial.println("the sensor is slower than the model was trained on");
  }
  Check("exams", trainer.SetGuard({exams, sizeof(exams) / sizeof(exams[0]), 0, 0.1f}));
  Serial.println("ready; type help");
}

void loop() {
  if (line.Read(&Serial)) RunCommand();
  const int presses = CountPresses();
  if (presses > 0 && presses <= trainer.classes()) {
    Blink(presses);
    Learn(presses - 1);
  }
  if (!Serial) Blink(Predict() + 1);  // Unplugged: say on the LED what it sees.
}
