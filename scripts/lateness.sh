# The section 'lateness' of scripts/bench: how late is an event, and what does waiting cost?
# Sourced by it, never run by itself; uses its functions and what it has started.

set -euo pipefail

# Sets how much is measured: all of it, or with 'quick' a tenth.
lateness_size() {
  lateness_keys=1000000 lateness_locks=10000 lateness_over_ms=10000 lateness_listen_ms=60000
  quiet_locks=1000000
  if [ "$1" = quick ]; then
    lateness_keys=100000 lateness_locks=2000 lateness_over_ms=4000 lateness_listen_ms=20000
    quiet_locks=100000
  fi
}

# A Redis of its own, and two workers with all threads that they would have.
start_fleet() {
  start_redis "$1"
  fleet_redis_pid=$redis_pid fleet_socket=$folder/$1.sock
  fleet=() fleet_pids=()
  local number
  for number in 1 2; do
    start_worker "$1-$number" "unix://$fleet_socket"
    fleet+=("$worker_address")
    fleet_pids+=("$worker_pid")
  done
}

stop_fleet() {
  local pid
  for pid in "${fleet_pids[@]}"; do
    kill "$pid"
    wait "$pid" || true
  done
}

lateness_row() {
  row "$1" "$(figure "$2" "$3_count")" "$(figure "$2" "$3_p50_ms")" \
    "$(figure "$2" "$3_p99_ms")" "$(figure "$2" "$3_max_ms")"
}

measure_lateness() {
  local report
  start_fleet lateness
  report=$(load lateness "$fleet_socket" "${fleet[@]}" --keys "$lateness_keys" \
    --locks "$lateness_locks" --over-ms "$lateness_over_ms" --listen-ms "$lateness_listen_ms")
  printf '\nlateness: %s locks fall due over %s s beside %s other keys with a TTL, two workers\n' \
    "$lateness_locks" "$((lateness_over_ms / 1000))" "$lateness_keys"
  printf '\n'
  head_row event count "p50 ms" "p99 ms" "max ms"
  lateness_row "events in the log" "$report" event
  lateness_row "with a group's consumer that waits, from the log on" "$report" group
  lateness_row "announced by Redis within $((lateness_listen_ms / 1000)) s: the locks" "$report" \
    lock_received
  lateness_row "the same deadlines, untouched keys" "$report" twin_received
  stop_fleet
  kill "$fleet_redis_pid"
}

measure_quiet() {
  local with without
  start_fleet quiet
  with=$(load quiet "${fleet[@]}" --locks "$quiet_locks" --pid "redis=$fleet_redis_pid" \
    --pid "first=${fleet_pids[0]}" --pid "second=${fleet_pids[1]}")
  stop_fleet
  without=$(load quiet --locks 0 --pid "redis=$fleet_redis_pid")
  printf '\nnothing due, %s locks held: %% of a core over 10 s\n\n' "$quiet_locks"
  head_row process CPU
  row "a worker" "$(figure "$with" first_cpu_percent)"
  row "another one" "$(figure "$with" second_cpu_percent)"
  row "Redis with both" "$(figure "$with" redis_cpu_percent)"
  row "Redis with neither" "$(figure "$without" redis_cpu_percent)"
  kill "$fleet_redis_pid"
}
