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
  measure_streams
}

# The same of callers who watch by HTTP: 10,000 streams of server-sent events on one worker.
measure_streams() {
  local report streams=10000 limit line
  limit=$(ulimit -n)
  if [ "$limit" != unlimited ] && ((streams > limit - 200)); then streams=$((limit - 200)); fi
  start_redis streams
  start_worker streams "unix://$folder/streams.sock" --http 127.0.0.1:0
  printf '\nthe same by HTTP, by one worker with one thread, 20 messages, one a second; bytes:\n'
  printf "the worker's memory for each who watches\n\n"
  head_row watchers "p50 us" "p99 us" "max us" missing "CPU us" bytes
  for line in 1000 "$streams"; do
    report=$(load changes "$worker_address" --watchers "$line" --count 20 --every-ms 1000 \
      --http "$(sed -n 's/.* http=\([^ ]*\) .*/\1/p' "$folder/streams.ready")" \
      --pid "worker=$worker_pid")
    row "$line" "$(figure "$report" p50_us)" "$(figure "$report" p99_us)" \
      "$(figure "$report" max_us)" "$(figure "$report" missing)" \
      "$(figure "$report" worker_cpu_us)" "$(figure "$report" worker_bytes)"
  done
  kill "$worker_pid" "$redis_pid"
}
