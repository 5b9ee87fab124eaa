// The systemd units: checked by systemd's own tools, as far as those go without running it, and
// compared with the program.

import Foundation
import Glibc
import Testing

/// A socket on which a test receives a worker's notices to its service manager.
private final class NoticeListener {
  let path: String
  private let descriptor: Int32

  init() throws {
    path = "\(try Scratch.folder("notice"))/notify"
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let code = try TestSocket.withAddress(of: path) { bind(descriptor, $0, $1) }
    try TestSocket.require(code, "bind \(path)", descriptor)
  }

  deinit { close(descriptor) }

  /// The next message, or nil if none comes in time.
  func hear(within limit: Duration) -> String? {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, Deadline(within: limit).pollMs) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = recv(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }
}

extension SystemSuites.Deploy {
  @Suite struct Systemd {
    private static let program = "/usr/local/bin/latchkey"

    private static let several = "latchkey@.service"
    private static let single = "latchkey.service"

    /// The settings of a unit, without comments.
    private func lines(_ unit: String) throws -> [Substring] {
      try Project.text("deploy/systemd/\(unit)").split(separator: "\n")
        .filter { !$0.hasPrefix("#") }
    }

    /// The values of a key in a unit; a key that stands there twice has two.
    private func values(_ key: String, _ unit: String = several) throws -> [Substring] {
      try lines(unit).filter { $0.hasPrefix("\(key)=") }.map { $0.dropFirst(key.count + 1) }
    }

    /// The environment that a unit sets.
    private func environment(_ unit: String = several) throws -> [String: String] {
      let pairs = try values("Environment", unit).map { $0.split(separator: "=", maxSplits: 1) }
      return Dictionary(uniqueKeysWithValues: pairs.map { (String($0[0]), String($0[1])) })
    }

    /// A copy of a unit in which the program is where it is on this machine.
    private func installed(_ unit: String) throws -> String {
      let text = try Project.text("deploy/systemd/\(unit)")
      #expect(text.contains("ExecStart=\(Self.program) serve\n"))
      let path = "\(try Scratch.folder("units"))/\(unit)"
      try text.replacingOccurrences(of: Self.program, with: WorkerProcess.binary)
        .write(toFile: path, atomically: true, encoding: .utf8)
      return path
    }

    @Test(arguments: [(several, "@1."), (several, "@9."), (single, "@.")])
    func `systemd finds nothing wrong with the units`(unit: String, instance: String) throws {
      let path = try installed(unit).replacingOccurrences(of: "@.", with: instance)
      let run = try ToolRun("systemd-analyze", ["verify", "--man=no", path])
      #expect(run.status == 0 && run.output.isEmpty, "\(run)")
    }

    @Test(arguments: [several, single])
    func `systemd finds the units well locked in`(unit: String) throws {
      // 0 would have no network; 10 is a unit that says nothing.
      let run = try ToolRun(
        "systemd-analyze", ["security", "--offline=true", "--threshold=15", installed(unit)])
      #expect(run.status == 0, "\(run)")
      #expect(run.output.contains("Overall exposure level"), "\(run)")
    }

    @Test func `the worker gets the time that its drain takes, and its ports`() throws {
      let flags = try ServeFlags()
      let stop = try #require(try values("TimeoutStopSec").first.flatMap(ServeFlags.milliseconds))
      #expect(try stop > flags.drainMs(environment()))
      #expect(try environment()["LATCHKEY_LISTEN"] == "127.0.0.1:528%i")
      #expect(try environment()["LATCHKEY_ADMIN"] == "127.0.0.1:529%i")
      #expect(flags.variables.isSuperset(of: try environment().keys))
      let descriptors = try #require(try values("LimitNOFILE").first.flatMap { Int($0) })
      #expect(try descriptors > flags.number("--max-connections"))
    }

    @Test func `the unit of a single worker is that of several, with a Redis of its own`() throws {
      let own = try Set(lines(Self.single)).subtracting(lines(Self.several))
      #expect(
        own == [
          "Description=Latchkey worker", "StateDirectory=latchkey", "StateDirectoryMode=0700",
          "Environment=LATCHKEY_DATA=/var/lib/latchkey", "TimeoutStopSec=30s",
          "SystemCallFilter=capset",
        ])
      let missing = try Set(lines(Self.several)).subtracting(lines(Self.single))
        .map { $0.prefix { $0 != "=" } }
      #expect(
        Set(missing) == ["Description", "Environment", "EnvironmentFile", "TimeoutStopSec"])
      // Its Redis gets 10 s to end after the drain.
      let stop = try #require(
        try values("TimeoutStopSec", Self.single).first.flatMap(ServeFlags.milliseconds))
      #expect(try stop > ServeFlags().drainMs([:]) + 10_000)
      #expect(try ServeFlags().variables.isSuperset(of: environment(Self.single).keys))
      let packaged = try Project.text("deploy/debian/worker.env")
      let named = Set(packaged.matches(of: /LATCHKEY_[A-Z_]+/).map { String($0.0) })
      #expect(try ServeFlags().variables.isSuperset(of: named) && named.count > 3)
    }

    @Test func `the settings that are deployed start a worker that knows them all`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      var environment: [String: String] = [:]
      for line in try Project.text("deploy/systemd/worker.env").split(separator: "\n")
      where !line.hasPrefix("#") {
        let pair = line.split(separator: "=", maxSplits: 1)
        environment[String(pair[0])] = String(pair[1])
      }
      #expect(environment["LATCHKEY_REDIS"]?.hasPrefix("redis://latchkey:SECRET@") == true)
      environment["LATCHKEY_REDIS"] = redis.url
      #expect(environment["LATCHKEY_AUTH"] == "/etc/latchkey/principals")
      let principals = try PrincipalsFile([("app", [])])
      environment["LATCHKEY_AUTH"] = principals.path
      let worker = try WorkerProcess([], environment: environment)
      defer { worker.kill() }
      #expect(!worker.log.contains("not known"), "\(worker.log)")
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "ERR", "auth_required")
      let client = try principals.connect(worker, as: "app")
      expect(try client.request("LOCK \(Lab.device()) a"), "OK")
    }

    @Test func `the service manager is notified when a worker can serve, and when it stops`() throws
    {
      let redis = try RedisServer()
      defer { redis.stop() }
      let listener = try NoticeListener()
      redis.kill()
      let starting = try Starting(
        ["--redis", redis.url], environment: ["NOTIFY_SOCKET": listener.path])
      defer { starting.child.end() }
      #expect(listener.hear(within: .milliseconds(300)) == nil, "without Redis it is not ready")
      try redis.start()
      #expect(listener.hear(within: .seconds(20)) == "READY=1")
      #expect(try starting.awaitReadyLine(within: .seconds(10)).hasPrefix("ready "))
      starting.child.signal(SIGTERM)
      #expect(listener.hear(within: .seconds(10)) == "STOPPING=1")
      #expect(try starting.awaitEnd() == .exited(0))
    }

    @Test func `a service manager that does not listen keeps no worker from serving`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      let environment = ["NOTIFY_SOCKET": "/nonexistent/notify"]
      let worker = try WorkerProcess(["--redis", redis.url], environment: environment)
      defer { worker.kill() }
      try eventually("a log line about it") { worker.log.contains("cannot notify") }
      #expect(try worker.terminate() == .exited(0))
    }
  }
}
