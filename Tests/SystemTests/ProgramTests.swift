// The program from outside: its ready line, flags, environment, signals and exit statuses.

import Foundation
import Glibc
import Testing

extension SystemSuites {
  @Suite(.lab()) struct Program {
    // MARK: serve

    @Test func `the ready line has a form, and nothing else is on standard output`() throws {
      let lab = try Lab.current
      let worker = try WorkerProcess(on: lab.redis)
      let shape = /ready listen=127\.0\.0\.1:([0-9]+) admin=127\.0\.0\.1:([0-9]+) redis=([^ ]+)/
      let match = try #require(worker.readyLine.wholeMatch(of: shape), "\(worker.readyLine)")
      #expect(match.3 == lab.redis.adminURL)
      #expect(match.1 != match.2)
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      #expect(try worker.terminate() == .exited(0))
      #expect(worker.output == worker.readyLine + "\n")
    }

    @Test func `settings come from the environment, and a flag goes before`() throws {
      let lab = try Lab.current
      let environment = ["REDIS_URL": lab.redis.url, "LATCHKEY_LOCK_TTL": "1h"]
      for (flags, ttlMs) in [([], 3_600_000), (["--lock-ttl", "90s"], 90_000)] {
        let worker = try WorkerProcess(flags, environment: environment)
        defer { worker.kill() }
        let grant = try Grant(worker.connect().request("LOCK \(Lab.device()) a"))
        #expect((ttlMs - 2_000...ttlMs).contains(grant.ttlMs))
      }
      let nowhere = ["REDIS_URL": "unix:///nonexistent", "LATCHKEY_REDIS": lab.redis.url]
      let worker = try WorkerProcess([], environment: nowhere)
      worker.kill()
    }

    @Test func `a URL may have a user, a password and a database, and its secret is not shown`()
      throws
    {
      let redis = try RedisServer(.init(listens: true))
      defer { redis.stop() }
      try redis.command("ACL", "SETUSER", "keeper", "on", ">hush-hush", "~*", "&*", "+@all")
      let url = "redis://keeper:hush-hush@127.0.0.1:\(redis.port)/2"
      let worker = try WorkerProcess(["--redis", url])
      defer { worker.kill() }
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      let keyspace = try redis.command("INFO", "keyspace").string ?? ""
      #expect(keyspace.contains("db2:") && !keyspace.contains("db0:"), "\(keyspace)")
      #expect(!worker.readyLine.contains("hush-hush"), "\(worker.readyLine)")
      #expect(worker.readyLine.contains("127.0.0.1:\(redis.port)"), "\(worker.readyLine)")
      let wrong = try Starting([
        "--redis",
        "redis://keeper:wrong-hush@127.0.0.1:\(redis.port)/2",
      ])
      defer { wrong.child.end() }
      try eventually("a word of the worker about it") { !wrong.log.isEmpty }
      pause(ms: 300)
      #expect(wrong.output.isEmpty, "ready with a wrong password")
      #expect(!(worker.log + wrong.log).contains("-hush"))
      let byPath = try WorkerProcess(["--redis", "\(redis.adminURL)?db=3"])
      defer { byPath.kill() }
      expect(try byPath.connect().request("LOCK \(Lab.device()) a"), "OK")
      #expect(try redis.command("INFO", "keyspace").string?.contains("db3:") == true)
    }

    @Test func `an address in use is an error that names it`() throws {
      let taken = try TestSocket.listen()
      defer { close(taken.descriptor) }
      let address = "127.0.0.1:\(taken.port)"
      let redis = try Lab.current.redis.url
      for flags in [
        ["--listen", address],
        ["--admin", address],
      ] {
        let starting = try Starting(flags + ["--redis", redis])
        defer { starting.child.end() }
        let ending = try starting.awaitEnd()
        guard case .exited(let status) = ending, status != 0 else {
          Issue.record("\(flags): \(ending)")
          continue
        }
        #expect(starting.log.contains(address), "\(starting.log)")
        #expect(starting.output.isEmpty)
      }
    }

    @Test func `a worker starts on its port again at once, also after a crash`() throws {
      let redis = try Lab.current.redis
      let port = try TestSocket.freePort()
      let device = Lab.device()
      for isKilled in [true, false, true] {
        let worker = try WorkerProcess(["--redis", redis.url, "--listen", "127.0.0.1:\(port)"])
        defer { worker.kill() }
        #expect(worker.listenPort == port)
        let clients = try (0..<20).map { _ in try worker.connect() }
        for client in clients { expect(try client.request("LOCK \(device) a"), "OK") }
        if isKilled { worker.kill() } else { #expect(try worker.terminate() == .exited(0)) }
      }
    }

    // MARK: the end

    @Test(arguments: [SIGTERM, SIGINT]) func `a signal ends an idle worker`(signal: Int32) throws {
      let worker = try WorkerProcess(on: Lab.current.redis, ["--drain-grace", "1s"])
      defer { worker.kill() }
      let idle = try worker.connect()
      #expect(try idle.request("PING").raw == "OK")
      // Half a request is waited for, but not for ever.
      if signal == SIGINT { try idle.send(Array("LOCK half-a-li".utf8)) }
      worker.signal(signal)
      #expect(try worker.wait(within: .seconds(3)) == .exited(0))
      #expect(idle.isClosed())
    }

    @Test func `SIGTERM answers the requests in flight`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let worker = try WorkerProcess(on: redis)
      defer { worker.kill() }
      let client = try worker.connect()
      let device = Lab.device()
      #expect(try client.request("LOCK \(device) a").isOK)
      try redis.freeze()
      try client.send(Array((0..<100).map { "LOCK \(device)-\($0) a\($0)\n" }.joined().utf8))
      // When other connections have been answered, the worker has read what came before them.
      for _ in 0..<8 { #expect(try worker.connect().request("PING").raw == "OK") }
      worker.signal(SIGTERM)
      redis.thaw()
      for (number, reply) in try client.replies(100).enumerated() {
        #expect(reply.shows("agent", as: "\"a\(number)\""), "\(reply)")
      }
      #expect(client.isClosed())
      #expect(try worker.wait(within: .seconds(5)) == .exited(0))
    }

    @Test func `SIGTERM under load fails no accepted request`() throws {
      let lab = try Lab.current
      let worker = try WorkerProcess(on: lab.redis, ["--drain-grace", "1s"])
      defer { worker.kill() }
      let load = LockLoad { try worker.connect() }
      try load.awaitAcknowledged(300)
      #expect(try worker.terminate(within: .seconds(5)) == .exited(0))
      let report = try load.stop()
      #expect(report.wrong.isEmpty, "\(report.wrong.prefix(5))")
      #expect(report.codes["unknown_outcome"] == nil, "\(report.codes)")
      #expect(report.codes["lost"] == nil, "requests without a reply: \(report.codes)")
      try expectKept(report.acknowledged, lab.connect())
    }

    @Test func `with a Redis that hangs SIGTERM still ends it, and a second one at once`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      for isTwice in [false, true] {
        let worker = try WorkerProcess(on: redis)
        defer { worker.kill() }
        let client = try worker.connect()
        try redis.freeze()
        try client.sendLine("LOCK \(Lab.device()) a")
        for _ in 0..<8 { _ = try worker.connect().request("PING") }
        let words = worker.log
        worker.signal(SIGTERM)
        if isTwice {
          // Two signals at the same moment would be one.
          try eventually("a word about the first signal") { worker.log != words }
          worker.signal(SIGTERM)
          let start = ContinuousClock.now
          _ = try worker.wait(within: .seconds(5))
          #expect(elapsedMs(since: start) < 200)
        } else {
          #expect(try client.reply().isOutage)
          #expect(try worker.wait(within: .seconds(5)) == .exited(0))
        }
        redis.thaw()
      }
    }

    // MARK: flags

    @Test func `help is on standard output and names the settings`() throws {
      for words in [["--help"], ["serve", "--help"]] {
        let run = try ProgramRun(words)
        #expect(run.status == 0)
        #expect(run.output.contains("serve"), "\(run.output)")
      }
      let help = try ProgramRun(["serve", "--help"]).output
      for flag in [
        "--listen", "--admin", "--redis", "--data", "--namespace", "--threads", "--max-line",
        "--lock-ttl", "--agent-ttl", "--device-ids", "LATCHKEY_LISTEN", "LATCHKEY_LOCK_TTL",
      ] {
        #expect(help.contains(flag), "\(flag)")
      }
    }

    @Test(arguments: [
      (["serve", "--nosuch"], "nosuch"), (["serve", "--nosuch=1"], "nosuch"), (["frob"], "frob"),
      (["serve", "--threads", "abc"], "threads"), (["serve", "--threads", "65"], "threads"),
      (["serve", "--lock-ttl", "soon"], "lock-ttl"), (["serve", "--lock-ttl", "0"], "lock-ttl"),
      (["serve", "--listen", "nonsense:x"], "listen"), (["serve", "--listen"], "listen"),
      (["serve", "--redis", "http://x"], "redis"),
      (["serve", "--device-ids", "odd"], "device-ids"),
      (["serve", "--agent-ttl", "a"], "agent-ttl"), (["serve", "--agent-ttl", "a=x"], "agent-ttl"),
      (["serve", "--max-line", "-5"], "max-line"), (["serve", "--max-line", "9zz"], "max-line"),
      (["serve", "--namespace", "a b{"], "namespace"), (["serve", "stray"], "stray"), ([], "serve"),
      (["serve", "--listen", "127.0.0.1:99999"], "listen"), (["doctor", "--nosuch"], "nosuch"),
      (["call"], "call"), (["serve", "--lock-ttl", "1h", "--lock-ttl", "2h"], "lock-ttl"),
    ])
    func `a mistake on the command line is named and exits with 2`(
      words: [String], named: String
    ) throws {
      let run = try ProgramRun(words)
      #expect(run.status == 2, "\(words)")
      #expect(run.errors.contains(named), "\(words): \(run.errors)")
      #expect(run.output.isEmpty, "\(words): \(run.output)")
    }

    @Test func `a mistake in the environment is named and exits with 2`() throws {
      let run = try ProgramRun(["serve"], environment: ["LATCHKEY_THREADS": "abc"])
      #expect(run.status == 2)
      #expect(run.errors.contains("LATCHKEY_THREADS"), "\(run.errors)")
    }

    // MARK: call

    @Test func `call prints the reply and exits by it`() throws {
      let lab = try Lab.current
      let to = "127.0.0.1:\(lab.worker.listenPort)"
      let device = Lab.device()
      let note = #"{"a b": "c  d"}"#
      let calls: [([String], Int32, String)] = [
        (["PING"], 0, "OK"), (["LOCK", device, "a"], 0, "OK {"),
        (["LOCK", device, "b"], 1, "HELD {"),
        (["UNLOCK", device, "a", "token=5"], 1, "STALE"), (["HOLDER", Lab.device()], 1, "NONE"),
        (["FROB"], 2, "ERR unknown_verb"), (["LOCK", device], 2, "ERR bad_request"),
        (["HANDOFF", device, "a", "b", note], 0, "OK {"), (["HOLDER", device], 0, "OK {"),
        (["HOLDER \(device)"], 0, "OK {"),
      ]
      for (words, status, start) in calls {
        let run = try ProgramRun(["call", "--to", to] + words)
        #expect(run.status == status, "\(words): \(run.output) \(run.errors)")
        #expect(run.output.hasPrefix(start) && run.output.hasSuffix("\n"), "\(run.output)")
        #expect(run.output.filter { $0 == "\n" }.count == 1)
      }
      let holder = try ProgramRun(["call", "--to", to, "HOLDER", device]).output
      #expect(Reply(raw: holder.trimmingCharacters(in: .newlines)).shows("note", as: note))
      #expect(try ProgramRun(["call", "PING"], environment: ["LATCHKEY_TO": to]).output == "OK\n")
    }

    @Test func `call exits with 3 when it can not connect or gets no answer`() throws {
      let run = try ProgramRun(["call", "--to", "127.0.0.1:\(try TestSocket.freePort())", "PING"])
      #expect(run.status == 3)
      #expect(run.output.isEmpty && !run.errors.isEmpty)
      let deaf = try TestSocket.listen()
      let closer = Background {
        try TestSocket.accept(deaf.descriptor, within: .seconds(5))?.reset()
      }
      let cut = try ProgramRun(["call", "--to", "127.0.0.1:\(deaf.port)", "PING"])
      try closer.join()
      close(deaf.descriptor)
      #expect(cut.status == 3)
      #expect(cut.output.isEmpty && !cut.errors.isEmpty)
    }
  }
}
