// The whole daemon in one process, over real sockets: what senders get wrong,
// and what they are told (the table of bad input).
#include "daemon/server.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "daemon/base/clock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "muster/v1/query.grpc.pb.h"
#include "muster/v1/telemetry.grpc.pb.h"
#include "tests/testing/temporary_folder.h"

namespace muster {
namespace {

constexpr uint32_t kWidth = 64;

v1::ClientMessage MakeHello(const std::string& run, uint32_t rank,
                            uint32_t world_size, uint64_t incarnation) {
  v1::ClientMessage message;
  v1::Hello* hello = message.mutable_hello();
  hello->set_source(1);
  hello->set_run(run);
  hello->set_rank(rank);
  hello->set_world_size(world_size);
  hello->set_incarnation(incarnation);
  hello->mutable_sketch()->set_version(1);
  hello->mutable_sketch()->set_width(kWidth);
  return message;
}

v1::ClientMessage MakeReport(uint64_t sequence, uint64_t step,
                             double loss = 1) {
  v1::ClientMessage message;
  v1::StepReport* report = message.mutable_reports()->add_reports();
  report->set_source(1);
  report->set_sequence(sequence);
  report->set_step(step);
  report->set_loss(loss);
  return message;
}

// One stream to the daemon. Reads end with the test's deadline at the latest.
class TestStream {
 public:
  explicit TestStream(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::Telemetry::NewStub(channel)) {
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(30));
    stream_ = stub_->Stream(&context_);
  }
  ~TestStream() {
    context_.TryCancel();
    stream_->Finish();
  }

  void Write(const v1::ClientMessage& message) { stream_->Write(message); }

  // The next answer that is not an alert set; none when the stream has ended.
  v1::ServerMessage Read() {
    v1::ServerMessage message;
    while (stream_->Read(&message)) {
      if (!message.has_alerts()) return message;
    }
    return {};
  }
  // The next alert set with something in it.
  v1::Alerts ReadAlerts() {
    v1::ServerMessage message;
    while (stream_->Read(&message)) {
      if (message.alerts().alerts_size() > 0) return message.alerts();
    }
    return {};
  }

  void Welcomed(const v1::ClientMessage& hello) {
    Write(hello);
    EXPECT_TRUE(Read().has_welcome());
  }
  void Refused(const v1::ClientMessage& message, v1::RefusalReason reason) {
    Write(message);
    const v1::ServerMessage answer = Read();
    ASSERT_TRUE(answer.has_refusal()) << answer.DebugString();
    EXPECT_EQ(answer.refusal().reason(), reason) << answer.DebugString();
    EXPECT_FALSE(answer.refusal().detail().empty());
  }
  void Acknowledged(const v1::ClientMessage& message, uint64_t sequence) {
    Write(message);
    const v1::ServerMessage answer = Read();
    ASSERT_TRUE(answer.has_ack()) << answer.DebugString();
    EXPECT_EQ(answer.ack().sequence(), sequence);
  }

 private:
  std::unique_ptr<v1::Telemetry::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriter<v1::ClientMessage, v1::ServerMessage>>
      stream_;
};

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Config config;
    config.grpc_address = "127.0.0.1:0";
    config.http_address = "127.0.0.1:0";
    config.limits.max_runs = 2;
    config.limits.max_world_size = 16;
    auto server = Server::Create(config, Clock::System());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->grpc_address(),
                                   grpc::InsecureChannelCredentials());
  }

  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ServerTest, RefusesABadHelloAndTakesAGoodOneAfterIt) {
  TestStream stream(channel_);
  stream.Refused(MakeHello("r", 2, 2, 1), v1::INVALID_RANK);
  stream.Refused(MakeHello("r", 0, 0, 1), v1::INVALID_WORLD_SIZE);
  stream.Refused(MakeHello("r", 0, 17, 1), v1::INVALID_WORLD_SIZE);
  stream.Refused(MakeHello("not a run", 0, 2, 1), v1::INVALID_RUN_ID);
  for (const uint32_t width : {32u, 96u, 131072u}) {
    v1::ClientMessage hello = MakeHello("r", 0, 2, 1);
    hello.mutable_hello()->mutable_sketch()->set_width(width);
    stream.Refused(hello, v1::INVALID_SKETCH);
  }
  stream.Welcomed(MakeHello("r", 0, 2, 1));
}

TEST_F(ServerTest, RefusesAnotherSketchThanTheRunsFirst) {
  TestStream first(channel_);
  first.Welcomed(MakeHello("r", 0, 2, 1));
  TestStream second(channel_);
  v1::ClientMessage hello = MakeHello("r", 1, 2, 2);
  hello.mutable_hello()->mutable_sketch()->set_seed(5);
  second.Refused(hello, v1::SKETCH_MISMATCH);
  const v1::Alerts alerts = first.ReadAlerts();
  ASSERT_EQ(alerts.alerts_size(), 1);
  EXPECT_EQ(alerts.alerts(0).kind(), "FactMismatch");
  EXPECT_EQ(alerts.alerts(0).ranks(0), 1u);
}

TEST_F(ServerTest, TheNewerOfTwoIncarnationsWins) {
  TestStream older(channel_);
  older.Welcomed(MakeHello("r", 0, 1, 1));
  TestStream newer(channel_);
  newer.Welcomed(MakeHello("r", 0, 1, 2));
  const v1::ServerMessage told = older.Read();
  EXPECT_EQ(told.refusal().reason(), v1::SUPERSEDED);
  older.Refused(MakeReport(1, 0), v1::SUPERSEDED);
  newer.Acknowledged(MakeReport(1, 0), 1);
  TestStream again(channel_);
  again.Refused(MakeHello("r", 0, 1, 1), v1::SUPERSEDED);
}

TEST_F(ServerTest, NonFiniteLossIsTakenAndRaisesAnAlert) {
  TestStream stream(channel_);
  stream.Welcomed(MakeHello("r", 0, 1, 1));
  stream.Write(MakeReport(1, 7, std::numeric_limits<double>::quiet_NaN()));
  const v1::Alerts alerts = stream.ReadAlerts();
  ASSERT_EQ(alerts.alerts_size(), 1);
  EXPECT_EQ(alerts.alerts(0).kind(), "NonFinite");
  EXPECT_EQ(alerts.alerts(0).first_step(), 7u);
}

TEST_F(ServerTest, RefusesBadReportsAndGoesOn) {
  TestStream stream(channel_);
  stream.Refused(MakeReport(1, 0), v1::UNKNOWN_SOURCE);
  stream.Refused(v1::ClientMessage(), v1::MALFORMED);
  stream.Welcomed(MakeHello("r", 0, 1, 1));

  // A refused report is settled: its acknowledgement comes too.
  const auto refused_and_settled = [&](v1::ClientMessage message,
                                       v1::RefusalReason reason) {
    const uint64_t sequence = message.reports().reports(0).sequence();
    stream.Write(message);
    bool refused = false, settled = false;
    for (int i = 0; i < 2; ++i) {
      const v1::ServerMessage answer = stream.Read();
      refused |= answer.has_refusal() && answer.refusal().reason() == reason;
      settled |= answer.has_ack() && answer.ack().sequence() == sequence;
    }
    EXPECT_TRUE(refused) << reason;
    EXPECT_TRUE(settled) << reason;
  };
  v1::ClientMessage message = MakeReport(1, 0);
  message.mutable_reports()->mutable_reports(0)->set_gradient_norm(-1);
  refused_and_settled(message, v1::INVALID_NORM);
  refused_and_settled(MakeReport(2, (uint64_t{1} << 62) + 1), v1::INVALID_STEP);
  message = MakeReport(3, 0);
  for (int i = 0; i < 4097; ++i) {
    message.mutable_reports()->mutable_reports(0)->add_sample_ids(i);
  }
  refused_and_settled(message, v1::TOO_LONG);
  stream.Acknowledged(MakeReport(4, 0), 4);
}

TEST_F(ServerTest, RefusesRunsOverTheLimitAndKeepsWhatIsThere) {
  TestStream first(channel_), second(channel_), third(channel_);
  first.Welcomed(MakeHello("a", 0, 1, 1));
  second.Welcomed(MakeHello("b", 0, 1, 1));
  third.Refused(MakeHello("c", 0, 1, 1), v1::TOO_MANY_RUNS);
  first.Acknowledged(MakeReport(1, 0), 1);
}

TEST_F(ServerTest, BytesThatAreNoMessageEndOnlyTheirStream) {
  TestStream good(channel_);
  good.Welcomed(MakeHello("r", 0, 1, 1));

  // The same method with bytes for messages.
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(30));
  grpc::CompletionQueue queue;
  auto stream =
      stub.PrepareCall(&context, "/muster.v1.Telemetry/Stream", &queue);
  const auto wait = [&] {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return ok;
  };
  stream->StartCall(nullptr);
  EXPECT_TRUE(wait());
  const grpc::Slice slice(std::string("\xFF\xFF\xFF no message \xFF"));
  stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  wait();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  EXPECT_TRUE(wait());
  queue.Shutdown();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  good.Acknowledged(MakeReport(1, 0), 1);
}

TEST_F(ServerTest, AMessageOverAMebibyteEndsOnlyItsStream) {
  TestStream good(channel_);
  good.Welcomed(MakeHello("r", 0, 1, 1));
  {
    TestStream bad(channel_);
    v1::ClientMessage message;
    message.mutable_hello()->set_host(std::string((1 << 20) + 1, 'h'));
    bad.Write(message);
    EXPECT_EQ(bad.Read().message_case(), v1::ServerMessage::MESSAGE_NOT_SET);
  }
  good.Acknowledged(MakeReport(1, 0), 1);
}

TEST_F(ServerTest, QueriesSeeWhatStreamsReported) {
  TestStream stream(channel_);
  stream.Welcomed(MakeHello("r", 0, 1, 1));
  stream.Acknowledged(MakeReport(1, 3, 2.5), 1);
  auto stub = v1::Query::NewStub(channel_);
  v1::ListRunsResponse runs;
  // The acknowledgement precedes the snapshot by a moment.
  for (int i = 0; i < 1000 && (runs.runs_size() == 0 ||
                               runs.runs(0).frames_complete() == 0);
       ++i) {
    grpc::ClientContext context;
    runs.Clear();
    ASSERT_TRUE(stub->ListRuns(&context, {}, &runs).ok());
  }
  ASSERT_EQ(runs.runs_size(), 1);
  EXPECT_EQ(runs.runs(0).run(), "r");
  EXPECT_EQ(runs.runs(0).state(), v1::LIVE);
  EXPECT_EQ(runs.runs(0).newest().step(), 3u);
  EXPECT_EQ(runs.runs(0).newest().loss_mean(), 2.5);
}

TEST_F(ServerTest, TwoDaemonsDoNotShareAFolderWithOrWithoutHistory) {
  const TemporaryFolder folder;
  Config config;
  config.grpc_address = config.http_address = "127.0.0.1:0";
  config.data_dir = folder.File(".");
  config.history.enabled = false;
  auto first = Server::Create(config, Clock::System());
  ASSERT_TRUE(first.ok()) << first.status();
  for (const bool enabled : {false, true}) {
    config.history.enabled = enabled;
    const auto second = Server::Create(config, Clock::System());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(std::string(second.status().message()),
              folder.File("./musterd.lock: another musterd keeps its data "
                          "here"));
  }
  first->reset();
  EXPECT_TRUE(Server::Create(config, Clock::System()).ok());
}

TEST_F(ServerTest, BusyPortsAreErrorsThatNameTheAddress) {
  Config config;
  config.grpc_address = server_->grpc_address();
  config.http_address = "127.0.0.1:0";
  auto second = Server::Create(config, Clock::System());
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(server_->grpc_address()),
            std::string::npos)
      << second.status();
  config.grpc_address = "127.0.0.1:0";
  config.http_address = server_->http_address();
  second = Server::Create(config, Clock::System());
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(server_->http_address()),
            std::string::npos)
      << second.status();
}

TEST_F(ServerTest, ShutdownEndsOpenStreams) {
  TestStream stream(channel_);
  stream.Welcomed(MakeHello("r", 0, 1, 1));
  server_->Shutdown();
  EXPECT_EQ(stream.Read().message_case(), v1::ServerMessage::MESSAGE_NOT_SET);
}

}  // namespace
}  // namespace muster
