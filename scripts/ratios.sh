# The sections 'floor', 'proxy', 'webdis', 'openloop' and 'million' of scripts/bench. Sourced by it,
# never run by itself; uses its functions, and keeps to its way: sides in turns, then one table.

set -euo pipefail

# How many callers the sections have, and what 'million' fills with; ratios_size sets the latter.
ratio_callers=500

ratios_size() {
  case $1 in
    full) many_locks=1000000 many_devices=100000 ;;
    quick) many_locks=100000 many_devices=20000 ;;
  esac
}

# One round of a side that has its own table row: measure SIDE TARGET ADDRESS [option...].
measure_side() {
  local report
  report=$(load "$2" "$3" --connections "$ratio_callers" --seconds "$seconds" "${@:4}")
  keep "$1" "$report"
}

# Starts a worker with a Redis of its own, once; both are named tcp in the tables.
start_rival() {
  start_redis rival
  rival_redis_pid=$redis_pid
  start_worker rival "redis://127.0.0.1:$redis_port" --http 127.0.0.1:0
  rival_pid=$worker_pid rival_address=$worker_address
  rival_http=$(sed -n 's/.* http=\([^ ]*\) .*/\1/p' "$folder/rival.ready")
}

measure_rival() {
  measure_side tcp latchkey "$rival_address" --pid "redis=$rival_redis_pid" \
    --pid "worker=$rival_pid" "$@"
}

# Waits until a port of this machine accepts connections.
wait_for_port() {
  local tries=0
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -le 200 ] || die "waited 10 s in vain for $2" "$(cat "$folder/$2.log" 2>/dev/null)"
    sleep 0.05
  done
}

# start_twemproxy REDIS-PORT: sets front_pid and front_port.
start_twemproxy() {
  local stats_port
  front_port=$(free_port)
  stats_port=$(free_port)
  # One server, on one connection, as the worker has; no time-out, and no server is ejected.
  cat >"$folder/twemproxy.yml" <<END
locks:
  listen: 127.0.0.1:$front_port
  redis: true
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: false
  preconnect: true
  backlog: 1024
  servers:
    - 127.0.0.1:$1:1 only
END
  nutcracker --conf-file="$folder/twemproxy.yml" --stats-addr=127.0.0.1 \
    --stats-port="$stats_port" --output="$folder/twemproxy.log" \
    --pid-file="$folder/twemproxy.pid" --verbose=2 >/dev/null 2>&1 &
  front_pid=$!
  pids+=("$front_pid")
  wait_for_port "$front_port" twemproxy
}

# start_webdis REDIS-PORT: sets front_pid and front_port.
start_webdis() {
  front_port=$(free_port)
  # Two threads, as in the package's own settings; it says little, which is in its favour.
  cat >"$folder/webdis.json" <<END
{
  "redis_host": "127.0.0.1", "redis_port": $1, "redis_auth": null, "database": 0,
  "http_host": "127.0.0.1", "http_port": $front_port, "threads": 2, "daemonize": false,
  "pidfile": "$folder/webdis.pid", "verbosity": 1, "logfile": "$folder/webdis.log"
}
END
  webdis "$folder/webdis.json" >/dev/null 2>&1 &
  front_pid=$!
  pids+=("$front_pid")
  wait_for_port "$front_port" webdis
}

# measure_through NAME TARGET HOW: the worker beside what start_NAME starts before a Redis of its
# own, which the load generator knows as TARGET: the same EVALSHA as direct, on kept connections.
measure_through() {
  local name=$1 round behind_port behind_pid
  local -a sides=("$1" tcp)
  rm -f "$folder"/*.rounds
  start_redis "behind-$name"
  behind_port=$redis_port behind_pid=$redis_pid
  "start_$name" "$behind_port"
  start_rival
  for ((round = 1; round <= rounds; round++)); do
    measure_side "$name" "$2" "127.0.0.1:$front_port" --scripts "127.0.0.1:$behind_port" \
      --pid "redis=$behind_pid" --pid "worker=$front_pid"
    measure_rival
    if [ "$name" = webdis ]; then
      measure_side http http "$rival_http" --pid "redis=$rival_redis_pid" \
        --pid "worker=$rival_pid"
      sides=(webdis http tcp)
    fi
  done
  printf '\n%s callers %s, %s rounds of %s s in turns; worker: CPU of %s too\n\n' \
    "$ratio_callers" "$3" "$rounds" "$seconds" "$name"
  table "${sides[@]}"
  kill "$front_pid" "$behind_pid" "$rival_pid" "$rival_redis_pid"
}

# The worker beside a server that answers and does nothing: what sockets cost by themselves.
measure_floor() {
  local round echo_pid echo_address
  rm -f "$folder"/*.rounds
  "$build_dir/release/latchkey-bench" echo 127.0.0.1:0 >"$folder/echo.ready" &
  echo_pid=$!
  pids+=("$echo_pid")
  wait_for "$folder/echo.ready" "the echo server's ready line"
  echo_address=$(sed 's/^ready listen=//' "$folder/echo.ready")
  start_rival
  for ((round = 1; round <= rounds; round++)); do
    measure_side echo latchkey "$echo_address" --pid "worker=$echo_pid"
    measure_rival
  done
  printf '\n%s callers of a server that answers each line and does nothing, %s rounds of %s s ' \
    "$ratio_callers" "$rounds" "$seconds"
  printf 'in turns\n\n'
  table echo tcp
  kill "$echo_pid" "$rival_pid" "$rival_redis_pid"
}

measure_proxy() {
  measure_through twemproxy redis \
    "through $(nutcracker --version 2>&1 | sed -n 's/^This is //p')"
}

measure_webdis() { measure_through webdis webdis 'by HTTP through Webdis with two threads'; }

# Latency at half of the greatest rate that Redis reaches alone, whatever the replies take.
measure_openloop() {
  local round most direct_pid direct_port
  rm -f "$folder"/*.rounds
  start_redis openloop
  direct_pid=$redis_pid direct_port=$redis_port
  start_rival
  for ((round = 1; round <= rounds; round++)); do
    measure_side most redis "127.0.0.1:$direct_port" --pid "redis=$direct_pid"
  done
  most=$(median "$folder/most.rounds" 1)
  for ((round = 1; round <= rounds; round++)); do
    measure_side direct redis "127.0.0.1:$direct_port" --rate "$((most / 2))" \
      --pid "redis=$direct_pid"
    measure_rival --rate "$((most / 2))"
  done
  printf '\nopen loop: %s LOCK/s by %s connections, half of the %s that these callers get from ' \
    "$((most / 2))" "$ratio_callers" "$most"
  printf 'Redis directly;\n%s rounds of %s s in turns; latency counts from when each was due\n\n' \
    "$rounds" "$seconds"
  table direct tcp
  kill "$direct_pid" "$rival_pid" "$rival_redis_pid"
}

# The rate with few locks held, and with very many.
measure_million() {
  local round few=1000 few_pid few_redis_pid few_address
  rm -f "$folder"/*.rounds
  start_redis few
  few_redis_pid=$redis_pid
  start_worker few "redis://127.0.0.1:$redis_port"
  few_pid=$worker_pid few_address=$worker_address
  start_rival
  # The callers take the rest themselves, and renew those.
  load fill "$rival_address" --locks "$((many_locks - many_devices))" >/dev/null
  for ((round = 1; round <= rounds; round++)); do
    measure_side few latchkey "$few_address" --devices "$few" --pid "redis=$few_redis_pid" \
      --pid "worker=$few_pid"
    measure_side many latchkey "$rival_address" --devices "$many_devices" \
      --pid "redis=$rival_redis_pid" --pid "worker=$rival_pid"
  done
  printf '\n%s locks held (few) and %s (many), of which %s callers renew %s and %s; ' \
    "$few" "$many_locks" "$ratio_callers" "$few" "$many_devices"
  printf '%s rounds of %s s in turns\n\n' "$rounds" "$seconds"
  table few many
  kill "$few_pid" "$few_redis_pid" "$rival_pid" "$rival_redis_pid"
}
