# The section 'page' of scripts/bench: what the page costs a worker and its Redis while it is open
# in ten browsers. Sourced by it, never run by itself; uses its functions and what it has started.

set -euo pipefail

# Ten clients that ask as a browser does: the overview once a second, the hooks every 15 s, and the
# stream of events.
page_clients() {
  python3 - "$1" "$2" "$3" <<'END'
import http.client, sys, threading, time

place, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
end = time.monotonic() + seconds
headers = {"Latchkey-Page": "1"}


def polls():
    connection = http.client.HTTPConnection(place, timeout=10)
    turn = 0
    while time.monotonic() < end:
        connection.request("GET", "/page/overview", headers=headers)
        connection.getresponse().read()
        if turn % 15 == 0:
            connection.request("POST", "/page/call", body="HOOKS", headers=headers)
            connection.getresponse().read()
        turn += 1
        time.sleep(1)


def follows():
    connection = http.client.HTTPConnection(place, timeout=10)
    connection.request("GET", "/page/events", headers=headers)
    stream = connection.getresponse()
    while time.monotonic() < end and stream.read1(65536):
        pass


threads = [threading.Thread(target=work) for work in (polls, follows) for _ in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
END
}

# The processor time of a process so far, in ms.
processor_ms() {
  local -a words
  read -r -a words <"/proc/$1/stat"
  echo $(((words[13] + words[14]) * 1000 / $(getconf CLK_TCK)))
}

measure_page() {
  local browsers admin seconds_open=20 worker_before redis_before
  start_redis page
  start_worker page "redis://127.0.0.1:$redis_port"
  admin=$(sed -n 's/^ready .* admin=\([^ ]*\) .*/\1/p' "$folder/page.ready")
  load latchkey "$worker_address" --connections 500 --verb open --requests 0 >/dev/null
  printf '\nthe page in ten browsers, %s s each; share of a core in percent\n\n' "$seconds_open"
  head_row browsers worker Redis
  for browsers in 0 10; do
    worker_before=$(processor_ms "$worker_pid")
    redis_before=$(processor_ms "$redis_pid")
    if [ "$browsers" = 0 ]; then
      sleep "$seconds_open"
    else
      page_clients "$admin" "$browsers" "$seconds_open"
    fi
    row "$browsers" \
      "$(percent $(($(processor_ms "$worker_pid") - worker_before)) "$seconds_open")" \
      "$(percent $(($(processor_ms "$redis_pid") - redis_before)) "$seconds_open")"
  done
  kill "$worker_pid" "$redis_pid"
}

# percent MS SECONDS
percent() { awk -v ms="$1" -v s="$2" 'BEGIN { printf "%.2f", ms / s / 10 }'; }
