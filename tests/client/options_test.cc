#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "muster/client.h"

namespace muster {
namespace {

Options Good() {
  Options options;
  options.address = "localhost:7600";
  options.run_id = "run-1";
  options.rank = 2;
  options.world_size = 4;
  return options;
}

// Sets variables for one test, all others that matter being unset.
class OptionsEnvironmentTest : public testing::Test {
 protected:
  OptionsEnvironmentTest() { Clear(); }
  ~OptionsEnvironmentTest() override { Clear(); }

  static void Clear() {
    for (const char* name :
         {"MUSTER_ADDRESS", "MUSTER_RUN_ID", "RANK", "TORCHELASTIC_RUN_ID",
          "SLURM_JOB_ID", "WORLD_SIZE", "MUSTER_TOKEN_FILE"}) {
      unsetenv(name);
    }
  }
  static void Set(const std::map<std::string, std::string>& variables) {
    for (const auto& [name, value] : variables) {
      setenv(name.c_str(), value.c_str(), 1);
    }
  }
};

TEST_F(OptionsEnvironmentTest, ReadsAll) {
  Set({{"MUSTER_ADDRESS", "unix:/run/muster"},
       {"MUSTER_RUN_ID", "mine"},
       {"TORCHELASTIC_RUN_ID", "elastic"},
       {"RANK", "3"},
       {"WORLD_SIZE", "8"}});
  std::string error = "left from before";
  const Options options = Options::FromEnvironment(&error);
  EXPECT_EQ(error, "");
  EXPECT_EQ(options.address, "unix:/run/muster");
  EXPECT_EQ(options.run_id, "mine");
  EXPECT_EQ(options.rank, 3u);
  EXPECT_EQ(options.world_size, 8u);
}

TEST_F(OptionsEnvironmentTest, SendsNoTokenInTheClear) {
  Options options = Good();
  options.token_file = "/etc/token";
  for (const char* address :
       {"192.0.2.1:7600", "daemon.example:7600", "localhost.example:7600"}) {
    options.address = address;
    std::string error;
    EXPECT_EQ(Client::Start(options, &error), nullptr);
    EXPECT_EQ(error, std::string("token_file (MUSTER_TOKEN_FILE): a token is "
                                 "not sent in the clear to ") +
                         address + "; write tls://" + address);
  }
  options.token_file.clear();
  Set({{"MUSTER_TOKEN_FILE", "/etc/token"}});
  std::string error;
  EXPECT_EQ(Client::Start(options, &error), nullptr);
  for (const char* address : {"tls://192.0.2.1:1", "localhost:1", "127.0.0.9:1",
                              "[::1]:1", "unix:/nonexistent"}) {
    options.address = address;
    EXPECT_NE(Client::Start(options, &error), nullptr) << error;
  }
}

TEST_F(OptionsEnvironmentTest, KeepsDefaultsOfWhatIsNotSet) {
  Set({{"RANK", ""}});
  std::string error;
  const Options options = Options::FromEnvironment(&error);
  EXPECT_EQ(error, "");
  EXPECT_EQ(options.address, "");
  EXPECT_EQ(options.run_id, "");
  EXPECT_EQ(options.rank, 0u);
  EXPECT_EQ(options.world_size, 1u);
}

TEST_F(OptionsEnvironmentTest, RunIdFallsBackInOrder) {
  std::string error;
  Set({{"SLURM_JOB_ID", "job"}});
  EXPECT_EQ(Options::FromEnvironment(&error).run_id, "job");
  Set({{"TORCHELASTIC_RUN_ID", "none"}});
  EXPECT_EQ(Options::FromEnvironment(&error).run_id, "job");
  Set({{"TORCHELASTIC_RUN_ID", "elastic"}});
  EXPECT_EQ(Options::FromEnvironment(&error).run_id, "elastic");
}

TEST_F(OptionsEnvironmentTest, NamesANumberThatIsNone) {
  for (const char* value : {"three", "-1", "3 ", "4294967296", "1.5"}) {
    Set({{"RANK", value}, {"WORLD_SIZE", "8"}});
    std::string error;
    const Options options = Options::FromEnvironment(&error);
    EXPECT_EQ(error, std::string("RANK = \"") + value +
                         "\": must be a whole number of 0 to 4294967295");
    EXPECT_EQ(options.rank, 0u);
    EXPECT_EQ(options.world_size, 8u);
  }
}

TEST(OptionsTest, AcceptsWhatIsAllowed) {
  EXPECT_EQ(Good().Validate(), "");
  for (const char* address :
       {"10.0.0.1:1", "[::1]:7600", "tls://muster.example:65535",
        "unix:/tmp/socket", "unix:relative"}) {
    Options options = Good();
    options.address = address;
    EXPECT_EQ(options.Validate(), "") << address;
  }
  Options options = Good();
  options.run_id = "A.z_0:9-" + std::string(120, 'x');
  options.sketch.width = 65536;
  options.ring_capacity = 1;
  options.flush_timeout = std::chrono::milliseconds(0);
  EXPECT_EQ(options.Validate(), "");
}

TEST(OptionsTest, RefusesOtherAddresses) {
  for (const char* address :
       {"localhost", ":7600", "localhost:", "localhost:0", "localhost:65536",
        "localhost:http", "http://localhost:7600", "::1:7600", "tls://",
        "tls://unix:/x", "unix:"}) {
    Options options = Good();
    options.address = address;
    const std::string error = options.Validate();
    EXPECT_NE(error.find(std::string("address = \"") + address + "\""),
              std::string::npos)
        << address << ": " << error;
  }
}

TEST(OptionsTest, MessagesNameFieldValueAndRange) {
  Options options = Good();
  options.run_id = "a b";
  EXPECT_EQ(options.Validate(),
            "run_id = \"a b\": must be 1 to 128 characters of A-Z a-z 0-9 . _ "
            ": -");
  options.run_id = std::string(129, 'x');
  EXPECT_NE(options.Validate(), "");

  options = Good();
  options.world_size = 0;
  EXPECT_EQ(options.Validate(), "world_size = 0: must be at least 1");

  options = Good();
  options.rank = 4;
  EXPECT_EQ(options.Validate(), "rank = 4: must be 0 to 3, as world_size is 4");

  options = Good();
  options.sketch.width = 1000;
  EXPECT_EQ(options.Validate(),
            "sketch.width = 1000: must be a power of two of 64 to 65536");

  options = Good();
  options.ring_capacity = 65537;
  EXPECT_EQ(options.Validate(), "ring_capacity = 65537: must be 1 to 65536");

  options = Good();
  options.flush_timeout = std::chrono::milliseconds(-1);
  EXPECT_EQ(options.Validate(), "flush_timeout = -1 ms: must be at least 0");
}

TEST(OptionsTest, ChecksFacts) {
  Options options = Good();
  options.facts = {{std::string(64, 'n'), {std::string(256, 'v')}},
                   {"größe", {"8"}}};
  EXPECT_EQ(options.Validate(), "");

  options.facts = {{"", {"v"}}};
  EXPECT_EQ(options.Validate(),
            "fact \"\": name of 0 bytes; must have 1 to 64");
  options.facts = {{"n", {std::string(257, 'v')}}};
  EXPECT_EQ(options.Validate(),
            "fact \"n\": value of 257 bytes; must have at most 256");
  // A lone continuation, an overlong slash, a surrogate, a cut-off sequence.
  for (const std::string& value :
       {std::string("\x80"), std::string("\xC0\xAF"),
        std::string("\xED\xA0\x80"), std::string("\xE2\x82"),
        std::string("v\0", 2)}) {
    options.facts = {{"n", {value}}};
    EXPECT_EQ(options.Validate(),
              "fact \"n\": name and value must be UTF-8 without NUL");
  }
  options.facts.clear();
  for (int i = 0; i < 65; ++i) options.facts[std::to_string(i)] = {"v"};
  EXPECT_EQ(options.Validate(), "facts: 65 of them; at most 64 are allowed");
}

}  // namespace
}  // namespace muster
