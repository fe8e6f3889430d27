// The client's codec against Protocol Buffers' own.
#include "client/src/wire.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "muster/v1/telemetry.pb.h"

namespace muster {
namespace {

v1::ServerMessage Firing() {
  v1::ServerMessage message;
  message.mutable_alerts()->set_source(1);
  v1::Alert* alert = message.mutable_alerts()->add_alerts();
  alert->set_id(7);
  alert->set_kind("RankOutlier");
  alert->set_run("run");
  alert->set_state(v1::FIRING);
  alert->set_subject("loss");
  alert->add_ranks(3);
  alert->add_ranks(300);
  alert->set_first_step(uint64_t{1} << 62);
  alert->set_value(-1.5);
  alert->set_evidence("größer");
  alert->set_silent(true);
  message.mutable_alerts()->add_alerts();
  return message;
}

TEST(WireTest, ReadsWhatTheDaemonSays) {
  ServerMessage parsed;
  ASSERT_TRUE(parsed.Parse(Firing().SerializeAsString()));
  EXPECT_EQ((*parsed).which_message, muster_v1_ServerMessage_alerts_tag);
  const muster_v1_Alerts& alerts = (*parsed).message.alerts;
  EXPECT_EQ(alerts.source, 1u);
  ASSERT_EQ(alerts.alerts_count, 2u);
  const muster_v1_Alert& alert = alerts.alerts[0];
  EXPECT_EQ(alert.id, 7u);
  EXPECT_EQ(Text(alert.kind), "RankOutlier");
  EXPECT_EQ(Text(alert.subject), "loss");
  ASSERT_EQ(alert.ranks_count, 2u);
  EXPECT_EQ(alert.ranks[1], 300u);
  EXPECT_EQ(alert.first_step, uint64_t{1} << 62);
  EXPECT_EQ(alert.value, -1.5);
  EXPECT_EQ(Text(alert.evidence), "größer");
  EXPECT_TRUE(alert.silent);
  EXPECT_EQ(Text(alerts.alerts[1].kind), "");
  EXPECT_EQ(alerts.alerts[1].ranks_count, 0u);
}

TEST(WireTest, RefusesWhatIsCutOff) {
  const std::string bytes = Firing().SerializeAsString();
  for (size_t size = 1; size < bytes.size(); ++size) {
    v1::ServerMessage judge;
    ServerMessage parsed;
    EXPECT_EQ(parsed.Parse(bytes.substr(0, size)),
              judge.ParseFromString(bytes.substr(0, size)))
        << size;
  }
}

TEST(WireTest, RefusesTextThatIsNotUtf8) {
  for (const char* text : {"\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xFF"}) {
    // Written by hand: Protocol Buffers would complain. Refusal is field 3, its
    // detail field 4.
    const std::string detail = std::string("\x22") +
                               static_cast<char>(std::string(text).size()) +
                               text;
    const std::string bytes =
        std::string("\x1A") + static_cast<char>(detail.size()) + detail;
    ServerMessage parsed;
    EXPECT_FALSE(parsed.Parse(bytes)) << text;
  }
}

TEST(WireTest, TakesTheLastOfSeveralAnswersInOneMessage) {
  v1::ServerMessage ack;
  ack.mutable_ack()->set_source(1);
  ack.mutable_ack()->set_sequence(9);
  ServerMessage parsed;
  ASSERT_TRUE(parsed.Parse(Firing().SerializeAsString() +
                           Firing().SerializeAsString() +
                           ack.SerializeAsString()));
  EXPECT_EQ((*parsed).which_message, muster_v1_ServerMessage_ack_tag);
  EXPECT_EQ((*parsed).message.ack.sequence, 9u);
}

TEST(WireTest, WritesWhatProtocolBuffersReads) {
  std::string run = "run";
  std::string host;
  std::vector<muster_v1_Fact> facts(2);
  std::string name = "seed";
  std::string value(256, 'x');
  facts[0] = {TextField(name), TextField(value), true};
  muster_v1_ClientMessage message = muster_v1_ClientMessage_init_zero;
  message.which_message = muster_v1_ClientMessage_hello_tag;
  muster_v1_Hello& hello = message.message.hello;
  hello.run = TextField(run);
  hello.host = TextField(host);
  hello.incarnation = 0xFFFF'FFFF'FFFF'FFFF;
  hello.has_sketch = true;
  hello.sketch.seed = 5;
  hello.facts_count = 2;
  hello.facts = facts.data();
  std::string bytes;
  AppendMessage(muster_v1_ClientMessage_fields, &message, &bytes);

  v1::ClientMessage parsed;
  ASSERT_TRUE(parsed.ParseFromString(bytes));
  EXPECT_EQ(parsed.hello().run(), "run");
  EXPECT_EQ(parsed.hello().host(), "");
  EXPECT_EQ(parsed.hello().incarnation(), 0xFFFF'FFFF'FFFF'FFFF);
  EXPECT_EQ(parsed.hello().sketch().seed(), 5u);
  ASSERT_EQ(parsed.hello().facts_size(), 2);
  EXPECT_EQ(parsed.hello().facts(0).name(), "seed");
  EXPECT_EQ(parsed.hello().facts(0).value(), value);
  EXPECT_TRUE(parsed.hello().facts(0).shown_only());
  EXPECT_EQ(parsed.hello().facts(1).name(), "");
}

}  // namespace
}  // namespace muster
