// Owns: the load generator's command line: reads options, runs one load, prints one JSON line.
// Main thread.

import Glibc
import Loop

/// A load generator for comparing Latchkey with Redis: as many unpipelined callers as asked, on
/// one thread, each of them taking and renewing locks of its own devices.
@main
struct Bench {
  static let usage = """
    usage: latchkey-bench TARGET HOST:PORT [option...]
           latchkey-bench lateness SOCKET HOST:PORT... [option...]
           latchkey-bench groups SOCKET HOST:PORT... [option...]
           latchkey-bench changes HOST:PORT... [option...]
           latchkey-bench quiet HOST:PORT... [option...]
           latchkey-bench memory SOCKET HOST:PORT [--count N] [KIND...]
           latchkey-bench calls NAME=SOCKET,HOST:PORT... [option...] [VERB...]
           latchkey-bench fill HOST:PORT... [option...]
           latchkey-bench cycles TARGET HOST:PORT [option...]
           latchkey-bench attack KIND HOST:PORT [option...]
           latchkey-bench requests HOST:PORT --lines FILE [option...]
           latchkey-bench overload HOST:PORT --lines FILE --rate N [option...]
           latchkey-bench messages WAY HOST:PORT [option...]
           latchkey-bench hand-over HOST:PORT... [option...]
           latchkey-bench waiting HOST:PORT... [option...]
           latchkey-bench echo HOST:PORT

    TARGET is latchkey (its line protocol), http (LOCK by its HTTP), redis (a lock script, called
    directly or through a proxy), or webdis (the same script by HTTP); connections are kept.

      --connections N   callers, each with one request at a time (default 50)
      --devices N       devices in all, spread over the callers (default 20000)
      --seconds N       how long to count (default 3)
      --verb NAME       what is asked of Latchkey: lock (default), open, get, set, touch, say,
                        history, put, take, keys; or fill, which says --messages N (default 20) to
                        each session, or documents, which writes as many documents
      --prefix TEXT     what the devices' names begin with (default device)
      --tls-ca FILE     by TLS, to a certificate of this authority
      --requests N      stop counting after so many requests; 0 counts none (default: no limit)
      --rate N          requests a second in all, sent at random moments whatever the replies
                        take; latency counts from the moment that a request was due
      --scripts H:P     the Redis that gets the lock script, if it is not the one that is asked
      --pid NAME=PID    also report what this process spends per request; repeatable, and those of
                        one name count together
      --hold            then keep the connections open, idle, until killed

    One pass over all devices acquires them and is not counted; what is counted renews them.
    Prints one line of JSON. A reply that is not OK ends the run with status 1.

    lateness: fills the Redis at SOCKET with other keys that have a TTL, takes locks by the
    workers that fall due one after another, and compares when each event was written with when
    Redis announced the lock, and a key with the same deadline that was not touched.

      --keys N          other keys with a TTL (default 1000000)
      --locks N         locks that fall due (default 10000)
      --over-ms N       over how long they do (default 10000)
      --listen-ms N     how late an announcement may be to count (default 60000)

    groups: writes events by the workers, each by a SEIZE, while one group reads and acknowledges
    them and another one sleeps; shows what both got, and the memory of the largest event log.

      --events N        how many (default 1000000)
      --devices N       of how many devices (default 20000)
      --ahead N         by how many the writers may be ahead of the reading group (default 10000)

    changes: callers watch one device by the workers in turn, and another one says something to it;
    shows how long after that its change is at those who watch, and the processor time for each
    change that was sent.

      --http HOST:PORT  where they watch, by HTTP instead; repeatable
      --watchers N      how many (default 1000)
      --count N         messages that are said (default 100)
      --every-ms N      how often (default 100)
      --pid NAME=PID    as above

    quiet: takes locks for a day by the workers, waits until all is quiet, and shows how much of
    a core processes use. Without locks no worker is needed.

      --locks N         locks that are held (default 10000)
      --seconds N       how long to look (default 10)
      --pid NAME=PID    the process to look at; repeatable

    memory: empties the Redis at SOCKET, which the worker must be using, and fills it with so many
    (default 100000) locks, sessions, messages and documents, and with what Spring Session would
    write, one kind after another; shows the bytes for one of each, or of the KINDs that are named.

    calls: the time of Redis per request, by its own count and by its processor time, on each worker
    in turns; SOCKET is that of the Redis that this worker has for itself. VERBs are lock, touch,
    get, say, history, open and recover (default: these), turn and done.

      --rounds N        rounds on each worker, of which the least counts (default 41)
      --requests N      requests in a round, sent in one write (default 256)
      --share N         how many share a call, which the workers' --batch decides (default 1)

    fill: takes locks for a day by the workers, and ends.

      --locks N         locks that are held (default 10000)

    cycles: callers who connect, say who they are (AUTH), take a lock and close, over and over.

      --connections N   callers, each with one connection at a time (default 50)
      --seconds N       how long to count (default 3)
      --tls-ca FILE     as above; each caller resumes its latest session
      --no-resume       no session is resumed
      --secret-file F   what AUTH is said with; both targets have to ask for it
      --pid NAME=PID    as above

    attack: callers who misbehave. KIND is drip (a byte every 250 ms), idle, deaf (they ask and
    never read), hoard (most of a large request, and not its end), large (imports of 15 MB that are
    refused at their end), storm (connect, ask, close) or reset (gone in the middle of a request).

      --connections N   attackers, each with one connection at a time (default 50)
      --seconds N       for how long (default 3)
      --secret-file F   what hoard and large say AUTH with (default: they do not)

    requests: callers who send the lines of a file together, await all replies, and begin again,
    whatever the replies are. In the file % stands for the caller's number.

      --lines FILE      the lines
      --connections N   callers (default 50)
      --seconds N       for how long (default 3)
      --rounds N        how often each sends them (default 0: as often as there is time)
      --pause-ms N      how long a caller waits after a refusal (default 0)
      --leave yes       callers are gone as soon as they have asked, and come back after a second

    overload: one line at random moments, whatever the replies are and however long they take, each
    on a connection without a request under way; then fewer for a while. Latency counts from the
    moment that a request was due. `recovery_ms` is how long after the load the last request was due
    that was not served, or not within 250 ms. In the line % stands for the device's number.

      --lines FILE      the line
      --connections N   connections; as many requests may be under way (default 50)
      --rate N          requests a second, for --seconds (default 3)
      --after-rate N    requests a second after that, for --after-seconds (default 3); default: none
      --devices N       numbers of devices (default 1000)
      --secret-file F   what each connection says AUTH with (default: it does not)

    messages: callers who answer the messages of a conversation each. WAY is turn (TURN and DONE) or
    six (LOCK, RECOVER, SAY, HISTORY, SAY, UNLOCK); the figures are for each message.

    hand-over: two callers, each on a worker of its own if there are two, hand the turn of a device
    to each other; shows how long that takes.

    waiting: callers who wait for the turns of 50 devices; shows how much of a core processes use.

      --connections N   callers (default 25)
      --seconds N       how long to count (default 3)
      --pid NAME=PID    as above

    echo: no load, but a server that answers every line as a LOCK is answered, and does nothing
    else; it prints where it listens, and serves until it is ended.

    """

  static func main() {
    do throws(LoadFailure) {
      let words = Array(CommandLine.arguments.dropFirst())
      if try measureLateness(words) { return }
      let options = try BenchOptions.parse(words)
      guard let options else {
        print(usage, terminator: "")
        return
      }
      let run = try BenchRun(options)
      print(try run.measure().json)
      fflush(nil)
      if options.holds { withExtendedLifetime(run) { while true { pause() } } }
    } catch {
      write("latchkey-bench: \(error.text)\n", to: STDERR_FILENO)
      exit(1)
    }
  }

  /// The measurements that have options of their own; false if it is none of these.
  private static func measureLateness(_ words: [String]) throws(LoadFailure) -> Bool {
    guard let first = words.first, !words.contains("--help") else { return false }
    let rest = Array(words.dropFirst())
    switch first {
    case "lateness":
      var run = try LatenessRun(LatenessOptions.parse(rest, needsRedis: true))
      print(try run.measure())
    case "cycles":
      guard let name = rest.first, let target = LoadTarget(rawValue: name),
        target != .webdis
      else {
        throw LoadFailure("cycles is of latchkey or redis")
      }
      let options = try FleetOptions.parse(Array(rest.dropFirst()))
      guard options.secret != nil else { throw LoadFailure("cycles needs --secret-file") }
      print(try CycleRun(target, options).measure().json)
    case "attack":
      guard let name = rest.first, let attack = Attack(rawValue: name) else {
        throw LoadFailure(
          "an attack is one of \(Attack.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      print(try AttackRun(attack, FleetOptions.parse(Array(rest.dropFirst()))).measure())
    case "requests":
      print(try RequestRun(FleetOptions.parse(rest)).measure())
    case "overload": print(try OverloadRun(FleetOptions.parse(rest)).measure())
    case "echo":
      guard rest.count == 1 else { throw LoadFailure("echo takes HOST:PORT") }
      let server = try EchoServer(BenchOptions.address(rest[0]))
      print(try server.readyLine())
      fflush(nil)
      try server.run()
    case "calls":
      try CallsRun(CallsOptions.parse(rest)).measure { line in
        print(line)
        fflush(nil)
      }
    case "messages":
      guard let way = rest.first.flatMap({ MessageWay(rawValue: $0) }) else {
        throw LoadFailure("messages are answered by turn or six")
      }
      print(try MessageRun(way, TurnsOptions.parse(Array(rest.dropFirst()))).measure().json)
    case "hand-over": print(try HandOverRun(TurnsOptions.parse(rest)).measure())
    case "waiting": print(try WaitingRun(TurnsOptions.parse(rest)).measure())
    case "memory": print(try MemoryRun(MemoryOptions.parse(rest)).measure())
    case "groups":
      var run = try GroupsRun(GroupsOptions.parse(rest))
      print(try run.measure())
    case "changes": print(try ChangesRun(ChangesOptions.parse(rest)).measure())
    case "quiet": print(try QuietRun(LatenessOptions.parse(rest, needsRedis: false)).measure())
    case "fill":
      let options = try LatenessOptions.parse(rest, needsRedis: false)
      try QuietRun(options).takeLocks()
      print("{\"locks\":\(options.locks)}")
    default: return false
    }
    return true
  }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    _ = Glibc.write(descriptor, bytes, bytes.count)
  }
}
