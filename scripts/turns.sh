# The section 'turns' of scripts/bench: what one message of a conversation costs in a turn, beside
# the six verbs that did it before, and beside what is used without a worker; how soon a turn is
# handed over; and what callers that wait cost. Sourced by it, never run by itself; uses its
# functions and what it has started.

set -euo pipefail

# One round of one side: count_messages SIDE CALLERS COMMAND [ARGUMENT...].
count_messages() {
  local side=$1 report line= name
  report=$("${@:3}" --connections "$2" --seconds "$seconds" "${turns_pids[@]}")
  for name in requests_per_s redis_cpu_us worker_cpu_us own_cpu_us p50_us p99_us; do
    line+="$(figure "$report" $name) "
  done
  printf '%s\n' "$line" >>"$folder/$side.turns"
}

# Medians of each side's rounds, beside the first side's.
turns_table() {
  local -a files=("${@/#/$folder/}")
  awk -v rounds="$rounds" "$table_of_rounds"'
    function pairs(side, column,   i) {
      for (i = 1; i <= rounds; i++) r[i] = data[side, i, column] / data[1, i, column]
      sorted(r, rounds)
      return sprintf("%.3f (%.3f-%.3f)", r[int((rounds + 1) / 2)], r[1], r[rounds])
    }
    END {
      print "| side | messages/s | Redis us | ratio of pairs | worker us | callers us | p50 us |" \
        " ratio of pairs | p99 us |"
      print "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
      for (s = 1; s <= side; s++) {
        sub(/\.turns/, "", name[s])
        printf "| %s | %d | %.1f | %s | %.1f | %.1f | %d | %s | %d |\n", name[s], pick(s, 1), \
          pick(s, 2), pairs(s, 2), pick(s, 3), pick(s, 4), pick(s, 5), pairs(s, 5), pick(s, 6)
      }
    }' "${files[@]/%/.turns}"
}

measure_messages() {
  local callers=$1 round port
  local python=$build_dir/adapters/openai-agents/bin/python
  rm -f "$folder"/*.turns
  for ((round = 1; round <= rounds; round++)); do
    local -a turns_pids=(--pid "redis=$session_pid")
    count_messages session "$callers" env PYTHONPATH="$root/clients/python/src" "$python" \
      "$root/scripts/peers/session.py" openai-redis "127.0.0.1:$session_port"
    turns_pids=(--pid "redis=$messages_pid" --pid "worker=$worker_pid")
    count_messages six "$callers" load messages six "$worker_address"
    count_messages turn "$callers" load messages turn "$worker_address"
    count_messages turn-python "$callers" env PYTHONPATH="$root/clients/python/src" "$python" \
      "$root/scripts/peers/session.py" latchkey "$worker_address"
  done
  printf '\none message of a conversation: %s callers, 20 messages of history, %s rounds of ' \
    "$callers" "$rounds"
  printf '%s s in turns;\nsession: RedisSession and Lock; six: 6 requests; ' "$seconds"
  printf 'turn: 2 requests, by the load generator and\nby the Python client; CPU us per message\n\n'
  turns_table session six turn turn-python
}

# What TURN and DONE cost Redis by its own count, as in the section 'calls'.
measure_turn_calls() {
  local share
  local -a sides
  for share in 1 4 16 64; do
    sides=()
    start_calls_side turn_fcall "$build_dir/release/latchkey" "$share" --lua function
    start_calls_side turn_evalsha "$build_dir/release/latchkey" "$share" --lua script
    load calls "${sides[@]}" --share "$share" --rounds "$calls_rounds" turn "done"
  done >"$folder/turn-calls.json"
  printf '\nRedis us per TURN and DONE, with so many requests in a script call, by its own count;\n'
  printf 'least of %s rounds\n\n' "$calls_rounds"
  awk '
    function figure(name,   at) {
      at = index($0, "\"" name "\":")
      return substr($0, at + length(name) + 3) + 0
    }
    BEGIN {
      print "| verb | requests a call | FCALL | EVALSHA |"
      print "| --- | --- | --- | --- |"
    }
    {
      split($0, words, "\"")
      printf "| %s | %d | %.1f | %.1f |\n", toupper(words[4]), figure("requests"), \
        figure("turn_fcall_us"), figure("turn_evalsha_us")
    }' "$folder/turn-calls.json"
}

measure_turns() {
  local callers
  need_packages python3-venv
  need_python_packages "$root/scripts/openai-agents.txt" "$build_dir/adapters/openai-agents"
  start_redis session
  session_pid=$redis_pid session_port=$redis_port
  start_redis messages
  messages_pid=$redis_pid
  start_worker messages "redis://127.0.0.1:$redis_port" --max-sessions 10000
  for callers in 25 500; do measure_messages "$callers"; done
  measure_turn_calls
  local first_pid=$worker_pid first_address=$worker_address
  start_worker messages-2 "redis://127.0.0.1:$redis_port" --max-sessions 10000
  printf '\na turn is handed to a caller that waits on another worker:\n\n'
  load hand-over "$first_address" "$worker_address" --seconds "$seconds"
  printf '\n5,000 callers wait on two workers, and no turn ends:\n\n'
  load waiting "$first_address" "$worker_address" --connections 5000 --seconds 10 \
    --pid "redis=$messages_pid" --pid "worker_1=$first_pid" --pid "worker_2=$worker_pid"
  kill "$first_pid" "$worker_pid" "$messages_pid" "$session_pid"
}
