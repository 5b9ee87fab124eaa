// Owns: the tests of workers that seal values: callers see no difference, Redis holds nothing that
// can be read, and what was changed or moved there is found out.

import Foundation
import Glibc
import Testing

/// A run of requests of every verb that carries a value, and their replies without what differs
/// from run to run.
private struct ValueRun {
  /// What every value has in it.
  static let planted = "PlAnTeD"
  private static let long = String(repeating: "long \(planted) ", count: 100)

  /// `D` is a device, `E` another one, `U` a user; `T` is the number of the latest turn.
  private static let lines = [
    "OPEN D name=n user=U req=1 {\"f\":\"§\",\"n\":1e400,\"o\":{\"§\":[1, 2]}}",
    "OPEN D name=n user=U req=1 {\"f\":\"§\",\"n\":1e400,\"o\":{\"§\":[1, 2]}}",
    "SET D phase=p {\"g\":{\"h\":\"§\"},\"n\":null,\"\\u001ek1:AAAA\":\"\\u001ek1:AAAA §\"}",
    "SET D rev=1 {\"h\":\"§\"}", "SET D rev=1 {\"g\":\"§\"}", "SET D rev=99 {\"g\":\"§\"}",
    "GET D", "GET D fields=f,g last=2",
    "SAY D {\"role\":\"user\",\"t\":\"§\"}",
    "SAY D [{\"role\":\"agent\",\"t\":\"§2\"},{\"role\":\"user\",\"id\":\"u1 §\"},{\"id\":7.0}]",
    "HISTORY D", "HISTORY D role=user", "HISTORY D role=user limit=1", "HISTORY D role=none",
    "HISTORY D after=1 role=agent", "HISTORY D after=0 role=user limit=1",
    "HISTORY D before=3 role=user", "HISTORY D since=1 role=agent", "GET D last=3",
    "SAY D id=id {\"id\":\"u1 §\"}",
    "SAY D id=id [{\"id\":\"u2 §\"},{\"id\":\"u2 §\"},{\"id\":7.0}]",
    "SAY D id=id {\"id\":7}", "SAY D id=other {\"id\":7}", "SAY D {\"id\":\"u3 §\"}",
    "SAY D id=id req=2 [{\"id\":\"u3 §\"},{\"id\":\"u4 §\"}]",
    "SAY D id=id req=2 [{\"id\":\"u3 §\"},{\"id\":\"u4 §\"}]",
    "AMEND D seq=1 {\"role\":\"user\",\"t\":\"§3\",\"id\":\"u5 §\"}",
    "SAY D id=id {\"id\":\"u5 §\"}",
    "SAY D id=id after=7 {\"id\":\"u4 §\"}", "SAY D/@new id=id {\"id\":\"u5 §\"}",
    "SAY D id=id seq=1 {\"id\":\"u6 §\"}", "HISTORY D",
    "POP D req=3", "POP D req=3", "POP D count=2 req=4", "POP D count=2 req=4", "FORGET D after=3",
    "PUT D k {\"v\":\"§\"}", "PUT D \"s §\" \"§ text\"", "PUT D l {\"l\":\"L\"}",
    "PUT D k if=absent [1]",
    "TAKE D k l none", "KEYS D values=yes", "KEYS D prefix=k", "DROP D k",
    "APPLY D {\"say\":[{\"m\":\"§\"}],\"set\":{\"z\":[\"§\"]},\"put\":{\"p\":{\"q\":\"§\"}}}",
    "CHAT D name=two {\"model\":\"§\",\"keep\":[]}",
    "SET D/current/3 {\"more\":\"§\",\"model\":null}",
    "GET D/current/3", "CHATS D", "SWITCH D/current/1", "REPORT D",
    "LOCK D a", "HANDOFF D a b {\"note\":\"§\"}", "HOLDER D", "SEIZE D a",
    "TURN D ttl=1m {\"role\":\"user\",\"t\":\"§\"}", "PART D turn=T {\"d\":\"§\"}",
    "PART D turn=T [\"§\"]",
    "HISTORY D last=1", "TURN D policy=join {\"role\":\"user\",\"t\":\"§ joined\"}",
    "DONE D turn=T {\"say\":{\"role\":\"agent\",\"t\":\"§\"},\"put\":{\"e\":[\"§\"]}}",
    "DONE D turn=T {\"set\":{\"d\":\"§\"}}",
    "PROFILE user=U {\"p\":\"§\",\"q\":[]}", "PROFILE user=U {\"q\":null}", "PROFILE user=U",
    "TELL D typing {\"p\":\"§\"}", "LIST D", "LIST user=U fields=f", "LIST D fields=none",
    "EXPORT D", "COPY D E", "GET E last=5", "KEYS E values=yes", "EXPORT E",
    "PAUSE D reason=r", "RECOVER D {\"new\":\"§\"}", "CLOSE D", "RECOVER D {\"new\":\"§\"}",
    "EVENTS D",
  ]

  /// Sends all of them; the replies, and the events of a watch of the device.
  static func replies(_ client: LineClient, watchedBy watch: LineClient) throws -> [String] {
    let names = ["D": Lab.device("valued"), "E": Lab.device("copied"), "U": Lab.device("user")]
    var (turn, replies) = ("0", [String]())
    expect(try watch.request("WATCH \(names["D"] ?? "") changes=yes"), "OK")
    for line in lines {
      let words = line.replacingOccurrences(of: "§", with: planted)
        .replacingOccurrences(of: "\"L\"", with: "\"\(long)\"")
      let sent = words.split(separator: " ", omittingEmptySubsequences: false)
        .map { named(String($0), names) }.joined(separator: " ")
        .replacingOccurrences(of: "turn=T", with: "turn=\(turn)")
      let reply = try client.request(sent)
      if line.hasPrefix("TURN"), reply.isOK, let number = try reply.json()["turn"]?.int {
        turn = "\(number)"
      }
      replies.append("\(line) -> \(plain(reply.raw, names))")
    }
    // Those of the log come in their own time; EVENTS has shown them.
    expect(try client.request("TELL \(names["D"] ?? "") end {}"), "OK")
    while let event = try watch.readLine(), !event.contains("custom.end") {
      if !event.hasPrefix("EVENT {\"id\"") { replies.append(plain(event, names)) }
    }
    return replies
  }

  /// A word with the name for its letter.
  private static func named(_ word: String, _ names: [String: String]) -> String {
    for (letter, name) in names {
      if word == letter || word.hasPrefix(letter + "/") { return name + word.dropFirst() }
      if word.hasSuffix("=" + letter) { return word.dropLast() + name }
    }
    return word
  }

  /// A line without ids, times and lengths.
  private static func plain(_ line: String, _ names: [String: String]) -> String {
    let line = names.reduce(line) { $0.replacingOccurrences(of: $1.value, with: $1.key) }
    return line.replacing(/"[0-9a-f]{3}-\d+-\d+"/, with: "ID").replacing(/[0-9A-Z]{26}/, with: "S")
      .replacing(/\d{13,}/, with: "#").replacing(/_ms":\d+/, with: "_ms\":#")
      .replacing(/"answers":\[\d+,\d+\]/, with: "ANSWERS")
      .replacing(/"spent":\{[^}]*\}/, with: "SPENT").replacing(
        /_ms_mean":\d+/, with: "_ms_mean\":#"
      ).replacing(
        /"states":\{[^}]*\}/, with: "STATES")
  }
}

extension SystemSuites {
  @Suite(.lab(workers: [SealKeysFile.ofLab.flags + ["--http", "127.0.0.1:0"], []]))
  struct SealedTests {
    private var redis: RedisServer { get throws { try Lab.current.redis } }

    // MARK: Beside plain

    @Test func `callers see no difference, on lines and by HTTP, and Redis has nothing to read`()
      throws
    {
      let lab = try Lab(
        .init(), workers: [SealKeysFile.ofLab.flags + ["--http", "127.0.0.1:0"]])
      defer { lab.stop() }
      let plain = try Lab.current.workers[1]
      let wanted = try ValueRun.replies(try plain.connect(), watchedBy: try plain.connect())
      #expect(wanted.filter { $0.contains("-> OK") }.count > 60, "too few requests were answered")
      for wire in ["lines", "HTTP"] {
        let client =
          wire == "lines" ? try lab.connect() : try HTTPLineClient(httpPort: lab.worker.httpPort)
        let seen = try ValueRun.replies(client, watchedBy: try lab.connect())
        for (one, other) in zip(seen, wanted) { #expect(one == other, "\(wire)") }
        #expect(seen.count == wanted.count, "\(wire)")
      }
      let texts = try Self.texts(lab.redis)
      #expect(texts.count > 300)
      for (key, text) in texts where text.contains(ValueRun.planted) {
        // Names of documents and of members stay readable.
        let rest = text.replacingOccurrences(of: "s \(ValueRun.planted)", with: "")
        #expect(!rest.contains(ValueRun.planted), "\(key): \(text.prefix(200))")
      }
      let log = lab.worker.log
      #expect(!log.contains(ValueRun.planted) && !log.contains("corrupt"), "\(log.suffix(2_000))")
    }

    /// All that Redis holds, by key.
    private static func texts(_ redis: RedisServer) throws -> [(key: String, text: String)] {
      var found: [(key: String, text: String)] = []
      for key in try redis.command("KEYS", "*").items.compactMap(\.string) {
        let type = try redis.command("TYPE", key).string ?? ""
        let read = [
          "string": ["GET", key], "hash": ["HGETALL", key], "list": ["LRANGE", key, "0", "-1"],
          "set": ["SMEMBERS", key], "zset": ["ZRANGE", key, "0", "-1"],
          "stream": ["XRANGE", key, "-", "+"],
        ]
        guard let words = read[type] else { throw Failure("\(key) is a \(type)") }
        found += flat(try RedisClient(path: redis.path).command(words)).map { (key, $0) }
      }
      return found
    }

    private static func flat(_ value: RedisValue) -> [String] {
      switch value {
      case .text(let text): [text]
      case .array(let items): items.flatMap { flat($0) }
      case .error, .integer, .null: []
      }
    }

    // MARK: Without the key, and with others

    @Test func `a worker without the key shows sealed values as damaged, and others as they are`()
      throws
    {
      let (sealed, plain) = (try Lab.current.connect(0), try Lab.current.connect(1))
      let device = Lab.device()
      expect(try sealed.request("OPEN \(device) name=n {\"a\":1}"), "OK")
      expect(try sealed.request("SAY \(device) {\"m\":1}"), "OK")
      expect(try sealed.request("PUT \(device) k {}"), "OK")
      expect(try plain.request("SET \(device) {\"b\":2}"), "OK")
      expect(try plain.request("SAY \(device) {\"m\":2}"), "OK")
      let record = try plain.request("GET \(device)").raw
      #expect(record.contains("\"fields\":{\"a\":null,\"b\":2}"), "\(record)")
      #expect(record.contains("\"damaged\":[\"fields.a\"]") && record.contains("\"name\":\"n\""))
      let history = try plain.request("HISTORY \(device)").raw
      #expect(history.contains("\"message\":null") && history.contains("\"message\":{\"m\":2}"))
      #expect(history.contains("\"damaged\":[\"messages.1\"]"), "\(history)")
      #expect(
        try plain.request("TAKE \(device) k").raw.contains("\"damaged\":[\"documents.0.value\"]"))
      let sealedRecord = try sealed.request("GET \(device)").raw
      #expect(sealedRecord.contains("\"fields\":{\"a\":1,\"b\":2}"))
      // It can neither compare what it cannot read, nor merge it.
      expect(try plain.request("SAY \(device) id=m {\"m\":1}"), "ERR", "illegal_state")
      #expect(try sealed.request("SAY \(device) id=m {\"m\":1}").int("known") == 1)
      expect(try plain.request("SAY \(device) {\"m\":3}"), "OK")
      #expect(try sealed.request("SAY \(device) id=m {\"m\":3}").int("known") == 1)
      expect(try sealed.request("CHAT \(device) {\"c\":1}"), "OK")
      expect(try plain.request("SET \(device)/current/2 {\"d\":1}"), "ERR", "illegal_state")
      #expect(try sealed.request("GET \(device)/current/2").raw.contains("\"config\":{\"c\":1}"))
    }

    @Test func `keys are replaced while the worker serves, and a broken file changes nothing`()
      throws
    {
      let file = SealKeysFile(["k1"])
      let worker = try WorkerProcess(on: try redis, file.flags)
      defer { worker.kill() }
      let (client, device) = (try worker.connect(), Lab.device())
      expect(try client.request("OPEN \(device) {\"old\":1}"), "OK")
      expect(try client.request("SAY \(device) id=i {\"i\":1}"), "OK")
      file.write(["k2", "k1"])
      worker.signal(SIGHUP)
      try eventually("the new key seals") { worker.log.contains("were read again") }
      expect(try client.request("SET \(device) {\"new\":2}"), "OK")
      let key =
        try redis.command("KEYS", "*:session:\(device)/*").items.compactMap(\.string)
        .first { !$0.contains("/1") } ?? ""
      let stored = { (name: String) in
        try redis.command("HGET", key, "f:\"\(name)\"").string ?? ""
      }
      #expect(try stored("old").contains("\u{1E}k1:") && stored("new").contains("\u{1E}k2:"))
      #expect(try client.request("GET \(device)").raw.contains("{\"new\":2,\"old\":1}"))
      #expect(try client.request("SAY \(device) id=i {\"i\":1}").int("known") == 1)
      // A broken file, which is noticed without a signal.
      file.write(text: "k3:short\n")
      try eventually("the file is found broken") { worker.log.contains("could not be read again") }
      expect(try client.request("SET \(device) {\"old\":3}"), "OK")
      #expect(try stored("old").contains("\u{1E}k2:"), "sealed anew at its next write")
      file.write(["k3"])
      try eventually("the old keys are gone") {
        try client.request("GET \(device)").raw.contains(
          "\"damaged\":[\"fields.new\",\"fields.old\"]")
      }
      expect(try client.request("SAY \(device) id=i {\"i\":1}"), "ERR", "illegal_state")
      expect(try client.request("SET \(device) {\"new\":4,\"old\":null}"), "OK")
      #expect(try client.request("GET \(device)").raw.contains("\"fields\":{\"new\":4}"))
    }

    // MARK: Changes in Redis

    @Test func `values that were changed or moved in Redis are damaged, each by itself`() throws {
      let (client, redis) = (try Lab.current.connect(), try self.redis)
      let (one, two) = (Lab.device(), Lab.device())
      var keys: [String] = []
      for device in [one, two] {
        expect(try client.request("OPEN \(device) {\"a\":\"A\",\"b\":\"B\",\"c\":\"C\"}"), "OK")
        expect(try client.request("SAY \(device) [{\"m\":1},{\"m\":2}]"), "OK")
        expect(try client.request("PUT \(device) k {\"d\":1}"), "OK")
        let found = try redis.command("KEYS", "*:session:\(device)/*").items.compactMap(\.string)
        keys.append(found.min { $0.utf8.count < $1.utf8.count } ?? "")
      }
      let field = { (key: String, name: String) in
        try redis.command("HGET", key, "f:\"\(name)\"").string ?? ""
      }
      // The values of two members, one of another device, and one with another byte.
      let (a, other) = (try field(keys[0], "a"), try field(keys[1], "b"))
      try redis.command("HSET", keys[0], "f:\"b\"", a)
      #expect(try client.request("GET \(one)").raw.contains("\"damaged\":[\"fields.b\"]"))
      try redis.command("HSET", keys[0], "f:\"b\"", other)
      #expect(try client.request("GET \(one)").raw.contains("\"damaged\":[\"fields.b\"]"))
      let c = try field(keys[0], "c")
      let last = c.index(c.endIndex, offsetBy: -8)
      let flipped = c[..<last] + (c[last] == "x" ? "y" : "x") + c[c.index(after: last)...]
      try redis.command("HSET", keys[0], "f:\"c\"", String(flipped))
      let record = try client.request("GET \(one)").raw
      #expect(record.contains("\"fields\":{\"a\":\"A\",\"b\":null,\"c\":null}"), "\(record)")
      #expect(record.contains("\"damaged\":[\"fields.b\",\"fields.c\"]"))
      // A field's value as a message, and a message of another device.
      let list = keys[0] + "/1"
      let value = a.split(separator: " ", maxSplits: 1).last ?? ""
      try redis.command("LSET", list, "0", "1,\"at\":1795233484561,\"message\":\(value)}")
      let foreign = try redis.command("LINDEX", keys[1] + "/1", "1").string ?? ""
      try redis.command("LSET", list, "1", foreign)
      let history = try client.request("HISTORY \(one)").raw
      #expect(history.contains("\"damaged\":[\"messages.1\",\"messages.2\"]"), "\(history)")
      // A document under another key.
      let entry = try redis.command("ZRANGE", keys[0] + "/docs", "0", "0").items.first?.string ?? ""
      try redis.command("ZADD", keys[0] + "/docs", "0", "l" + entry.dropFirst())
      let documents = try client.request("KEYS \(one) values=yes").raw
      #expect(documents.contains("\"damaged\":[\"documents.1.value\"]"), "\(documents)")
      #expect(documents.contains("\"value\":{\"d\":1}"))
      expect(try client.request("COPY \(one) \(Lab.device())"), "ERR", "bad_request")
      expect(try client.request("DELETE \(one)"), "OK")
      let worker = try Lab.current.workers[0]
      #expect(try worker.metric("latchkey_sealed_values_unopened_total") >= 6)
      try eventually("a line of the log") { worker.log.contains("sealed values do not open") }
    }

    @Test func `a text that looks sealed comes back as it was sent`() throws {
      let clients = [try Lab.current.connect(0), try Lab.current.connect(1)]
      let device = Lab.device()
      expect(try clients[0].request("OPEN \(device) {\"a\":1}"), "OK")
      let key = try redis.command("KEYS", "*:session:\(device)/*").items.first?.string ?? ""
      let stored = try redis.command("HGET", key, "f:\"a\"").string ?? ""
      let inside = stored.drop { $0 != "\u{1E}" }.dropFirst().dropLast()
      let text = "\"\\u001e\(inside)\""
      for (index, writer) in clients.enumerated() {
        expect(try writer.request("SET \(device) {\"a\":\(text)}"), "OK")
        expect(try writer.request("PUT \(device) k \(text)"), "OK")
        for reader in index == 0 ? [clients[0]] : clients {
          #expect(try reader.request("GET \(device)").raw.contains("\"fields\":{\"a\":\(text)}"))
          #expect(try reader.request("TAKE \(device) k").raw.contains("\"value\":\(text)"))
        }
        // The byte itself is no JSON.
        expect(
          try writer.request("SET \(device) {\"a\":\"\u{1E}\(inside)\"}"), "ERR", "bad_request")
      }
    }

    // MARK: Backups

    /// How many values did not open to each worker.
    private func unopened() throws -> [Int] {
      try Lab.current.workers.map { Int(try $0.metric("latchkey_sealed_values_unopened_total")) }
    }

    @Test func `a sealed export has nothing to read, and goes in where it opens`() throws {
      let (client, plain) = (try Lab.current.connect(0), try Lab.current.connect(1))
      let device = Lab.device()
      expect(try plain.request("OPEN \(device) {\"plain\":[\"old\"]}"), "OK")
      expect(try client.request("SET \(device) name=n {\"a\":\"Hidden\",\"gone\":1}"), "OK")
      expect(try client.request("SET \(device) {\"gone\":null}"), "OK")
      expect(try client.request("SAY \(device) {\"t\":\"Hidden\"}"), "OK")
      expect(try client.request("PUT \(device) k \"Hidden\""), "OK")
      expect(try client.request("CHAT \(device) {\"c\":\"Hidden\"}"), "OK")
      let (record, open) = (
        try client.request("GET \(device)"), try client.request("EXPORT \(device)")
      )
      let first = try plain.request("EXPORT \(device) sealed=yes").raw
      #expect(first.contains("{\"plain\":[\"old\"]}"), "what was never sealed is not hidden")
      // A worker without keys can make the backup.
      for reader in [plain, client] {
        let export = try reader.request("EXPORT \(device) sealed=yes")
        #expect(export.isOK && !export.raw.contains("Hidden"), "\(export)")
        let body = String(export.raw.dropFirst(3))
        expect(try client.request("DELETE \(device)"), "OK")
        let before = try unopened()
        expect(try plain.request("IMPORT \(body)"), "ERR", "bad_request", "it has no key")
        let moved = body.replacingOccurrences(of: device, with: device + "x")
        expect(try client.request("IMPORT \(moved)"), "ERR", "bad_request", "another device's")
        let after = try unopened()
        #expect(zip(before, after).allSatisfy { $0 + 1 == $1 }, "\(before) \(after)")
        #expect(try client.request("IMPORT \(body)").raw == record.raw)
        #expect(try client.request("EXPORT \(device)").raw == open.raw)
      }
      #expect(!(try Self.texts(try redis)).contains { $0.text.contains("Hidden") })
    }

    @Test func `a file of keys that cannot be used keeps a worker from starting`() throws {
      let file = SealKeysFile([])
      file.write(text: "k1:AAAA\n")
      let output = try ProgramRun(["serve", "--redis", redis.url] + file.flags)
      #expect(output.status != 0)
      #expect(output.errors.contains("--seal-keys") && output.errors.contains("line 1"))
      #expect(!output.errors.contains("AAAA"))
    }
  }

  @Suite(
    .lab(workers: [
      ModelLimits.flags + SealKeysFile.ofLab.flags,
      ModelLimits.flags + SealKeysFile.ofLab.flags + ["--http", "127.0.0.1:0"],
    ]))
  struct SealedModelTests {
    @Test func `two workers that seal, both wires and the model agree, request by request`() throws
    {
      try SessionModelTests.agree("sessions over two workers that seal", steps: 2_000)
    }
  }
}
