# The section 'replicas' of scripts/bench: the cost of --replica-acks, and the time of a failover.
# Sourced by it, never run by itself; uses its functions.

set -euo pipefail

# Starts a replica of the Redis that was started last.
start_replica() {
  local master=$redis_port master_pid=$redis_pid
  start_redis "$1-replica"
  redis-cli -p "$redis_port" REPLICAOF 127.0.0.1 "$master" >/dev/null
  redis_port=$master redis_pid=$master_pid
  local tries=0
  until redis-cli -p "$master" INFO replication | grep -q 'state=online'; do
    tries=$((tries + 1))
    [ $tries -le 200 ] || die "the replica does not follow"
    sleep 0.05
  done
}

# The same callers on two workers, each with a Redis and a replica of its own.
measure_acks() {
  local round side callers=50
  local -A address redis worker
  for side in no-acks acks; do
    start_redis "$side"
    start_replica "$side"
    local -a flags=()
    if [ "$side" = acks ]; then flags=(--replica-acks 1); fi
    start_worker "$side" "redis://127.0.0.1:$redis_port" "${flags[@]}"
    address[$side]=$worker_address redis[$side]=$redis_pid worker[$side]=$worker_pid
  done
  rm -f "$folder"/*.rounds
  for ((round = 1; round <= rounds; round++)); do
    for side in no-acks acks; do
      keep "$side" "$(load latchkey "${address[$side]}" --connections "$callers" \
        --seconds "$seconds" --pid "redis=${redis[$side]}" --pid "worker=${worker[$side]}")"
    done
  done
  printf '\nLOCK without and with --replica-acks 1: %s callers, %s rounds of %s s in turns; ' \
    "$callers" "$rounds" "$seconds"
  printf 'Redis, worker, load: CPU us per LOCK\n\n'
  table no-acks acks
}

now_ms() { date +%s%3N; }

# Waits for a command that is true, 30 s at most.
await() {
  local until=$((SECONDS + 30))
  until "${@:2}"; do ((SECONDS < until)) || die "waited in vain for $1"; done
}

named_master() {
  redis-cli -p "$((sentinel_port + 101))" sentinel get-master-addr-by-name latchkey | tail -n 1
}

is_other_master() { [ "$(named_master)" != "$1" ]; }
is_replica() { [ "$(redis-cli -p "$1" role 2>/dev/null | head -n 1)" = slave ]; }
is_served() {
  "$build_dir/release/latchkey" call --to "$worker_address" --timeout 1000 \
    LOCK "device-$RANDOM$RANDOM" bench >/dev/null 2>&1
}

start_sentinels() {
  sentinel_url=$(DOWN_AFTER_MS=500 "$root/scripts/sentinel" up --dir "$folder/sentinels" \
    --port "$sentinel_port" 2>/dev/null)
  local file
  for file in "$folder"/sentinels/*/pid; do pids+=("$(<"$file")"); done
}

# From the kill of the master to the sentinels' word, and to the first LOCK.
measure_failover() {
  local round master killed named served
  sentinel_port=$(free_port)
  start_sentinels
  start_worker failover "$sentinel_url"
  printf '\nthe master of a sentinel set is killed (down-after-milliseconds 500): ms until\n\n'
  head_row round "a sentinel names the new one" "a LOCK is OK" "of that, the worker"
  for ((round = 1; round <= rounds; round++)); do
    await "a LOCK" is_served
    master=$(named_master)
    killed=$(now_ms)
    kill -KILL "$(<"$folder/sentinels/$master/pid")"
    await "a failover" is_other_master "$master"
    named=$(now_ms)
    await "a LOCK on the new master" is_served
    served=$(now_ms)
    row "$round" "$((named - killed))" "$((served - killed))" "$((served - named))"
    start_sentinels
    await "the old master as a replica" is_replica "$master"
  done
  "$root/scripts/sentinel" down --dir "$folder/sentinels" --port "$sentinel_port"
}

measure_replicas() {
  measure_acks
  measure_failover
}
