// An HTTP server that keeps what is posted to it and answers as a test says.
#ifndef MUSTER_TESTS_TESTING_HTTP_RECEIVER_H_
#define MUSTER_TESTS_TESTING_HTTP_RECEIVER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace muster::testing {

struct ReceivedPost {
  std::string path;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

struct PostAnswer {
  int status = 200;
  std::string body;
  std::string retry_after;  // a header, if not empty
  // No answer at all: holds the request until the receiver is destroyed.
  bool hangs = false;
};

// Listens on a free port of 127.0.0.1 until its end, which comes sooner if its
// clients have gone before. Thread-safe.
class HttpReceiver {
 public:
  // Files in PEM; all empty: plain HTTP.
  struct Tls {
    std::string certificate_file;
    std::string key_file;
    std::string client_ca_file;  // asks for a certificate of the client
  };
  // Answers the n-th post, from 0; called by one thread at a time.
  using Answerer = std::function<PostAnswer(size_t n, const ReceivedPost&)>;

  explicit HttpReceiver(Answerer answerer = {});
  HttpReceiver(Answerer answerer, const Tls& tls);
  ~HttpReceiver();

  // "http://127.0.0.1:PORT", or https.
  const std::string& url() const;
  int port() const;
  std::vector<ReceivedPost> posts() const;
  // Blocks until so many have come; false after `timeout`.
  bool WaitForPosts(size_t count, absl::Duration timeout = absl::Seconds(30));

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster::testing

#endif  // MUSTER_TESTS_TESTING_HTTP_RECEIVER_H_
