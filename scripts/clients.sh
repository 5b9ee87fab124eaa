# The section 'clients' of scripts/bench: what one message of a conversation costs through the
# Python client and through an adapter, beside the framework's own store in Redis; a function's
# cold start; and the near cache. Sourced by it, never run by itself; uses its functions.

set -euo pipefail

# A program of scripts/peers, with the package and the frameworks: peer NAME [ARGUMENT...].
peer() {
  env PYTHONPATH="$root/clients/python/src" PYTHONDONTWRITEBYTECODE=1 \
    "$build_dir/adapters/openai-agents/bin/python" "$root/scripts/peers/$1.py" "${@:2}"
}

# One round of one side: count_side SIDE ADDRESS CALLERS PID...
count_side() {
  local side=$1 report line= name
  report=$(peer session "$side" "$2" --connections "$3" --seconds "$seconds" "${@:4}")
  for name in requests_per_s redis_cpu_us worker_cpu_us own_cpu_us p50_us p99_us; do
    line+="$(figure "$report" $name) "
  done
  printf '%s\n' "$line" >>"$folder/$side.clients"
}

# Medians of each side's rounds, and the ratios to the first side: clients_table SIDE...
clients_table() {
  local -a files=("${@/#/$folder/}")
  awk -v rounds="$rounds" -v trips="${side_trips[*]}" "$table_of_rounds"'
    function ratio(side, column) { return pick(side, column) / pick(1, column) }
    END {
      split(trips, trip, " ")
      print "| side | trips | messages/s | wall: p50 us | ratio | p99 us | Redis us | ratio |" \
        " worker us | client us | ratio |"
      print "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
      for (s = 1; s <= side; s++) {
        sub(/\.clients/, "", name[s])
        printf "| %s | %s | %d | %d | %.2f | %d | %.1f | %.2f | %.1f | %.1f | %.2f |\n", name[s], \
          trip[s], pick(s, 1), pick(s, 5), ratio(s, 5), pick(s, 6), pick(s, 2), ratio(s, 2), \
          pick(s, 3), pick(s, 4), ratio(s, 4)
      }
    }' "${files[@]/%/.clients}"
}

measure_callers() {
  local callers=$1 round side
  rm -f "$folder"/*.clients
  for ((round = 1; round <= rounds; round++)); do
    count_side redis "127.0.0.1:$peer_port" "$callers" --pid "redis=$peer_pid"
    for side in latchkey openai; do
      count_side "$side" "$worker_address" "$callers" --pid "redis=$clients_pid" \
        --pid "worker=$worker_pid"
    done
  done
  printf '\none message of a conversation in Python: %s callers, 20 messages of history, %s ' \
    "$callers" "$rounds"
  printf 'rounds of %s s in turns;\nredis: RedisSession of OpenAI Agents and the lock ' "$seconds"
  printf 'of redis-py; latchkey: a turn of\nthe client; openai: a turn and the adapter for the '
  printf 'same; us of a processor per message\n\n'
  clients_table redis latchkey openai
}

measure_clients() {
  local callers side
  local -a side_trips=()
  need_packages python3-venv
  need_python_packages "$root/scripts/openai-agents.txt" "$build_dir/adapters/openai-agents"
  start_redis peer
  peer_pid=$redis_pid peer_port=$redis_port
  start_redis clients
  clients_pid=$redis_pid
  start_worker clients "redis://127.0.0.1:$redis_port" --max-sessions 10000
  side_trips+=("$(figure "$(peer session redis "127.0.0.1:$peer_port" --trips)" trips)")
  for side in latchkey openai; do
    side_trips+=("$(figure "$(peer session "$side" "$worker_address" --trips)" trips)")
  done
  for callers in 1 25; do measure_callers "$callers"; done
  printf '\n'
  peer start "$worker_address" --redis "127.0.0.1:$peer_port" --rounds $((rounds * 4))
  kill "$worker_pid" "$clients_pid" "$peer_pid"
}
