# The sections 'cycles', 'attacks', 'shares', 'longest' and 'overload' of scripts/bench, and what
# scripts/soak has in common with them. Sourced by both, never run by itself; uses their functions
# and what they have started.

set -euo pipefail

# name, connections: what is tried on a worker.
attack_kinds=("drip 500" "idle 1500" "deaf 50" "hoard 500" "storm 50" "reset 50")

# Makes a file of principals with one that may do everything, and as much of it as it can, and its
# secret in a file of its own; and one beside it, whose secret is in a file of its name.
make_principal() {
  local most=1000000000 name
  : >"$folder/principals"
  for name in bench witness; do
    "$build_dir/release/latchkey" secret "$name" --rate $most --events $most --written $most \
      >>"$folder/principals" 2>"$folder/secret.said"
    sed 's/.*: //' "$folder/secret.said" >"$folder/$name.secret"
  done
  cp "$folder/bench.secret" "$folder/secret"
}

# Cycles a second of one side, in $1.cycles: count_cycles SIDE TARGET ADDRESS [--pid NAME=PID...].
count_cycles() {
  local side=$1 report
  shift
  report=$(load cycles "$@" --connections 50 --seconds "$seconds" \
    --secret-file "$folder/${secret_file:-secret}")
  printf '%s %s %s %s %s\n' "$(figure "$report" requests_per_s)" \
    "$(figure "$report" p50_us)" "$(figure "$report" p99_us)" \
    "$(figure "$report" redis_cpu_us)" "$(figure "$report" worker_cpu_us)" \
    >>"$folder/$side.cycles"
}

# Makes a key of an algorithm (ES256 or RS256), and a token signed by it, as a secret for AUTH.
make_token() {
  local name=$1 text signature
  if [ "$name" = ES256 ]; then
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256
  else
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048
  fi >"$folder/$name.key" 2>/dev/null
  openssl pkey -in "$folder/$name.key" -pubout >>"$folder/keys.pem"
  text=$(printf '{"alg":"%s"}' "$name" | base64url)
  text+=.$(printf '{"sub":"bench","exp":%s}' $(($(date +%s) + 86400)) | base64url)
  signature=$(printf %s "$text" | openssl dgst -sha256 -sign "$folder/$name.key" |
    if [ "$name" = ES256 ]; then two_numbers; else cat; fi | base64url)
  printf 'jwt %s.%s\n' "$text" "$signature" >"$folder/$name.secret"
}

base64url() { base64 -w 0 | tr '+/' '-_' | tr -d =; }

# The two numbers of a signature in DER, 32 bytes each.
two_numbers() {
  openssl asn1parse -inform DER | sed -n 's/.*INTEGER *:-*//p' | while read -r number; do
    printf '%64s' "$number" | tr ' ' 0
  done | sed 's/../\\x&/g' | xargs -0 printf '%b'
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
  rm -f "$folder"/*.cycles "$folder/keys.pem"
  local algorithm
  for algorithm in ES256 RS256; do make_token "$algorithm"; done
  start_redis cycles-direct
  redis-cli -s "$folder/cycles-direct.sock" CONFIG SET requirepass "$(cat "$folder/secret")" \
    >/dev/null
  local direct_port=$redis_port direct_pid=$redis_pid
  start_redis cycles
  local behind_pid=$redis_pid
  start_worker cycles "redis://127.0.0.1:$redis_port" --auth "$folder/principals" \
    --jwt-keys "$folder/keys.pem"
  for ((round = 1; round <= rounds; round++)); do
    count_cycles direct redis "127.0.0.1:$direct_port" --pid "redis=$direct_pid"
    count_cycles worker latchkey "$worker_address" --pid "redis=$behind_pid" \
      --pid "worker=$worker_pid"
    for algorithm in ES256 RS256; do
      secret_file=$algorithm.secret count_cycles "$algorithm" latchkey "$worker_address" \
        --pid "redis=$behind_pid" --pid "worker=$worker_pid"
    done
  done
  printf '\nconnect, AUTH, LOCK, close: 50 callers, %s rounds of %s s in turns; ' "$rounds" \
    "$seconds"
  printf 'Redis, worker: CPU us per cycle\n\n'
  head_row side cycles/s ratio "p50 us" "p99 us" Redis worker
  cycles_row "on Redis" "$folder/direct.cycles"
  cycles_row "on a worker before a Redis" "$folder/worker.cycles"
  cycles_row "the same, AUTH jwt by ES256" "$folder/ES256.cycles"
  cycles_row "the same, AUTH jwt by RS256" "$folder/RS256.cycles"
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

# --- what one caller can cost the others -----------------------------------------------------

# Legal requests of one caller, or of many: name, callers, further options of the load. Each has a
# file of lines, which make_lines makes.
line_kinds=(
  "export 1 --leave yes" "get 1" "get-pipelined 1" "pause 1" "events 1 --leave yes" "rare 1"
  "pending 4" "notes 1" "req 1 --rounds 1" "pipeline 1000" "stats 4" "take 1" "profile 1"
  "index 1" "copy 1" "seize 4" "waiting 64"
)

# So many times a letter.
letters() { head -c "$1" /dev/zero | tr '\0' x; }

# Lines by a pattern, in which @ stands for a number from 1 on: repeated COUNT LINE.
repeated() { awk -v n="$1" -v line="$2" 'BEGIN {
  for (i = 1; i <= n; i++) { out = line; gsub(/@/, i, out); print out } }'; }

# The line with which callers begin where the worker has principals: its secret is in that file.
attack_secret=
auth_line() { if [ -n "$attack_secret" ]; then echo "AUTH $(cat "$attack_secret")"; fi; }

# What has to be in Redis: 10 MB of messages, a record of 30 MB, 10 MB of documents and of a
# profile, 4,000 events of one device, and a group with 180,000 that were given to it and not
# acknowledged.
make_attack_data() {
  local n text
  text=$(letters 100000)
  {
    echo 'OPEN big'
    for ((n = 0; n < 100; n++)); do printf 'SAY big {"t":"%s"}\n' "$text"; done
    echo 'OPEN huge'
    text=$(letters 255000)
    for ((n = 0; n < 120; n++)); do printf 'SET huge {"f%s":"%s"}\n' "$n" "$text"; done
    for ((n = 0; n < 40; n++)); do
      printf 'PUT big k%s "%s"\nPROFILE user=big {"f%s":"%s"}\n' "$n" "$text" "$n" "$text"
    done
    repeated 4000 'SEIZE ev a@'
    echo 'LOCK event0 a'
    repeated 199 'LOCK event@ a'
    for ((n = 0; n < 60; n++)); do repeated 3000 "SEIZE pe@ a$n"; done
  } >"$folder/data.lines"
  send_once "$1"
  repeated 250 'EVENTS * group=slow limit=1000' >"$folder/data.lines"
  send_once "$1"
}

send_once() {
  { auth_line && cat "$folder/data.lines"; } >"$folder/once.lines"
  "$build_dir/release/latchkey-bench" requests "$1" --lines "$folder/once.lines" \
    --connections 1 --rounds 1 --seconds 300 >/dev/null
}

make_lines() {
  local n
  auth_line >"$folder/attack.lines"
  case $1 in
    export) repeated 1024 'EXPORT big' ;;
    get) echo 'GET huge' ;;
    get-pipelined) repeated 64 'GET huge' ;;
    pause) printf 'PAUSE huge\nRESUME huge\n' ;;
    events) repeated 1024 'EVENTS none' ;;
    rare) echo 'EVENTS * group=fresh types=turn.abandoned' ;;
    pending) echo 'EVENTS * group=slow limit=1000' ;;
    # A note of 1 MB is refused; the others are as long as one may be.
    notes)
      printf 'LOCK n1 a\nHANDOFF n1 a a {"t":"%s"}\n' "$(letters 1000000)"
      repeated 60 "$(printf 'LOCK n@ a\nHANDOFF n@ a a {"t":"%s"}' "$(letters 65000)")"
      echo 'EVENTS * group=notes limit=1000'
      ;;
    req) repeated 200 $'PAUSE huge req=p@\nRESUME huge req=r@' ;;
    pipeline) repeated 1024 'LOCK p%-@ a' ;;
    stats) echo 'STATS' ;;
    take) echo "TAKE big $(repeated 40 'k@' | tr '\n' ' ')k0" ;;
    profile) echo 'PROFILE user=big' ;;
    # What is said twice makes an index that the next removal removes.
    index) printf 'SAY big id=i {"i":1}\nSAY big [{"i":2},{"i":2}]\nPOP big\n' ;;
    copy) printf 'COPY big copied\nDELETE copied\n' ;;
    # Few devices: their logs become full soon.
    seize) for n in {1..16}; do repeated 16 "SEIZE full@ a%-$n"; done ;;
    waiting) echo 'EVENTS * group=waiting wait=1s' ;;
  esac >>"$folder/attack.lines"
}

# Those who wait get 500 events a second, for so long: start_events ADDRESS KIND SECONDS.
start_events() {
  events_pid=
  [ "$2" = waiting ] || return 0
  local options=()
  if [ -n "$attack_secret" ]; then options=(--secret-file "$attack_secret"); fi
  echo 'HANDOFF event% a a' >"$folder/event.lines"
  "$build_dir/release/latchkey-bench" overload "$1" --lines "$folder/event.lines" --rate 500 \
    --connections 20 --devices 200 --seconds "$3" "${options[@]}" >/dev/null &
  events_pid=$!
  pids+=("$events_pid")
}

# Waits for what start_events has started.
await_events() {
  if [ -n "$events_pid" ]; then
    wait "$events_pid" || true
    forget "$events_pid"
  fi
}

# A process that has ended is not killed again: its number may be another process's by then.
forget() {
  local pid left=()
  for pid in "${pids[@]}"; do if [ "$pid" != "$1" ]; then left+=("$pid"); fi; done
  pids=("${left[@]}")
}

# Legal requests that cost Redis much, each kind for a part of the time.
attack_with_requests() {
  local line kind callers options time
  attack_secret=$folder/secret
  time=$((seconds / ${#line_kinds[@]} + 1))
  make_attack_data "$worker_address"
  for line in "${line_kinds[@]}"; do
    read -r kind callers options <<<"$line"
    make_lines "$kind"
    start_events "$worker_address" "$kind" "$time"
    # shellcheck disable=SC2086 # several words
    "$build_dir/release/latchkey-bench" requests "$worker_address" --lines "$folder/attack.lines" \
      --connections "$callers" --seconds "$time" $options >"$folder/attack.json"
    await_events
  done
}

# 500 events of another principal, for which a group of its waits.
begin_witness() {
  {
    echo "AUTH $(cat "$folder/witness.secret")"
    echo 'EVENTS * group=witness types=lock.cleared'
    repeated 500 $'LOCK witness@ a\nCLEAR witness@'
  } >"$folder/once.lines"
  "$build_dir/release/latchkey-bench" requests "$worker_address" --lines "$folder/once.lines" \
    --connections 1 --rounds 1 --seconds 60 >/dev/null
}

# Whether the group gets all of them, and no notice of a loss.
check_witness() {
  local tries reply
  : >"$folder/witnessed"
  for ((tries = 0; tries < 20; tries++)); do
    reply=$("$build_dir/release/latchkey" call --to "$worker_address" --timeout 20s \
      --secret-file "$folder/witness.secret" EVENTS '*' group=witness types=lock.cleared \
      limit=1000 wait=10s) || return 1
    if [[ $reply == *'"lost"'* ]]; then return 1; fi
    grep -o '"device":"witness[0-9]*"' <<<"$reply" | sort -u >>"$folder/witnessed" || true
    if [ "$(sort -u "$folder/witnessed" | wc -l)" -eq 500 ]; then return 0; fi
  done
  return 1
}

# The logs wait for no group any more: those of the attack leave events unacknowledged.
drop_groups() {
  redis-cli -s "$folder/redis.sock" EVAL "for p = 0, 255 do
      local log = string.format('lk:{%03x}:events', p)
      local groups = redis.pcall('XINFO', 'GROUPS', log)
      for _, group in ipairs(groups) do redis.call('XGROUP', 'DESTROY', log, group[2]) end
    end" 0 >/dev/null
}

# The longest call that Redis remembers, in microseconds.
longest_call() {
  redis-cli -p "$redis_port" --no-raw SLOWLOG GET 500 |
    awk '/\(integer\)/ { v[++k] = $NF } END { for (i = 3; i <= k; i += 3) if (v[i] > m) m = v[i]
      print m + 0 }'
}

# Callers of a second worker beside each attack on the first.
measure_shares() {
  local line kind callers options report attack_pid attacked
  start_redis shares
  start_worker shares "redis://127.0.0.1:$redis_port" --max-record 32MiB
  attacked=$worker_address
  local first_pid=$worker_pid
  start_worker shares-calm "redis://127.0.0.1:$redis_port" --max-record 32MiB
  make_attack_data "$attacked"
  redis-cli -p "$redis_port" CONFIG SET slowlog-log-slower-than 1000 >/dev/null
  echo 'LOCK calm% a' >"$folder/calm.lines"
  printf '\nfour callers of another worker, one LOCK after another, %s s beside legal requests\n' \
    "$seconds"
  printf '\n'
  head_row "what is asked" callers LOCK/s "p50 us" "p99 us" "longest gap ms" refused \
    "longest call us"
  for line in "alone 0" "${line_kinds[@]}" "alone 0"; do
    read -r kind callers options <<<"$line"
    attack_pid=
    redis-cli -p "$redis_port" SLOWLOG RESET >/dev/null
    if [ "$kind" != alone ]; then
      make_lines "$kind"
      start_events "$attacked" "$kind" "$((seconds + 1))"
      # shellcheck disable=SC2086 # several words
      "$build_dir/release/latchkey-bench" requests "$attacked" --lines "$folder/attack.lines" \
        --connections "$callers" --seconds "$((seconds + 1))" $options >"$folder/attack.json" &
      attack_pid=$!
      pids+=("$attack_pid")
    fi
    report=$(load requests "$worker_address" --lines "$folder/calm.lines" --connections 4 \
      --seconds "$seconds")
    if [ -n "$attack_pid" ]; then
      wait "$attack_pid"
      await_events
    fi
    row "$kind" "$callers" "$(figure "$report" served_per_s)" "$(figure "$report" p50_us)" \
      "$(figure "$report" p99_us)" "$(figure "$report" gap_ms)" \
      "$(($(figure "$report" refused) + $(figure "$report" unavailable)))" "$(longest_call)"
  done
  kill "$first_pid" "$worker_pid" "$redis_pid"
}

# The longest call for each verb: a system test fills every structure, and asks for all of it.
measure_longest() {
  failures=0
  run_tests "Redis' longest call for each request, all structures full" CallBounds \
    LATCHKEY_LONGEST=1 | grep -E '^longest|✘' || die "the longest calls could not be measured"
}

# Stops a process for nine tenths of the time, until this shell's child is ended.
throttle() {
  while true; do
    kill -STOP "$1" 2>/dev/null || return 0
    sleep 0.018
    kill -CONT "$1" 2>/dev/null || return 0
    sleep 0.002
  done
}

# Holds a process to a tenth of a core: by a control group where one can be made.
hold_back() {
  held_group=/sys/fs/cgroup/cpu/latchkey-bench-$$
  if mkdir "$held_group" 2>/dev/null && echo 10000 >"$held_group/cpu.cfs_quota_us"; then
    echo "$1" >"$held_group/cgroup.procs"
    return
  fi
  held_group=
  throttle "$1" &
  throttle_pid=$!
  pids+=("$throttle_pid")
}

let_go() {
  if [ -n "$held_group" ]; then
    echo "$1" >/sys/fs/cgroup/cpu/cgroup.procs
    rmdir "$held_group"
  else
    kill "$throttle_pid"
    kill -CONT "$1"
  fi
}

# The rate at which 200 callers without pause are served, each with one SEIZE under way.
closed_rate() {
  figure "$(load requests "$worker_address" --lines "$folder/overload.line" --connections 200 \
    --seconds "$seconds")" served_per_s
}

# What is served of more and more requests, which come whatever the replies take, by a Redis that
# has a tenth of a core; and how soon all is well after them.
measure_overload() {
  local report factor rate best
  start_redis overload
  start_worker overload "redis://127.0.0.1:$redis_port"
  echo 'SEIZE o% a' >"$folder/overload.line"
  hold_back "$redis_pid"
  for _ in 1 2 3 4 5; do closed_rate; done >"$folder/overload.rates"
  best=$(median "$folder/overload.rates" 1)
  printf '\nSEIZEs at random moments, %s s each, and then 0.3 of the capacity; Redis is held to\n' \
    "$seconds"
  printf 'a tenth of a core, by which it serves %s/s of 200 callers that wait for replies\n\n' \
    "$best"
  head_row "of capacity" "offered/s" "served/s" "p50 ms" "p99 ms" "refused" "refused p50 ms" \
    "refused p99 ms" unavailable unknown "recovery ms"
  : >"$folder/overload.figures"
  for factor in 0.3 0.6 0.9 1.2 1.5 2 3 5 7 10; do
    rate=$(awk -v a="$best" -v b="$factor" 'BEGIN { print int(a * b) }')
    report=$(load overload "$worker_address" --lines "$folder/overload.line" --rate "$rate" \
      --connections "${overload_connections:-4000}" --seconds "$seconds" \
      --after-rate "$(((best * 3 + 9) / 10))" --after-seconds 2)
    row "$factor" "$rate" "$(figure "$report" served_per_s)" "$(ms "$report" p50_us)" \
      "$(ms "$report" p99_us)" "$(figure "$report" refused)" "$(ms "$report" refused_p50_us)" \
      "$(ms "$report" refused_p99_us)" "$(figure "$report" unavailable)" \
      "$(figure "$report" unknown)" "$(figure "$report" recovery_ms)"
    printf '%s %s\n' "$rate" "$(figure "$report" served_per_s)" >>"$folder/overload.figures"
  done
  let_go "$redis_pid"
  overload_picture "$folder/overload.figures" >"$root/docs/pictures/overload.svg"
  kill "$worker_pid" "$redis_pid"
}

# The overload as an attack, by a principal's callers.
attack_with_overload() {
  echo 'SEIZE o% a' >"$folder/overload.line"
  hold_back "$redis_pid"
  "$build_dir/release/latchkey-bench" overload "$worker_address" --lines "$folder/overload.line" \
    --rate 20000 --connections 2000 --seconds "$seconds" --after-rate 300 --after-seconds 3 \
    --secret-file "$folder/secret" >"$folder/attack.json"
  let_go "$redis_pid"
}

# How long it took until all was well after it, in milliseconds.
recovery() { sed -n 's/.*"recovery_ms":\([0-9]*\).*/\1/p' "$folder/attack.json"; }

# A number of microseconds of a line of JSON in milliseconds.
ms() { awk -v us="$(figure "$1" "$2")" 'BEGIN { printf "%.1f", us / 1000 }'; }

# The curve of a file of offered and served requests a second, as SVG. The first axis is
# logarithmic, and the grey line is what a server without limit would serve, up to the best rate.
overload_picture() {
  awk '
    { offered[NR] = $1; served[NR] = $2; if ($2 > top) top = $2 }
    function x(n) {
      return 70 + 600 * (log(n) - log(offered[1])) / (log(offered[NR]) - log(offered[1]))
    }
    function y(n) { return 280 - 240 * n / (top * 1.1 + 1) }
    function words(at, height, anchor, word) {
      printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", at, height, anchor, word
    }
    END {
      printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 340\" "
      print "font-family=\"sans-serif\" font-size=\"12\">"
      print "<title>Requests served a second by a tenth of a core, by how many are sent</title>"
      print "<rect width=\"720\" height=\"340\" fill=\"#fff\"/>"
      for (i = 0; i <= 4; i++) {
        v = int(top * i / 4)
        printf "<path d=\"M70 %.1fH670\" stroke=\"#ddd\"/>\n", y(v)
        words(62, y(v) + 4, "end", v)
      }
      printf "<path d=\"M%.1f %.1f", x(offered[1]), y(offered[1])
      for (i = 1; i <= 40; i++) {
        v = offered[1] * exp(i / 40 * log(offered[NR] / offered[1]))
        printf "L%.1f %.1f", x(v), y(v < top ? v : top)
      }
      print "\" fill=\"none\" stroke=\"#999\" stroke-dasharray=\"4 4\"/>"
      for (i = 1; i <= NR; i++) {
        path = path sprintf("%s%.1f %.1f", i == 1 ? "M" : "L", x(offered[i]), y(served[i]))
        printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" ", x(offered[i]), y(served[i])
        print "fill=\"#1668b0\"/>"
        words(x(offered[i]), 298, "middle", offered[i])
      }
      printf "<path d=\"%s\" fill=\"none\" stroke=\"#1668b0\" stroke-width=\"2\"/>\n", path
      words(370, 325, "middle", "requests sent a second")
      words(70, 22, "start", "served a second")
      print "</svg>"
    }' "$1"
}
