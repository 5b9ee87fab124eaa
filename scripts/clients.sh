# The section 'clients' of scripts/bench: what one message of a conversation costs through the
# Python client and through adapters, beside the frameworks' own stores in Redis; a function's
# cold start; and the near cache. Sourced by it, never run by itself; uses its functions.

set -euo pipefail

# The frameworks whose own store works on a Redis without modules, and their folders of packages.
frameworks=(openai adk llamaindex)
declare -A framework_folders=([openai]=openai-agents [adk]=adk [llamaindex]=llamaindex)

# peer FRAMEWORK PROGRAM [ARGUMENT...]: a program of scripts/peers with the framework's packages.
peer() {
  env -u PYTHONDONTWRITEBYTECODE PYTHONPATH="$root/clients/python/src" \
    PYTHONPYCACHEPREFIX="$folder/cache" \
    "$build_dir/adapters/${framework_folders[$1]}/bin/python" "$root/scripts/peers/$2.py" "${@:3}"
}

# peer_side FRAMEWORK SIDE [ARGUMENT...]: a message of a side, at the server that it is for.
peer_side() {
  local address=$worker_address
  local -a servers=(--pid "redis=$clients_pid" --pid "worker=$worker_pid")
  case $2 in
    *-redis)
      address=127.0.0.1:$peer_port
      servers=(--pid "redis=$peer_pid")
      ;;
  esac
  peer "$1" session "$2" "$address" "${servers[@]}" "${@:3}"
}

# One round of one side: count_side FRAMEWORK SIDE CALLERS
count_side() {
  local report line= name
  report=$(peer_side "$1" "$2" --connections "$3" --seconds "$seconds")
  for name in requests_per_s redis_cpu_us worker_cpu_us own_cpu_us p50_us p99_us; do
    line+="$(figure "$report" $name) "
  done
  printf '%s\n' "$line" >>"$folder/$2.clients"
}

# Medians of each side's rounds, and the ratios to the first side: clients_table SIDE...
clients_table() {
  local -a files=("${@/#/$folder/}")
  awk -v rounds="$rounds" -v trips="${side_trips[*]}" "$table_of_rounds"'
    function ratio(side, column) { return pick(side, column) / pick(1, column) }
    END {
      split(trips, trip, " ")
      print "| side | trips | messages/s | p50 us | ratio | p99 us | Redis us | ratio |" \
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

# measure_framework FRAMEWORK: its own store, the adapter, and the client alone.
measure_framework() {
  local callers round side
  local -a sides=("$1-redis" "$1" latchkey) side_trips=()
  if [ "$1" != adk ]; then sides=("$1-redis" "$1" "$1-collected" latchkey); fi
  for side in "${sides[@]}"; do
    side_trips+=("$(figure "$(peer_side "$1" "$side" --trips)" trips)")
  done
  for callers in 1 25; do
    rm -f "$folder"/*.clients
    for ((round = 1; round <= rounds; round++)); do
      for side in "${sides[@]}"; do count_side "$1" "$side" "$callers"; done
    done
    printf '\none message of a conversation in Python: %s callers, %s rounds of %s s in turns;\n' \
      "$callers" "$rounds" "$seconds"
    printf '%s: its own store in Redis, in the lock of redis-py; %s: the adapter, in a\n' \
      "${sides[0]}" "$1"
    printf 'turn; collected: in one that collects; latchkey: a turn of the client; us of a '
    printf 'processor per message\n\n'
    clients_table "${sides[@]}"
  done
}

measure_clients() {
  local framework
  need_packages python3-venv
  start_redis peer
  peer_pid=$redis_pid peer_port=$redis_port
  start_redis clients
  clients_pid=$redis_pid
  start_worker clients "redis://127.0.0.1:$redis_port" --max-sessions 10000
  for framework in "${frameworks[@]}"; do
    need_python_packages "$root/scripts/${framework_folders[$framework]}.txt" \
      "$build_dir/adapters/${framework_folders[$framework]}"
    measure_framework "$framework"
  done
  printf '\n'
  peer openai start "$worker_address" --redis "127.0.0.1:$peer_port" --rounds $((rounds * 4))
  kill "$worker_pid" "$clients_pid" "$peer_pid"
}
