/* The C ABI, from a program in C, without a daemon. */
#include <muster/muster.h>
#include <stdio.h>

static int Fail(const char* what) {
  fprintf(stderr, "c_consumer: %s: %s\n", what, muster_last_error());
  return 1;
}

int main(void) {
  muster_options options = {0};
  options.struct_size = sizeof(options);
  options.address = "127.0.0.1:1";
  options.run_id = "package-test";
  options.world_size = 1;
  options.flush_timeout_ms = 100;
  muster_client* client = NULL;
  if (muster_start(&options, &client) != MUSTER_OK) return Fail("start");

  const float gradient[4] = {1, 2, 3, 4};
  if (muster_observe(client, 0, gradient, 4, MUSTER_FLOAT32) != MUSTER_OK) {
    return Fail("observe");
  }
  muster_step step = {0};
  step.struct_size = sizeof(step);
  step.step = 1;
  step.has_loss = 1;
  step.loss = 0.5;
  if (muster_end_step(client, &step) != MUSTER_OK) return Fail("end_step");

  muster_stats_t stats = {0};
  stats.struct_size = sizeof(stats);
  if (muster_stats(client, &stats) != MUSTER_OK) return Fail("stats");
  if (stats.made != 1 || stats.queued != 1) return Fail("wrong counts");
  if (muster_stop(client) != MUSTER_OK) return Fail("stop");
  printf("C consumer of muster %s: ok\n", muster_version());
  return 0;
}
