# The sections 'verbs' and 'memory' of scripts/bench: what each verb of sessions and chats costs
# beside LOCK, and what is stored takes. Sourced by it, never run by itself; uses its functions
# and what it has started.

set -euo pipefail

verb_names=(lock open get set touch say history put take)

# Sets how much is stored; with 'quick' a tenth.
memory_size() {
  memory_count=100000 memory_locks=1000000
  if [ "$1" = quick ]; then memory_count=10000 memory_locks=100000; fi
}

# One round of one verb, in $1.verbs.
count_verb() {
  local file=$1 name line= report
  shift
  report=$(load latchkey "$@" --seconds "$seconds" --pid "redis=$verbs_redis_pid" \
    --pid "worker=$worker_pid")
  for name in requests_per_s redis_cpu_us worker_cpu_us p50_us p99_us; do
    line+="$(figure "$report" $name) "
  done
  printf '%s\n' "$line" >>"$folder/$file.verbs"
}

# Medians of each file's rounds, and the least and greatest ratio to the first file's in pairs.
verbs_table() {
  local name
  local -a files=()
  for name in "$@"; do files+=("$folder/$name.verbs"); done
  awk -v rounds="$rounds" "$table_of_rounds"'
    END {
      print "| verb | requests/s | ratio | of pairs | Redis | ratio | worker | p50 us | p99 us |"
      print "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
      for (s = 1; s <= side; s++) {
        sub(/\.verbs/, "", name[s])
        for (i = 1; i <= rounds; i++) r[i] = data[s, i, 1] / data[1, i, 1]
        sorted(r, rounds)
        pairs = sprintf("%.2f-%.2f", r[1], r[rounds])
        line = "| %s | %d | %.2f | %s | %.2f | %.2f | %.2f | %d | %d |\n"
        printf line, toupper(name[s]), pick(s, 1), \
          pick(s, 1) / pick(1, 1), pairs, pick(s, 2), pick(s, 2) / pick(1, 2), pick(s, 3), \
          pick(s, 4), pick(s, 5)
      }
    }' "${files[@]}"
}

measure_verbs() {
  local round name
  rm -f "$folder"/*.verbs
  start_redis verbs
  verbs_redis_pid=$redis_pid
  start_worker verbs "redis://127.0.0.1:$redis_port" --max-sessions 10000 --request-timeout 10s
  local -a callers=("$worker_address" --connections 500)
  load latchkey "${callers[@]}" --verb open --requests 0 >/dev/null
  load latchkey "${callers[@]}" --verb fill --messages 20 --requests 0 >/dev/null
  load latchkey "${callers[@]}" --verb put --requests 0 >/dev/null
  for ((round = 1; round <= rounds; round++)); do
    for name in "${verb_names[@]}"; do
      # The sessions that OPEN makes are kept apart from those of the other verbs.
      local prefix=device
      if [ "$name" = open ]; then prefix=fresh; fi
      count_verb "$name" "${callers[@]}" --verb "$name" --prefix "$prefix"
    done
  done
  printf '\neach verb through one worker with one thread: 500 callers, 20,000 devices with a\n'
  printf 'session of three fields each, %s rounds of %s s in turns; Redis, worker: CPU us per\n' \
    "$rounds" "$seconds"
  printf 'request\n\n'
  verbs_table "${verb_names[@]}"
  kill "$worker_pid" "$verbs_redis_pid"
}

# SAY into chats that are full, so that each message drives the oldest one out.
measure_long_chats() {
  local round length
  rm -f "$folder"/*.verbs
  start_redis chats
  verbs_redis_pid=$redis_pid
  for ((round = 1; round <= rounds; round++)); do
    for length in 10 10000; do
      if [ "$round" = 1 ]; then
        start_worker "chats-$length" "redis://127.0.0.1:$redis_port" --max-messages "$length" \
          --request-timeout 10s
        eval "worker_$length=\$worker_address worker_pid_$length=\$worker_pid"
      fi
      local address="worker_$length" pid="worker_pid_$length"
      worker_pid=${!pid}
      local -a callers=("${!address}" --connections 50 --devices 50 --prefix "chat-$length")
      if [ "$round" = 1 ]; then
        load latchkey "${callers[@]}" --verb open --requests 0 >/dev/null
        load latchkey "${callers[@]}" --verb fill --messages "$length" --requests 0 >/dev/null
      fi
      count_verb "$length" "${callers[@]}" --verb say
    done
  done
  printf '\nSAY into 50 chats of 10 and of 10,000 messages, each full: 50 callers\n\n'
  verbs_table 10 10000
  # shellcheck disable=SC2154 # set by eval above
  kill "$worker_pid_10" "$worker_pid_10000" "$verbs_redis_pid"
}

# KEYS newest=yes limit=1 of sessions with 10 and with 10,000 documents.
measure_documents() {
  local round count
  rm -f "$folder"/*.verbs
  start_redis documents
  verbs_redis_pid=$redis_pid
  start_worker documents "redis://127.0.0.1:$redis_port" --request-timeout 10s
  for ((round = 1; round <= rounds; round++)); do
    for count in 10 10000; do
      local -a callers=("$worker_address" --connections 50 --devices 50 --prefix "documents-$count")
      if [ "$round" = 1 ]; then
        load latchkey "${callers[@]}" --verb open --requests 0 >/dev/null
        load latchkey "${callers[@]}" --verb documents --messages "$count" --requests 0 >/dev/null
      fi
      count_verb "$count" "${callers[@]}" --verb keys
    done
  done
  printf '\nKEYS newest=yes limit=1 in 50 sessions of 10 and of 10,000 documents: 50 callers\n\n'
  verbs_table 10 10000
  kill "$worker_pid" "$verbs_redis_pid"
}

memory_row() { row "$1" "$(figure "$2" "$3_bytes")"; }

measure_memory() {
  local report locks
  start_redis memory
  start_worker memory "unix://$folder/memory.sock" --request-timeout 10s
  report=$(load memory "$folder/memory.sock" "$worker_address" --count "$memory_count")
  locks=$(load memory "$folder/memory.sock" "$worker_address" --count "$memory_locks" lock)
  printf '\nbytes of memory in Redis for one of %s, all overheads included\n\n' "$memory_count"
  head_row "one of these" bytes
  memory_row "held lock" "$report" lock
  memory_row "held lock, of $memory_locks" "$locks" lock
  memory_row "session with three small fields" "$report" session
  memory_row "  linked to a user of its own" "$report" user_session
  memory_row "message of 50 bytes, in a chat of 100" "$report" message
  memory_row "document of 50 bytes, key of 8, in a session of 100" "$report" document
  memory_row "document of 1,024 bytes, key of 8, in a session of 100" "$report" long_document
  memory_row "Spring Session, values as text: a set for each minute" "$report" spring_text
  memory_row "  one sorted set instead" "$report" spring_text_sorted
  memory_row "  a set for each minute, values as Java serializes them" "$report" spring_jdk
  kill "$worker_pid" "$redis_pid"
}
