# The attacks of scripts/soak on a cluster. Sourced by it, never run by itself; uses its functions.

set -euo pipefail

# Writes what is done to the cluster every 15 s, into $folder/cluster-chaos.
write_cluster_chaos() {
  cat >"$folder/cluster-chaos" <<END
#!/usr/bin/env bash
export LATCHKEY_CLUSTER_PORT=$cluster_port
masters=()
for node in \$(seq 0 5 | shuf); do
  if redis-cli -p \$(($cluster_port + node)) ROLE 2>/dev/null | head -n 1 | grep -q master; then
    masters+=("\$node")
  fi
done
case $1 in
  slots)
    id() { redis-cli -p \$(($cluster_port + masters[\$1])) CLUSTER MYID; }
    exec redis-cli --cluster reshard "127.0.0.1:\$(($cluster_port + masters[0]))" \\
      --cluster-from "\$(id 0)" --cluster-to "\$(id 1)" --cluster-slots 500 --cluster-yes
    ;;
  clocks)
    # Not for so long that its replica takes over: that has another clock, and keeps locks longer.
    pid=\$(cat "$folder/cluster/\${masters[0]}/redis.pid")
    kill -STOP "\$pid"
    sleep 1
    exec kill -CONT "\$pid"
    ;;
  *)
    "$root/scripts/cluster" up "$folder/cluster" >/dev/null 2>&1
    exec kill -9 "\$(cat "$folder/cluster/\${masters[0]}/redis.pid")"
    ;;
esac
END
  chmod +x "$folder/cluster-chaos"
}

# A redis-server whose clock is three seconds ahead if the last digit of its port is odd.
write_clock_server() {
  set_clock 3
  cat >"$folder/clock-server" <<END
#!/usr/bin/env bash
case \$2 in *[13579]) export LD_PRELOAD=$folder/clock.so ;; esac
exec redis-server "\$@"
END
  chmod +x "$folder/clock-server"
}

# cluster_attack WAY: plays 500 conversations on a cluster of six, to which something is done every
# 15 s. Of a killed master the replica takes over; it is started again with the next one.
cluster_attack() {
  local status=0 cluster_url server=redis-server
  cluster_port=$((7300 + 10 * (RANDOM % 20)))
  rm -rf "$folder/cluster" "$folder/cluster.ready"
  if [ "$1" = clocks ]; then
    if ! make_clock; then
      say "skipped: nodes whose clocks differ (there is no C compiler here)"
      return 0
    fi
    write_clock_server
    server=$folder/clock-server
  fi
  say "500 conversations on a cluster, for $seconds s: $1"
  cluster_url=$(LATCHKEY_CLUSTER_PORT=$cluster_port LATCHKEY_REDIS_SERVER=$server \
    "$root/scripts/cluster" up "$folder/cluster")
  "$build_dir/release/latchkey" serve --redis "$cluster_url" --ack-timeout 5s --log-level warn \
    --listen 127.0.0.1:0 --admin 127.0.0.1:0 >"$folder/cluster.ready" 2>"$folder/cluster.log" &
  local pid=$!
  pids+=("$pid")
  wait_for "$folder/cluster.ready" "a worker on the cluster"
  write_cluster_chaos "$1"
  "$build_dir/release/latchkey" load --conversations 500 --duration "${seconds}s" --group soak \
    --to "$(sed -n 's/.*listen=\([^ ]*\).*/\1/p' "$folder/cluster.ready")" \
    --chaos "$folder/cluster-chaos >>$folder/chaos.log 2>&1" --chaos-every 15s || status=$?
  kill "$pid"
  wait "$pid" || true
  forget "$pid"
  LATCHKEY_CLUSTER_PORT=$cluster_port "$root/scripts/cluster" down "$folder/cluster"
  if [ $status -ne 0 ]; then
    failures=$((failures + 1))
    tail -n 20 "$folder/cluster.log" "$folder/chaos.log" >&2
  fi
}

# A cluster whose masters are killed, one whose slots move, and one whose nodes' clocks differ.
cluster_attacks() {
  local way
  for way in kill slots clocks; do cluster_attack "$way"; done
}
