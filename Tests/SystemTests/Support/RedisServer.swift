// A real redis-server in a folder of its own, with the faults that a test can do to it.

import Foundation
import Glibc

/// A redis-server that a test started, on a Unix socket and, if asked, on a loopback port.
final class RedisServer: Sendable {
  /// How it is set up.
  ///
  /// The default keeps everything in memory only.
  struct Options: Sendable {
    var appendOnly = false
    /// Listens on a free loopback port too, or on this one.
    var listens = false
    var port: Int?
    /// The command that it is started with, such as one that runs it elsewhere.
    var command: [String] = []
    /// More words for redis-server's command line.
    var extra: [String] = []

    static let durable = Options(appendOnly: true)
  }

  let folder: String
  let path: String
  let port: Int
  private let arguments: [String]
  private let child = Shared<Child?>(nil)

  /// Its address for workers, with the user of least rights of deploy/redis.
  var url: String { RedisServer.url(path) }

  /// The same for whatever stands before it on another socket.
  static func url(_ path: String) -> String { "unix://latchkey:\(secret)@\(path)" }

  /// The same over TCP.
  func url(host: String) -> String { "redis://latchkey:\(RedisServer.secret)@\(host):\(port)" }

  /// Its address with all rights, for the tests themselves.
  var adminURL: String { "unix://\(path)" }

  private static let secret = "least-rights"

  init(_ options: Options = Options()) throws {
    folder = try Scratch.folder("redis")
    path = "\(folder)/redis.sock"
    port = try options.port ?? (options.listens ? TestSocket.freePort() : 0)
    arguments =
      options.command + [
        Engine.server, "--bind", "127.0.0.1", "--port", "\(port)", "--unixsocket", path,
        "--dir", folder, "--save", "", "--appendonly", options.appendOnly ? "yes" : "no",
        "--appendfsync", "always", "--loglevel", "warning", "--logfile", "\(folder)/redis.log",
        "--daemonize", "no", "--aclfile", "\(folder)/users.acl",
      ] + options.extra
    try RedisServer.users().write(toFile: "\(folder)/users.acl", atomically: true, encoding: .utf8)
    try start()
  }

  deinit { stop() }

  /// The users that are deployed; the default one, for the tests, has all rights here.
  private static func users() throws -> String {
    let place = "#SHA256-OF-THE-WORKERS-SECRET"
    let lines = try Project.text("deploy/redis/users.acl").split(separator: "\n")
    let workers = lines.filter { $0.hasPrefix("user latchkey on \(place) ") }
    guard workers.count == 1 else { throw Failure("users.acl: no user latchkey with \(place)") }
    let words = workers[0].replacing(place, with: ">\(secret)").split(separator: " ")
    // A Redis without functions refuses a file that names them.
    let known = words.filter { Engine.hasFunctions || !$0.contains(/^\+f(call|unction)/) }
    return "user default on nopass ~* &* +@all\n" + known.joined(separator: " ") + "\n"
  }

  /// Starts it again, after a kill or for the first time, and waits until it answers.
  func start(_ more: [String] = [], untilLoaded: Bool = true) throws {
    unlink(path)
    let log = "\(folder)/output.log"
    let command = ["/usr/bin/env"] + arguments + more
    let started = try Child(command, folder: folder, output: log, errors: log)
    child.value = started
    try eventually("an answer of redis-server (see \(folder)/redis.log)", within: .seconds(10)) {
      if let ending = started.check() { throw Failure("redis-server: \(ending), see \(folder)") }
      guard let client = try? RedisClient(path: path) else { return false }
      let answer = try? client.command("PING")
      // NOAUTH is an answer too.
      if case .error(let text) = answer { return !untilLoaded || !text.hasPrefix("LOADING") }
      return answer == .text("PONG")
    }
  }

  /// Dies at once, as in a crash.
  func kill() { child.value?.end() }

  func stop() {
    kill()
    child.value = nil
  }

  /// Hangs: it keeps its connections and sends no replies.
  func freeze() throws { try child.value?.freeze() }

  func thaw() { child.value?.signal(SIGCONT) }

  /// One command over a connection of its own; an error reply is thrown.
  @discardableResult func command(_ words: String...) throws -> RedisValue {
    let value = try RedisClient(path: path).command(words)
    if case .error(let text) = value { throw Failure("redis: \(words): \(text)") }
    return value
  }
}
