#include "daemon/export/remote_write_families.h"

#include "daemon/export/families.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::exposition {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RemoteWriteFamiliesTest, ShowsEachNumber) {
  Scrape scrape;
  EXPECT_THAT(MetricsText(scrape), Not(HasSubstr("muster_remote_write")));
  scrape.remote_write = {.up = false,
                         .sent = 1,
                         .present = 2,
                         .refused = 3,
                         .dropped = 4,
                         .retries = 5,
                         .queue_bytes = 6,
                         .newest_time_ms = 0};
  EXPECT_THAT(MetricsText(scrape), Not(HasSubstr("newest_timestamp")));
  scrape.remote_write->newest_time_ms = 1'700'000'000'250;
  const std::string text = MetricsText(scrape);
  for (const char* sample :
       {"muster_remote_write_up 0",
        R"(muster_remote_write_samples_total{result="sent"} 1)",
        R"(muster_remote_write_samples_total{result="present"} 2)",
        R"(muster_remote_write_samples_total{result="refused"} 3)",
        R"(muster_remote_write_samples_total{result="dropped"} 4)",
        "muster_remote_write_retries_total 5",
        "muster_remote_write_queue_bytes 6",
        "muster_remote_write_newest_timestamp_seconds 1700000000.25"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + sample + "\n"));
  }
}

}  // namespace
}  // namespace muster::exposition
