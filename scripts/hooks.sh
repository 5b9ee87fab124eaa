# The webhooks of scripts/bench and scripts/soak: how late events are at a receiver, and that each
# comes though workers are killed and the receiver is away. Sourced by them, never run by itself;
# uses their functions.

set -euo pipefail

hook_workers=()
hook_addresses=()

# hook_worker PLACE REDIS-URL: starts a worker, in place of the one that had this place in the list.
hook_worker() {
  rm -f "$folder/hooks-$1.ready"
  "$build_dir/release/latchkey" serve --threads 1 --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
    --redis "$2" --log-level error >"$folder/hooks-$1.ready" 2>>"$folder/hooks.log" &
  hook_workers[$1]=$!
  pids+=("$!")
  wait_for "$folder/hooks-$1.ready" "the worker's ready line"
  hook_addresses[$1]=$(sed -n 's/^ready listen=\([^ ]*\) .*/\1/p' "$folder/hooks-$1.ready")
}

kill_hook_worker() {
  kill -KILL "${hook_workers[$1]}"
  wait "${hook_workers[$1]}" 2>/dev/null || true
}

# receive FILE OPTION...: events through the first worker to a receiver, and its report in the file.
receive() {
  python3 "$root/scripts/peers/receiver.py" "${hook_addresses[0]}" "${@:2}" >"$1"
}

# kill_meanwhile PID REDIS-URL: until that process ends, the second and the third worker are killed
# and started again, in turn.
kill_meanwhile() {
  local place=1
  while kill -0 "$1" 2>/dev/null; do
    sleep 2
    kill_hook_worker $place
    sleep 1
    hook_worker $place "$2"
    place=$((3 - place))
  done
}

# receive_under_kills FILE REDIS-URL OPTION...
receive_under_kills() {
  local receiver status=0
  receive "$1" "${@:3}" &
  receiver=$!
  pids+=("$receiver")
  kill_meanwhile "$receiver" "$2"
  wait "$receiver" || status=$?
  return $status
}

# For scripts/bench: 1,000 events a second through one hook, with and without kills.
measure_hooks() {
  local place way count=$((1000 * hooks_seconds)) status
  start_redis hooks
  for place in 0 1 2; do hook_worker $place "redis://127.0.0.1:$redis_port"; done
  printf '\nwebhooks: %s events, 1,000 a second, through one hook of three workers\n\n' "$count"
  head_row workers events lost doubled "out of order" "lag p50 ms" "p99 ms" "max ms"
  for way in calm kills; do
    status=0
    if [ $way = calm ]; then
      receive "$folder/hooks.json" --events "$count" || status=$?
    else
      receive_under_kills "$folder/hooks.json" "redis://127.0.0.1:$redis_port" \
        --events "$count" || status=$?
    fi
    local report name
    local -a cells=()
    report=$(<"$folder/hooks.json")
    for name in events lost doubled out_of_order lag_p50_ms lag_p99_ms lag_max_ms; do
      cells+=("$(figure "$report" $name)")
    done
    row $way "${cells[@]}"
    [ $status -eq 0 ] || die "events were lost, or came out of order" "$report"
  done
  for place in 0 1 2; do kill_hook_worker $place; done
}

# For scripts/soak: the receiver is away for half of the time, and workers are killed all along.
soak_hooks() {
  local place verdict=ok url="unix://$folder/redis.sock"
  redis-cli -s "$folder/redis.sock" FLUSHALL >/dev/null
  for place in 0 1 2; do hook_worker $place "$url"; done
  receive_under_kills "$folder/hooks.json" "$url" --kind abandoned --hook soak \
    --events "$((200 * seconds))" --rate 400 --down "$((seconds / 2))" --patience 90 ||
    verdict="events were lost, or came out of order"
  for place in 0 1 2; do kill_hook_worker $place; done
  [ "$verdict" = ok ] || failures=$((failures + 1))
  printf 'webhooks, their receiver away for %s s, workers killed: %s: %s\n' "$((seconds / 2))" \
    "$(cat "$folder/hooks.json")" "$verdict"
}
