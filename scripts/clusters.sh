# The sections 'cluster' and 'tls' of scripts/bench: three masters beside one Redis, the time of a
# cluster's failover, and what TLS costs. Sourced by it, never run by itself; uses its functions.

set -euo pipefail

# Starts three masters that keep nothing, as a cluster; sets master_ports and master_flags, which
# have the load generator add up what they spend.
start_masters() {
  local node places=()
  master_ports=() master_flags=()
  for node in 1 2 3; do
    mkdir -p "$folder/master-$node"
    redis_port=$(free_port)
    redis-server --bind 127.0.0.1 --port "$redis_port" --unixsocket "$folder/master-$node.sock" \
      --save '' --appendonly no --maxclients 30000 --dir "$folder/master-$node" \
      --cluster-enabled yes --cluster-node-timeout 5000 >"$folder/master-$node.log" 2>&1 &
    master_ports+=("$redis_port")
    master_flags+=(--pid "redis=$!")
    pids+=("$!")
    places+=("127.0.0.1:$redis_port")
    wait_for "$folder/master-$node.sock" "redis-server"
  done
  redis-cli --cluster create "${places[@]}" --cluster-yes >"$folder/cluster.log"
  await "a whole cluster" is_whole
}

is_whole() {
  local port
  for port in "${master_ports[@]}"; do
    redis-cli -p "$port" CLUSTER INFO | grep -q 'cluster_state:ok' || return 1
  done
}

# The same callers on a worker on one Redis, and on a worker on three masters.
measure_masters() {
  local round callers=500
  local -A address worker
  start_redis one
  start_worker one "redis://127.0.0.1:$redis_port"
  local -a one_flags=(--pid "redis=$redis_pid" --pid "worker=$worker_pid")
  address[one]=$worker_address
  start_masters
  start_worker three "redis-cluster://127.0.0.1:${master_ports[0]}"
  address[three]=$worker_address worker[three]=$worker_pid
  rm -f "$folder"/*.rounds
  for ((round = 1; round <= rounds; round++)); do
    keep one-redis "$(load latchkey "${address[one]}" --connections "$callers" \
      --seconds "$seconds" "${one_flags[@]}")"
    keep three-masters "$(load latchkey "${address[three]}" --connections "$callers" \
      --seconds "$seconds" "${master_flags[@]}" --pid "worker=${worker[three]}")"
  done
  printf '\none Redis and three masters: %s callers, %s rounds of %s s in turns; ' \
    "$callers" "$rounds" "$seconds"
  printf 'Redis (of all masters together), worker, load: CPU us per LOCK\n\n'
  table one-redis three-masters
}

is_moved() { [ -n "$(master_of "$2")" ] && [ "$(master_of "$2")" != "$1" ]; }

# The port of the master of a key, by any node that answers.
master_of() {
  local port said
  for ((port = cluster_port; port < cluster_port + 6; port++)); do
    said=$(redis-cli -p "$port" GET "$1" 2>/dev/null) || continue
    case $said in
      MOVED*) sed 's/.*:\([0-9]*\).*/\1/' <<<"$said" && return ;;
      CLUSTERDOWN* | '') continue ;;
      *) echo "$port" && return ;;
    esac
  done
}

is_device_served() {
  "$build_dir/release/latchkey" call --to "$worker_address" --timeout 1000 LOCK "$1" bench \
    >/dev/null 2>&1
}

# From the kill of a master to its replica's word, and to the first LOCK of one of its devices.
measure_cluster_failover() {
  local round number url key device master killed named served
  cluster_port=$(free_port)
  export LATCHKEY_CLUSTER_PORT=$cluster_port
  url=$("$root/scripts/cluster" up "$folder/cluster" 2>/dev/null)
  for ((number = 0; number < 6; number++)); do
    pids+=("$(<"$folder/cluster/$number/redis.pid")")
  done
  start_worker cluster-failover "$url"
  printf '\na master of a cluster is killed (cluster-node-timeout 2000): ms until\n\n'
  head_row round "another node names a new one" "a LOCK of its devices is OK" \
    "of that, the worker"
  for ((round = 1; round <= rounds; round++)); do
    device=failover-$round
    await "a LOCK" is_device_served "$device"
    key=$(for ((number = 0; number < 6; number++)); do
      redis-cli -p "$((cluster_port + number))" --scan --pattern "lk:*:held:$device"
    done | sed -n 1p)
    master=$(master_of "$key")
    killed=$(now_ms)
    kill -KILL "$(<"$folder/cluster/$((master - cluster_port))/redis.pid")"
    await "a failover" is_moved "$master" "$key"
    named=$(now_ms)
    await "a LOCK on the new master" is_device_served "$device"
    served=$(now_ms)
    row "$round" "$((named - killed))" "$((served - killed))" "$((served - named))"
    "$root/scripts/cluster" up "$folder/cluster" >/dev/null 2>&1
    for ((number = 0; number < 6; number++)); do
      pids+=("$(<"$folder/cluster/$number/redis.pid")")
    done
  done
  "$root/scripts/cluster" down "$folder/cluster" 2>/dev/null
  unset LATCHKEY_CLUSTER_PORT
}

measure_cluster() {
  measure_masters
  measure_cluster_failover
}

# Makes authority.pem, and worker.pem with its key for 127.0.0.1.
make_certificates() {
  (
    cd "$folder"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
      -subj '/CN=bench authority' -keyout authority.key -out authority.pem
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=worker \
      -keyout worker.key -out worker.csr
    echo subjectAltName=IP:127.0.0.1 >worker.ext
    openssl x509 -req -in worker.csr -CA authority.pem -CAkey authority.key -set_serial 1 -days 2 \
      -extfile worker.ext -out worker.pem
  ) >"$folder/openssl.log" 2>&1 || die "openssl made no certificate" "$(<"$folder/openssl.log")"
}

# LOCK on connections that are kept, and connect, AUTH, LOCK, close: plain, and by TLS.
measure_tls() {
  local round side callers
  local -A address worker
  make_principal
  make_certificates
  for side in plain tls; do
    start_redis "$side"
    local -a flags=(--auth "$folder/principals")
    if [ "$side" = tls ]; then
      flags+=(--tls-cert "$folder/worker.pem" --tls-key "$folder/worker.key")
    fi
    start_worker "$side" "redis://127.0.0.1:$redis_port" "${flags[@]}"
    address[$side]=$worker_address worker[$side]=$worker_pid
    start_worker "open-$side" "redis://127.0.0.1:$redis_port" "${flags[@]:2}"
    address[open-$side]=$worker_address worker[open-$side]=$worker_pid
  done
  local -a trust=(--tls-ca "$folder/authority.pem")
  for callers in 50 500; do
    rm -f "$folder"/*.rounds
    for ((round = 1; round <= rounds; round++)); do
      keep plain "$(load latchkey "${address[open-plain]}" --connections "$callers" \
        --seconds "$seconds" --pid "worker=${worker[open-plain]}")"
      keep tls "$(load latchkey "${address[open-tls]}" --connections "$callers" \
        --seconds "$seconds" --pid "worker=${worker[open-tls]}" "${trust[@]}")"
    done
    printf '\nLOCK on kept connections, plain and by TLS: %s callers, %s rounds of %s s; ' \
      "$callers" "$rounds" "$seconds"
    printf 'worker, load: CPU us per LOCK\n\n'
    table plain tls
  done
  rm -f "$folder"/*.cycles
  for ((round = 1; round <= rounds; round++)); do
    count_cycles direct latchkey "${address[plain]}" --pid "worker=${worker[plain]}"
    count_cycles resumed latchkey "${address[tls]}" --pid "worker=${worker[tls]}" "${trust[@]}"
    count_cycles full latchkey "${address[tls]}" --pid "worker=${worker[tls]}" "${trust[@]}" \
      --no-resume
  done
  printf '\nconnect, AUTH, LOCK, close: 50 callers, %s rounds of %s s; worker: CPU us\n\n' \
    "$rounds" "$seconds"
  head_row side cycles/s ratio "p50 us" "p99 us" Redis worker
  cycles_row plain "$folder/direct.cycles"
  cycles_row "TLS, resumed" "$folder/resumed.cycles"
  cycles_row "TLS, full handshakes" "$folder/full.cycles"
}
