#include "daemon/listen/connection_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::listen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Descriptors and what they name, without a socket.
class ConnectionLimitTest : public testing::Test {
 protected:
  ConnectionLimit Make(int per_peer, int total) {
    return ConnectionLimit(
        {.per_peer = per_peer, .total = total},
        [this](int descriptor) {
          ++looked_;
          const auto found = sockets_.find(descriptor);
          return found == sockets_.end() ? 0 : found->second;
        },
        [this](const std::string& line) { lines_.push_back(line); });
  }
  // The kernel's lowest free number; as after accept(2).
  int Open() {
    int descriptor = 3;
    while (sockets_.count(descriptor) > 0) ++descriptor;
    sockets_[descriptor] = ++last_;
    return descriptor;
  }
  bool Connect(ConnectionLimit& limit, const std::string& peer) {
    const int descriptor = Open();
    const bool admitted = limit.Admit(descriptor, peer, now_);
    if (!admitted) sockets_.erase(descriptor);
    return admitted;
  }

  std::map<int, uint64_t> sockets_;
  uint64_t last_ = 100;
  int looked_ = 0;
  absl::Duration now_ = absl::Seconds(5);
  std::vector<std::string> lines_;
};

TEST_F(ConnectionLimitTest, APeerHasAsManyAsItMayAndOthersHaveTheirs) {
  ConnectionLimit limit = Make(2, 100);
  EXPECT_TRUE(Connect(limit, "a"));
  EXPECT_TRUE(Connect(limit, "a"));
  EXPECT_FALSE(Connect(limit, "a"));
  EXPECT_TRUE(Connect(limit, "b"));
  EXPECT_EQ(limit.stats().open, 3);
  EXPECT_EQ(limit.stats().refused_peer, 1);
  EXPECT_EQ(limit.stats().refused_all, 0);
}

TEST_F(ConnectionLimitTest, WhatHasEndedGivesItsPlaceBackWhenThereIsNoOther) {
  ConnectionLimit limit = Make(2, 100);
  Connect(limit, "a");
  Connect(limit, "a");
  sockets_.erase(3);
  sockets_[3] = 7;  // the number names a file of somebody else's now
  EXPECT_TRUE(Connect(limit, "a"));
  EXPECT_EQ(limit.stats().open, 2);
}

TEST_F(ConnectionLimitTest, ANumberThatTheKernelGivesAgainHasEnded) {
  ConnectionLimit limit = Make(1, 100);
  Connect(limit, "a");
  sockets_.erase(3);
  EXPECT_TRUE(Connect(limit, "b"));  // 3 again
  EXPECT_EQ(limit.stats().open, 1);
  EXPECT_TRUE(Connect(limit, "a"));
}

TEST_F(ConnectionLimitTest, SweepGivesBackAllThatHasEnded) {
  ConnectionLimit limit = Make(10, 100);
  for (const char* peer : {"a", "a", "b"}) Connect(limit, peer);
  sockets_.erase(4);
  sockets_.erase(5);
  limit.Sweep();
  EXPECT_EQ(limit.stats().open, 1);
}

TEST_F(ConnectionLimitTest, WhoIsRefusedAllTheTimeDoesNotMakeItLookAllTheTime) {
  ConnectionLimit limit = Make(50, 1000);
  for (int i = 0; i < 50; ++i) Connect(limit, "a");
  looked_ = 0;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(Connect(limit, "a"));
  EXPECT_EQ(looked_, 50);
  for (auto& [descriptor, number] : sockets_) number = 1;  // all have ended
  EXPECT_FALSE(Connect(limit, "a"));
  now_ += absl::Milliseconds(200);
  EXPECT_TRUE(Connect(limit, "a"));
}

// With places for 12, n hostile peers leave 12/(n+1).
TEST_F(ConnectionLimitTest, NobodyHasMoreThanAreLeftForOthers) {
  ConnectionLimit limit = Make(100, 12);
  for (int i = 0; i < 100; ++i) Connect(limit, "a");
  EXPECT_EQ(limit.stats().open, 6);
  for (int i = 0; i < 100; ++i) Connect(limit, "b");
  EXPECT_EQ(limit.stats().open, 9);
  EXPECT_TRUE(Connect(limit, "c"));
  EXPECT_TRUE(Connect(limit, "d"));
  EXPECT_TRUE(Connect(limit, "e"));
  EXPECT_FALSE(Connect(limit, "f"));
  EXPECT_EQ(limit.stats().open, 12);
  EXPECT_EQ(limit.stats().refused_peer, 0);
  EXPECT_EQ(limit.stats().refused_all, 94 + 97 + 1);
  EXPECT_THAT(lines_,
              ElementsAre(HasSubstr("limits.max_connections; a has 6")));
}

TEST_F(ConnectionLimitTest, SaysOnceAMinuteForEachPeerWhatItRefuses) {
  ConnectionLimit limit = Make(1, 100);
  for (int i = 0; i < 5; ++i) Connect(limit, "10.0.0.1");
  for (int i = 0; i < 5; ++i) Connect(limit, "10.0.0.2");
  now_ += absl::Minutes(1);
  Connect(limit, "10.0.0.1");
  EXPECT_THAT(
      lines_,
      ElementsAre("connection refused (1 since this was last said): 10.0.0.1 "
                  "has 1 connections, limits.max_connections_per_peer",
                  HasSubstr("(1 since this was last said): 10.0.0.2"),
                  HasSubstr("(4 since this was last said): 10.0.0.1")));
}

sockaddr_storage Address(const char* text) {
  sockaddr_storage address = {};
  if (std::strchr(text, ':') == nullptr) {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    EXPECT_EQ(::inet_pton(AF_INET, text, &v4.sin_addr), 1);
    std::memcpy(&address, &v4, sizeof(v4));
  } else {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    EXPECT_EQ(::inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    std::memcpy(&address, &v6, sizeof(v6));
  }
  return address;
}

TEST(PeerOfTest, IsTheHostOrItsNetwork) {
  EXPECT_EQ(PeerOf(Address("10.1.2.3")), "10.1.2.3");
  EXPECT_EQ(PeerOf(Address("::ffff:10.1.2.3")), "10.1.2.3");
  EXPECT_EQ(PeerOf(Address("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
  EXPECT_EQ(PeerOf(Address("2001:db8:1:2:ffff::1")), "2001:db8:1:2::/64");
}

TEST(InodeOfTest, TellsSocketsApart) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const uint64_t first = ConnectionLimit::InodeOf(ends[0]);
  EXPECT_NE(first, 0);
  EXPECT_NE(first, ConnectionLimit::InodeOf(ends[1]));
  const int again = ::dup(ends[0]);
  EXPECT_EQ(ConnectionLimit::InodeOf(again), first);
  ::close(again);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_EQ(ConnectionLimit::InodeOf(ends[0]), 0);
  EXPECT_EQ(ConnectionLimit::InodeOf(-1), 0);
}

}  // namespace
}  // namespace muster::listen
