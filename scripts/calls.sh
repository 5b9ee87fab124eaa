# The section 'calls' of scripts/bench: what a request costs Redis by its own count, by how many
# share a script call, beside another revision of this project. Sourced by it, never run by itself;
# uses its functions and what it has started.

set -euo pipefail

# Builds another revision's worker, in a tree of its own, and sets baseline_binary.
build_baseline() {
  local tree=$build_dir/baseline-$1
  baseline_binary=$tree.build/release/latchkey
  if [ -x "$baseline_binary" ]; then return; fi
  git -C "$root" cat-file -e "$1^{commit}" 2>/dev/null || die "there is no revision $1 here"
  say "build of $1"
  rm -rf "$tree"
  git -C "$root" worktree prune
  git -C "$root" worktree add --quiet --detach "$tree" "$1"
  swift build --package-path "$tree" --scratch-path "$tree.build" -c release --product latchkey
  git -C "$root" worktree remove --force "$tree"
}

# start_calls_side NAME BINARY BATCH [FLAG...]: a Redis and a worker with one thread on it; adds to
# sides. What is due is looked at seldom, so that Redis counts little but the requests.
start_calls_side() {
  local name=$1-$3
  start_redis "calls-$name"
  worker_binary=$2 start_worker "calls-$name" "unix://$folder/calls-$name.sock" \
    --batch "$3" --max-sessions 10000 --sweep 10m "${@:4}"
  sides+=("$1=$folder/calls-$name.sock,$worker_address")
}

# A table as docs/performance.md has it: the least of Redis' own count, and of its processor time.
calls_table() {
  awk '
    function figure(name,   at) {
      at = index($0, "\"" name "\":")
      return at ? substr($0, at + length(name) + 3) + 0 : 0
    }
    function part(name) { return sprintf("%.1f | %.2f", figure(name), figure(name) / base) }
    BEGIN {
      print "| verb | requests a call | before | FCALL | ratio | EVALSHA | ratio |" \
        " processor before | FCALL | EVALSHA |"
      print "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    }
    {
      split($0, words, "\"")
      base = figure("baseline_us")
      printf "| %s | %d | %.1f | %s | %s | %.1f | %.1f | %.1f |\n", toupper(words[4]), \
        figure("requests"), base, part("fcall_us"), part("evalsha_us"), \
        figure("baseline_cpu_us"), figure("fcall_cpu_us"), figure("evalsha_cpu_us")
    }' "$1"
}

measure_calls() {
  local share verb
  local -a sides
  build_baseline "$baseline"
  for share in 1 4 16 64; do
    sides=()
    start_calls_side baseline "$baseline_binary" "$share"
    start_calls_side fcall "$build_dir/release/latchkey" "$share" --lua function
    start_calls_side evalsha "$build_dir/release/latchkey" "$share" --lua script
    load calls "${sides[@]}" --share "$share" --rounds "$calls_rounds" \
      --requests "$calls_requests" >>"$folder/calls.json"
  done
  printf '\nRedis us per request, with so many requests in a script call: by its own count, and\n'
  printf 'the processor time of its process; before is %s; least of %s rounds of %s requests\n' \
    "$baseline" "$calls_rounds" "$calls_requests"
  printf 'in turns\n\n'
  for verb in lock touch get say history open recover; do
    grep "\"verb\":\"$verb\"" "$folder/calls.json"
  done >"$folder/calls.sorted"
  calls_table "$folder/calls.sorted"
}

# What as= costs a request: two workers, each with a Redis of its own, of which one has as= in each
# request; sessions are linked to their users on both.
measure_users() {
  local share verb
  local -a sides
  for share in 1 16; do
    sides=()
    start_calls_side plain "$build_dir/release/latchkey" "$share"
    start_calls_side as "$build_dir/release/latchkey" "$share"
    sides[1]=${sides[1]},as
    load calls "${sides[@]}" --share "$share" --rounds "$calls_rounds" \
      --requests "$calls_requests" touch get say history recover >>"$folder/users.json"
  done
  printf '\nRedis us per request with and without as=, by its own count: least of %s rounds\n' \
    "$calls_rounds"
  printf 'of %s requests in turns\n\n' "$calls_requests"
  awk '
    function figure(name,   at) {
      at = index($0, "\"" name "\":")
      return at ? substr($0, at + length(name) + 3) + 0 : 0
    }
    BEGIN {
      print "| verb | requests a call | plain | as= | ratio | median ratio |"
      print "| --- | --- | --- | --- | --- | --- |"
    }
    {
      split($0, words, "\"")
      printf "| %s | %d | %.1f | %.1f | %.2f | %.2f |\n", toupper(words[4]), figure("requests"), \
        figure("plain_us"), figure("as_us"), figure("as_us") / figure("plain_us"), \
        figure("as_median_us") / figure("plain_median_us")
    }' "$folder/users.json"
}
