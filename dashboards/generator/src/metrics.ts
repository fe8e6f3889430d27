// The metrics of docs/metrics.md that the dashboards use, by kind: a query that takes
// the wrong kind, or a name that is not here, does not compile.

// A number of the newest judged frame. It keeps its value when a run falls silent.
export type FrameGauge =
  | 'muster_step'
  | 'muster_ranks_reporting'
  | 'muster_ranks_expected'
  | 'muster_loss_mean'
  | 'muster_loss_stddev'
  | 'muster_loss_range'
  | 'muster_gradient_norm_mean'
  | 'muster_gradient_norm_stddev'
  | 'muster_gradient_norm_range'
  | 'muster_gradient_cosine_mean'
  | 'muster_gradient_cosine_min'
  | 'muster_gradient_cosine_expected'
  | 'muster_gradient_noise_scale'
  | 'muster_replica_values'
  | 'muster_replica_spread'
  | 'muster_local_distance_mean'
  | 'muster_consensus_distance'
  | 'muster_samples_shared_share'
  | 'muster_samples_repeat_share'
  | 'muster_samples_undrawn_share';

// The same of a single rank: label `rank` beside `run`.
export type RankGauge =
  | 'muster_rank_loss'
  | 'muster_rank_gradient_norm'
  | 'muster_rank_gradient_cosine'
  | 'muster_rank_lag_steps';

// The daemon's own, true at the time of the scrape.
export type DaemonGauge =
  | 'muster_build_info'
  | 'muster_runs'
  | 'muster_history_up'
  | 'muster_history_file_bytes'
  | 'muster_history_queue_bytes'
  // Where receivers are configured.
  | 'muster_sink_up'
  | 'muster_sink_held'
  | 'muster_remote_write_up'
  | 'muster_remote_write_queue_bytes'
  | 'muster_remote_write_newest_timestamp_seconds';

export type RunCounter =
  | 'muster_alerts_total'
  | 'muster_reports_received_total'
  | 'muster_reports_dropped_total'
  | 'muster_frames_total';

export type DaemonCounter =
  | 'muster_reports_rejected_total'
  | 'muster_history_frames_total'
  | 'muster_history_frames_lost_total'
  | 'muster_history_frames_deleted_total'
  | 'muster_history_commits_total'
  | 'muster_history_commit_seconds_total'
  | 'muster_history_errors_total'
  | 'muster_sink_sent_total'
  | 'muster_sink_failed_total'
  | 'muster_sink_dropped_total'
  | 'muster_remote_write_samples_total'
  | 'muster_remote_write_retries_total';

// Each judged frame, whatever the scrape interval.
export type StepHistogram =
  | 'muster_step_loss_stddev'
  | 'muster_step_gradient_norm_stddev'
  | 'muster_step_gradient_divergence'
  | 'muster_frame_delay_seconds';
