#include "tests/testing/http_receiver.h"

#include <httplib.h>

#include <cctype>
#include <chrono>
#include <thread>
#include <utility>

#include "daemon/base/mutex.h"

namespace muster::testing {

class HttpReceiver::Impl {
 public:
  Impl(Answerer answerer, const Tls& tls) : answerer_(std::move(answerer)) {
    std::string scheme = "http";
    if (tls.certificate_file.empty()) {
      server_ = std::make_unique<httplib::Server>();
    } else {
      scheme = "https";
      server_ = std::make_unique<httplib::SSLServer>(
          tls.certificate_file.c_str(), tls.key_file.c_str(),
          tls.client_ca_file.empty() ? nullptr : tls.client_ca_file.c_str());
    }
    server_->set_keep_alive_timeout(1);
    server_->Post(
        ".*", [this](const httplib::Request& request,
                     httplib::Response& response) { Take(request, response); });
    port_ = server_->bind_to_any_port("127.0.0.1");
    url_ = scheme + "://127.0.0.1:" + std::to_string(port_);
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    // stop() before it runs would be lost.
    while (!server_->is_running()) std::this_thread::yield();
  }

  ~Impl() {
    {
      MutexLock lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    server_->stop();
    thread_.join();
  }

  const std::string& url() const { return url_; }
  int port() const { return port_; }

  std::vector<ReceivedPost> posts() const {
    MutexLock lock(mutex_);
    return posts_;
  }

  bool WaitForPosts(size_t count, absl::Duration timeout) {
    const auto deadline =
        std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
    MutexLock lock(mutex_);
    while (posts_.size() < count) {
      if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
        return posts_.size() >= count;
      }
    }
    return true;
  }

 private:
  void Take(const httplib::Request& request, httplib::Response& response) {
    ReceivedPost post{.path = request.path, .body = request.body};
    for (const auto& [name, value] : request.headers) {
      std::string lower = name;
      for (char& c : lower) c = static_cast<char>(std::tolower(c));
      post.headers[lower] = value;
    }
    MutexLock lock(mutex_);
    const size_t n = posts_.size();
    const PostAnswer answer = answerer_ ? answerer_(n, post) : PostAnswer{};
    posts_.push_back(std::move(post));
    changed_.notify_all();
    while (answer.hangs && !ending_) changed_.wait(mutex_);
    response.status = answer.status;
    if (!answer.retry_after.empty()) {
      response.set_header("Retry-After", answer.retry_after);
    }
    response.set_content(answer.body, "text/plain");
  }

  const Answerer answerer_;
  std::unique_ptr<httplib::Server> server_;
  std::string url_;
  int port_ = 0;
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<ReceivedPost> posts_ ABSL_GUARDED_BY(mutex_);
};

HttpReceiver::HttpReceiver(Answerer answerer)
    : HttpReceiver(std::move(answerer), Tls{}) {}

HttpReceiver::HttpReceiver(Answerer answerer, const Tls& tls)
    : impl_(std::make_unique<Impl>(std::move(answerer), tls)) {}

HttpReceiver::~HttpReceiver() = default;

const std::string& HttpReceiver::url() const { return impl_->url(); }
int HttpReceiver::port() const { return impl_->port(); }

std::vector<ReceivedPost> HttpReceiver::posts() const { return impl_->posts(); }

bool HttpReceiver::WaitForPosts(size_t count, absl::Duration timeout) {
  return impl_->WaitForPosts(count, timeout);
}

}  // namespace muster::testing
