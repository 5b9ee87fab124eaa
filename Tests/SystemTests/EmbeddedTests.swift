// A worker with a Redis of its own: data that outlives both, and no process left behind.

import Foundation
import Glibc
import Testing

/// A data folder, and what runs in it; whatever is left there is ended with it.
private final class EmbeddedFolder {
  let path: String

  init() throws { path = try Scratch.folder("data") }

  deinit { redisPids.forEach { Glibc.kill($0, SIGKILL) } }

  var redisPids: [pid_t] { Scratch.processes(named: "redis-server", in: path) }

  func start(_ more: [String] = []) throws -> WorkerProcess {
    try WorkerProcess(["--data", path] + more, within: .seconds(20))
  }

  func awaitNoRedis() throws {
    try eventually("the end of the embedded Redis", within: .seconds(3)) { redisPids.isEmpty }
  }
}

extension SystemSuites {
  @Suite struct Embedded {
    @Test func `without a URL a worker serves on a Redis of its own`() throws {
      let data = try EmbeddedFolder()
      let worker = try data.start()
      defer { worker.kill() }
      #expect(worker.readyLine.hasSuffix(" redis=embedded"), "\(worker.readyLine)")
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
      #expect(data.redisPids.count == 1)
      #expect(try worker.get("/readyz").status == 200)
      #expect(try worker.terminate() == .exited(0))
      try data.awaitNoRedis()
    }

    @Test func `no lock is lost when the worker is stopped or killed and started again`() throws {
      let data = try EmbeddedFolder()
      let devices = (0..<50).map { _ in Lab.device() }
      var worker = try data.start()
      defer { worker.kill() }
      var locks: [Acknowledged] = []
      for device in devices {
        let grant = try Grant(worker.connect().request("LOCK \(device) a"))
        locks.append(Acknowledged(device: device, agent: "a", token: grant.token))
      }
      for isKilled in [false, true, true, false] {
        if isKilled {
          worker.kill()
        } else {
          #expect(try worker.terminate() == .exited(0))
        }
        worker = try data.start()
        #expect(data.redisPids.count == 1, "one Redis, and not the one before")
        try expectKept(locks, worker.connect())
        let again = try Grant(worker.connect().request("SEIZE \(devices[0]) a"))
        #expect(again.token > locks[0].token)
        locks[0] = Acknowledged(device: devices[0], agent: "a", token: again.token)
      }
      #expect(try worker.terminate() == .exited(0))
      try data.awaitNoRedis()
    }

    @Test func `an embedded Redis that dies is started again, with its locks`() throws {
      let data = try EmbeddedFolder()
      let worker = try data.start()
      defer { worker.kill() }
      let client = try worker.connect()
      var lock = try Grant(client.request("LOCK \(Lab.device()) a"))
      let device = Lab.device()
      lock = try Grant(client.request("LOCK \(device) a"))
      for _ in 0..<2 {
        let pid = try #require(data.redisPids.first)
        Glibc.kill(pid, SIGKILL)
        try eventually("the locks' return", within: .seconds(5)) {
          let reply = try client.request("RENEW \(device) a token=\(lock.token)")
          #expect(reply.isOK || reply.isOutage, "\(reply)")
          return reply.isOK && data.redisPids.first != pid
        }
        #expect(data.redisPids.count == 1)
      }
      #expect(try worker.terminate() == .exited(0))
      try data.awaitNoRedis()
    }

    @Test func `a second worker on the same data folder is refused`() throws {
      let data = try EmbeddedFolder()
      let worker = try data.start()
      defer { worker.kill() }
      let second = try Starting([
        "--data", data.path,
      ])
      defer { second.child.end() }
      guard case .exited(let status) = try second.awaitEnd(), status != 0 else {
        Issue.record("it did not refuse")
        return
      }
      #expect(second.log.contains(data.path), "\(second.log)")
      #expect(second.output.isEmpty)
      #expect(data.redisPids.count == 1)
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
    }

    @Test func `a data folder that can not be written is named`() throws {
      let file = try Scratch.folder("nofolder") + "/file"
      try "in the way".write(toFile: file, atomically: true, encoding: .utf8)
      let starting = try Starting([
        "--data", file,
      ])
      defer { starting.child.end() }
      #expect(try starting.awaitEnd() != .exited(0))
      #expect(starting.log.contains(file), "\(starting.log)")
    }

    @Test func `a data folder is made and kept from other users`() throws {
      let path = try Scratch.folder("made") + "/data"
      let worker = try WorkerProcess(["--data", path], within: .seconds(20))
      defer { worker.kill() }
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
      #expect(mode & 0o077 == 0, "mode \(String(mode, radix: 8))")
      #expect(try worker.terminate() == .exited(0))
      try eventually("the end of the embedded Redis") {
        Scratch.processes(named: "redis-server", in: path).isEmpty
      }
    }

    @Test func `SIGINT to the whole group, as from a terminal, loses nothing`() throws {
      let data = try EmbeddedFolder()
      let worker = try data.start()
      defer { worker.kill() }
      let device = Lab.device()
      let grant = try Grant(worker.connect().request("LOCK \(device) a"))
      data.redisPids.forEach { Glibc.kill($0, SIGINT) }
      #expect(try worker.terminate() == .exited(0))
      try data.awaitNoRedis()
      let again = try data.start()
      defer { again.kill() }
      expect(try again.connect().request("RENEW \(device) a token=\(grant.token)"), "OK")
      #expect(try again.terminate() == .exited(0))
    }

    // MARK: One that cannot start

    /// Expects that a worker ends by itself with status 1, and that its log has these words.
    private func expectGivesUp(
      _ path: String, _ words: [String], at place: SourceLocation = #_sourceLocation
    ) throws {
      let starting = try Starting(["--data", path])
      defer { starting.child.end() }
      #expect(try starting.awaitEnd(within: .seconds(20)) == .exited(1), sourceLocation: place)
      #expect(starting.output.isEmpty, sourceLocation: place)
      for word in words {
        #expect(starting.log.contains(word), "\(starting.log)", sourceLocation: place)
      }
      #expect(Scratch.processes(named: "redis-server", in: path).isEmpty, sourceLocation: place)
    }

    @Test func `a path that is too long for a socket is refused at the start`() throws {
      let data = try EmbeddedFolder()
      let room = 107 - "/redis.sock".utf8.count - data.path.utf8.count - 1
      let longest = data.path + "/" + String(repeating: "x", count: room)
      let worker = try WorkerProcess(["--data", longest], within: .seconds(20))
      #expect(try worker.terminate() == .exited(0))
      try expectGivesUp(longest + "x", ["the data folder's path is too long", "108 bytes"])
    }

    @Test(arguments: [("a folder", true), ("no socket", false)])
    func `a thing in the place of the socket is refused and left alone`(
      what: String, isFolder: Bool
    ) throws {
      let data = try EmbeddedFolder()
      let place = data.path + "/redis.sock"
      if isFolder {
        try FileManager.default.createDirectory(
          atPath: place, withIntermediateDirectories: false)
      } else {
        try "mine".write(toFile: place, atomically: true, encoding: .utf8)
      }
      try expectGivesUp(data.path, ["redis.sock is \(what)", "remove it"])
      #expect(FileManager.default.fileExists(atPath: place))
    }

    @Test func `a corrupt append-only file is named in Redis' words, with what to do`() throws {
      let data = try EmbeddedFolder()
      let worker = try data.start()
      for _ in 0..<20 { expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK") }
      #expect(try worker.terminate() == .exited(0))
      let folder = data.path + "/appendonlydir"
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      let name = try #require(names.first { $0.contains(".incr.") })
      var bytes = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
      bytes.replaceSubrange(40..<60, with: Data(repeating: 0x21, count: 20))
      try bytes.write(to: URL(filePath: "\(folder)/\(name)"))
      try expectGivesUp(
        data.path,
        [
          "the embedded redis-server does not start: giving up", "Bad file format", name,
          "redis-check-aof --fix",
        ])
      // The data is as it was.
      #expect(try Data(contentsOf: URL(filePath: "\(folder)/\(name)")) == bytes)
    }
  }
}
