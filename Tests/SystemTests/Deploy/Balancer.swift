// Owns: HAProxy with the configuration that is deployed, before workers of a test.

import Foundation
import Glibc
import Testing

/// Three workers on one Redis, and the HAProxy of deploy/haproxy before them.
final class Balancer: Sendable {
  static let folder = "deploy/haproxy"

  let redis: RedisServer
  let port: Int
  private let workers: Shared<[WorkerProcess]>
  private let options: [String]
  private let statsPort: Int
  private let child: Child
  private let log: String

  /// `change` may rewrite the configuration, as its comments advise.
  init(
    _ options: [String] = [], change: (String) throws -> String = { $0 }
  ) throws {
    let redis = try RedisServer(.init(extra: TestCluster.notifying))
    // Long, so that a busy machine makes nothing uncertain.
    let options = ["--request-timeout", "20s"] + options
    let workers = try (0..<3).map { _ in try WorkerProcess(on: redis, options) }
    let path = "\(try Scratch.folder("balancer"))/haproxy.cfg"
    var text = try Project.text("\(Self.folder)/haproxy.cfg")
    if geteuid() != 0 {
      // Only root can become another user.
      text = text.split(separator: "\n", omittingEmptySubsequences: false)
        .filter { $0 != "    user haproxy" && $0 != "    group haproxy" }.joined(separator: "\n")
    }
    try change(text).write(toFile: path, atomically: true, encoding: .utf8)
    (port, statsPort, child, log) = try Self.start(path, before: workers)
    self.redis = redis
    self.options = options
    self.workers = Shared(workers)
    try awaitUp([true, true, true])
  }

  deinit { stop() }

  /// Ends every process of it.
  func stop() {
    child.end()
    workers.value.forEach { $0.kill() }
    redis.stop()
  }

  /// Starts it on ports that were free a moment ago; another moment, if one was taken since.
  private static func start(
    _ path: String, before workers: [WorkerProcess]
  ) throws -> (Int, Int, Child, String) {
    var said = ""
    for _ in 0..<5 {
      let (port, statsPort) = (try TestSocket.freePort(), try TestSocket.freePort())
      var environment = [
        "LATCHKEY_BIND": "127.0.0.1:\(port)", "LATCHKEY_STATS": "127.0.0.1:\(statsPort)",
        "LATCHKEY_CALLERS": "1000",
      ]
      for (index, worker) in workers.enumerated() {
        environment["LATCHKEY_WORKER_\(index + 1)"] = "127.0.0.1:\(worker.listenPort)"
        environment["LATCHKEY_WORKER_\(index + 1)_ADMIN"] = "\(worker.adminPort)"
      }
      let folder = try Scratch.folder("haproxy")
      let log = "\(folder)/log"
      let child = try Child(
        [Tool.path("haproxy"), "-db", "-f", path], folder: folder, output: log, errors: log,
        environment: environment)
      let isThere = try eventually("an answer of HAProxy", within: .seconds(10)) { () -> Bool? in
        if child.check() != nil { return false }
        return (try? HTTPReply.get("/;csv", port: statsPort)) == nil ? nil : true
      }
      if isThere { return (port, statsPort, child, log) }
      said = String(decoding: FileManager.default.contents(atPath: log) ?? Data(), as: UTF8.self)
    }
    throw Failure("HAProxy does not start: \(said)")
  }

  subscript(index: Int) -> WorkerProcess { workers.value[index] }

  /// A connection through HAProxy.
  func connect() throws -> LineClient { try LineClient(port: port) }

  /// The name of a worker in INFO.
  func name(_ index: Int) throws -> String {
    try self[index].connect().request("INFO").string("worker")
  }

  /// Puts a new worker in the place of one that has ended.
  func restart(_ index: Int) throws {
    let ended = workers.value[index]
    let ports = [
      "--listen", "127.0.0.1:\(ended.listenPort)", "--admin", "127.0.0.1:\(ended.adminPort)",
    ]
    let worker = try WorkerProcess(on: redis, options + ports)
    workers.update { $0[index] = worker }
  }

  /// Which workers HAProxy leads callers to.
  func up() throws -> [Bool] {
    let page = try HTTPReply.get("/;csv", port: statsPort).body
    let rows = page.split(separator: "\n").map { $0.components(separatedBy: ",") }
    guard let column = rows.first?.firstIndex(of: "status") else { throw Failure("\(page)") }
    return (1...3).map { number in
      rows.first { $0[0] == "workers" && $0[1] == "worker\(number)" }?[column]
        .hasPrefix("UP") == true
    }
  }

  func awaitUp(_ expected: [Bool]) throws {
    try eventually("HAProxy to see \(expected)", within: .seconds(20), every: 20) {
      try up() == expected
    }
  }
}
