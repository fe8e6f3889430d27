#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "client/src/alerts_json.h"
#include "client/src/step_recorder.h"
#include "muster/client.h"
#include "muster/muster.h"

struct muster_client {
  std::unique_ptr<muster::Client> client;
};

namespace {

// No destructor, so that it outlives whatever the host does at its exit.
thread_local char last_error[512] = "";

muster_status Fail(muster_status status, const char* message) {
  std::snprintf(last_error, sizeof(last_error), "%s", message);
  return status;
}

muster_status Invalid(const std::string& message) {
  return Fail(MUSTER_INVALID_ARGUMENT, message.c_str());
}

// Runs `body` and contains whatever it throws.
template <typename Body>
muster_status Guarded(Body body) {
  try {
    return body();
  } catch (const std::exception& exception) {
    return Fail(MUSTER_INTERNAL, exception.what());
  } catch (...) {
    return Fail(MUSTER_INTERNAL, "unknown exception");
  }
}

// Reads a struct of an older or newer header: what the caller does not know is
// 0, what this library does not know is ignored.
template <typename Struct>
bool Read(const Struct* from, Struct* to) {
  std::memset(to, 0, sizeof(*to));
  if (from == nullptr || from->struct_size < sizeof(size_t)) return false;
  std::memcpy(to, from, std::min(from->struct_size, sizeof(*to)));
  return true;
}

constexpr char kNoStructSize[] =
    ": must not be NULL, with struct_size set to its sizeof";

}  // namespace

muster_status muster_start(const muster_options* options,
                           muster_client** client) {
  return Guarded([&] {
    if (client == nullptr) return Invalid("client: must not be NULL");
    *client = nullptr;
    muster_options given;
    if (!Read(options, &given)) {
      return Invalid(std::string("options") + kNoStructSize);
    }
    muster::Options start;
    if (given.address != nullptr) start.address = given.address;
    if (given.run_id != nullptr) start.run_id = given.run_id;
    start.rank = given.rank;
    start.world_size = given.world_size;
    if (given.sketch_width != 0) start.sketch.width = given.sketch_width;
    if (given.sketch_seed != 0) start.sketch.seed = given.sketch_seed;
    start.parameter_count = given.parameter_count;
    if (given.ring_capacity != 0) start.ring_capacity = given.ring_capacity;
    if (given.flush_timeout_ms != 0) {
      start.flush_timeout = std::chrono::milliseconds(given.flush_timeout_ms);
    }
    const auto set = [](const char* given_path, std::string* path) {
      if (given_path != nullptr) *path = given_path;
    };
    set(given.ca_file, &start.ca_file);
    set(given.cert_file, &start.cert_file);
    set(given.key_file, &start.key_file);
    set(given.token_file, &start.token_file);
    auto handle = std::make_unique<muster_client>();
    std::string error;
    handle->client = muster::Client::Start(std::move(start), &error);
    if (handle->client == nullptr) return Invalid(error);
    *client = handle.release();
    return MUSTER_OK;
  });
}

namespace {

// Checks what both observations have in common, then calls `observe`.
template <typename Function>
muster_status Observe(muster_client* client, uint64_t offset, const void* data,
                      size_t count, muster_data_type type, Function observe) {
  return Guarded([&] {
    if (client == nullptr || count == 0) return MUSTER_OK;
    if (data == nullptr) return Invalid("data: must not be NULL");
    if (type != MUSTER_FLOAT32 && type != MUSTER_FLOAT16 &&
        type != MUSTER_BFLOAT16) {
      return Invalid("type = " + std::to_string(static_cast<int>(type)) +
                     ": must be 0 (float32), 1 (float16) or 2 (bfloat16)");
    }
    if (count > UINT64_MAX - offset) {
      return Invalid("offset = " + std::to_string(offset) +
                     ": offset + count must be below 2^64");
    }
    return observe(static_cast<muster::DataType>(type));
  });
}

}  // namespace

muster_status muster_observe(muster_client* client, uint64_t offset,
                             const void* data, size_t count,
                             muster_data_type type) {
  return Observe(client, offset, data, count, type,
                 [&](muster::DataType checked) {
                   client->client->Observe(offset, data, count, checked);
                   return MUSTER_OK;
                 });
}

muster_status muster_observe_device(muster_client* client, uint64_t offset,
                                    const void* data, size_t count,
                                    muster_data_type type, int device,
                                    void* stream) {
  return Observe(client, offset, data, count, type,
                 [&](muster::DataType checked) {
                   const bool known = client->client->ObserveDevice(
                       offset, data, count, checked, {device, stream});
                   return known ? MUSTER_OK
                                : Fail(MUSTER_UNAVAILABLE,
                                       "device memory cannot be read; observe "
                                       "a copy in host memory");
                 });
}

muster_status muster_observe_parameters(muster_client* client, uint32_t group,
                                        uint64_t offset, const void* data,
                                        size_t count, muster_data_type type) {
  return Observe(
      client, offset, data, count, type, [&](muster::DataType checked) {
        if (group >= muster::kMaxReplicaGroups) {
          return Invalid("group = " + std::to_string(group) +
                         ": must be 0 to 31");
        }
        client->client->ObserveParameters(group, offset, data, count, checked);
        return MUSTER_OK;
      });
}

muster_status muster_observe_change(muster_client* client, uint64_t offset,
                                    const void* data, size_t count,
                                    muster_data_type type) {
  return Observe(client, offset, data, count, type,
                 [&](muster::DataType checked) {
                   client->client->ObserveChange(offset, data, count, checked);
                   return MUSTER_OK;
                 });
}

muster_status muster_end_step(muster_client* client, const muster_step* step) {
  return Guarded([&] {
    if (client == nullptr) return MUSTER_OK;
    muster_step given;
    if (!Read(step, &given)) {
      return Invalid(std::string("step") + kNoStructSize);
    }
    if (given.sample_ids == nullptr && given.sample_id_count > 0) {
      return Invalid("sample_ids: must not be NULL with sample_id_count = " +
                     std::to_string(given.sample_id_count));
    }
    muster::StepEnd end;
    end.step = given.step;
    if (given.has_loss) end.loss = given.loss;
    if (given.device_loss != nullptr) {
      if (given.device_loss_type < MUSTER_FLOAT32 ||
          given.device_loss_type > MUSTER_FLOAT64) {
        return Invalid(
            "device_loss_type = " +
            std::to_string(static_cast<int>(given.device_loss_type)) +
            ": must be 0 (float32), 1 (float16), 2 (bfloat16) or 3 "
            "(float64)");
      }
      end.loss.reset();
      end.device_loss = {.address = given.device_loss,
                         .type = static_cast<muster::DeviceNumber::Type>(
                             given.device_loss_type),
                         .where = {given.device, given.stream}};
    }
    if (given.device_gradient_scale != nullptr) {
      end.device_gradient_scale = {.address = given.device_gradient_scale,
                                   .where = {given.device, given.stream}};
    }
    if (given.has_weight) end.weight = given.weight;
    if (given.has_learning_rate) end.learning_rate = given.learning_rate;
    if (given.has_gradient_scale && !end.device_gradient_scale) {
      end.gradient_scale = given.gradient_scale;
    }
    if (given.has_replica_fingerprint) {
      end.replica_fingerprint = given.replica_fingerprint;
    }
    if (given.has_epoch) end.epoch = given.epoch;
    if (given.has_sample_limit) end.sample_limit = given.sample_limit;
    end.sample_ids_are_batches = given.sample_ids_are_batches != 0;
    // It lies in what was padding at the end of the struct before
    // waited_seconds: whoever knows only that struct may have anything there.
    end.observed_late =
        given.observed_late != 0 &&
        given.struct_size >= offsetof(muster_step, waited_seconds) +
                                 sizeof(given.waited_seconds);
    end.waited_seconds = given.waited_seconds;
    // One more than is kept, so that the check below sees that there are more.
    const size_t ids =
        std::min(given.sample_id_count, muster::kMaxSampleIds + 1);
    end.sample_ids.assign(given.sample_ids, given.sample_ids + ids);
    client->client->EndStep(end);
    end.sample_ids.resize(std::min(ids, muster::kMaxSampleIds));
    const std::string error = muster::ValidateStepEnd(end);
    return error.empty() ? MUSTER_OK : Invalid(error);
  });
}

muster_status muster_discard_step(muster_client* client) {
  return Guarded([&] {
    if (client != nullptr) client->client->DiscardStep();
    return MUSTER_OK;
  });
}

muster_status muster_fact(muster_client* client, const char* name,
                          const char* value, int shown_only) {
  return Guarded([&] {
    if (client == nullptr) return MUSTER_OK;
    if (name == nullptr || value == nullptr) {
      return Invalid("name and value: must not be NULL");
    }
    std::string error;
    const muster::Facts facts = {{name, {value, shown_only != 0}}};
    if (!client->client->SetFacts(facts, &error)) return Invalid(error);
    return MUSTER_OK;
  });
}

muster_status muster_stats(muster_client* client, muster_stats_t* stats) {
  return Guarded([client, stats] {
    if (stats == nullptr || stats->struct_size < sizeof(size_t)) {
      return Invalid(std::string("stats") + kNoStructSize);
    }
    muster_stats_t now = {};
    if (client != nullptr) {
      const muster::Stats counts = client->client->GetStats();
      now.made = counts.made;
      now.sent = counts.sent;
      now.acknowledged = counts.acknowledged;
      now.dropped = counts.dropped;
      now.queued = counts.queued;
      now.refused = counts.refused;
      now.reconnects = counts.reconnects;
      now.connected = counts.connected ? 1 : 0;
      now.device_dropped = counts.device_dropped;
      now.superseded = counts.superseded ? 1 : 0;
    }
    now.struct_size = stats->struct_size;
    std::memcpy(stats, &now, std::min(stats->struct_size, sizeof(now)));
    return MUSTER_OK;
  });
}

muster_status muster_alerts(muster_client* client, char* buffer, size_t size,
                            size_t* needed) {
  return Guarded([&] {
    if (needed == nullptr) return Invalid("needed: must not be NULL");
    if (buffer == nullptr && size > 0) {
      return Invalid("buffer: must not be NULL with size = " +
                     std::to_string(size));
    }
    const std::string json =
        client == nullptr ? "[]"
                          : muster::AlertsToJson(client->client->Alerts());
    *needed = json.size() + 1;
    if (json.size() < size) std::memcpy(buffer, json.c_str(), *needed);
    return MUSTER_OK;
  });
}

uint64_t muster_alerts_generation(muster_client* client) {
  return client == nullptr ? 0 : client->client->AlertsGeneration();
}

muster_status muster_close(muster_client* client) {
  return Guarded([&] {
    if (client != nullptr) client->client->Stop();
    return MUSTER_OK;
  });
}

muster_status muster_stop(muster_client* client) {
  return Guarded([&] {
    delete client;
    return MUSTER_OK;
  });
}

const char* muster_last_error(void) { return last_error; }

const char* muster_version(void) { return muster::Version(); }
