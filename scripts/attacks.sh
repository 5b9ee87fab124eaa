# The sections 'cycles' and 'attacks' of scripts/bench, and what scripts/soak has in common with
# them. Sourced by both, never run by itself; uses their functions and what they have started.

set -euo pipefail

# name, connections: what is tried on a worker.
attack_kinds=("drip 500" "idle 1500" "deaf 50" "hoard 500" "storm 50" "reset 50")

# Makes a file of principals with one that may do everything, and its secret in a file of its own.
make_principal() {
  "$build_dir/release/latchkey" secret bench >"$folder/principals" 2>"$folder/secret.said"
  sed 's/.*: //' "$folder/secret.said" >"$folder/secret"
}

# Cycles a second of one side, in $1.cycles: count_cycles SIDE TARGET ADDRESS [--pid NAME=PID...].
count_cycles() {
  local side=$1 report
  shift
  report=$(load cycles "$@" --connections 50 --seconds "$seconds" --secret-file "$folder/secret")
  printf '%s %s %s %s %s\n' "$(figure "$report" requests_per_s)" \
    "$(figure "$report" p50_us)" "$(figure "$report" p99_us)" \
    "$(figure "$report" redis_cpu_us)" "$(figure "$report" worker_cpu_us)" \
    >>"$folder/$side.cycles"
}

# The median of a column of numbers.
median() {
  cut -d' ' -f"$2" "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

cycles_row() {
  local ratio
  ratio=$(awk -v a="$(median "$2" 1)" -v b="$(median "$folder/direct.cycles" 1)" \
    'BEGIN { printf "%.2f", a / b }')
  row "$1" "$(median "$2" 1)" "$ratio" \
    "$(median "$2" 2)" "$(median "$2" 3)" "$(median "$2" 4)" "$(median "$2" 5)"
}

# connect, AUTH, LOCK, close: by a worker, and on a Redis that asks for the same secret.
measure_cycles() {
  local round
  make_principal
  rm -f "$folder"/*.cycles
  start_redis cycles-direct
  redis-cli -s "$folder/cycles-direct.sock" CONFIG SET requirepass "$(cat "$folder/secret")" \
    >/dev/null
  local direct_port=$redis_port direct_pid=$redis_pid
  start_redis cycles
  local behind_pid=$redis_pid
  start_worker cycles "redis://127.0.0.1:$redis_port" --auth "$folder/principals"
  for ((round = 1; round <= rounds; round++)); do
    count_cycles direct redis "127.0.0.1:$direct_port" --pid "redis=$direct_pid"
    count_cycles worker latchkey "$worker_address" --pid "redis=$behind_pid" \
      --pid "worker=$worker_pid"
  done
  printf '\nconnect, AUTH, LOCK, close: 50 callers, %s rounds of %s s in turns; ' "$rounds" \
    "$seconds"
  printf 'Redis, worker: CPU us per cycle\n\n'
  head_row side cycles/s ratio "p50 us" "p99 us" Redis worker
  cycles_row "on Redis" "$folder/direct.cycles"
  cycles_row "on a worker before a Redis" "$folder/worker.cycles"
  kill "$worker_pid" "$direct_pid" "$behind_pid"
}

# Latency of one calm caller beside each attack, and alone.
measure_attacks() {
  local line kind callers report attack_pid
  start_redis attacks
  start_worker attacks "redis://127.0.0.1:$redis_port" --line-timeout 5s --unread-timeout 5s
  printf '\none caller that asks for one LOCK after another, for %s s, beside attackers\n' \
    "$seconds"
  printf '\n'
  head_row attack attackers LOCK/s "p50 us" "p99 us" \
    "their conns" "worker KiB"
  for line in "alone 0" "${attack_kinds[@]}" "alone 0"; do
    read -r kind callers <<<"$line"
    attack_pid=
    if [ "$kind" != alone ]; then
      # Not through a function: that would be a shell of its own, and $! its number.
      "$build_dir/release/latchkey-bench" attack "$kind" "$worker_address" \
        --connections "$callers" --seconds "$((seconds + 2))" >"$folder/attack.json" &
      attack_pid=$!
      pids+=("$attack_pid")
    fi
    report=$(load latchkey "$worker_address" --connections 1 --devices 100 --seconds "$seconds")
    if [ -n "$attack_pid" ]; then wait "$attack_pid"; else echo '{}' >"$folder/attack.json"; fi
    row "$kind" "$callers" \
      "$(figure "$report" requests_per_s)" "$(figure "$report" p50_us)" \
      "$(figure "$report" p99_us)" "$(figure "$(cat "$folder/attack.json")" opened)" \
      "$(own_memory_kib "$worker_pid")"
  done
  kill "$worker_pid" "$redis_pid"
}
