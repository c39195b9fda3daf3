// Push, reset and enrolment with tickets: only with the key, only what was signed, only once, also
// across power cuts, whatever else comes over the line.

#include "tflm_ops/device/signed_handler.h"

#include <stddef.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/device/line_board.h"

namespace medyate {
namespace {

const uint8_t kKey[kDeviceKeyBytes] = {1, 2, 3, 0xff, 5};
const uint8_t kOtherKey[kDeviceKeyBytes] = {1, 2, 3, 0xff, 6};
const uint32_t kFloats = 2048;  // Of the test's model.

void Sign(const uint8_t* key, Ticket* ticket) {
  HmacSha256(key, kDeviceKeyBytes, ticket, offsetof(Ticket, tag),
             reinterpret_cast<uint8_t*>(ticket->tag));
}

class SignedBoard : public BoardOf<SignedHandler> {
 public:
  SignedBoard(const TestModel& model, MappedFlash* flash)
      : BoardOf(model, flash, true, static_cast<const uint8_t*>(kKey)), model_(model) {}

  uint32_t counter() { return device.trainer.sink().store().sequence(); }

  // What a host that knows the key signs.
  Ticket Make(RequestKind kind, const Bytes& data, Region region = Region::kDelta) {
    Ticket ticket = {};
    ticket.magic = kTicketMagic;
    ticket.request = static_cast<uint32_t>(kind);
    ticket.region = static_cast<uint32_t>(region);
    memcpy(ticket.model_hash, model_.model().hash, sizeof(ticket.model_hash));
    ticket.counter = counter();
    ticket.bytes = static_cast<uint32_t>(data.size());
    Sha256 hash;
    hash.Update(data.data(), ticket.bytes);
    hash.Finish(reinterpret_cast<uint8_t*>(ticket.digest));
    Sign(kKey, &ticket);
    return ticket;
  }

  DeviceStatus Hand(const Ticket& ticket, size_t part = 224) {
    return Push(Region::kTicket, Pack(ticket), part);
  }

  DeviceStatus HandAndPush(const Bytes& data, Region region = Region::kWeights) {
    const DeviceStatus status = Hand(Make(RequestKind::kPush, data, region));
    return status == DeviceStatus::kOk ? Push(region, data) : status;
  }

 private:
  const TestModel& model_;
};

Bytes WeightsOf(float value, const std::string& names = "") {
  return BytesOf(Floats(kFloats, value), names);
}

TEST(SignedHandlerTest, WithoutATicketNothingIsTakenOrErased) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  const uint32_t before = board.counter();
  const uint64_t operations = flash.fake.operations();
  EXPECT_EQ(board.Push(Region::kWeights, WeightsOf(0.5f)), DeviceStatus::kNeedsKey);
  EXPECT_EQ(board.PushNames("2\tjump\n"), DeviceStatus::kNeedsKey);
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
  EXPECT_EQ(board.Enrol("jump"), DeviceStatus::kNeedsKey);
  EXPECT_EQ(board.Step(Sample(1), 2), DeviceStatus::kNeedsKey);
  EXPECT_EQ(board.Step(Sample(1), 3), DeviceStatus::kLabelOutOfRange);
  EXPECT_EQ(flash.fake.operations(), operations);
  EXPECT_EQ(board.counter(), before);
  // What needs no key.
  board.Train(1);
  EXPECT_EQ(board.counter(), before + 2);
  EXPECT_EQ(board.Pull(Region::kWeights), BytesOf(board.Weights()));
}

TEST(SignedHandlerTest, WithATicketEachIsDoneOnce) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  const Ticket push = board.Make(RequestKind::kPush, WeightsOf(0.5f), Region::kWeights);
  ASSERT_EQ(board.Hand(push, 7), DeviceStatus::kOk);
  ASSERT_EQ(board.Push(Region::kWeights, WeightsOf(0.5f)), DeviceStatus::kOk);
  EXPECT_EQ(board.Weights(), Floats(kFloats, 0.5f));

  const Ticket enrol = board.Make(RequestKind::kEnrol, {'j'});
  ASSERT_EQ(board.Hand(enrol), DeviceStatus::kOk);
  uint32_t label = 0;
  ASSERT_EQ(board.Enrol("j", &label), DeviceStatus::kOk);
  EXPECT_EQ(label, 2u);
  ASSERT_EQ(board.HandAndPush(Bytes{'2', '\t', 'k', '\n'}, Region::kNames), DeviceStatus::kOk);

  const Ticket reset = board.Make(RequestKind::kReset, {});
  ASSERT_EQ(board.Hand(reset), DeviceStatus::kOk);
  ASSERT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kOk);
  EXPECT_EQ(board.Weights(), model.factory());

  // Each again, now and after a restart.
  SignedBoard restarted(model, &flash);
  for (SignedBoard* replayed : {&board, &restarted}) {
    for (const Ticket& ticket : {push, enrol, reset}) {
      EXPECT_EQ(replayed->Hand(ticket), DeviceStatus::kOldCounter);
    }
    EXPECT_EQ(replayed->Push(Region::kWeights, WeightsOf(0.5f)), DeviceStatus::kNeedsKey);
    EXPECT_EQ(replayed->Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
  }
}

// A ticket is for one request, used or not, and only until the next commit.
TEST(SignedHandlerTest, ATicketIsUsedUp) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  const Ticket reset = board.Make(RequestKind::kReset, {});
  ASSERT_EQ(board.Hand(reset), DeviceStatus::kOk);
  EXPECT_EQ(board.Enrol("jump"), DeviceStatus::kBadTag);
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
  ASSERT_EQ(board.Hand(reset), DeviceStatus::kOk);
  board.Train(1);
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kOldCounter);
  // A ticket that is begun again takes the last one away.
  ASSERT_EQ(board.Hand(board.Make(RequestKind::kReset, {})), DeviceStatus::kOk);
  board.PushSome(Region::kTicket, Pack(reset), 20, 20);
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
}

TEST(SignedHandlerTest, AnyCounterButTheBoardsIsRefused) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  board.Train(1);
  const uint32_t now = board.counter();
  for (uint32_t counter : {0u, now - 1, now + 1, now ^ 0x80000000u, 0xffffffffu}) {
    Ticket ticket = board.Make(RequestKind::kReset, {});
    ticket.counter = counter;
    Sign(kKey, &ticket);
    EXPECT_EQ(board.Hand(ticket), DeviceStatus::kOldCounter) << counter;
    EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
  }
}

TEST(SignedHandlerTest, AnotherKeyModelOrMagicIsRefused) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  Ticket ticket = board.Make(RequestKind::kReset, {});
  Sign(kOtherKey, &ticket);
  EXPECT_EQ(board.Hand(ticket), DeviceStatus::kBadTag);
  ticket.model_hash[1] ^= 1;
  Sign(kKey, &ticket);
  EXPECT_EQ(board.Hand(ticket), DeviceStatus::kOtherModel);
  ticket = board.Make(RequestKind::kReset, {});
  ticket.magic ^= 1;
  Sign(kKey, &ticket);
  EXPECT_EQ(board.Hand(ticket), DeviceStatus::kBadTag);
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
}

// Any bit of a ticket, any length; any bit of what was signed, its region and its size.
TEST(SignedHandlerTest, WhatWasSignedIsWhatCounts) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  const uint32_t before = board.counter();
  const Bytes reset = Pack(board.Make(RequestKind::kReset, {}));
  for (size_t bit = 0; bit < 8 * reset.size(); ++bit) {
    Bytes changed = reset;
    changed[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    ASSERT_EQ(board.Push(Region::kTicket, changed), DeviceStatus::kBadTag) << bit;
    ASSERT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
  }
  for (size_t bytes = 0; bytes < reset.size() + 8; ++bytes) {
    if (bytes == reset.size()) continue;
    Bytes other = reset;
    other.resize(bytes);
    ASSERT_EQ(board.Push(Region::kTicket, other), DeviceStatus::kBadPayload) << bytes;
    ASSERT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
  }
  const Bytes weights = WeightsOf(0.5f, "2\tjump\n");
  const Ticket push = board.Make(RequestKind::kPush, weights, Region::kWeights);
  for (size_t byte : {size_t{0}, size_t{5000}, weights.size() - 2}) {
    Bytes changed = weights;
    changed[byte] ^= 1;
    ASSERT_EQ(board.Hand(push), DeviceStatus::kOk);
    EXPECT_EQ(board.Push(Region::kWeights, changed), DeviceStatus::kBadTag) << byte;
  }
  ASSERT_EQ(board.Hand(push), DeviceStatus::kOk);
  EXPECT_EQ(board.Push(Region::kWeights, WeightsOf(0.5f)), DeviceStatus::kBadTag);
  ASSERT_EQ(board.Hand(push), DeviceStatus::kOk);
  EXPECT_EQ(board.Push(Region::kNames, weights), DeviceStatus::kBadTag);
  ASSERT_EQ(board.Hand(board.Make(RequestKind::kEnrol, {'j'})), DeviceStatus::kOk);
  EXPECT_EQ(board.Enrol("k"), DeviceStatus::kBadTag);
  // The same bytes, signed for another request; another size; a reset of something.
  ASSERT_EQ(board.Hand(board.Make(RequestKind::kPush, {'k'})), DeviceStatus::kOk);
  EXPECT_EQ(board.Enrol("k"), DeviceStatus::kBadTag);
  Ticket longer = board.Make(RequestKind::kEnrol, {'k'});
  ++longer.bytes;
  Sign(kKey, &longer);
  ASSERT_EQ(board.Hand(longer), DeviceStatus::kOk);
  EXPECT_EQ(board.Enrol("k"), DeviceStatus::kBadTag);
  Ticket of_something = board.Make(RequestKind::kReset, {});
  of_something.digest[0] ^= 1;
  Sign(kKey, &of_something);
  ASSERT_EQ(board.Hand(of_something), DeviceStatus::kOk);
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kBadTag);
  EXPECT_EQ(board.counter(), before);
  EXPECT_EQ(board.Weights(), model.factory());
  // The right one still goes.
  ASSERT_EQ(board.Hand(push), DeviceStatus::kOk);
  EXPECT_EQ(board.Push(Region::kWeights, weights), DeviceStatus::kOk);
}

// Refused although the ticket is right: what was signed is no name, or no weights.
TEST(SignedHandlerTest, ATicketMakesNothingValid) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  EXPECT_EQ(board.HandAndPush(Bytes(8, 0)), DeviceStatus::kPushOfOtherSize);
  EXPECT_EQ(board.HandAndPush(Bytes(4 * kFloats, 0xff)), DeviceStatus::kStoreNotFinite);
  EXPECT_EQ(board.HandAndPush({}, Region::kDelta), DeviceStatus::kNoSuchRegion);
  ASSERT_EQ(board.Hand(board.Make(RequestKind::kEnrol, {'w', 'a', 'l', 'k'})), DeviceStatus::kOk);
  EXPECT_EQ(board.Enrol("walk"), DeviceStatus::kNameTaken);
  const Bytes ticket = Pack(board.Make(RequestKind::kPush, {}, Region::kTicket));
  ASSERT_EQ(board.Push(Region::kTicket, ticket), DeviceStatus::kOk);
  EXPECT_EQ(board.Weights(), model.factory());
}

// The power goes anywhere in a signed push, then the same push is replayed: it is done if it was
// not, and refused if it was.
TEST(SignedHandlerTest, CounterAndWeightsChangeInTheSameInstant) {
  const TestModel model(2);
  const Bytes pushed = WeightsOf(0.5f, "2\tjump\n");
  int old = 0, is_new = 0;
  for (uint64_t at = 0; at < 4400; at += 41) {
    MappedFlash flash(model);
    flash.fake.Reseed(static_cast<uint32_t>(at));
    Ticket ticket;
    uint32_t before;
    {
      SignedBoard board(model, &flash);
      before = board.counter();
      ticket = board.Make(RequestKind::kPush, pushed, Region::kWeights);
      ASSERT_EQ(board.Hand(ticket), DeviceStatus::kOk);
      flash.fake.CutAt(at);
      board.Push(Region::kWeights, pushed);
    }
    flash.fake.Restart();
    SignedBoard board(model, &flash);
    ASSERT_EQ(board.began, TrainerStatus::kOk);
    const bool got_new = board.Weights() == Floats(kFloats, 0.5f);
    EXPECT_EQ(board.counter(), before + got_new);
    ++(got_new ? is_new : old);
    if (!got_new) {
      EXPECT_EQ(board.Weights(), model.factory());
      ASSERT_EQ(board.Hand(ticket), DeviceStatus::kOk);
      ASSERT_EQ(board.Push(Region::kWeights, pushed), DeviceStatus::kOk);
    }
    EXPECT_EQ(board.Hand(ticket), DeviceStatus::kOldCounter);
  }
  EXPECT_GT(old, 20);
  EXPECT_GT(is_new, 20);
}

// Anything but the right ticket, over and over: nothing but training changes the board, and in the
// end the right one is taken.
TEST(SignedHandlerTest, FuzzedTicketsChangeNothing) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  const uint32_t before = board.counter();
  math::Random random(7);
  const Bytes names = {'2', '\t', 'k', '\n'};
  for (int i = 0; i < 3000; ++i) {
    Ticket ticket = board.Make(static_cast<RequestKind>(random.Int(0, 13)), names,
                               static_cast<Region>(random.Int(0, 4)));
    Bytes bytes = Pack(ticket);
    bytes[random.Int(0, sizeof(ticket) - 1)] ^= static_cast<uint8_t>(random.Int(1, 255));
    if (random.Int(0, 3) == 0) bytes.resize(random.Int(0, 120));
    const size_t sent = random.Int(0, 2) == 0 ? random.Int(0, bytes.size()) : bytes.size();
    board.PushSome(Region::kTicket, bytes, sent, random.Int(1, 100));
    switch (random.Int(0, 5)) {
      case 0:
        board.PushSome(Region::kNames, names, random.Int(0, names.size()), random.Int(1, 4));
        break;
      case 1:
        board.Do(RequestKind::kReset, Bytes(random.Int(0, 1)));
        break;
      case 2:
        board.Enrol("k");
        break;
      case 3:
        board.Connect();
        break;
      case 4:
        board.PushSome(static_cast<Region>(random.Int(0, 9)), WeightsOf(0.5f), 224);
        break;
      default:
        board.Step(Sample(1), 2);
    }
    ASSERT_EQ(board.counter(), before);
    ASSERT_EQ(board.Weights(), model.factory());
  }
  EXPECT_EQ(board.HandAndPush(names, Region::kNames), DeviceStatus::kOk);
  EXPECT_EQ(board.Names(), "0\trest\n1\twalk\n2\tk\n");
}

// A challenge is answered with the counter and the board's tag, over the host's own number, which
// serves for nothing else.
TEST(SignedHandlerTest, TheCounterIsProven) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  board.Train(1);
  EXPECT_EQ(board.Do(RequestKind::kPull, Pack(PullRequest{3, 0})), DeviceStatus::kNoSuchRegion);
  const Ticket reset = board.Make(RequestKind::kReset, {});
  ASSERT_EQ(board.Hand(reset), DeviceStatus::kOk);
  EXPECT_EQ(board.Do(RequestKind::kPull, Pack(PullRequest{3, 0})), DeviceStatus::kNoSuchRegion);
  Ticket challenge = {};
  challenge.request = static_cast<uint32_t>(RequestKind::kStatus);
  challenge.counter = challenge.region = challenge.bytes = challenge.model_hash[1] = 0xffffffffu;
  for (uint32_t i = 0; i < 8; ++i) challenge.digest[i] = 100 + i;
  ASSERT_EQ(board.Hand(challenge), DeviceStatus::kOk);
  const Bytes pulled = board.Pull(Region::kTicket);
  Ticket proof;
  ASSERT_EQ(pulled.size(), sizeof(proof));
  memcpy(&proof, pulled.data(), sizeof(proof));
  EXPECT_EQ(proof.magic, kProofMagic);
  EXPECT_EQ(proof.counter, board.counter());
  EXPECT_EQ(proof.region + proof.bytes, 0u);
  EXPECT_EQ(memcmp(proof.model_hash, model.model().hash, sizeof(proof.model_hash)), 0);
  EXPECT_EQ(memcmp(proof.digest, challenge.digest, sizeof(proof.digest)), 0);
  Ticket signed_here = proof;
  Sign(kKey, &signed_here);
  EXPECT_EQ(memcmp(signed_here.tag, proof.tag, sizeof(proof.tag)), 0);
  // It took the ticket's place, and is none.
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsKey);
  for (RequestKind kind : {RequestKind::kPush, RequestKind::kEnrol, RequestKind::kReset}) {
    Ticket forged = proof;
    forged.request = static_cast<uint32_t>(kind);
    EXPECT_EQ(board.Hand(forged), DeviceStatus::kBadTag);
    Sign(kKey, &forged);
    EXPECT_EQ(board.Hand(forged), DeviceStatus::kBadTag);
  }
}

// Physical presence is asked for as well.
TEST(SignedHandlerTest, TheGateStaysShut) {
  const TestModel model(2);
  MappedFlash flash(model);
  SignedBoard board(model, &flash);
  board.handler().SetGate({[](void*) { return false; }, nullptr, 0, nullptr});
  ASSERT_EQ(board.Hand(board.Make(RequestKind::kReset, {})), DeviceStatus::kOk);
  EXPECT_EQ(board.Do(RequestKind::kReset), DeviceStatus::kNeedsPresence);
}

}  // namespace
}  // namespace medyate
