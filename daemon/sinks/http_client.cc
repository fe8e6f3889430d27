#include "daemon/sinks/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "daemon/sinks/url.h"

namespace muster::sinks {
namespace {

constexpr size_t kFirstLineBytes = 200;
// An answer that is longer is broken off; its status counts all the same.
constexpr size_t kMaxAnswerBytes = 65536;

// Both kinds of handles are void*.
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void InitializeOnce() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// What is kept of an answer's body.
struct Answer {
  std::string start;
  size_t bytes = 0;
};

size_t TakeBody(char* data, size_t, size_t size, void* pointer) {
  Answer& answer = *static_cast<Answer*>(pointer);
  answer.bytes += size;
  const size_t room = kMaxSecretBytes - answer.start.size();
  answer.start.append(data, std::min(room, size));
  return answer.bytes > kMaxAnswerBytes ? 0 : size;
}

// Shorter ones keep no secret, and are found in any text.
constexpr size_t kHiddenPathBytes = 4;

std::string FirstLine(std::string text, const std::string& secret,
                      const std::string& path) {
  text.resize(std::min(text.size(), text.find_first_of("\r\n")));
  // A receiver may quote what it was sent.
  if (!secret.empty()) {
    text = absl::StrReplaceAll(text, {{secret, "[secret]"}});
  }
  if (path.size() >= kHiddenPathBytes) {
    text = absl::StrReplaceAll(text, {{path, "[path]"}});
  }
  text.resize(std::min(text.size(), kFirstLineBytes));
  for (char& c : text) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return text;
}

absl::Status ToStatus(CURLcode code, const char* detail) {
  const std::string message =
      *detail != '\0' ? detail : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(message);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

class HttpClient::Impl {
 public:
  explicit Impl(HttpEndpoint endpoint) : endpoint_(std::move(endpoint)) {
    InitializeOnce();
    multi_.reset(curl_multi_init());
    easy_.reset(curl_easy_init());
  }

  absl::StatusOr<HttpResponse> Post(std::string_view body,
                                    const HttpHeaders& headers,
                                    absl::Duration timeout) {
    if (cancelled_) return absl::CancelledError("cancelled");
    std::string secret;
    for (const Secret& each : {endpoint_.password, endpoint_.bearer_token}) {
      if (!each.is_set()) continue;
      auto value = ReadSecret(each);
      if (!value.ok()) return value.status();
      secret = *std::move(value);
    }
    const auto url = Url();
    if (!url.ok()) return url.status();
    Answer answer;
    char detail[CURL_ERROR_SIZE] = "";
    const HeaderList list = MakeHeaders(headers, secret);
    curl_easy_reset(easy_.get());
    SetTransport(*url + endpoint_.path, timeout);
    if (!endpoint_.username.empty()) {
      Set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      Set(CURLOPT_USERNAME, endpoint_.username.c_str());
      Set(CURLOPT_PASSWORD, secret.c_str());
    }
    Set(CURLOPT_HTTPHEADER, list.get());
    Set(CURLOPT_POST, 1L);
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    // Null would ask for another source of the body.
    Set(CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
    Set(CURLOPT_WRITEFUNCTION, TakeBody);
    Set(CURLOPT_WRITEDATA, &answer);
    Set(CURLOPT_ERRORBUFFER, detail);

    const auto code = Perform();
    if (!code.ok()) return code.status();
    const bool cut =
        *code == CURLE_WRITE_ERROR && answer.bytes > kMaxAnswerBytes;
    if (*code != CURLE_OK && !cut) return ToStatus(*code, detail);
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    return HttpResponse{
        .status = static_cast<int>(status),
        .first_line = FirstLine(std::move(answer.start), secret, PathOf(*url)),
        .retry_after = RetryAfter(status)};
  }

  void Cancel() {
    cancelled_ = true;
    curl_multi_wakeup(multi_.get());
  }

 private:
  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(easy_.get(), option, value);
  }

  HeaderList MakeHeaders(const HttpHeaders& headers,
                         const std::string& secret) const {
    curl_slist* list = nullptr;
    for (const auto& [name, value] : headers) {
      list = curl_slist_append(list, absl::StrCat(name, ": ", value).c_str());
    }
    if (endpoint_.bearer_token.is_set()) {
      list = curl_slist_append(
          list, absl::StrCat("Authorization: Bearer ", secret).c_str());
    }
    // The body goes at once, without asking whether it is welcome.
    return HeaderList(curl_slist_append(list, "Expect:"));
  }

  // Without endpoint_.path.
  absl::StatusOr<std::string> Url() const {
    absl::StatusOr<std::string> url = endpoint_.url;
    if (endpoint_.url_place.is_set()) {
      url = ReadSecret(endpoint_.url_place);
      if (!url.ok()) return url.status();
      const std::string error = CheckUrl(*url);
      if (!error.empty()) {
        return absl::FailedPreconditionError(absl::StrCat(
            "the URL in ",
            endpoint_.url_place.file.empty()
                ? absl::StrCat("environment variable ",
                               endpoint_.url_place.variable)
                : absl::StrCat("file '", endpoint_.url_place.file, "'"),
            " ", error));
      }
    }
    if (!endpoint_.path.empty()) {
      if (url->find_first_of("?#") != std::string::npos) {
        return absl::FailedPreconditionError("the URL must have no query");
      }
      while (url->ends_with('/')) url->pop_back();
    }
    return url;
  }

  absl::Duration RetryAfter(long status) const {
    if (status != 429 && status != 503) return absl::ZeroDuration();
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &seconds);
    return std::clamp(absl::Seconds(seconds), absl::ZeroDuration(),
                      kLongestRetryAfter);
  }

  void SetTransport(const std::string& url, absl::Duration timeout) {
    Set(CURLOPT_URL, url.c_str());  // copied
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_USERAGENT, "musterd");
    Set(CURLOPT_TIMEOUT_MS,
        std::max<long>(1,
                       static_cast<long>(absl::ToInt64Milliseconds(timeout))));
    Set(CURLOPT_NOSIGNAL, 1L);
    // A name look-up that hangs is left behind rather than waited for.
    Set(CURLOPT_QUICK_EXIT, 1L);
    if (!endpoint_.ca_file.empty()) {
      Set(CURLOPT_CAINFO, endpoint_.ca_file.c_str());
    }
    if (!endpoint_.certificate_file.empty()) {
      Set(CURLOPT_SSLCERT, endpoint_.certificate_file.c_str());
      Set(CURLOPT_SSLKEY, endpoint_.key_file.c_str());
    }
  }

  // The transfer's end, or CANCELLED. A multi handle, because it can be woken.
  absl::StatusOr<CURLcode> Perform() {
    curl_multi_add_handle(multi_.get(), easy_.get());
    absl::StatusOr<CURLcode> code = absl::CancelledError("cancelled");
    while (!cancelled_) {
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      if (running == 0) {
        int left = 0;
        const CURLMsg* message = curl_multi_info_read(multi_.get(), &left);
        code = message != nullptr ? message->data.result : CURLE_FAILED_INIT;
        break;
      }
      curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr);
    }
    curl_multi_remove_handle(multi_.get(), easy_.get());
    return code;
  }

  const HttpEndpoint endpoint_;
  std::unique_ptr<CURLM, MultiDeleter> multi_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  std::atomic<bool> cancelled_{false};
};

HttpClient::HttpClient(HttpEndpoint endpoint)
    : impl_(std::make_unique<Impl>(std::move(endpoint))) {}

HttpClient::~HttpClient() = default;

absl::StatusOr<HttpResponse> HttpClient::Post(std::string_view body,
                                              const HttpHeaders& headers,
                                              absl::Duration timeout) {
  return impl_->Post(body, headers, timeout);
}

void HttpClient::Cancel() { impl_->Cancel(); }

}  // namespace muster::sinks
