// Owns: the bugs that attacks have found, each in its smallest form.

import Foundation
import Testing

/// A watcher on a worker whose link to Redis a test slows down, and a maker of events on another.
private final class SlowWatch {
  let slow: FakeRedis
  let worker: WorkerProcess
  let watcher: LineClient
  let maker: LineClient
  /// Whose lock has been taken.
  let device = Lab.device()
  private let redis: RedisServer
  private let direct: WorkerProcess

  init() throws {
    redis = try RedisServer()
    slow = try FakeRedis(before: redis)
    worker = try WorkerProcess(["--redis", slow.url])
    direct = try WorkerProcess(on: redis)
    (watcher, maker) = (try worker.connect(), try direct.connect())
    expect(try maker.request("LOCK \(device) a ttl=1h"), "OK")
  }

  func stop() {
    direct.kill()
    worker.kill()
    slow.stop()
    redis.stop()
  }
}

extension SystemSuites.Deadlines {
  @Suite struct Regressions {
    @Test func `events that are not acknowledged come again, however small the limit`() throws {
      let lab = try Lab(workers: [["--ack-timeout", "100ms"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a ttl=1h"), "OK")
      for _ in 0..<12 { expect(try client.request("HANDOFF \(device) a a ttl=1h"), "OK") }
      let taken = try EventRecord.all(in: client.request("EVENTS * group=g"))
      #expect(taken.count == 12)
      try TestCluster.awaitDeadlines(110)
      var again: Set<String> = []
      let deadline = Deadline(within: .milliseconds(600))
      while again.count < 12, !deadline.isOver {
        for event in try EventRecord.all(in: client.request("EVENTS * group=g limit=1")) {
          again.insert(event.id)
        }
      }
      #expect(again.count == 12)
    }

    @Test func `a consumer that asks for some types takes no others from its group`() throws {
      let lab = try Lab(workers: [["--ack-timeout", "100ms"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a ttl=1h"), "OK")
      expect(try client.request("HANDOFF \(device) a b ttl=1h"), "OK")
      let ask = "EVENTS * group=g types=lock.handed_off"
      #expect(try EventRecord.all(in: client.request(ask)).count == 1)
      try TestCluster.awaitDeadlines(110)
      let other = try client.request("EVENTS * group=g types=lock.seized")
      #expect(try EventRecord.all(in: other).isEmpty)
      try TestCluster.awaitDeadlines(110)
      let again = try EventRecord.all(in: client.request(ask))
      #expect(again.count == 1)
    }

    @Test func `a connection that watches twice gets each event once`() throws {
      let watch = try SlowWatch()
      defer { watch.stop() }
      let (watcher, maker, device) = (watch.watcher, watch.maker, watch.device)
      #expect(try watcher.request("WATCH *").raw == "OK")
      // The reply with the end of the device's log is delayed; both watches show the events in
      // between.
      watch.slow.play { reply in
        guard case .array(let items) = reply, items.count == 1, case .text(let text) = items[0],
          text.contains("-")
        else { return .pass }
        return .hold(.milliseconds(300))
      }
      try watcher.sendLine("WATCH \(device)")
      try eventually("the second watch's begin on the worker") {
        try watch.worker.metric("latchkey_watches") == 2
      }
      pause(ms: 100)
      expect(try maker.request("HANDOFF \(device) a b ttl=1h"), "OK")
      var lines = try watcher.replies(2).map(\.raw)
      if let more = try watcher.readLine(within: .milliseconds(500)) { lines.append(more) }
      #expect(lines.filter { $0.hasPrefix("EVENT") }.count == 1)
    }

    @Test func `a watcher that reads is not cut when much comes at once`() throws {
      let lab = try Lab(workers: [["--max-unread", "16384"], []])
      defer { lab.stop() }
      let (watcher, maker) = (try lab.connect(0), try lab.connect(1))
      #expect(try watcher.request("WATCH *").raw == "OK")
      let devices = (0..<400).map { _ in Lab.device("burst") }
      // The worker misses a while, and then gets all of it in one turn.
      try lab.workers[0].freeze()
      let lines = devices.map { "LOCK \($0) a ttl=1h\nCLEAR \($0)\n" }.joined()
      _ = try maker.exchange(Array(lines.utf8), lines: 800, within: .seconds(10))
      lab.workers[0].thaw()
      var seen = 0
      while seen < devices.count, try watcher.readLine(within: .seconds(1)) != nil { seen += 1 }
      #expect(seen == devices.count)
    }

    @Test func `a deadline that Redis refused to meet is met when it refuses no more`() throws {
      let lab = try Lab(workers: [["--sweep", "10m"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      try eventually("the first look at all partitions") {
        try lab.worker.metric("latchkey_reaps_total", "cause=\"reconnect\"") >= 256
      }
      expect(try client.request("LOCK \(device) a ttl=300ms"), "OK")
      try lab.redis.command("REPLICAOF", "127.0.0.1", "1")
      try TestCluster.awaitDeadlines(400)
      try lab.redis.command("REPLICAOF", "NO", "ONE")
      try eventually("the event", within: .seconds(2)) {
        try client.eventLog(of: [device]).count == 1
      }
    }

    @Test func `deadlines that a dead worker knew alone are met when its death is noticed`() throws
    {
      let cluster = try TestCluster(workers: 0, redis: [], options: ["--sweep", "10m"])
      defer { cluster.stop() }
      for _ in 0..<2 { try cluster.addWorker() }
      try cluster.awaitWorkers(2)
      let devices = (0..<64).map { _ in Lab.device("orphan") }
      let lines = devices.map { "LOCK \($0) a ttl=100ms\n" }.joined()
      _ = try cluster.connect(1).exchange(
        Array(lines.utf8), lines: devices.count, within: .seconds(5))
      cluster.kill(1)
      try cluster.awaitWorkers(1)
      try cluster.awaitSilence(within: .seconds(1))
    }

    @Test func `two watches that begin at once show each event once`() throws {
      let watch = try SlowWatch()
      defer { watch.stop() }
      let (watcher, maker, device) = (watch.watcher, watch.maker, watch.device)
      // The worker learns where the logs end only when something has been added to them.
      let isAsked = Shared(0)
      watch.slow.play { reply in
        guard case .array(let items) = reply, items.count == 1 || items.count == 256,
          case .text(let text) = items[0], text.wholeMatch(of: /[?~]?\d+-\d+/) != nil
        else { return .pass }
        let count = isAsked.update { count in
          count += 1
          return count
        }
        return count == 1 ? .pass : .hold(.milliseconds(200))
      }
      try watcher.sendLine("WATCH *\nWATCH \(device)")
      try eventually("the question where the logs end") { isAsked.value > 1 }
      expect(try maker.request("HANDOFF \(device) a b ttl=1h"), "OK")
      var lines: [String] = []
      while let line = try watcher.readLine(within: .seconds(1)) { lines.append(line) }
      #expect(lines.filter { $0 == "OK" }.count == 2, "\(lines)")
      #expect(lines.filter { $0.hasPrefix("EVENT") }.count == 1)
    }

    @Test func `only the ends of locks make a worker look for deadlines`() throws {
      let lab = try Lab(
        .init(extra: TestCluster.notifying), workers: [["--req-keep", "1s"]])
      defer { lab.stop() }
      let client = try lab.connect()
      for number in 0..<300 {
        expect(try client.request("LOCK \(Lab.device()) a ttl=1h req=r\(number)"), "OK")
      }
      let redis = try RedisClient(path: lab.redis.path)
      try eventually("the announced end of all kept replies") {
        let stats = try redis.command("INFO", "stats").string ?? ""
        let line = stats.split(whereSeparator: \.isNewline).first { $0.hasPrefix("expired_keys:") }
        return Int(line?.split(separator: ":").last ?? "") ?? 0 >= 300
      }
      // Notifications keep their order: an event made now comes after all of those.
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a ttl=300ms"), "OK")
      expect(try client.request("EVENTS \(device) wait=3s"), "OK")
      let reaps = try lab.worker.metric("latchkey_reaps_total", "cause=\"notification\"")
      #expect(reaps < 5)
    }
  }
}
