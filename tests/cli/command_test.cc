// The real command against the real query service, answering from runs built
// by hand.
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "daemon/web/query_service.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::cli {
namespace {

using muster::testing::HandBuiltRun;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class CommandTest : public ::testing::Test {
 protected:
  CommandTest() {
    std::string folder = ::testing::TempDir() + "muster-command-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
  }
  ~CommandTest() override {
    if (server_) server_->Shutdown();
    std::filesystem::remove_all(folder_);
  }

  void Serve(std::vector<runs::RunSnapshot> runs) {
    service_ = web::MakeQueryService(muster::testing::SourceFrom(runs));
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }

  Outcome Run(const std::string& arguments) const {
    const std::string command =
        "MUSTER_ADDRESS=127.0.0.1:" + std::to_string(port_) +
        " " MUSTER_COMMAND " " + arguments + " >" + folder_ + "/out 2>" +
        folder_ + "/err";
    Outcome outcome;
    outcome.code = WEXITSTATUS(std::system(command.c_str()));
    outcome.out = Read("/out");
    outcome.err = Read("/err");
    return outcome;
  }

  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ + name);
    return std::string{std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  int port_ = 0;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

runs::RunSnapshot Healthy(const std::string& name) {
  runs::RunSnapshot run = HandBuiltRun(name);
  run.alerts.clear();
  run.alerts_firing.fill(0);
  return run;
}

TEST_F(CommandTest, EachVerbAnswersOnStandardOutput) {
  Serve({HandBuiltRun("r")});
  EXPECT_THAT(Run("status").out, StartsWith("r: RankOutlier: rank 2, loss"));
  EXPECT_THAT(Run("runs").out, StartsWith("1 run, 0 healthy"));
  EXPECT_THAT(Run("ranks").out, HasSubstr("node-1"));
  EXPECT_THAT(Run("steps --limit 1").out, HasSubstr("412"));
  EXPECT_THAT(Run("alerts").out, StartsWith("1 alert fires"));
  EXPECT_THAT(Run("alerts --explain 1").out, HasSubstr("Look at first\n"));
  EXPECT_THAT(Run("--json alerts --explain 1").out,
              AllOf(StartsWith("{\"alert\":"), HasSubstr("\"steps\": ["),
                    HasSubstr("\"ranks\": [")));
  EXPECT_EQ(Run("alerts --explain 9").code, 2);
  for (const char* verb : {"status", "runs", "ranks", "steps", "alerts"}) {
    const Outcome outcome = Run(verb + std::string(" r --json"));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, StartsWith("{"));
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  }
}

TEST_F(CommandTest, ExitCodeTellsHealth) {
  Serve({HandBuiltRun("bad"), Healthy("good")});
  EXPECT_EQ(Run("status").code, 0);
  EXPECT_EQ(Run("status --exit-code").code, 1);
  EXPECT_EQ(Run("status bad --exit-code --json").code, 1);
  EXPECT_EQ(Run("status good --exit-code").code, 0);
}

TEST_F(CommandTest, WrongUsageIsTwo) {
  Serve({HandBuiltRun("a"), HandBuiltRun("b")});
  Outcome outcome = Run("ranks");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "muster: name one of the runs: a, b\n");
  outcome = Run("steps c");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "muster: no run 'c'; musterd follows: a, b\n");
  EXPECT_EQ(Run("alerts c").code, 2);
  EXPECT_EQ(Run("").code, 2);
  EXPECT_EQ(Run("--no-such-flag").code, 2);
}

TEST_F(CommandTest, AReportIsWrittenWholeOrNotAtAll) {
  Serve({HandBuiltRun("r"), HandBuiltRun("other")});
  const Outcome whole = Run("report r -o " + folder_ + "/r.html");
  if (whole.err.find("built without the page") != std::string::npos) {
    EXPECT_EQ(whole.code, 2);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/r.html"));
    return;
  }
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.out, folder_ + "/r.html\n");
  EXPECT_THAT(Read("/r.html"), AllOf(StartsWith("<!doctype html>"),
                                     HasSubstr("/api/v1/runs/r/ranks"),
                                     Not(HasSubstr("\"run\":\"other\""))));
  EXPECT_THAT(Run("report r -o -").out, StartsWith("<!doctype html>"));
  EXPECT_EQ(Run("report none -o " + folder_ + "/n.html").code, 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/n.html"));
  const Outcome unwritten = Run("report r -o " + folder_ + "/no/r.html");
  EXPECT_EQ(unwritten.code, 1);
  EXPECT_THAT(unwritten.err, HasSubstr("cannot write " + folder_));
  const Outcome uncompared =
      Run("report r -o " + folder_ + "/c.html --reference b --history " +
          folder_ + "/none.db");
  EXPECT_EQ(uncompared.code, 2);
  EXPECT_THAT(uncompared.err, HasSubstr("none.db"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/c.html"));
}

TEST_F(CommandTest, AnUnreachableDaemonIsThree) {
  // Port 1 is not served.
  const Outcome outcome = Run("--address 127.0.0.1:1 status");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err,
              StartsWith("muster: no answer from musterd at 127.0.0.1:1: "));
}

}  // namespace
}  // namespace muster::cli
