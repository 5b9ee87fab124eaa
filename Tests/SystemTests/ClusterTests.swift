// Owns: the tests of workers on a real Redis Cluster: all verbs over three masters, slots that
// move, and nodes that die.

import Foundation
import TestSupport
import Testing

private func areOK(_ replies: [Reply]) -> Bool { replies.allSatisfy { $0.isOK } }

/// A cluster, workers on it, and devices of each of its masters.
private final class ClusterLab: Sendable {
  let redis: RedisCluster
  let workers: [WorkerProcess]

  init(
    replicas: Bool = false, spares: Int = 0, workers count: Int = 1, timeoutMs: Int = 1_000,
    appendOnly: Bool = false, certificates: Certificates? = nil, _ options: [String] = []
  ) throws {
    redis = try RedisCluster(
      replicas: replicas, spares: spares, timeoutMs: timeoutMs, appendOnly: appendOnly,
      certificates: certificates)
    let flags = redis.flags
    workers = try (0..<count).map { _ in try WorkerProcess(flags + options) }
  }

  deinit { stop() }

  func stop() {
    workers.forEach { $0.kill() }
    redis.stop()
  }

  /// The slot of a device's partition: docs/keys.md says how that follows from its id.
  func slot(of device: String) throws -> Int { try slot(ofPartition: partition(of: device)) }

  private func partition(of device: String) -> Int {
    let hash = device.utf8.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    let folded = hash ^ hash >> 16
    return Int((folded ^ folded >> 8) & 0xFF)
  }

  private func slot(ofPartition partition: Int) throws -> Int {
    let digits = String(partition, radix: 16)
    let tag = String(repeating: "0", count: 3 - digits.count) + digits
    return try redis.nodes[0].command("CLUSTER", "KEYSLOT", "lk:{\(tag)}").number ?? 0
  }

  /// Two devices of two partitions of the first master, none of which is its first one.
  func neighbours() throws -> (String, String) {
    var first = 0
    while try slot(ofPartition: first) * redis.masters / RedisCluster.slots > 0 { first += 1 }
    var found: [String] = []
    while found.count < 2 {
      let device = Lab.device()
      let partition = partition(of: device)
      guard partition != first, found.allSatisfy({ self.partition(of: $0) != partition }),
        try slot(of: device) * redis.masters / RedisCluster.slots == 0
      else { continue }
      found.append(device)
    }
    return (found[0], found[1])
  }

  /// So many devices at each of the masters, in turn.
  func devices(_ each: Int = 1) throws -> [[String]] {
    var found = [[String]](repeating: [], count: redis.masters)
    while found.contains(where: { $0.count < each }) {
      let device = Lab.device()
      let number = try slot(of: device) * redis.masters / RedisCluster.slots
      if found[number].count < each { found[number].append(device) }
    }
    return found
  }

  func connect(_ worker: Int = 0) throws -> LineClient { try workers[worker].connect() }
}

extension SystemSuites {
  @Suite struct Clusters {
    @Test func `all verbs work over all masters`() throws {
      let lab = try ClusterLab(workers: 2, ["--sweep", "1s"])
      defer { lab.stop() }
      let devices = try lab.devices(20).flatMap(\.self)
      let (client, other) = (try lab.connect(), try lab.connect(1))
      try locks(devices, client)
      try sessions(devices, client, other)
      try waiting(Array(try lab.devices(1).joined()), client, other)
      let info = try client.request("INFO").raw
      #expect(info.contains("\"mode\":\"cluster\"") && info.contains("\"nodes\":[{\"address\""))
      let partitions = try JSON(String(info.dropFirst(3))).all("partitions").compactMap(\.int)
      #expect(partitions.count == 3 && partitions.reduce(0, +) == 256, "\(info)")
      let top = try ProgramRun(["top", "--to", "127.0.0.1:\(lab.workers[0].listenPort)"])
      #expect(top.output.split(separator: "\n").count { $0.hasPrefix("node ") } == 3, "\(top)")
      for worker in lab.workers { #expect(!worker.log.contains("level=error"), "\(worker.log)") }
    }

    @Test func `values are sealed over all masters`() throws {
      let file = SealKeysFile(["k1"])
      let lab = try ClusterLab(workers: 2, file.flags)
      defer { lab.stop() }
      let devices = try lab.devices(2).flatMap(\.self)
      let (client, other) = (try lab.connect(), try lab.connect(1))
      let planted = "PlAnTeD"
      for device in devices {
        for line in [
          "OPEN \(device) user=\(device) {\"f\":\"\(planted)\"}",
          "SAY \(device) {\"m\":\"\(planted)\"}", "PUT \(device) k {\"d\":\"\(planted)\"}",
          "COPY \(device) \(device)-copy", "PROFILE user=ada {\"p\":\"\(planted)\"}",
        ] {
          expect(try client.request(line), "OK", "", "\(line)")
        }
        for line in ["GET \(device) last=1", "KEYS \(device)-copy values=yes", "EXPORT \(device)"] {
          let reply = try other.request(line)
          #expect(reply.raw.contains(planted) && !reply.raw.contains("damaged"), "\(reply)")
        }
      }
      let session = try client.request("GET \(devices[0])").string("session")
      let address = "session:\(devices[0])/\(session)"
      let kept = try lab.redis.nodes.flatMap { node in
        try node.command("KEYS", "*\(address)").items.compactMap(\.string).flatMap { key in
          try node.command("HGETALL", key).items.compactMap(\.string)
        }
      }
      #expect(kept.contains { $0.contains("\u{1E}k1:") } && !"\(kept)".contains(planted))
    }

    /// What shares calls: many devices of all masters at once.
    private func locks(_ devices: [String], _ client: LineClient) throws {
      let lines = devices.flatMap { ["LOCK \($0) a ttl=1m", "LOCK \($0) a", "LOCK \($0) b"] }
      try client.sendLine(lines.joined(separator: "\n"))
      let replies = try client.replies(lines.count)
      for (place, reply) in replies.enumerated() {
        #expect(reply.word == (place % 3 == 2 ? "HELD" : "OK"), "\(reply)")
        if place % 3 < 2 { #expect(reply.shows("renewed", as: place % 3 == 1 ? "true" : "false")) }
      }
      #expect(try client.request("REPORT agent=a").int("held") == devices.count)
      let tokens = try (0..<devices.count).map { try replies[3 * $0].int("token") }
      for (device, token) in zip(devices, tokens) {
        try client.sendLine("UNLOCK \(device) a token=\(token)")
      }
      let unlocked = try client.replies(devices.count)
      #expect(areOK(unlocked), "\(unlocked)")
      #expect(try client.request("REPORT agent=a").int("ended") == devices.count)
    }

    /// What has a side in two partitions, is read from all, or comes by itself.
    private func sessions(
      _ devices: [String], _ client: LineClient, _ watcher: LineClient
    ) throws {
      #expect(try watcher.request("WATCH * types=lock.abandoned").raw == "OK")
      for (place, device) in devices.enumerated() {
        try client.sendLine("OPEN \(device) user=u\(place / 10) {\"a\":1}")
      }
      let opened = try client.replies(devices.count)
      #expect(areOK(opened), "\(opened.first { !$0.isOK }?.raw ?? "")")
      for user in 0..<devices.count / 10 {
        let listed = try client.request("LIST user=u\(user) limit=100").raw
        for device in devices[user * 10..<(user + 1) * 10] {
          #expect(listed.contains("\"\(device)\""), "\(device)")
        }
      }
      let all = try client.request("LIST * limit=100").raw
      for device in devices { #expect(all.contains("\"\(device)\""), "\(device)") }
      let stats = try client.request("STATS").raw
      #expect(stats.contains("\"active\":\(devices.count)"), "\(stats)")
      // Locks whose holders are gone end, and their events come once.
      for device in devices { try client.sendLine("LOCK \(device) gone ttl=200ms") }
      #expect(areOK(try client.replies(devices.count)))
      let ended = try (0..<devices.count).map { _ in
        try EventRecord.line(watcher.reply(within: .seconds(10))).device
      }
      #expect(ended.sorted() == devices.sorted())
      var consumed: [String] = []
      try eventually("the events of a group", within: .seconds(10)) {
        let page = try client.request(
          "EVENTS * group=g limit=100 types=lock.abandoned wait=200ms")
        let events = try EventRecord.all(in: page)
        consumed += events.map(\.device)
        let ids = events.map(\.id)
        guard !ids.isEmpty else { return consumed.count >= devices.count }
        let ack = try client.request("ACK g \(ids.joined(separator: " "))")
        #expect(try ack.int("acked") == ids.count)
        return consumed.count >= devices.count
      }
      #expect(consumed.sorted() == devices.sorted())
    }

    /// A caller that waits is informed by the node that has its device; so is one that waits for a
    /// change.
    private func waiting(
      _ devices: [String], _ client: LineClient, _ other: LineClient
    ) throws {
      for device in devices {
        let token = try client.request("LOCK \(device) a ttl=1m").int("token")
        try other.sendLine("LOCK \(device) b ttl=1m wait=10s")
        #expect(try other.readLine(within: .milliseconds(50)) == nil)
        #expect(try client.request("UNLOCK \(device) a token=\(token)").isOK)
        #expect(try other.reply(within: .seconds(2)).isOK)
        let opened = try client.request("OPEN \(device) {}")
        #expect(opened.isOK, "\(opened)")
        let seen = try client.request("HISTORY \(device)")
        try other.sendLine("HISTORY \(device) after=0 wait=5s")
        #expect(try other.readLine(within: .milliseconds(50)) == nil, "\(seen)")
        #expect(try client.request("SAY \(device) {\"role\":\"user\"}").isOK)
        #expect(try other.reply(within: .seconds(2)).raw.contains("\"role\""))
      }
    }

    @Test(arguments: Engine.ways)
    func `requests wait for a slot that moves, and are done once`(way: String) throws {
      let lab = try ClusterLab(spares: 1, ["--request-timeout", "3s", "--lua", way])
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      let slot = try lab.slot(of: device)
      let token = try client.request("LOCK \(device) a ttl=1m").int("token")
      #expect(try client.request("OPEN \(device) {}").isOK)
      let (old, new) = (try lab.redis.owner(of: slot), lab.redis.nodes[3])
      try lab.redis.beginMove(slot, from: old, to: new)
      #expect(try lab.redis.moveKeys(slot, from: old, to: new, most: 3) == 3)
      // Neither node has all of it: nothing is done by halves.
      try client.sendLine("UNLOCK \(device) a token=\(token)")
      try client.sendLine("LOCK \(device) b ttl=1m")
      try client.sendLine("SAY \(device) {}")
      try client.sendLine("REPORT agent=b")
      #expect(try client.readLine(within: .milliseconds(200)) == nil)
      try expectAskDoesHarm(slot, at: old, instead: new)
      while try lab.redis.moveKeys(slot, from: old, to: new) > 0 {}
      try lab.redis.endMove(slot, to: new, at: lab.redis.nodes.dropLast())
      let replies = try client.replies(4)
      #expect(areOK(replies), "\(replies)")
      // What reads all partitions comes after what waits for one of them.
      #expect(try replies[3].int("held") == 1, "\(replies[3])")
      #expect(try replies[1].int("token") > token)
      #expect(try client.request("REPORT agent=a").int("ended") == 1)
      // The other slots are where they were.
      for device in try lab.devices(2).joined() {
        #expect(try client.request("LOCK \(device) a").isOK)
      }
    }

    /// A node leaves out the slots of a master that it knows to be deposed, until it hears of the
    /// new one.
    @Test func `slots that the asked node leaves out are served by their node`() throws {
      let lab = try ClusterLab()
      defer { lab.stop() }
      let client = try lab.connect()
      let device = try lab.devices()[1][0]
      let slot = try lab.slot(of: device)
      let others = lab.redis.nodes.filter { $0 !== lab.redis.nodes[1] }
      let end = ContinuousClock.now + .seconds(3)
      var refusals: [Reply] = []
      while ContinuousClock.now < end {
        for node in others { try lab.redis.forget(slot, at: node) }
        let reply = try client.request("LOCK \(device) a ttl=1m")
        if !reply.isOK { refusals.append(reply) }
      }
      #expect(refusals.isEmpty, "\(refusals.count): \(refusals.prefix(1))")
    }

    /// What a caller sends without a wait for the replies is done in its order, while its slot goes
    /// to another node and back: a read sees the write before it, also one of all partitions.
    @Test(arguments: Engine.ways)
    func `requests keep their order while a slot comes and goes`(way: String) throws {
      let lab = try ClusterLab(["--request-timeout", "5s", "--lua", way])
      defer { lab.stop() }
      let client = try lab.connect()
      let device = Lab.device()
      let slot = try lab.slot(of: device)
      #expect(try client.request("OPEN \(device) {}").isOK)
      let rounds = Shared(0)
      let moves = Background {
        for place in 0..<12 {
          let owner = try lab.redis.owner(of: slot)
          let new = lab.redis.nodes.first { $0 !== owner && $0 !== lab.redis.nodes[place % 3] }
          try lab.redis.move(slot, to: try #require(new))
          let next = rounds.value + 1 + place % 2
          try eventually("further requests") { rounds.value >= next }
          try lab.redis.awaitAgreement()
        }
      }
      let isMoving = Shared(true)
      let waiter = Background {
        defer { isMoving.value = false }
        try moves.join()
      }
      while isMoving.value {
        let first = 4 * rounds.value
        for n in first..<first + 4 {
          // A line each, so that they go to Redis in several turns.
          try client.sendLine("SET \(device) {\"n\":\(n)}")
          try client.sendLine("GET \(device)")
          try client.sendLine("SEIZE \(device) a\(n)")
          try client.sendLine("REPORT agent=a\(n)")
        }
        let replies = try client.replies(4 * 4)
        #expect(areOK(replies), "\(replies.first { !$0.isOK }?.raw ?? "")")
        for place in 0..<4 {
          let (read, report) = (replies[place * 4 + 1], replies[place * 4 + 3])
          #expect(read.raw.contains("\"n\":\(first + place)}"), "\(first + place): \(read)")
          #expect(try report.int("held") == 1, "\(report)")
        }
        rounds.update { $0 += 1 }
      }
      try waiter.join()
    }

    /// Requests share a call with those about a slot that moves, which is not done as a whole then.
    @Test func `requests about other slots are done in their order meanwhile`() throws {
      let lab = try ClusterLab(["--request-timeout", "3s"])
      defer { lab.stop() }
      let client = try lab.connect()
      let (away, here) = try lab.neighbours()
      let slot = try lab.slot(of: away)
      let (old, new) = (try lab.redis.owner(of: slot), lab.redis.nodes[1])
      try lab.redis.beginMove(slot, from: old, to: new)
      try client.sendLine("LOCK \(away) a\nLOCK \(here) a\nHOLDER \(here)\nREPORT agent=a")
      #expect(try client.readLine(within: .milliseconds(50)) == nil)
      #expect(try lab.connect().request("HOLDER \(here)").isOK)
      try lab.redis.endMove(slot, to: new, at: lab.redis.nodes.filter { $0 !== new })
      let replies = try client.replies(4)
      #expect(areOK(replies), "\(replies)")
      #expect(try replies[3].int("held") == 2, "\(replies[3])")
    }

    /// A client that follows ASK makes a second key of a name, and the first one is then stuck: the
    /// reason why workers wait instead.
    private func expectAskDoesHarm(
      _ slot: Int, at old: RedisServer, instead new: RedisServer
    ) throws {
      let left = try old.command("CLUSTER", "GETKEYSINSLOT", "\(slot)", "1").items
      let key = try #require(left.first?.string)
      let there = try RedisClient(path: new.path)
      guard case .error(let moved) = try there.command(["GET", key]) else {
        throw Failure("the new node answers without ASKING")
      }
      #expect(moved.hasPrefix("MOVED"))
      _ = try there.command(["ASKING"])
      #expect(try there.command(["SET", key, "second"]) == .text("OK"))
      let stuck = try RedisClient(path: old.path).command(
        ["MIGRATE", "127.0.0.1", "\(new.port)", key, "0", "2000"])
      #expect("\(stuck)".contains("BUSYKEY"), "\(stuck)")
      _ = try there.command(["ASKING"])
      #expect(try there.command(["DEL", key]) == .integer(1))
    }

    @Test func `a node that is away makes its own devices unavailable only`() throws {
      let certificates = Engine.hasTLS ? try Certificates() : nil
      let lab = try ClusterLab(timeoutMs: 500, appendOnly: true, certificates: certificates)
      defer { lab.stop() }
      let (client, worker) = (try lab.connect(), lab.workers[0])
      #expect(worker.readyLine.contains("rediss-cluster://") == Engine.hasTLS)
      let devices = try lab.devices().map { $0[0] }
      let tokens = try devices.map { try client.request("LOCK \($0) a ttl=1m").int("token") }
      let place = "127.0.0.1:\(lab.redis.port(of: lab.redis.nodes[0]))"
      try expectDoctor(finds: 0, at: lab.redis, "cluster: 3 masters, 16384 of 16384 slots")
      #expect(try worker.get("/readyz").body == "ready\n")
      lab.redis.nodes[0].kill()
      try eventually("the loss is seen") {
        try client.request("LOCK \(devices[0]) a").code == "unavailable"
      }
      let refusal = try client.request("LOCK \(devices[0]) a")
      #expect(refusal.text.contains(place), "\(refusal)")
      for device in devices.dropFirst() {
        #expect(try client.request("LOCK \(device) a ttl=1m").isOK)
      }
      try eventually("/readyz names the node") {
        let page = try worker.get("/readyz")
        return page.status == 200
          && page.body.contains("partitions: the Redis node \(place)")
      }
      let away: Double = try worker.metric("latchkey_redis_partitions_away")
      #expect(away > 0)
      try expectDoctor(finds: 1, at: lab.redis, "\(place): connect")
      // Most of it gone: what is left does not know which slots are its own.
      lab.redis.nodes[1].kill()
      try eventually("all are refused", within: .seconds(10)) {
        try devices.allSatisfy { try client.request("LOCK \($0) a").code == "unavailable" }
      }
      for node in lab.redis.nodes.prefix(2) { try node.start() }
      try eventually("all nodes serve again", within: .seconds(10)) {
        try devices.allSatisfy { try client.request("LOCK \($0) a").isOK }
      }
      let after = try devices.map { try client.request("LOCK \($0) a").int("token") }
      #expect(after == tokens)
      try eventually("/readyz has nothing to say") {
        try worker.get("/readyz").body == "ready\n"
      }
    }

    /// Expects what the doctor says of a cluster, and how many problems it finds.
    private func expectDoctor(
      finds problems: Int, at redis: RedisCluster, _ words: String,
      place: SourceLocation = #_sourceLocation
    ) throws {
      let run = try ProgramRun(["doctor"] + redis.flags)
      #expect(run.status == (problems == 0 ? 0 : 1), "\(run)", sourceLocation: place)
      #expect(run.output.contains(words), "\(run)", sourceLocation: place)
      let bad = run.output.split(separator: "\n").count { $0.hasPrefix("bad ") }
      #expect(bad == problems, "\(run)", sourceLocation: place)
      let named = redis.nodes.count {
        run.output.contains("://127.0.0.1:\(redis.port(of: $0))")
      }
      #expect(named == redis.nodes.count, "\(run)", sourceLocation: place)
    }

    @Test func `a replica that takes over serves the devices of its master`() throws {
      let lab = try ClusterLab(replicas: true, ["--sweep", "1s"])
      defer { lab.stop() }
      let (client, redis) = (try lab.connect(), lab.redis)
      try expectDoctor(finds: 0, at: redis, "(replica): redis://127.0.0.1:")
      let device = try #require(try lab.devices().first?.first)
      let token = try client.request("LOCK \(device) a ttl=500ms").int("token")
      try eventually("the replica has it") {
        try redis.nodes[3].command("DBSIZE") == redis.nodes[0].command("DBSIZE")
      }
      redis.nodes[0].kill()
      var refusals = 0
      var granted: Reply?
      try eventually("the replica serves", within: .seconds(15)) {
        let reply = try client.request("LOCK \(device) b ttl=1m")
        guard reply.isOK else {
          #expect(reply.isOutage || reply.word == "HELD", "\(reply)")
          refusals += 1
          return false
        }
        granted = reply
        return true
      }
      #expect(refusals > 0)
      #expect(try granted?.int("token") ?? 0 > token)
      let ends = try client.eventLog(of: [device]).map(\.type)
      #expect(ends == ["lock.abandoned"])
      try handBack(lab, client, device)
      try wakeAfterFailover(lab, client)
    }

    /// A planned failover, back to the node that died: nothing is lost.
    private func handBack(_ lab: ClusterLab, _ client: LineClient, _ device: String) throws {
      let redis = lab.redis
      try redis.nodes[0].start()
      try redis.awaitReplicas([redis.nodes[0]])
      let token = try client.request("LOCK \(device) b").int("token")
      try redis.nodes[0].command("CLUSTER", "FAILOVER")
      try eventually("it has its slots again", within: .seconds(10)) {
        // Redis holds writes back until the replica has them all, which may take a request's time.
        let renewed = try client.request("LOCK \(device) b")
        #expect(renewed.isOK || renewed.isOutage, "\(renewed)")
        if renewed.isOK { #expect(try renewed.int("token") == token) }
        return try redis.owner(of: lab.slot(of: device)) === redis.nodes[0]
      }
      try eventually("it serves") { try client.request("LOCK \(device) b").isOK }
      #expect(try client.request("LOCK \(device) b").int("token") == token)
    }

    /// A master that sleeps while its replica takes over: nothing of it counts when it wakes.
    private func wakeAfterFailover(_ lab: ClusterLab, _ client: LineClient) throws {
      let (redis, device) = (lab.redis, try lab.devices()[1][0])
      let (old, new) = (redis.nodes[1], redis.nodes[4])
      try redis.awaitReplicas([new])
      let first = try client.request("LOCK \(device) a ttl=200ms").int("token")
      try old.freeze()
      defer { old.thaw() }
      var second = 0
      try eventually("its replica serves", within: .seconds(15)) {
        let reply = try client.request("LOCK \(device) b ttl=1m")
        if reply.isOK { second = try reply.int("token") }
        return reply.isOK
      }
      #expect(second > first)
      old.thaw()
      try eventually("it follows", within: .seconds(10)) {
        let reply = try client.request("LOCK \(device) b")
        #expect(try reply.int("token") == second, "\(reply)")
        return try redis.isInStep(old)
      }
      try eventually("the others know of it") {
        try redis.owner(of: lab.slot(of: device), seenBy: redis.nodes[2]) === new
      }
      #expect(try client.request("HOLDER \(device)").string("agent") == "b")
    }
  }
}
