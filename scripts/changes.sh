# The section 'changes' of scripts/bench: how soon a change is at those who watch its device.
# Sourced by it, never run by itself; uses its functions and what it has started.

set -euo pipefail

changes_row() {
  row "$1" "$(figure "$2" p50_us)" "$(figure "$2" p99_us)" "$(figure "$2" max_us)" \
    "$(figure "$2" missing)" "$(figure "$2" redis_cpu_us)" "$(figure "$2" first_cpu_us)"
}

measure_changes() {
  local report watchers
  start_fleet changes
  printf '\nchanges: 100 messages of one device, one every 100 ms, until they are at those who\n'
  printf 'watch it by two workers; CPU us of Redis and of one worker for each change sent\n\n'
  head_row watchers "p50 us" "p99 us" "max us" missing Redis "a worker"
  for watchers in 1 100 1000; do
    report=$(load changes "${fleet[@]}" --watchers "$watchers" --pid "redis=$fleet_redis_pid" \
      --pid "first=${fleet_pids[0]}")
    changes_row "$watchers" "$report"
  done
  stop_fleet
  kill "$fleet_redis_pid"
}
