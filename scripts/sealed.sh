# The section 'sealed' of scripts/bench: what SAY and HISTORY of 20 messages cost where values are
# sealed, beside the same where they are not. Sourced by it, never run by itself; uses its functions
# and what it has started.

set -euo pipefail

measure_sealed() {
  local round side verb
  local -A address redis worker
  rm -f "$folder"/*.verbs
  printf 'bench:%s\n' "$(openssl rand -base64 32)" >"$folder/seal-keys"
  for side in plain sealed; do
    start_redis "$side"
    local -a flags=()
    if [ "$side" = sealed ]; then flags=(--seal-keys "$folder/seal-keys"); fi
    start_worker "$side" "redis://127.0.0.1:$redis_port" --request-timeout 10s "${flags[@]}"
    address[$side]=$worker_address redis[$side]=$redis_pid worker[$side]=$worker_pid
    local -a callers=("$worker_address" --connections 500)
    load latchkey "${callers[@]}" --verb open --requests 0 >/dev/null
    load latchkey "${callers[@]}" --verb fill --messages 20 --requests 0 >/dev/null
  done
  for ((round = 1; round <= rounds; round++)); do
    for verb in history say; do
      for side in plain sealed; do
        verbs_redis_pid=${redis[$side]} worker_pid=${worker[$side]}
        count_verb "$verb-$side" "${address[$side]}" --connections 500 --verb "$verb"
      done
    done
  done
  for verb in history say; do
    printf '\n%s beside the same of sealed messages: 500 callers, %s rounds of %s s in turns;\n' \
      "${verb^^}" "$rounds" "$seconds"
    printf 'Redis, worker: CPU us per request\n\n'
    verbs_table "$verb-plain" "$verb-sealed"
  done
  kill "${worker[@]}" "${redis[@]}"
}
