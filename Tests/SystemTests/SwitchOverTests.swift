// A switch-over that cuts no connection: the address moves, the replica is promoted, and the old
// master goes on answering as a replica.

import Foundation
import Testing

/// Two servers of which one is a master, an address that leads to it, and a worker there.
private final class Pair {
  let servers: [RedisServer]
  let proxy: MovingProxy
  let worker: WorkerProcess
  /// Which of the servers is the master.
  private(set) var master = 0

  /// `role-check` of the program is 2 s; a little more is allowed for.
  static let knownWithin = Duration.seconds(3)
  static let servesWithin = Duration.seconds(5)

  init(_ options: [String] = []) throws {
    servers = try (0..<2).map { _ in
      try RedisServer(.init(listens: true, extra: ["--notify-keyspace-events", "Ex"]))
    }
    proxy = try MovingProxy(before: servers[0])
    worker = try WorkerProcess(["--redis", proxy.url] + options)
    try follow(servers[1], servers[0])
  }

  deinit {
    worker.kill()
    proxy.stop()
    servers.forEach { $0.stop() }
  }

  private func follow(_ replica: RedisServer, _ master: RedisServer) throws {
    try replica.command("REPLICAOF", "127.0.0.1", "\(master.port)")
    try eventually("a replica in step", within: .seconds(10)) {
      try master.command("WAIT", "1", "100") == .integer(1)
    }
  }

  /// Promotes the replica, moves the address, and demotes the old master.
  ///
  /// With `losesNothing` writes wait until that is done, so that none is lost by the switch itself.
  func switchOver(losesNothing: Bool = false) throws {
    let (old, new) = (servers[master], servers[1 - master])
    if losesNothing { try old.command("CLIENT", "PAUSE", "20000", "WRITE") }
    // WAIT would not do: it waits for the writes of its own connection.
    try eventually("a replica in step", within: .seconds(10)) {
      let place = try figure("master_repl_offset", of: old)
      return try place != nil && figure("slave_repl_offset", of: new) == place
    }
    try new.command("REPLICAOF", "NO", "ONE")
    proxy.move(to: new)
    try old.command("REPLICAOF", "127.0.0.1", "\(new.port)")
    if losesNothing { try old.command("CLIENT", "UNPAUSE") }
    master = 1 - master
  }

  private func figure(_ name: String, of server: RedisServer) throws -> Int? {
    let lines = try server.command("INFO", "replication").string?.split(separator: "\r\n") ?? []
    return lines.first { $0.hasPrefix("\(name):") }.flatMap { Int($0.dropFirst(name.count + 1)) }
  }

  /// How many connections of workers a server has.
  func connections(at server: RedisServer) throws -> Int {
    let list = try server.command("CLIENT", "LIST").string ?? ""
    return list.split(separator: "\n").count { $0.contains(" user=latchkey ") }
  }
}

extension SystemSuites {
  @Suite struct SwitchOvers {
    @Test func `it is followed within seconds, there and back, by every connection`() throws {
      let pair = try Pair(["--threads", "2"])
      let client = try pair.worker.connect()
      let watcher = try pair.worker.connect()
      #expect(try watcher.request("WATCH * types=lock.abandoned").raw == "OK")
      var held: [Acknowledged] = []
      for _ in 0..<2 {
        let device = Lab.device()
        let grant = try Grant(client.request("LOCK \(device) a"))
        held.append(Acknowledged(device: device, agent: "a", token: grant.token))
        try pair.switchOver()
        let start = ContinuousClock.now
        try eventually("a lock again", within: Pair.servesWithin, every: 20) {
          let reply = try client.request("LOCK \(Lab.device()) a")
          #expect(reply.isOK || reply.isOutage, "\(reply)")
          // Nothing was done there, and that is known.
          #expect(reply.code != "unknown_outcome", "\(reply)")
          return reply.isOK
        }
        #expect(elapsedMs(since: start) < 5_000)
        for lock in held {
          let reply = try client.request("RENEW \(lock.device) a token=\(lock.token)")
          #expect(reply.isOK, "\(reply)")
        }
        // The tail, the subscription and the control loop have moved too.
        let (old, new) = (pair.servers[1 - pair.master], pair.servers[pair.master])
        try eventually("all connections at the new master", within: .seconds(10)) {
          try pair.connections(at: old) == 0 && pair.connections(at: new) >= 5
        }
        let ended = Lab.device("ended")
        expect(try client.request("LOCK \(ended) a ttl=50ms"), "OK")
        let event = try EventRecord.line(watcher.reply(within: .seconds(10)))
        #expect(event.device == ended && event.type == "lock.abandoned")
        try eventually("readiness") { try pair.worker.get("/readyz").status == 200 }
        try eventually("notifications", within: .seconds(10)) {
          try pair.worker.metric("latchkey_notifications_live", "") == 1
        }
      }
      #expect(try pair.worker.metric("latchkey_redis_wrong_server_total", "") >= 2)
    }

    @Test func `a reader that writes nothing sees no old fact after some seconds`() throws {
      let pair = try Pair()
      let client = try pair.worker.connect()
      let device = Lab.device()
      expect(try client.request("LOCK \(device) old"), "OK")
      let (old, new) = (pair.servers[0], pair.servers[1])
      #expect(try old.command("WAIT", "1", "2000") == .integer(1))
      try new.command("REPLICAOF", "NO", "ONE")
      // Another worker is at the new master already.
      let other = try WorkerProcess(on: new)
      defer { other.kill() }
      expect(try other.connect().request("SEIZE \(device) new"), "OK")
      pair.proxy.move(to: new)
      // A replica of a master that does not answer: what it knows stays as it is.
      try old.command("REPLICAOF", "127.0.0.1", "1")
      let start = ContinuousClock.now
      var last = ""
      let deadline = Deadline(within: .seconds(5))
      while !deadline.isOver {
        let isLate = start.duration(to: .now) > Pair.knownWithin
        let reply = try client.request("HOLDER \(device)")
        last = reply.isOK ? try reply.string("agent") : reply.raw
        if isLate { #expect(last == "new", "\(elapsedMs(since: start)) ms: \(reply)") }
        pause(ms: 5)
      }
      #expect(last == "new")
    }

    @Test func `a master that is demoted, and is the only server, is unready in words`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      expect(try client.request("LOCK \(device) a"), "OK")
      expect(try client.request("OPEN \(device)"), "OK")
      try eventually("readiness") { try lab.worker.get("/readyz").status == 200 }
      try lab.redis.command("REPLICAOF", "127.0.0.1", "1")
      try eventually("reads that are refused", within: Pair.knownWithin) {
        try client.request("HOLDER \(device)").code == "unavailable"
      }
      for _ in 0..<100 {
        for verb in ["HOLDER", "GET", "RENEW"] {
          let reply = try client.request("\(verb) \(device)\(verb == "RENEW" ? " a token=1" : "")")
          #expect(reply.code == "unavailable" && reply.text.contains("replica"), "\(reply)")
        }
        pause(ms: 10)
      }
      let readiness = try lab.worker.get("/readyz")
      #expect(readiness.status == 503)
      #expect(readiness.body.contains("this Redis is a read-only replica"), "\(readiness.body)")
      try lab.redis.command("REPLICAOF", "NO", "ONE")
      try eventually("reads again", within: Pair.servesWithin) {
        try client.request("HOLDER \(device)").isOK
      }
      expect(try client.request("GET \(device)"), "OK")
    }

    @Test func `a caller that goes on through many switch-overs loses nothing it was given`() throws
    {
      let pair = try Pair()
      let worker = pair.worker
      let load = LockLoad { try worker.connect() }
      var rounds = Rounds(3)
      while rounds.next() {
        try load.awaitAcknowledged(100)
        try pair.switchOver(losesNothing: true)
      }
      try load.awaitAcknowledged(200)
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      // The load may have had one loop only: the other one may not know yet that its server is a
      // replica now, or waits for its next try.
      let client = try worker.connect()
      try eventually("a lock again", within: Pair.servesWithin) {
        try client.request("LOCK \(Lab.device()) a").isOK
      }
      try expectKept(report.acknowledged, client)
    }
  }
}
